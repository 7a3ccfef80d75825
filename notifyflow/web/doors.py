"""The doors for systems that are there already: Alertmanager's webhook, PagerDuty's Events API v2, CloudEvents.

What can be parsed is stored, whatever it says: 202 after commit, 400 for what cannot be parsed, and 503, which such senders
repeat, where it could not be stored.
"""

import base64
import json
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from notifyflow.core.documents import parsed
from notifyflow.core.doors import alertmanager, cloudevents, pagerduty
from notifyflow.core.doors.asked import Asked
from notifyflow.core.keys import ApiKey, Scope
from notifyflow.errors import Fault, TooManyRequests, UnreadableIncident
from notifyflow.web.auth import Gate
from notifyflow.web.body import Body
from notifyflow.web.problems import FaultShape
from notifyflow.web.services import Services

_log = structlog.get_logger("notifyflow.web")

BODY_LIMIT_BYTES = 16 * 1024 * 1024  # a group of ten thousand alerts; a 413 would be given up

read_body = Body(BODY_LIMIT_BYTES)
read_small_body = Body(pagerduty.BODY_LIMIT_BYTES)


class Door(Gate):
    """A gate whose callers repeat what is answered with 503, and give up what is answered with 429."""

    def admit(self, presented: str) -> ApiKey:
        """Let in, or ask to come again.

        Raises:
            AccessDenied: When there is no key, or it is wrong, revoked, expired, or not for this.
        """
        try:
            return super().admit(presented)
        except TooManyRequests as later:
            raise HTTPException(503, f"{later}.", {"Retry-After": str(later.retry_after_s)}) from None


class Sender(Door):
    """Lets in by ``Authorization``: the key as ``Bearer``, or as the password of ``Basic``; every sender can say one of them."""

    def __call__(self, request: Request) -> ApiKey:
        """Let in.

        Raises:
            AccessDenied: As ``admit`` does.
        """
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        match scheme.lower():
            case "bearer":
                return self.admit(given.strip())
            case "basic":
                return self.admit(_password(given))
            case _:
                return self.admit("")


class RoutingKey(Door):
    """Lets in by the ``routing_key`` in the body, as PagerDuty's senders present it."""

    def __call__(self, body: Annotated[bytes, Depends(read_small_body)]) -> ApiKey:
        """Let in.

        Raises:
            AccessDenied: As ``admit`` does.
            UnreadableIncident: When the body is no JSON.
        """
        return self.admit(pagerduty.routing_key(parsed(body)))


def _password(given: str) -> str:
    try:
        return base64.b64decode(given).decode().partition(":")[2]
    except ValueError:
        return ""


def router(services: Services) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(include_in_schema=False)
    let_in = Depends(Sender(services, Scope.INGEST))
    let_in_by_routing_key = Depends(RoutingKey(services, Scope.INGEST))

    # Plain functions: they run in worker threads, since committing blocks.
    @routes.post("/v1/alertmanager")
    def hear_alertmanager(caller: Annotated[ApiKey, let_in], body: Annotated[bytes, Depends(read_body)]) -> Response:
        return _done(services, alertmanager.read(parsed(body)), caller, alertmanager.DOOR)

    @routes.post("/v1/cloudevents")
    def hear_cloudevents(
        caller: Annotated[ApiKey, let_in], body: Annotated[bytes, Depends(read_body)], request: Request
    ) -> Response:
        return _done(services, cloudevents.read(request.headers, body), caller, cloudevents.DOOR)

    @routes.post("/v2/enqueue")
    def hear_pagerduty(
        caller: Annotated[ApiKey, let_in_by_routing_key], body: Annotated[bytes, Depends(read_small_body)]
    ) -> Response:
        try:
            asked, key = pagerduty.read(parsed(body), new_key=services.new_id())
        except UnreadableIncident as wrong:
            errors = [str(fault) for fault in wrong.faults]
            return JSONResponse({"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400)
        services.ask(asked, caller, pagerduty.DOOR)
        answer = json.dumps({"status": "success", "message": "Event processed", "dedup_key": key})  # escaped: it may be no UTF-8
        return Response(answer, 202, media_type="application/json")

    return routes


def _done(services: Services, read: tuple[tuple[Asked, ...], tuple[Fault, ...]], caller: ApiKey, door: str) -> Response:
    """Do what is asked, in its order; where one cannot be stored the sender repeats all, which changes nothing twice."""
    all_asked, faults = read
    if faults:
        _log.warning("web.event_unreadable", via=door, by=caller.name, faults=len(faults))
    done = []
    for asked in all_asked:
        services.ask(asked, caller, door)
        done.append({"action": asked.action, "key": asked.incident.key})
    return JSONResponse({"accepted": done, "faults": [FaultShape.of(fault).model_dump() for fault in faults]}, 202)
