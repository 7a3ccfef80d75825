"""The webhook channel against the reference implementation of Standard Webhooks, over HTTP."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as Reference
from standardwebhooks import WebhookVerificationError

from notifyflow.channels.templating import SAMPLE
from notifyflow.channels.webhook import WebhookChannel
from notifyflow.core.incident_events import IncidentEvent
from notifyflow.core.messages import OutboundMessage
from notifyflow.core.model import IncidentState, Kind, Severity
from notifyflow.core.wording.content import Content
from notifyflow.errors import PermanentProviderError, TemporaryProviderError
from notifyflow.settings import Settings
from tests.integration.channels.scripted import HttpServer, http_server

NEW, OLD = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"n", b"o"))
AT = datetime(2026, 11, 25, 3, tzinfo=UTC)
EVENT = IncidentEvent(
    subscriber="status",
    event="acknowledged",
    incident_id="i1",
    at=AT,
    state=IncidentState.ACKNOWLEDGED,
    severity=Severity.CRITICAL,
    version=4,
    by="ada",
    via="link",
)
CONTENT = replace(SAMPLE, namespace="prometheus", kind=Kind.INCIDENT_EVENT, incident_event=EVENT, link=None, notice="")


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


def channel_of(url: str, *secrets: str, **more: str) -> WebhookChannel:
    subscribers = json.dumps({"status": {"url": url, "secrets": list(secrets or (NEW,))}})
    variables = {"NOTIFYFLOW_WEBHOOKS": subscribers, **{f"NOTIFYFLOW_{name}": value for name, value in more.items()}}
    return WebhookChannel(Settings.from_variables(variables))


def a_message(content: Content = CONTENT, attempt_id: str = "a1", at: datetime | None = None) -> OutboundMessage:
    at = at or datetime.now(UTC)
    return OutboundMessage(attempt_id=attempt_id, notification_id="n1", address="status", content=content, at=at)


def post(server: HttpServer, *messages: OutboundMessage, secrets: tuple[str, ...] = (NEW,)) -> None:
    server.respond(204)
    channel = channel_of(f"{server.url}/hook", *secrets, TRUSTED_ENDPOINTS=server.url.removeprefix("http://"))
    for each in messages:
        channel.providers[0].send(each)
    channel.close()


def test_each_subscriber_is_a_server_of_its_own_which_tells_nothing_about_the_others() -> None:
    (provider,) = channel_of("https://status.example.com/hook").providers
    assert provider.has_server_per_address


def test_the_reference_implementation_takes_what_is_signed(server: HttpServer) -> None:
    post(server, a_message())
    (heard,) = server.heard
    told = Reference(NEW).verify(heard.body, dict(heard.headers))
    assert told["type"] == "incident.acknowledged"
    assert told["timestamp"] == "2026-11-25T03:00:00Z"
    data = told["data"]
    assert {name: data[name] for name in ("id", "state", "version", "by", "via", "severity")} == {
        "id": "i1", "state": "ACKNOWLEDGED", "version": 4, "by": "ada", "via": "link", "severity": CONTENT.severity,
    }  # fmt: skip
    assert {name: data[name] for name in ("namespace", "key", "title", "body")} == {
        "namespace": CONTENT.namespace, "key": CONTENT.key, "title": CONTENT.title, "body": CONTENT.body,
    }  # fmt: skip
    assert data["labels"] == dict(CONTENT.labels)
    assert data["notice"] is None


def test_while_a_secret_is_exchanged_both_are_good(server: HttpServer) -> None:
    post(server, a_message(), secrets=(NEW, OLD))
    (heard,) = server.heard
    for secret in (NEW, OLD):
        assert Reference(secret).verify(heard.body, dict(heard.headers))
    stranger = "whsec_" + base64.b64encode(b"s" * 32).decode()
    with pytest.raises(WebhookVerificationError):
        Reference(stranger).verify(heard.body, dict(heard.headers))


def test_another_attempt_has_the_same_id_and_a_time_of_its_own(server: HttpServer) -> None:
    post(server, a_message(attempt_id="a1", at=AT), a_message(attempt_id="a2", at=AT.replace(minute=5)))
    first, second = server.heard
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "n1"
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 300
    assert first.body == second.body
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_a_page_says_whom_it_is_for_and_where_to_acknowledge_it(server: HttpServer) -> None:
    post(server, a_message(replace(SAMPLE, link="https://page.example.com/a/token", notice="sandbox")))
    told = json.loads(server.heard[0].body)
    assert told["type"] == "incident.page"
    assert told["data"]["recipient_name"] == SAMPLE.recipient_name
    assert told["data"]["acknowledge_url"] == "https://page.example.com/a/token"
    assert told["data"]["notice"] == "sandbox"


def test_a_long_body_is_cut(server: HttpServer) -> None:
    post(server, a_message(replace(CONTENT, body="word " * 10_000)))
    assert len(server.heard[0].body) < 20_000
    assert json.loads(server.heard[0].body)["data"]["body"].endswith("…")


@pytest.mark.parametrize("url", ["http://status.example.com", "https://user:pass@status.example.com", "https://[::1", "/hook"])
def test_a_url_that_may_not_be_asked_is_said_at_start_and_refused_at_the_send(url: str) -> None:
    channel = channel_of(url)
    (fault,) = channel.faults
    assert fault.where == "NOTIFYFLOW_WEBHOOKS"
    assert "'status'" in fault.what
    assert url not in str(fault)
    with pytest.raises(PermanentProviderError):
        channel.providers[0].send(a_message())
    channel.close()


def test_a_private_address_is_never_asked() -> None:
    channel = channel_of("https://localhost")
    with pytest.raises(PermanentProviderError, match="not on the public internet"):
        channel.providers[0].send(a_message())
    channel.close()


def test_whoever_subscribes_no_more_is_told_no_more() -> None:
    channel = channel_of("https://status.example.com")
    with pytest.raises(PermanentProviderError, match="no webhook that is configured"):
        channel.providers[0].send(replace(a_message(), address="gone"))


def test_an_address_is_the_name_of_a_subscriber() -> None:
    channel = channel_of("https://status.example.com")
    assert channel.check_address(" status ") == "status"
    with pytest.raises(ValueError, match="is no webhook that is configured"):
        channel.check_address("https://status.example.com")


def test_without_subscribers_it_carries_nothing_and_nothing_is_missing() -> None:
    channel = WebhookChannel.from_settings(Settings.from_variables({}))
    assert (tuple(channel.providers), tuple(channel.faults)) == ((), ())


def test_what_is_refused_now_may_be_taken_when_it_has_been_mended(server: HttpServer) -> None:
    server.respond(404)
    channel = channel_of(server.url, TRUSTED_ENDPOINTS=server.url.removeprefix("http://"))
    with pytest.raises(TemporaryProviderError):
        channel.providers[0].send(a_message())
    channel.close()
