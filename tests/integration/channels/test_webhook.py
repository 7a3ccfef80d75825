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
from notifyflow.core.delivery.incident_events import IncidentEvent
from notifyflow.core.delivery.model import IncidentState, Kind, Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import PermanentProviderError, TemporaryProviderError
from notifyflow.settings import Settings
from notifyflow.testing.scripted_http import HttpServer, http_server

NEW, OLD = ("whsec_" + base64.b64encode(byte * 32).decode() for byte in (b"n", b"o"))
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


def test_each_subscriber_is_a_server_of_its_own_so_a_failure_says_nothing_about_the_others() -> None:
    (provider,) = channel_of("https://status.example.com/hook").providers
    assert provider.has_server_per_address


def test_the_reference_implementation_accepts_what_is_signed(server: HttpServer) -> None:
    post(server, a_message())
    (request,) = server.requests
    payload = Reference(NEW).verify(request.body, dict(request.headers))
    assert payload["type"] == "incident.acknowledged"
    assert payload["timestamp"] == "2026-11-25T03:00:00Z"
    data = payload["data"]
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
    (request,) = server.requests
    for secret in (NEW, OLD):
        assert Reference(secret).verify(request.body, dict(request.headers))
    stranger = "whsec_" + base64.b64encode(b"s" * 32).decode()
    with pytest.raises(WebhookVerificationError):
        Reference(stranger).verify(request.body, dict(request.headers))


def test_another_attempt_has_the_same_id_and_a_time_of_its_own(server: HttpServer) -> None:
    post(server, a_message(attempt_id="a1", at=AT), a_message(attempt_id="a2", at=AT.replace(minute=5)))
    first, second = server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "n1"
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 300
    assert first.body == second.body
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_a_page_says_whom_it_is_for_and_where_to_acknowledge_it(server: HttpServer) -> None:
    post(server, a_message(replace(SAMPLE, link="https://page.example.com/a/token", notice="sandbox")))
    payload = json.loads(server.requests[0].body)
    assert payload["type"] == "incident.page"
    assert payload["data"]["recipient_name"] == SAMPLE.recipient_name
    assert payload["data"]["acknowledge_url"] == "https://page.example.com/a/token"
    assert payload["data"]["notice"] == "sandbox"


def test_a_long_body_is_cut(server: HttpServer) -> None:
    post(server, a_message(replace(CONTENT, body="word " * 10_000)))
    assert len(server.requests[0].body) < 20_000
    assert json.loads(server.requests[0].body)["data"]["body"].endswith("…")


@pytest.mark.parametrize("url", ["http://status.example.com", "https://user:pass@status.example.com", "https://[::1", "/hook"])
def test_a_forbidden_url_is_a_fault_at_start_and_refused_at_the_send(url: str) -> None:
    channel = channel_of(url)
    (fault,) = channel.faults
    assert fault.where == "NOTIFYFLOW_WEBHOOKS"
    assert "'status'" in fault.what
    assert url not in str(fault)
    with pytest.raises(PermanentProviderError):
        channel.providers[0].send(a_message())
    channel.close()


def test_a_private_address_is_never_requested() -> None:
    channel = channel_of("https://localhost")
    with pytest.raises(PermanentProviderError, match="not on the public internet"):
        channel.providers[0].send(a_message())
    channel.close()


def test_a_removed_subscriber_gets_nothing_more() -> None:
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


def test_a_refused_event_may_be_accepted_after_a_repair(server: HttpServer) -> None:
    server.respond(404)
    channel = channel_of(server.url, TRUSTED_ENDPOINTS=server.url.removeprefix("http://"))
    with pytest.raises(TemporaryProviderError):
        channel.providers[0].send(a_message())
    channel.close()
