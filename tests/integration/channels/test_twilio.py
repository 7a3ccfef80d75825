"""What Twilio is sent, how its responses are classified, and which callbacks are accepted."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from twilio.request_validator import RequestValidator

from notifyflow.channels.base import Callback, Channel
from notifyflow.channels.provider_protocols import FindsSentMessages
from notifyflow.channels.sms import SmsChannel, TwilioSms
from notifyflow.channels.tables import Verdict
from notifyflow.channels.twilio.codes import CALL_STATUSES, MESSAGE_STATUSES, TWILIO
from notifyflow.channels.voice import TwilioVoice, VoiceChannel
from notifyflow.core.delivery.model import Evidence, Receipt, Result, Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.messages.replies import Effect, HandledReply
from notifyflow.errors import RefusedUsError, RejectedCallback, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings
from notifyflow.testing.channel_contract import ATTEMPT, a_message
from notifyflow.testing.scripted_http import HttpServer, http_server
from tests.integration.channels.benches import TWILIO_ACCOUNT

PUBLIC = "https://page.example.com/notify"
SMS_PATH = f"/callbacks/twilio/sms/{ATTEMPT}"
VOICE_PATH = f"/callbacks/twilio/voice/{ATTEMPT}"
TOKENS = "first-token,second-token"


@pytest.fixture(scope="module")
def _server() -> Iterator[HttpServer]:
    with http_server() as script:
        yield script


@pytest.fixture
def server(_server: HttpServer) -> HttpServer:
    """A server that accepts messages, whatever the test before let it respond."""
    _server.respond(201, b'{"sid": "m-1"}')
    return _server


def build(kind: type[Channel], port: int = 9, **more: str) -> Channel:
    values = {
        **TWILIO_ACCOUNT,
        "TWILIO_BASE_URL": f"http://127.0.0.1:{port}",
        "TRUSTED_ENDPOINTS": f"127.0.0.1:{port}",
        "PUBLIC_URL": PUBLIC,
        "TWILIO_AUTH_TOKEN": TOKENS,
        **more,
    }
    return kind.from_settings(Settings.from_variables({f"NOTIFYFLOW_{name}": text for name, text in values.items() if text}))


def sent_form(server: HttpServer, kind: type[Channel], message: OutboundMessage, **more: str) -> dict[str, list[str]]:
    server.requests.clear()
    channel = build(kind, server.port, **more)
    channel.providers[0].send(message)
    channel.close()
    (request,) = server.requests
    return parse_qs(request.body.decode())


def signed(path: str, *, token: str = "first-token", base: str = PUBLIC, **form: str) -> Callback:
    signature = RequestValidator(token).compute_signature(base + path, form)
    headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
    return Callback(path=path, headers=headers, body=urlencode(form).encode(), attempt_id=ATTEMPT)


def read_receipt(kind: type[Channel], callback: Callback) -> Receipt:
    (receipt,) = build(kind).providers[0].read_callback(callback).receipts
    return receipt


def test_a_text_carries_its_callback_url_and_its_validity(server: HttpServer) -> None:
    form = sent_form(server, SmsChannel, a_message("+4915112345678", valid_for_s=600))
    assert form["To"] == ["+4915112345678"]
    assert form["From"] == ["+15005550006"]
    assert form["StatusCallback"] == [f"{PUBLIC}{SMS_PATH}#rc=5&rp=all"]
    assert form["ValidityPeriod"] == ["600"]
    assert form["Body"][0].endswith("\nhttps://example.com/a/token")


@pytest.mark.parametrize(("valid_for_s", "period"), [(0, "1"), (90_000, "36000")])
def test_a_validity_keeps_within_what_twilio_accepts(server: HttpServer, valid_for_s: int, period: str) -> None:
    assert sent_form(server, SmsChannel, a_message("+4915112345678", valid_for_s=valid_for_s))["ValidityPeriod"] == [period]


def test_a_messaging_service_chooses_the_number(server: HttpServer) -> None:
    form = sent_form(server, SmsChannel, a_message("+4915112345678"), TWILIO_SMS_FROM="MG0123")
    assert form["MessagingServiceSid"] == ["MG0123"]
    assert "From" not in form
    assert "ValidityPeriod" not in form


def test_a_call_says_it_twice_and_gathers_one_key(server: HttpServer) -> None:
    form = sent_form(server, VoiceChannel, a_message("+4915112345678"))
    assert form["StatusCallback"] == [f"{PUBLIC}{VOICE_PATH}#rc=5&rp=all"]
    assert form["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]
    gather = ElementTree.fromstring(form["Twiml"][0].encode()).find("Gather")
    assert gather is not None
    assert gather.attrib["action"] == f"{PUBLIC}{VOICE_PATH}/key#rc=5&rp=all"
    assert gather.attrib["numDigits"] == "1"
    say = gather.find("Say")
    assert say is not None
    assert say.attrib["loop"] == "2"
    assert "orders db is down" in str(say.text)


@pytest.mark.parametrize("kind", [SmsChannel, VoiceChannel])
def test_without_a_public_url_there_are_no_receipts(server: HttpServer, kind: type[Channel]) -> None:
    form = sent_form(server, kind, a_message("+4915112345678"), PUBLIC_URL="")
    assert "StatusCallback" not in form
    assert "Gather" not in form.get("Twiml", [""])[0]
    provider = build(kind, PUBLIC_URL="").providers[0]
    assert not provider.capabilities.has_receipts
    assert build(kind).providers[0].capabilities.has_receipts
    with pytest.raises(RejectedCallback):
        provider.read_callback(signed(SMS_PATH, MessageSid="SM1", MessageStatus="sent"))


@pytest.mark.parametrize("status", sorted(MESSAGE_STATUSES))
def test_every_documented_status_of_a_message_has_its_result(status: str) -> None:
    receipt = read_receipt(SmsChannel, signed(SMS_PATH, MessageSid="SM1", MessageStatus=status, SmsSid="SM1"))
    expected = MESSAGE_STATUSES[status]
    assert receipt.result is (expected.result or Result.TEMPORARY_FAILURE)
    assert receipt.evidence is expected.evidence
    assert (receipt.event_id, receipt.provider_ref, receipt.attempt_id) == (f"SM1:{status}", "SM1", ATTEMPT)
    assert receipt.code == status


@pytest.mark.parametrize("code", sorted(TWILIO))
def test_the_error_code_decides_what_an_undelivered_message_means(code: str) -> None:
    callback = signed(SMS_PATH, MessageSid="SM1", MessageStatus="undelivered", ErrorCode=code)
    receipt = read_receipt(SmsChannel, callback)
    assert receipt.result is (Result.PERMANENT_FAILURE if TWILIO[code].verdict is Verdict.PERMANENT else Result.TEMPORARY_FAILURE)
    assert (receipt.code, receipt.reason) == (code, TWILIO[code].meaning)
    is_ours = TWILIO[code].verdict is Verdict.OURS
    assert (receipt.is_our_fault, receipt.is_general) == (is_ours, is_ours and TWILIO[code].is_general)
    assert receipt.is_about_content is TWILIO[code].is_about_content


@pytest.mark.parametrize("code", ["30002", "30007", "30032", "30034"])
def test_a_receipt_carries_the_class_of_its_code(code: str) -> None:
    failed = read_receipt(SmsChannel, signed(SMS_PATH, MessageSid="SM1", MessageStatus="failed", ErrorCode=code))
    assert (failed.result, failed.is_our_fault) == (Result.TEMPORARY_FAILURE, True)
    delivered = read_receipt(SmsChannel, signed(SMS_PATH, MessageSid="SM1", MessageStatus="delivered", ErrorCode=code))
    assert (delivered.result, delivered.is_our_fault) == (Result.DELIVERED, False)


@pytest.mark.parametrize("status", sorted(CALL_STATUSES))
def test_every_documented_status_of_a_call_has_its_result(status: str) -> None:
    receipt = read_receipt(VoiceChannel, signed(VOICE_PATH, CallSid="CA1", CallStatus=status))
    assert receipt.result is CALL_STATUSES[status].result
    assert receipt.result is not Result.DELIVERED
    assert receipt.event_id == f"CA1:{status}"
    assert not receipt.is_key_press


def test_a_status_that_nobody_knows_is_only_noted() -> None:
    assert read_receipt(SmsChannel, signed(SMS_PATH, MessageSid="SM1", MessageStatus="dreaming")).result is None


@pytest.mark.parametrize(("digit", "is_acknowledgement"), [("1", True), ("2", False), ("#", False)])
def test_a_key_press_is_evidence_of_a_human(digit: str, is_acknowledgement: bool) -> None:
    callback = signed(f"{VOICE_PATH}/key", CallSid="CA1", CallStatus="in-progress", Digits=digit)
    provider = build(VoiceChannel).providers[0]
    (receipt,) = provider.read_callback(callback).receipts
    assert (receipt.result, receipt.evidence) == (Result.DELIVERED, Evidence.HUMAN)
    assert receipt.is_key_press
    assert receipt.is_acknowledgement is is_acknowledgement
    response = provider.respond(HandledReply(effect=Effect.ACKNOWLEDGED))
    assert response.content_type.startswith("text/xml")
    assert ElementTree.fromstring(response.body.encode()).findtext("Say") == "Thank you. You acknowledged it. Goodbye."


def several(*titles: str, unnamed: int = 0, severity: Severity = Severity.CRITICAL) -> Content:
    """Make the content of a call about several incidents."""
    content = replace(a_message("+4915112345678").content, severity=severity)
    bundled = tuple(replace(content, title=title) for title in titles)
    return replace(content, bundled=bundled, counts={severity: len(titles) + unnamed}, unnamed=unnamed)


def pressed(query: str, digit: str = "1", *, content: Content | None = None, acknowledged: int = 0) -> tuple[Receipt, list[str]]:
    """Press a key at a prompt; return its receipt and what the call says after it."""
    provider = build(VoiceChannel).providers[0]
    assert isinstance(provider, TwilioVoice)
    callback = signed(f"{VOICE_PATH}/key{query}", CallSid="CA1", CallStatus="in-progress", Digits=digit)
    (receipt,) = provider.read_callback(callback).receipts
    handled = HandledReply(effect=Effect.EXPLAINED, acknowledged=acknowledged, content=content)
    response = ElementTree.fromstring(provider.respond_to_key(callback, handled).body.encode())
    return receipt, [str(say.text) for say in response.iter("Say")]


TITLES = ("the db is down", "the shop is down", "the queue is full")


def test_each_title_of_a_call_is_a_prompt_whose_address_says_how_far_it_was(server: HttpServer) -> None:
    message = replace(a_message("+4915112345678"), content=several(*TITLES))
    response = ElementTree.fromstring(sent_form(server, VoiceChannel, message)["Twiml"][0].encode())
    said = [(gather.attrib["action"], gather.findtext("Say")) for gather in response.findall("Gather")]
    key = f"{PUBLIC}{VOICE_PATH}/key"
    assert [url for url, _ in said] == [
        f"{key}?at=0#rc=5&rp=all",
        f"{key}?at=1#rc=5&rp=all",
        f"{key}?at=2#rc=5&rp=all",
        f"{key}?at=3&all=1#rc=5&rp=all",
        f"{key}?at=3&all=1#rc=5&rp=all",
    ]
    assert said[1][1] == "Critical: the db is down."
    assert all(gather.attrib["numDigits"] == "1" and gather.attrib["finishOnKey"] == "" for gather in response.findall("Gather"))
    assert response[-1].text == "No key was pressed. Goodbye."


def test_a_call_about_several_incidents_without_a_public_url_only_says_them(server: HttpServer) -> None:
    message = replace(a_message("+4915112345678"), content=several(*TITLES))
    response = ElementTree.fromstring(sent_form(server, VoiceChannel, message, PUBLIC_URL="")["Twiml"][0].encode())
    assert {each.tag for each in response.iter()} == {"Response", "Pause", "Say"}
    assert "Error" not in str(response[1].text)


def test_a_long_public_url_costs_the_last_titles_and_no_critical_one_is_acknowledged_unsaid(server: HttpServer) -> None:
    message = replace(a_message("+4915112345678"), content=several(*(f"db {number} is down" for number in range(10))))
    form = sent_form(server, VoiceChannel, message, PUBLIC_URL=f"https://page.example.com/{'x' * 400}")
    (document,) = form["Twiml"]
    assert len(document) <= 4000
    assert "all=1" not in document
    assert 1 <= document.count("Critical: db") < 10


@pytest.mark.parametrize(
    ("query", "digit", "code", "event_id", "is_acknowledgement"),
    [
        ("", "1", "key 1", "CA1:key:1", True),
        ("?times=2", "1", "key 1", "CA1:key:1:2", True),
        ("?at=0", "1", "key 1 at 0", "CA1:key:1:0", False),
        ("?at=2", "1", "key 1 at 2", "CA1:key:1:2", True),
        ("?at=2&times=3", "1", "key 1 at 2", "CA1:key:1:2:3", True),
        ("?at=2", "2", "key 2 at 2", "CA1:key:2:2", False),
        ("?at=2", "4", "key 4 at 2", "CA1:key:4:2", False),
        ("?at=2&all=1", "4", "key 4 at 2", "CA1:key:4:2", True),
        ("", "4", "key 4", "CA1:key:4", False),
    ],
)
def test_a_key_says_how_far_the_call_was_and_what_it_acknowledges(
    query: str, digit: str, code: str, event_id: str, is_acknowledgement: bool
) -> None:
    receipt, _ = pressed(query, digit)
    assert (receipt.code, receipt.event_id) == (code, event_id)
    assert receipt.is_acknowledgement is is_acknowledgement
    assert receipt.is_key_press


@pytest.mark.parametrize("query", ["?at=x", "?at=-1", "?at=1&times=", "?at=1000", "?at=1&at2=x"])
def test_an_address_that_we_did_not_make_is_rejected(query: str) -> None:
    with pytest.raises(RejectedCallback):
        pressed(query)


def test_a_call_goes_on_after_a_key_with_the_next_title() -> None:
    content = several(*TITLES)
    _, said = pressed("?at=1", "1", content=content, acknowledged=1)
    assert said[:2] == ["Thank you. 1 of 3 are acknowledged.", "Critical: the shop is down."]
    assert len(said) == 5
    assert pressed("?at=3&all=1", "1", content=content, acknowledged=3)[1] == ["Thank you. 3 of 3 are acknowledged. Goodbye."]
    assert pressed("?at=2", "4", content=content)[1][0] == "Thank you. None of 3 are acknowledged."
    assert pressed("?at=3&all=1", "4", content=content, acknowledged=3)[1][0] == "Thank you. 3 of 3 are acknowledged. Goodbye."


def test_key_2_repeats_a_call_until_it_has_spoken_for_three_minutes() -> None:
    content, one = several(*TITLES), a_message("+4915112345678").content
    again = pressed("?at=1", "2", content=content)[1]
    assert again[0].startswith("3 critical alerts for ")
    assert pressed("?at=1&times=3", "2", content=content)[1] == again
    assert pressed("?at=1&times=4", "2", content=content)[1][0] == "Thank you. None of 3 are acknowledged."
    assert "orders db is down" in pressed("", "2", content=one)[1][0]
    assert pressed("?times=2", "2", content=one)[1] == ["Thank you. Nobody has acknowledged it yet. Goodbye."]


def test_a_call_whose_content_cannot_be_read_ends_after_the_key() -> None:
    assert pressed("?at=1", "2")[1] == ["Thank you. Nobody has acknowledged it yet. Goodbye."]


def test_every_status_of_a_call_says_that_it_goes_on_or_that_it_is_over() -> None:
    over = {name for name, status in CALL_STATUSES.items() if status.result is not Result.ACCEPTED}
    assert over == {"completed", "busy", "no-answer", "failed", "canceled"}


def test_both_tokens_verify() -> None:
    callback = signed(SMS_PATH, token="second-token", MessageSid="SM1", MessageStatus="sent")
    assert read_receipt(SmsChannel, callback).result is Result.ACCEPTED


def test_a_signature_may_include_the_fragment_of_the_url_that_was_given() -> None:
    plain = signed(SMS_PATH, MessageSid="SM1", MessageStatus="sent")
    full = signed(f"{SMS_PATH}#rc=5&rp=all", MessageSid="SM1", MessageStatus="sent")
    assert read_receipt(SmsChannel, replace(plain, headers=full.headers)).result is Result.ACCEPTED


GOOD = signed(SMS_PATH, MessageSid="SM1", MessageStatus="delivered")


@pytest.mark.parametrize(
    "callback",
    [
        signed(SMS_PATH, token="stranger", MessageSid="SM1", MessageStatus="delivered"),
        signed(SMS_PATH, base="https://other.example.com", MessageSid="SM1", MessageStatus="delivered"),
        Callback(path=GOOD.path, headers={}, body=GOOD.body, attempt_id=ATTEMPT),
        Callback(path=GOOD.path, headers={"x-twilio-signature": "ünïcode"}, body=GOOD.body, attempt_id=ATTEMPT),
        Callback(path=GOOD.path, headers=GOOD.headers, body=GOOD.body.replace(b"SM1", b"SM2"), attempt_id=ATTEMPT),
        Callback(path=GOOD.path.replace("sms/0", "sms/1"), headers=GOOD.headers, body=GOOD.body, attempt_id=ATTEMPT),
        Callback(path=GOOD.path, headers=GOOD.headers, body=b"{}", attempt_id=ATTEMPT),
        Callback(path=GOOD.path, headers=GOOD.headers, body=b"\xff\xfe=1", attempt_id=ATTEMPT),
        Callback(path=GOOD.path, headers=GOOD.headers, body=b"a=1&" * 500, attempt_id=ATTEMPT),
        signed(SMS_PATH, MessageSid="SM1"),
        signed(SMS_PATH),
    ],
    ids=["token", "url", "unsigned", "not ascii", "body", "attempt", "json", "bytes", "many", "no status", "empty"],
)
def test_what_twilio_did_not_say_is_rejected(callback: Callback) -> None:
    with pytest.raises(RejectedCallback):
        build(SmsChannel).providers[0].read_callback(callback)


def test_a_call_that_is_not_named_is_rejected() -> None:
    with pytest.raises(RejectedCallback):
        build(VoiceChannel).providers[0].read_callback(signed(VOICE_PATH, CallStatus="busy"))


STARTED = datetime(2026, 11, 25, 3, 0, 10, 500_000, tzinfo=UTC)


def listed(*texts: dict[str, object]) -> bytes:
    """Write what Twilio lists: each text as queued just after the attempt began, unless stated otherwise."""
    usual = {"sid": "SM1", "status": "queued", "error_code": None, "date_created": "Wed, 25 Nov 2026 03:00:11 +0000"}
    return json.dumps({"messages": [usual | text for text in texts], "uri": "/list", "next_page_uri": None}).encode()


def find(server: HttpServer, message: OutboundMessage, *texts: dict[str, object], **more: str) -> Receipt | None:
    server.respond(200, listed(*texts))
    channel = build(SmsChannel, server.port, **more)
    receipt = channel.providers[0].find_sent_message(replace(message, at=STARTED))
    channel.close()
    return receipt


def words_of(message: OutboundMessage) -> str:
    channel = build(SmsChannel)
    assert isinstance(channel.providers[0], TwilioSms)
    return channel.providers[0].text(message.content)


def test_a_text_is_found_by_its_link(server: HttpServer) -> None:
    message = a_message("+15005550006")
    assert message.content.link
    body = f"Twilio may put \u201cother\u201d signs {message.content.link}"
    receipt = find(server, message, {"body": "something else"}, {"body": body, "sid": "SM2", "status": "sent"})
    assert receipt == Receipt(
        provider="twilio",
        event_id=f"SM2:found:{ATTEMPT}:sent",
        result=Result.ACCEPTED,
        attempt_id=ATTEMPT,
        provider_ref="SM2",
        evidence=Evidence.CARRIER,
        code="sent",
        reason=MESSAGE_STATUSES["sent"].meaning,
    )
    (request,) = server.requests
    query = parse_qs(urlsplit(request.path).query)
    assert (request.method, query) == ("GET", {"To": ["+15005550006"], "From": ["+15005550006"], "PageSize": ["100"]})


def test_a_text_without_a_link_is_found_by_all_its_words(server: HttpServer) -> None:
    message = a_message("+15005550006")
    message = replace(message, content=replace(message.content, link=None))
    words = words_of(message)
    assert find(server, message, {"body": words + " more"}, {"body": None}) is None
    assert find(server, message, {"body": words.replace(" ", "\n")}) is not None


def test_a_text_from_before_the_attempt_is_another_one(server: HttpServer) -> None:
    message = a_message("+15005550006")
    body = words_of(message)
    assert find(server, message, {"body": body, "date_created": "Wed, 25 Nov 2026 02:59:40 +0000"}) is None
    assert find(server, message, {"body": body, "date_created": None}) is None
    assert find(server, message, {"body": body, "date_created": "Wed, 25 Nov 2026 03:00:10 +0000"}) is not None


@pytest.mark.parametrize("status", [*MESSAGE_STATUSES, "a new one"])
def test_every_status_of_a_text_that_is_found_says_something(server: HttpServer, status: str) -> None:
    message = a_message("+15005550006")
    receipt = find(server, message, {"body": words_of(message), "status": status})
    assert receipt is not None
    assert receipt.result is (
        (MESSAGE_STATUSES[status].result or Result.TEMPORARY_FAILURE) if status in MESSAGE_STATUSES else Result.ACCEPTED
    )


def test_the_code_of_a_text_that_is_found_decides(server: HttpServer) -> None:
    message = a_message("+15005550006")
    receipt = find(server, message, {"body": words_of(message), "status": "undelivered", "error_code": 30005})
    assert receipt is not None
    assert (receipt.result, receipt.code) == (Result.PERMANENT_FAILURE, "30005")


def test_with_a_messaging_service_no_sender_is_required(server: HttpServer) -> None:
    assert find(server, a_message("+15005550006"), TWILIO_SMS_FROM="MG00000000000000000000000000000000") is None
    (request,) = server.requests
    assert "From" not in parse_qs(urlsplit(request.path).query)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(401, b'{"code": 20003}', RefusedUsError), (500, b"", TemporaryProviderError), (200, b"<html>", UnknownOutcomeError)],
)
def test_a_search_without_a_response_raises(server: HttpServer, status: int, body: bytes, error: type[Exception]) -> None:
    server.respond(status, body)
    channel = build(SmsChannel, server.port)
    with pytest.raises(error):
        channel.providers[0].find_sent_message(a_message("+15005550006"))
    channel.close()


def test_calls_to_one_number_look_alike_so_they_are_not_searched(server: HttpServer) -> None:
    channel = build(VoiceChannel, server.port)
    assert not isinstance(channel.providers[0], FindsSentMessages)


@pytest.mark.parametrize("kind", [SmsChannel, VoiceChannel])
def test_a_second_account_sends_as_itself_and_hears_its_own_callbacks(server: HttpServer, kind: type[Channel]) -> None:
    server.requests.clear()
    account = {"ACCOUNT_SID": "AC11111111111111111111111111111111", "AUTH_TOKEN": "token-1,token-2", "SMS_FROM": "+15005550007"}
    second = {f"TWILIO_B_{name}": value for name, value in account.items()} | {"TWILIO_B_VOICE_FROM": "+15005550007"}
    channel = build(kind, server.port, **second)
    assert [provider.name for provider in channel.providers] == ["twilio", "twilio-b"]
    channel.providers[1].send(a_message("+4915112345678"))
    (request,) = server.requests
    form = parse_qs(request.body.decode())
    path = f"/callbacks/twilio-b/{channel.name}/{ATTEMPT}"
    assert account["ACCOUNT_SID"] in request.path
    assert form["From"] == ["+15005550007"]
    assert form["StatusCallback"] == [f"{PUBLIC}{path}#rc=5&rp=all"]
    status = {"MessageSid": "SM1", "MessageStatus": "sent", "CallSid": "CA1", "CallStatus": "ringing"}
    for token in ("token-1", "token-2"):
        (receipt,) = channel.providers[1].read_callback(signed(path, token=token, **status)).receipts
        assert receipt.provider == "twilio-b"
    with pytest.raises(RejectedCallback):
        channel.providers[1].read_callback(signed(path, **status))
    channel.close()


def test_missing_settings_of_a_second_account_have_its_own_names() -> None:
    channel = build(SmsChannel, TWILIO_B_ACCOUNT_SID="AC11111111111111111111111111111111")
    assert [provider.name for provider in channel.providers] == ["twilio"]
    assert [fault.where for fault in channel.faults] == ["NOTIFYFLOW_TWILIO_B_AUTH_TOKEN", "NOTIFYFLOW_TWILIO_B_SMS_FROM"]
