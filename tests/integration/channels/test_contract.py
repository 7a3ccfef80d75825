"""The contract of every provider over HTTP, and what single ones do beyond it."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from notifyflow.channels.base import ProviderCapabilities
from notifyflow.errors import PermanentProviderError, ProviderError, RefusedUsError, TemporaryProviderError
from notifyflow.testing.channel_contract import Bench, ChannelContract
from notifyflow.testing.scripted_http import HttpServer, http_server
from tests.integration.channels.benches import BENCHES


class TestContract(ChannelContract):
    benches = BENCHES


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with http_server() as script:
        yield script


def test_ses_reports_our_attempt_where_a_configuration_set_publishes_events(server: HttpServer) -> None:
    bench = next(bench for bench in BENCHES if bench.name == "ses")
    with bench.provider(server, SES_CONFIGURATION_SET="events") as (provider, _):
        assert provider.capabilities == ProviderCapabilities()
    topic = "arn:aws:sns:eu-central-1:123456789012:mail"
    with bench.provider(server, SES_CONFIGURATION_SET="events", SNS_TOPICS=topic) as (provider, _):
        assert provider.capabilities == ProviderCapabilities(has_receipts=True, doubts_resolved_within_s=15)


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
    bench.send(server, SES_FROM="Дежурный <pager@example.com>")
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
    error = bench.refuse(server)
    assert type(error) is expected
    assert error.code == (f"InvalidParameter:{parameter}" if expected is PermanentProviderError else "InvalidParameter")


@pytest.mark.parametrize("status", [400, 403, 404, 410])
@pytest.mark.parametrize("name", ["slack bot", "slack webhook"])
def test_an_unknown_error_of_slack_is_temporary_and_named(server: HttpServer, name: str, status: int) -> None:
    bench = next(bench for bench in BENCHES if bench.name == name)
    server.respond(*bench.refused(status, "moon_is_full"))
    error = bench.refuse(server)
    assert isinstance(error, TemporaryProviderError)
    assert error.code == "moon_is_full"
    assert error.reason == "Slack says a word that is not in our table"


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
    error = bench.refuse(server, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert isinstance(error, RefusedUsError)
    assert error.code == "no_credentials"
    assert not server.requests
