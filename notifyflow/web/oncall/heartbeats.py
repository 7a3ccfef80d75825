"""The pings of watched jobs, and the list of these jobs.

A ping needs a key of the scope ``ping`` for this job, in the header or in the path, before anything is said about the job. It
responds 200 after commit, and 503 with ``Retry-After`` while nothing can be committed.
"""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse

from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.oncall import ping_requests
from notifyflow.core.oncall.ping_requests import PingTarget
from notifyflow.core.oncall.pings import Ping
from notifyflow.core.oncall.watched_job_documents import HeartbeatDocument
from notifyflow.errors import OtherHeartbeat
from notifyflow.pipeline.oncall.watched_jobs import Counted
from notifyflow.web.delivery.listings import HeartbeatListing
from notifyflow.web.frame import cursors
from notifyflow.web.frame.auth import Gate, Require
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.openapi import SHOWN, refusals
from notifyflow.web.frame.paths import path_below
from notifyflow.web.frame.schemas import HeartbeatListResponse

_PATH = "/v1/heartbeats/"
_METHODS = ["GET", "HEAD", "POST"]
_BODY_TIMEOUT_S = 10.0
_MOST_READ_BYTES = 1024 * 1024


def router(context: Context) -> APIRouter:
    """Build the routes of ``/v1/heartbeats``."""
    routes = APIRouter(tags=["on call"])
    gate = Gate(context, KeyScope.PING)
    let_read = Depends(Require(context, KeyScope.READ))

    @routes.get("/v1/heartbeats", summary="List the watched jobs", responses={**SHOWN, **refusals(401, 403, 422, 429)})
    def list_heartbeats(
        caller: Annotated[ApiKey, let_read], listing: Annotated[HeartbeatListing, Query()]
    ) -> HeartbeatListResponse:
        """Return the jobs whose incidents the key reaches, by name, with their last pings. Scope: `read`."""
        after, now = cursors.read(listing.mark, listing.cursor), context.service.now()
        page = context.service.watched_jobs.page(caller.namespaces, after=after, limit=listing.limit)
        return HeartbeatListResponse(
            heartbeats=[HeartbeatDocument.at(job, now) for job in page.jobs],
            next_cursor=cursors.write(listing.mark, page.after) if page.after else None,
        )

    @routes.api_route(_PATH + "{rest:path}", methods=_METHODS, include_in_schema=False)
    async def ping(request: Request) -> Response:
        segments = path_below(request.scope).removeprefix(_PATH).split("/")
        target = ping_requests.read_target(segments)
        authorise = partial(_authorise, gate, request, ping_requests.key_of(segments), target)
        if request.method != "POST" or request.headers.get("content-length") == "0":
            return await run_in_threadpool(lambda: _ping(context, request, target, *authorise(), b""))
        name, key = await run_in_threadpool(authorise)
        return await run_in_threadpool(_ping, context, request, target, name, key, await _read(request))

    return routes


def _authorise(gate: Gate, request: Request, in_path: str, target: PingTarget | None) -> tuple[str, ApiKey]:
    """Return the name of the job that the caller's key pings for, and the key.

    Raises:
        AccessDenied: When the key is missing, wrong, revoked, expired, without the scope, used too often, or for another job.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    in_header = credentials.strip() if scheme.lower() == "bearer" else ""
    key = gate.authorise_request(request, in_header or in_path)
    if key.heartbeat is None or (target is not None and target.name not in ("", key.heartbeat)):
        raise OtherHeartbeat
    return key.heartbeat, key


def _ping(context: Context, request: Request, target: PingTarget | None, name: str, key: ApiKey, body: bytes) -> Response:
    run_id = request.query_params.get("rid", "")
    if target is None or not ping_requests.is_run_id(run_id):
        detail = "Ping with the name, or /start, /fail, /log or an exit status up to 255 after it; `rid` has up to 64 letters."
        raise HTTPException(400, detail)
    if ping_requests.is_preview(request.headers.get("user-agent", "")):
        return PlainTextResponse("This preview does not count.")
    now = context.service.now()
    ping = Ping(
        signal=target.signal,
        at=now,
        run_id=run_id,
        exit_status=target.exit_status,
        output=ping_requests.output(body),
    )
    key_id = key.id if key.is_use_to_note(now) else None
    if context.service.watched_jobs.receive(name, ping, request.method, key_id=key_id) is Counted.OTHER_METHOD:
        raise HTTPException(405, f"The directory does not let this job ping with {request.method}.")
    return PlainTextResponse("OK")


async def _read(request: Request) -> bytes:
    """Return the body; nothing of one that is larger than a body of a ping, or slow. The ping counts anyway."""
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= ping_requests.BODY_LIMIT_BYTES:
                    body += chunk
                elif size > _MOST_READ_BYTES:
                    break
    except TimeoutError:
        return b""
    return bytes(body) if size <= ping_requests.BODY_LIMIT_BYTES else b""
