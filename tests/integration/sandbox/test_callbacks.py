"""What Twilio says later: signed, in order, tried again, and calls that are carried out."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from notifyflow.sandbox.inbox import Call
from notifyflow.sandbox.system import Sandbox
from tests.integration.sandbox.conftest import Called, Ear

EVENTS = ["initiated", "ringing", "answered", "completed"]


@pytest.fixture
def twilio(sandbox: Sandbox) -> Iterator[Client]:
    settings = sandbox.settings()
    http_client = TwilioHttpClient(timeout=10)
    client = Client(settings["NOTIFYFLOW_TWILIO_ACCOUNT_SID"], settings["NOTIFYFLOW_TWILIO_AUTH_TOKEN"], http_client=http_client)
    client.api.base_url = settings["NOTIFYFLOW_TWILIO_BASE_URL"]
    yield client
    if http_client.session is not None:
        http_client.session.close()


def text(twilio: Client, ear: Ear, fragment: str = "#rc=5&rp=all", sender: str = "+15005550006") -> str:
    url = f"{ear.url}/callbacks/twilio/sms/a1?x=1{fragment}"
    more = {"messaging_service_sid": sender} if sender.startswith("MG") else {"from_": sender}
    return str(twilio.messages.create(to="+4930123456", body="down", status_callback=url, **more).sid)


def call(twilio: Client, ear: Ear, *, with_events: bool = True, **more: str) -> str:
    gather = f"<Gather numDigits='1' action='{ear.url}/key#rc=2&amp;rp=all'><Say>Press one.</Say></Gather>"
    made = twilio.calls.create(
        to="+4930123456",
        from_="+15005550007",
        twiml=f"<Response><Say>Down.</Say>{gather}</Response>",
        status_callback=f"{ear.url}/callbacks/twilio/voice/a2",
        status_callback_event=EVENTS if with_events else ["completed"],
        **more,
    )
    return str(made.sid)


def statuses(calls: list[Called]) -> list[str]:
    return [call.form.get("MessageStatus") or call.form["CallStatus"] for call in calls]


def is_signed(call: Called, sandbox: Sandbox) -> bool:
    return bool(
        RequestValidator(sandbox.settings()["NOTIFYFLOW_TWILIO_AUTH_TOKEN"]).validate(call.url, call.form, call.signature)
    )


def test_a_text_is_sent_and_then_delivered(sandbox: Sandbox, twilio: Client, ear: Ear) -> None:
    sid = text(twilio, ear)
    calls = ear.wait(2)
    assert statuses(calls) == ["sent", "delivered"]
    assert {call.form["MessageSid"] for call in calls} == {sid}
    assert all(is_signed(call, sandbox) for call in calls)
    assert calls[0].url == f"{ear.url}/callbacks/twilio/sms/a1?x=1"
    assert sandbox.inbox.wait_for(lambda message: message.status == "delivered").attempt_id == "a1"


def test_a_text_through_a_messaging_service_is_queued_first(twilio: Client, ear: Ear) -> None:
    text(twilio, ear, sender="MG" + "0" * 32)
    assert statuses(ear.wait(3)) == ["queued", "sent", "delivered"]


@pytest.mark.parametrize(
    ("script", "wanted", "code"),
    [
        ("sms: 30006", ["sent", "undelivered"], "30006"),
        ("sms: undelivered", ["sent", "undelivered"], None),
        ("sms: 30001", ["failed"], "30001"),
        ("sms: accept, then 500", ["sent", "delivered"], None),
    ],
)
def test_a_receipt_says_what_the_script_says(
    sandbox: Sandbox, twilio: Client, ear: Ear, script: str, wanted: list[str], code: str | None
) -> None:
    sandbox.script(script)
    with pytest.raises(TwilioRestException) if "500" in script else nullcontext():
        text(twilio, ear)
    calls = ear.wait(len(wanted))
    assert statuses(calls) == wanted
    assert calls[-1].form.get("ErrorCode") == code


def test_what_is_refused_or_has_no_receipt_is_not_called_back(sandbox: Sandbox, twilio: Client, ear: Ear) -> None:
    sandbox.script("sms: no receipt once, then ok")
    silent = text(twilio, ear)
    loud = text(twilio, ear)
    assert {call.form["MessageSid"] for call in ear.wait(2)} == {loud}
    assert [message.status for message in sandbox.inbox.messages() if message.reference == silent] == ["queued"]


def test_a_callback_is_repeated_as_the_fragment_demands(twilio: Client, ear: Ear) -> None:
    ear.responses = [(503, ""), (404, ""), (200, "")]
    text(twilio, ear, "#rc=5&rp=all")
    assert statuses(ear.wait(4)) == ["sent", "sent", "sent", "delivered"]


def test_without_a_fragment_a_response_is_final(twilio: Client, ear: Ear) -> None:
    ear.responses = [(503, ""), (200, "")]
    text(twilio, ear, "")
    assert statuses(ear.wait(2)) == ["sent", "delivered"]


def test_the_words_of_a_call_are_kept_and_its_key_is_posted(sandbox: Sandbox, twilio: Client, ear: Ear) -> None:
    sandbox.script("call: key 1")
    ear.responses = [(200, "<Response><Say>Thank you.</Say></Response>")]
    sid = call(twilio, ear)
    calls = ear.wait(5)
    (gathered,) = [call for call in calls if "Digits" in call.form]
    assert statuses([call for call in calls if call is not gathered]) == ["initiated", "ringing", "in-progress", "completed"]
    assert {call.url for call in calls if call is not gathered} == {f"{ear.url}/callbacks/twilio/voice/a2"}
    assert (gathered.url, gathered.form["Digits"], gathered.form["CallStatus"]) == (f"{ear.url}/key", "1", "in-progress")
    assert all(is_signed(call, sandbox) and call.form["CallSid"] == sid for call in calls)
    message = sandbox.inbox.wait_for(lambda there: there.status == "completed")
    assert isinstance(message.content, Call)
    assert message.content.said == ("Down.", "Press one.", "Thank you.")
    assert (message.content.sender, message.content.key) == ("+15005550007", "1")
    assert message.attempt_id == "a2"


@pytest.mark.parametrize("does", ["nobody answers", "busy", "failed"])
def test_a_call_that_nobody_picks_up_ends_with_its_reason(sandbox: Sandbox, twilio: Client, ear: Ear, does: str) -> None:
    sandbox.script(f"call: {does} once, then key 1")
    call(twilio, ear)
    assert statuses(ear.wait(3)) == ["initiated", "ringing", {"nobody answers": "no-answer"}.get(does, does)]
    assert sandbox.inbox.messages()[0].text == ""


@pytest.mark.parametrize(("does", "by"), [("machine", "machine_start"), ("hangs up", "human")])
def test_a_call_without_a_key_is_completed_all_the_same(sandbox: Sandbox, twilio: Client, ear: Ear, does: str, by: str) -> None:
    sandbox.script(f"call: {does}")
    call(twilio, ear, with_events=False, machine_detection="Enable")
    (completed,) = ear.wait(1)
    assert (completed.form["CallStatus"], completed.form["AnsweredBy"]) == ("completed", by)
    message = sandbox.inbox.wait_for(lambda there: there.status == "completed")
    assert message.text == "Down.\nPress one."


def test_a_call_without_a_script_is_picked_up_but_not_acknowledged(sandbox: Sandbox, twilio: Client, ear: Ear) -> None:
    call(twilio, ear, with_events=False)
    gathered, completed = ear.wait(2)
    assert (gathered.form["Digits"], completed.form["CallStatus"]) == ("3", "completed")


def press(sandbox: Sandbox, line: int, key: str = "1", message: int = 1, **headers: str) -> int:
    """Press a key on the page; return the status."""
    form = {"message": message, "line": line, "key": key}
    return requests.post(f"{sandbox.url}/press", data=form, headers=headers, timeout=10, allow_redirects=False).status_code


def test_a_key_can_be_pressed_on_the_page_at_each_question(sandbox: Sandbox, twilio: Client, ear: Ear) -> None:
    sandbox.script("call: machine")
    ear.responses = [(200, "<Response><Say>Thank you.</Say></Response>")]
    call(twilio, ear, with_events=False)
    sandbox.inbox.wait_for(lambda message: message.status == "completed")
    page = requests.get(sandbox.url, timeout=10).text
    assert page.count('action="/press"') == 1
    assert press(sandbox, 1, "4") == 303
    gathered = next(each for each in ear.calls if each.url.endswith("/key"))
    assert (gathered.form["Digits"], is_signed(gathered, sandbox)) == ("4", True)
    (message,) = sandbox.inbox.messages()
    assert isinstance(message.content, Call)
    assert (message.content.said[-1], message.content.key) == ("Thank you.", "4")


def test_a_key_that_no_call_asks_for_is_refused(sandbox: Sandbox, twilio: Client, ear: Ear) -> None:
    call(twilio, ear, with_events=False)
    sandbox.inbox.wait_for(lambda message: message.status == "completed")
    assert [press(sandbox, 0), press(sandbox, 99), press(sandbox, 1, message=7)] == [404] * 3
    assert press(sandbox, 1, **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert requests.get(f"{sandbox.url}/press", timeout=10).status_code == 405


def test_a_call_goes_on_while_nobody_listens_to_its_reports(sandbox: Sandbox, twilio: Client) -> None:
    nowhere = "http://127.0.0.1:9/callbacks/twilio/voice/a2#rc=5&rp=all"
    twilio.calls.create(
        to="+4930123456",
        from_="+15005550007",
        twiml="<Response><Say>Down.</Say></Response>",
        status_callback=nowhere,
        status_callback_event=EVENTS,
    )
    assert sandbox.inbox.wait_for(lambda message: message.status == "completed").text == "Down."


def test_twiml_may_also_be_fetched(sandbox: Sandbox, twilio: Client, ear: Ear) -> None:
    ear.responses = [(200, "<Response><Say>Fetched.</Say></Response>")]
    twilio.calls.create(to="+4930123456", from_="+15005550007", url=f"{ear.url}/twiml")
    assert sandbox.inbox.wait_for(lambda message: message.status == "completed").text == "Fetched."
