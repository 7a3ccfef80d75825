"""The routes of the integrations: Alertmanager's webhook, PagerDuty's Events API v2, CloudEvents.

They respond 202 after commit, 400 if the body cannot be parsed, and 503, which these senders retry, if it could not be stored.
"""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from notifyflow.core import text
from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.delivery.model import Via
from notifyflow.core.forms import MAX_KEY
from notifyflow.core.insight.schemas import FaultDocument
from notifyflow.core.intake.documents import parsed
from notifyflow.core.intake.integrations import alertmanager, cloudevents, pagerduty
from notifyflow.core.intake.integrations.inbound import InboundRequest
from notifyflow.errors import NAMED, Fault, TooManyRequests, UnreadableIncident
from notifyflow.log import get_logger
from notifyflow.web.frame.auth import Gate
from notifyflow.web.frame.body import Body
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context

_log = get_logger("notifyflow.web")

BODY_LIMIT_BYTES = 16 * 1024 * 1024  # a group of ten thousand alerts; senders do not retry after a 413

_TIMEOUT_S = 10.0  # for a body that is read before authentication


@dataclass(frozen=True, slots=True)
class Presented:
    """A parsed body, and the API key that was in it."""

    caller: ApiKey
    document: object
    size_bytes: int


class IntegrationGate(Gate):
    """A gate for senders that retry after a 503, but not after a 429."""

    def authorise(self, presented: str) -> ApiKey:
        """Return the API key that was presented, or refuse with 503 if it is used too often.

        Raises:
            AccessDenied: When the key is missing, wrong, revoked, expired, or without the scope.
        """
        try:
            return super().authorise(presented)
        except TooManyRequests as later:
            raise HTTPException(503, f"{later}.", {"Retry-After": str(later.retry_after_s)}) from None


class AuthorizationHeader(IntegrationGate):
    """Reads the key from ``Authorization``: as ``Bearer``, or as the password of ``Basic``; every sender supports one of them."""

    def __call__(self, request: Request) -> ApiKey:
        """Return the caller's API key; raise ``AccessDenied`` as ``authorise`` does."""
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        match scheme.lower():
            case "bearer":
                return self.authorise_request(request, credentials.strip())
            case "basic":
                return self.authorise_request(request, _password(credentials))
            case _:
                return self.authorise("")


class RoutingKey(IntegrationGate):
    """Reads the key from ``routing_key`` in the body, where PagerDuty's senders put it; such a body must be short."""

    def __init__(self, context: Context, scope: KeyScope, bulkhead: Bulkhead) -> None:
        super().__init__(context, scope)
        self._bulkhead = bulkhead
        self._body = Body(pagerduty.BODY_LIMIT_BYTES, room=bulkhead.small_room, timeout_s=_TIMEOUT_S)

    async def __call__(self, request: Request) -> AsyncIterator[Presented]:
        """Return the body with the caller's API key; raise ``UnreadableIncident``, or ``AccessDenied`` as ``authorise`` does."""
        async with self._body.read(request) as body:
            yield await self._bulkhead.run(len(body), partial(self._present, body))

    def _present(self, body: bytes) -> Presented:
        document = parsed(body)
        return Presented(self.authorise(pagerduty.routing_key(document)), document, len(body))


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials).decode().partition(":")[2]
    except ValueError:
        return ""


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(include_in_schema=False)
    let_in = Depends(AuthorizationHeader(context, KeyScope.INGEST))
    let_in_by_routing_key = Depends(RoutingKey(context, KeyScope.INGEST, bulkhead))
    read_body = Depends(Body(BODY_LIMIT_BYTES, room=bulkhead.room))

    @routes.post("/v1/alertmanager")
    async def receive_alertmanager(caller: Annotated[ApiKey, let_in], body: Annotated[bytes, read_body]) -> Response:
        return await bulkhead.run(len(body), lambda: _handle(context, alertmanager.read(parsed(body)), caller, alertmanager.NAME))

    @routes.post("/v1/cloudevents")
    async def receive_cloudevents(
        caller: Annotated[ApiKey, let_in], body: Annotated[bytes, read_body], request: Request
    ) -> Response:
        return await bulkhead.run(
            len(body), lambda: _handle(context, cloudevents.read(request.headers, body), caller, cloudevents.NAME)
        )

    @routes.post("/v2/enqueue")
    async def receive_pagerduty(presented: Annotated[Presented, let_in_by_routing_key]) -> Response:
        return await bulkhead.run(presented.size_bytes, partial(_handle_pagerduty, context, presented))

    return routes


def _handle_pagerduty(context: Context, presented: Presented) -> Response:
    try:
        request, key = pagerduty.read(presented.document, new_key=context.new_id())
    except UnreadableIncident as wrong:
        errors = [str(fault) for fault in wrong.faults]
        return JSONResponse({"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400)
    context.service.handle_inbound([request], presented.caller, pagerduty.NAME)
    event = {"status": "success", "message": "Event processed", "dedup_key": text.cut(key, MAX_KEY)}
    response = json.dumps(event)  # escaped: the key may not be valid UTF-8
    return Response(response, 202, media_type="application/json")


def _handle(context: Context, read: tuple[tuple[InboundRequest, ...], tuple[Fault, ...]], caller: ApiKey, via: Via) -> Response:
    """Handle the requests; if one cannot be stored, the sender repeats all of them, which is harmless."""
    requests, faults = read
    count = sum(fault.count for fault in faults)
    if faults:
        _log.warning("web.event_unreadable", via=via.value, by=caller.name, faults=count)
    context.service.handle_inbound(requests, caller, via)
    response = {
        "accepted": [{"action": request.action, "key": request.incident.key} for request in requests[:NAMED]],
        "accepted_count": sum(request.times for request in requests),
        "faults": [FaultDocument.of(fault).model_dump() for fault in faults],
        "fault_count": count,
    }
    return JSONResponse(response, 202)
