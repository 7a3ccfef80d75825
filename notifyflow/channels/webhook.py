"""The webhook channel: sends incident events to other systems as signed requests (Standard Webhooks 1.0.0).

An address on this channel is the name of a subscriber in ``NOTIFYFLOW_WEBHOOKS``; its URL and its secrets stand nowhere else.
The id of a request is its notification's, the same for every attempt, so that a subscriber can recognise a repetition.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from notifyflow.channels.base import Accepted, Channel, Provider
from notifyflow.channels.http import Http, refusal
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.tables import Row, Table, Verdict, table
from notifyflow.core.delivery.incident_events import Subscriber, key_of, read_subscribers
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import PermanentProviderError
from notifyflow.settings import Settings

_SOURCE = "Standard Webhooks 1.0.0, Delivery success and failure"

# A subscriber may accept a refused request once its operators have fixed it; retries go on for days.
WEBHOOK: Table = table(
    Row("3xx", Verdict.TEMPORARY, "answered with a redirect, which is never followed", _SOURCE),
    Row("410", Verdict.PERMANENT, "wants to be told no more", _SOURCE),
    Row("4xx", Verdict.TEMPORARY, "refused the request", _SOURCE),
)


class Webhook(Provider):
    """Posts signed requests."""

    name = "webhook"
    libraries = ("notifyflow.channels.webhook_payload",)
    has_server_per_address = True

    def __init__(self, settings: Settings, subscribers: Mapping[str, Subscriber], guard: Guard) -> None:
        self._subscribers = subscribers
        self._http = Http(settings, guard=guard)
        self.clients = (self._http,)

    def send(self, message: OutboundMessage) -> Accepted:
        """Post one event; see ``Provider.send``."""
        from notifyflow.channels.webhook_payload import payload

        subscriber = self._subscribers.get(message.address)
        if subscriber is None:
            raise PermanentProviderError("is no webhook that is configured", code="address")
        body = payload(message).model_dump_json().encode()
        response = self._http.post(subscriber.url, body=body, headers=headers(message, subscriber.secrets, body))
        if not response.is_success:
            raise refusal(response.status, WEBHOOK, retry_after_s=response.retry_after_s)
        return Accepted()


def headers(message: OutboundMessage, secrets: Sequence[str], body: bytes) -> dict[str, str]:
    """Return the headers of a request, with one signature for each secret."""
    at = str(int(message.at.timestamp()))
    signed = b".".join((message.notification_id.encode(), at.encode(), body))
    macs = (hmac.digest(key_of(secret), signed, hashlib.sha256) for secret in secrets)
    return {
        "Content-Type": "application/json",
        "webhook-id": message.notification_id,
        "webhook-timestamp": at,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs),
    }


class WebhookChannel(Channel):
    """Requests to other systems."""

    name = "webhook"
    provider_names = ("webhook",)
    codes = (("Webhooks of other systems", WEBHOOK),)

    def __init__(self, settings: Settings) -> None:
        """Build it; having no subscribers is no fault."""
        subscribers = read_subscribers(settings.webhooks.get_secret_value()) if settings.webhooks else ()
        self.subscribers: Mapping[str, Subscriber] = {subscriber.name: subscriber for subscriber in subscribers}
        guard = Guard(trusted_endpoints=settings.trusted_endpoints)
        providers = (Webhook(settings, self.subscribers, guard),) if subscribers else ()
        faults = [
            fault
            for each in subscribers
            for fault in guard.faults(
                each.url, "NOTIFYFLOW_WEBHOOKS", "Give the one at which it listens", f"the url of {each.name!r}"
            )
        ]
        super().__init__(providers, faults)

    @classmethod
    def from_settings(cls, settings: Settings) -> "WebhookChannel":
        """Build it; see ``Channel.from_settings``."""
        return cls(settings)

    def check_address(self, address: str) -> str:
        """Validate the name of a subscriber; see ``Channel.check_address``."""
        if address.strip() not in self.subscribers:
            raise ValueError("is no webhook that is configured")
        return address.strip()
