"""The webhook channel: sends incident events to other systems as signed requests (Standard Webhooks 1.0.0).

An address on this channel is the name of a subscriber in ``NOTIFYFLOW_WEBHOOKS``; its URL and its secrets stand nowhere else.
The id of a request is its notification's, the same for every attempt, so that whoever is told twice can know it.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from notifyflow.channels.base import Accepted, Capabilities, Channel, Provider
from notifyflow.channels.guard import Guard
from notifyflow.channels.http import Http, refusal
from notifyflow.channels.tables import Row, Table, Verdict, table
from notifyflow.core.incident_events import Subscriber, key_of, read_subscribers
from notifyflow.core.messages import OutboundMessage
from notifyflow.core.wording.content import Content
from notifyflow.core.wording.text import cut
from notifyflow.errors import Fault, PermanentProviderError
from notifyflow.settings import Settings

_SOURCE = "Standard Webhooks 1.0.0, Delivery success and failure"
_BODY_LIMIT = 8_000

# A subscriber is a server like ours: what it refuses today it may take when it has been mended, and days are left for that.
WEBHOOK: Table = table(
    Row("3xx", Verdict.TEMPORARY, "answered with a redirect, which is never followed", _SOURCE),
    Row("410", Verdict.PERMANENT, "wants to be told no more", _SOURCE),
    Row("4xx", Verdict.TEMPORARY, "refused the request", _SOURCE),
)


class Webhook(Provider):
    """Posts signed requests."""

    name = "webhook"
    has_server_per_address = True

    def __init__(self, settings: Settings, subscribers: Mapping[str, Subscriber], guard: Guard) -> None:
        """Take whom there is to tell, and what validates the URLs."""
        self._subscribers = subscribers
        self._http = Http(settings, guard=guard)

    @property
    def capabilities(self) -> Capabilities:
        """It reports nothing beyond its response, and cannot be asked."""
        return Capabilities()

    def send(self, message: OutboundMessage) -> Accepted:
        """Post one event; see ``Provider.send``."""
        subscriber = self._subscribers.get(message.address)
        if subscriber is None:
            raise PermanentProviderError("is no webhook that is configured", code="address")
        body = json.dumps(payload(message), separators=(",", ":")).encode()
        response = self._http.post(subscriber.url, body=body, headers=headers(message, subscriber.secrets, body))
        if not response.is_success:
            raise refusal(response.status, WEBHOOK, retry_after_s=response.retry_after_s)
        return Accepted()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def payload(message: OutboundMessage) -> dict[str, Any]:
    """Make the body: an incident event; or a page or a status update, for a subscriber who is somebody's address."""
    content, event = message.content, message.content.incident_event
    said = {
        "namespace": content.namespace,
        "key": content.key,
        "title": content.title,
        "body": cut(content.body, _BODY_LIMIT),
        "severity": content.severity,
        "source": content.source,
        "url": content.url,
        "labels": dict(content.labels),
    } | ({"notice": content.notice} if content.notice else {})
    if event is None:
        return {"type": f"incident.{content.kind}", "timestamp": message.at.isoformat(), "data": said | _for_somebody(content)}
    known = {"id": event.incident_id, "state": event.state, "version": event.version, "by": event.by, "via": event.via}
    return {"type": f"incident.{event.event}", "timestamp": event.at.isoformat(), "data": known | said}


def headers(message: OutboundMessage, secrets: Sequence[str], body: bytes) -> dict[str, str]:
    """Sign a request, once with each secret."""
    at = str(int(message.at.timestamp()))
    signed = b".".join((message.notification_id.encode(), at.encode(), body))
    macs = (hmac.digest(key_of(secret), signed, hashlib.sha256) for secret in secrets)
    return {
        "Content-Type": "application/json",
        "webhook-id": message.notification_id,
        "webhook-timestamp": at,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs),
    }


def _for_somebody(content: Content) -> dict[str, Any]:
    return {
        "recipient": content.recipient_name,
        "occurred": content.occurred,
        "delayed": content.delayed,
        "status_update": content.status_update,
        "acknowledge_url": content.link,
    }


class WebhookChannel(Channel):
    """Requests to other systems."""

    name = "webhook"
    provider_names = ("webhook",)

    def __init__(self, settings: Settings) -> None:
        """Build it; without subscribers it carries nothing, and nothing is missing."""
        subscribers = read_subscribers(settings.webhooks.get_secret_value()) if settings.webhooks else ()
        self.subscribers: Mapping[str, Subscriber] = {each.name: each for each in subscribers}
        guard = Guard(trusted_endpoints=settings.trusted_endpoints)
        providers = (Webhook(settings, self.subscribers, guard),) if subscribers else ()
        super().__init__(providers, tuple(fault for each in subscribers for fault in _url_faults(each, guard)))

    @classmethod
    def from_settings(cls, settings: Settings) -> "WebhookChannel":
        """Build it; see ``Channel.from_settings``."""
        return cls(settings)

    def check_address(self, address: str) -> str:
        """Validate the name of a subscriber; see ``Channel.check_address``."""
        if address.strip() not in self.subscribers:
            raise ValueError("is no webhook that is configured")
        return address.strip()


def _url_faults(subscriber: Subscriber, guard: Guard) -> tuple[Fault, ...]:
    try:
        guard.check(subscriber.url)
    except ValueError as wrong:
        return (Fault("NOTIFYFLOW_WEBHOOKS", f"the url of {subscriber.name!r} {wrong}", "Give the one at which it listens"),)
    return ()
