"""A subscriber: accepts requests signed by Standard Webhooks 1.0.0, and shows their events.

It checks signatures with one public secret. It ignores the age of a request, since a test may move the clock.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any

from notifyflow.sandbox.http import HttpResponse, Request, as_json, read_object
from notifyflow.sandbox.inbox import Card, Message, Piece
from notifyflow.sandbox.script import Reaction, short_name
from notifyflow.sandbox.stand_in import Arrival, StandIn

PATH = "/events/"
_KEY = b"known to everybody, of no use"
SECRET = "whsec_" + base64.b64encode(_KEY).decode()
_SHOWN = ("key", "title", "severity", "state", "by", "via", "recipient_name", "status_update")


class SubscriberStandIn(StandIn):
    """Accepts posts to subscribers."""

    name = "webhook"
    channels = ("webhook",)

    def read(self, request: Request) -> Arrival | HttpResponse:
        """Read a request; the subscriber's name is in its path."""
        if request.method != "POST" or not request.path.startswith(PATH):
            return as_json(404, {"error": f"Only POST {PATH}NAME is served here."})
        if not _is_signed(request):
            return as_json(401, {"error": "The signature is not valid."})
        event = read_object(request.body)
        if event is None or not isinstance(event.get("data"), dict):
            return as_json(400, {"error": "The body holds no type, timestamp and data."})
        content = Card(summary=str(event.get("type", "")), pieces=tuple(_pieces(event)))
        to, reference = short_name(request.path), request.headers["webhook-id"]
        return Arrival(message=Message(channel="webhook", provider="webhook", to=to, reference=reference, content=content))

    def accept(self, arrival: Arrival) -> HttpResponse:
        """Respond with 204."""
        del arrival
        return HttpResponse(status=204)

    def refuse(self, arrival: Arrival, reaction: Reaction) -> HttpResponse:
        """Respond with the script's status."""
        del arrival
        return as_json(int(reaction.code), {"error": "Refused by the script."})


def _is_signed(request: Request) -> bool:
    message_id, at = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    mac = hmac.digest(_KEY, f"{message_id}.{at}.".encode() + request.body, hashlib.sha256)
    expected = b"v1," + base64.b64encode(mac)
    signatures = request.headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(signature, expected) for signature in signatures)


def _pieces(event: Mapping[str, Any]) -> Iterator[Piece]:
    yield Piece(kind="heading", text=str(event.get("type", "")))
    data = event["data"]
    yield from (Piece(kind="fact", title=name, text=str(data[name])) for name in _SHOWN if data.get(name))
    yield Piece(kind="source", text=json.dumps(event, indent=2, ensure_ascii=False))
