"""One contract for every provider over HTTP: how it classifies each response, and a missing one."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from notifyflow.channels.base import Accepted, Capabilities
from notifyflow.channels.tables import Verdict
from notifyflow.errors import (
    PermanentProviderError,
    ProviderError,
    RefusedUsError,
    TemporaryProviderError,
    UnknownOutcomeError,
)
from tests.integration.channels.benches import BENCHES, Bench, row_cases
from tests.integration.channels.scripted import CUT, HANG, HttpServer, http_server
from tests.servers.ports import reserve_port

ERRORS = {
    Verdict.TEMPORARY: TemporaryProviderError,
    Verdict.PERMANENT: PermanentProviderError,
    Verdict.OURS: RefusedUsError,
    Verdict.UNKNOWN: UnknownOutcomeError,
}
every_provider = pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.name)


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with http_server() as script:
        yield script


def send(bench: Bench, server: HttpServer | int, **more: str) -> Accepted:
    with bench.provider(server, **more) as (provider, message):
        return provider.send(message)


def refused(bench: Bench, server: HttpServer | int, **more: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        send(bench, server, **more)
    return caught.value


@every_provider
def test_an_acceptance_is_one_request_and_keeps_the_providers_id(bench: Bench, server: HttpServer) -> None:
    server.respond(*bench.accepted)
    accepted = send(bench, server)
    assert len(server.requests) == 1
    assert accepted.provider_ref in ("m-1", "C0123456789:1.2", "")


@every_provider
def test_a_text_that_is_no_address_is_refused_and_not_repeated(bench: Bench, server: HttpServer) -> None:
    text = "no address, nowhere"
    with pytest.raises(ValueError, match=r".") as caught, replace(bench, address=text).provider(server):
        pass
    assert text not in str(caught.value)


@every_provider
def test_only_what_has_a_callback_path_claims_receipts(bench: Bench, server: HttpServer) -> None:
    with bench.provider(server) as (provider, _):
        assert provider.capabilities == Capabilities()
    with bench.provider(server, PUBLIC_URL="https://page.example.com") as (provider, _):
        assert provider.capabilities.has_receipts is (bench.name in ("twilio sms", "twilio voice", "pager"))


def test_ses_reports_our_attempt_where_a_configuration_set_publishes_events(server: HttpServer) -> None:
    bench = next(bench for bench in BENCHES if bench.name == "ses")
    with bench.provider(server, SES_CONFIGURATION_SET="events") as (provider, _):
        assert provider.capabilities == Capabilities()
    topic = "arn:aws:sns:eu-central-1:123456789012:mail"
    with bench.provider(server, SES_CONFIGURATION_SET="events", SNS_TOPICS=topic) as (provider, _):
        assert provider.capabilities == Capabilities(has_receipts=True, doubts_resolved_within_s=15)


def test_push_services_keep_a_message_no_longer_than_it_is_valid(server: HttpServer) -> None:
    bench = next(bench for bench in BENCHES if bench.name == "sns")
    server.respond(*bench.accepted)
    with bench.provider(server) as (provider, message):
        provider.send(replace(message, valid_for_s=600))
    form = parse_qs(server.requests[0].body.decode())
    names = [value[0] for name, value in form.items() if name.endswith("Name")]
    platforms = ("FCM", "GCM", "APNS", "APNS_SANDBOX")
    assert names == [f"AWS.SNS.MOBILE.{platform}.TTL" for platform in platforms]
    assert {value[0] for name, value in form.items() if name.endswith("StringValue")} == {"600"}


def test_the_name_that_ses_shows_goes_out_encoded(server: HttpServer) -> None:
    bench = next(bench for bench in BENCHES if bench.name == "ses")
    server.respond(*bench.accepted)
    send(bench, server, SES_FROM="Дежурный <pager@example.com>")
    sent = json.loads(server.requests[0].body)
    assert sent["FromEmailAddress"] == "=?utf-8?b?0JTQtdC20YPRgNC90YvQuQ==?= <pager@example.com>"


@pytest.mark.parametrize(("more", "sender"), [({}, []), ({"SNS_SMS_SENDER_ID": "notifyflow"}, ["notifyflow"])])
def test_a_text_over_sns_is_transactional_and_fits_into_two_segments(
    server: HttpServer, more: dict[str, str], sender: list[str]
) -> None:
    bench = next(bench for bench in BENCHES if bench.name == "sns sms")
    server.respond(*bench.accepted)
    with bench.provider(server, **more) as (provider, message):
        provider.send(
            replace(message, content=replace(message.content, title="down " * 200, link="https://page.example.com/a/1"))
        )
    form = {name: value[0] for name, value in parse_qs(server.requests[0].body.decode()).items()}
    assert form["PhoneNumber"] == message.address
    assert form["Message"].endswith("https://page.example.com/a/1")
    assert len(form["Message"]) <= 2 * 153
    values = [form[name.replace("Name", "Value.StringValue")] for name in sorted(form) if name.endswith("Name")]
    assert values == ["Transactional", *sender]


def test_a_bot_without_its_token_is_a_fault_of_ours(server: HttpServer) -> None:
    bench = next(bench for bench in BENCHES if bench.name == "slack webhook")
    with bench.provider(server) as (provider, message), pytest.raises(RefusedUsError):
        provider.send(replace(message, address="C0123456789"))


@every_provider
def test_many_threads_may_send_at_a_time(bench: Bench, server: HttpServer) -> None:
    server.respond(*bench.accepted)
    with bench.provider(server) as (provider, message), ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(provider.send, [message] * 24))) == 1
    assert len(server.requests) == 24


@every_provider
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, RefusedUsError),
        (401, RefusedUsError),
        (403, RefusedUsError),
        (402, RefusedUsError),
        (404, RefusedUsError),
        (408, TemporaryProviderError),
        (410, RefusedUsError),
        (413, RefusedUsError),
        (418, RefusedUsError),
        (429, TemporaryProviderError),
        (500, TemporaryProviderError),
        (502, UnknownOutcomeError),
        (503, TemporaryProviderError),
        (504, UnknownOutcomeError),
        (599, TemporaryProviderError),
    ],
)
def test_a_status_without_a_known_code_decides(
    bench: Bench, server: HttpServer, status: int, expected: type[ProviderError]
) -> None:
    own = bench.table.get(str(status)) or bench.table.get(f"{status // 100}xx")
    if own is not None:
        expected = ERRORS[own.verdict]
    server.respond(*bench.refused(status, ""))
    assert type(refused(bench, server)) is expected
    assert len(server.requests) == 1


@every_provider
@pytest.mark.parametrize("status", [400, 405, 411, 413, 415, 422])
def test_a_response_that_blames_our_request_is_never_the_recipients_fault(bench: Bench, server: HttpServer, status: int) -> None:
    server.respond(*bench.refused(status, ""))
    assert not isinstance(refused(bench, server), PermanentProviderError)


@pytest.mark.parametrize(
    ("name", "parameter", "expected"),
    [
        ("sns", "TargetArn", PermanentProviderError),
        ("sns", "Message", RefusedUsError),
        ("sns sms", "PhoneNumber", PermanentProviderError),
        ("sns sms", "TargetArn", RefusedUsError),
        ("sns sms", "MessageAttributes", RefusedUsError),
    ],
)
def test_sns_says_which_parameter_it_blames(server: HttpServer, name: str, parameter: str, expected: type[ProviderError]) -> None:
    bench = next(bench for bench in BENCHES if bench.name == name)
    status, body, headers = bench.refused(400, "InvalidParameter")
    reason = f"<Message>Invalid parameter: {parameter} Reason: no</Message>"
    server.respond(status, body.replace(b"<Message>no</Message>", reason.encode()), headers)
    error = refused(bench, server)
    assert type(error) is expected
    assert error.code == (f"InvalidParameter:{parameter}" if expected is PermanentProviderError else "InvalidParameter")


@pytest.mark.parametrize("status", [400, 403, 404, 410])
@pytest.mark.parametrize("name", ["slack bot", "slack webhook"])
def test_an_unknown_error_of_slack_is_temporary_and_named(server: HttpServer, name: str, status: int) -> None:
    bench = next(bench for bench in BENCHES if bench.name == name)
    server.respond(*bench.refused(status, "moon_is_full"))
    error = refused(bench, server)
    assert isinstance(error, TemporaryProviderError)
    assert error.code == "moon_is_full"
    assert error.reason == "Slack says a word that is not in our table"


@every_provider
@pytest.mark.parametrize(("status", "code"), [(429, "429"), (503, "503")])
def test_retry_after_is_kept(bench: Bench, server: HttpServer, status: int, code: str) -> None:
    response_status, body, headers = bench.refused(status, "")
    server.respond(response_status, body, {**headers, "Retry-After": "7"})
    error = refused(bench, server)
    assert isinstance(error, TemporaryProviderError)
    assert error.retry_after_s == 7


@every_provider
def test_a_redirect_is_not_followed(bench: Bench, server: HttpServer) -> None:
    server.respond(302, b"", {"Location": f"{server.url}/elsewhere"})
    error = refused(bench, server)
    assert isinstance(error, ERRORS[bench.table["3xx"].verdict] if "3xx" in bench.table else RefusedUsError)
    assert len(server.requests) == 1


@every_provider
def test_no_connection_is_a_definite_no(bench: Bench) -> None:
    error = refused(bench, reserve_port())
    assert isinstance(error, TemporaryProviderError)
    assert error.code == "no_connection"


@every_provider
def test_a_connection_that_is_cut_after_the_request_leaves_it_unknown(bench: Bench, server: HttpServer) -> None:
    server.respond(0, act=CUT)
    assert isinstance(refused(bench, server), UnknownOutcomeError)
    assert len(server.requests) == 1


@every_provider
def test_a_provider_that_hangs_leaves_it_unknown(bench: Bench, server: HttpServer) -> None:
    server.respond(0, act=HANG)
    assert isinstance(refused(bench, server, READ_TIMEOUT_S="0.25"), UnknownOutcomeError)
    assert server.hangs.wait(30)
    assert len(server.requests) == 1


@every_provider
@pytest.mark.parametrize("body", [b"\x00<html>garbage", b"[]", b"x" * 3_000_000], ids=["garbage", "wrong shape", "huge"])
def test_an_acceptance_that_cannot_be_understood_is_unknown(bench: Bench, server: HttpServer, body: bytes) -> None:
    server.respond(bench.accepted[0], body)
    if bench.needs_body:
        assert isinstance(refused(bench, server), UnknownOutcomeError)
    else:
        assert isinstance(send(bench, server), Accepted)


@every_provider
def test_a_refusal_with_a_huge_body_is_classified_by_its_status(bench: Bench, server: HttpServer) -> None:
    server.respond(503, b"x" * 3_000_000)
    assert isinstance(refused(bench, server), TemporaryProviderError)


@pytest.mark.parametrize("bench", BENCHES[:2], ids=lambda bench: bench.name)
def test_missing_credentials_are_a_fault_of_ours(
    bench: Bench, server: HttpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    server.respond(*bench.accepted)
    error = refused(bench, server, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert isinstance(error, RefusedUsError)
    assert error.code == "no_credentials"
    assert not server.requests


@every_provider
def test_the_proxy_is_used_and_the_environment_is_not(bench: Bench, server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{reserve_port()}")
    server.respond(407)
    more = {"HTTPS_PROXY": server.url, **({bench.base: _https(bench)} if bench.base else {})}
    with bench.provider(server, **more) as (provider, message):
        address = f"https://{bench.real.removesuffix(':443')}{bench.address}" if not bench.base else message.address
        with pytest.raises(TemporaryProviderError):
            provider.send(replace(message, address=address))
    assert [(request.method, request.path) for request in server.requests] == [("CONNECT", bench.real)]


def _https(bench: Bench) -> str:
    return bench.at(f"https://{bench.real.removesuffix(':443')}" + ("/api/" if bench.name == "slack bot" else ""))


@pytest.mark.parametrize(("bench", "row", "status", "code"), row_cases(), ids=lambda value: getattr(value, "name", str(value)))
def test_every_documented_code_means_what_the_table_says(
    bench: Bench, row: str, status: int, code: str, server: HttpServer
) -> None:
    server.respond(*bench.refused(status, code))
    error = refused(bench, server)
    expected = bench.table[row]
    assert type(error) is ERRORS[expected.verdict]
    assert error.reason == expected.meaning
    assert error.code == (code or str(status)) or (not code and error.code == "Unlisted")
