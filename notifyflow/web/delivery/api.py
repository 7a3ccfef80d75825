"""The REST API: its routes, each with the scope that a caller's key must have."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.delivery.model import Notified, Stopped, Via
from notifyflow.core.forms import MAX_KEY, length_faults
from notifyflow.core.insight.list_documents import MessageDocument
from notifyflow.core.insight.report_document import IncidentReportDocument
from notifyflow.core.insight.schemas import IncidentSummaryDocument, NotifiedDocument
from notifyflow.core.insight.views import ETag, IncidentStatus
from notifyflow.core.intake import request_schemas
from notifyflow.core.intake.requests import read_act, read_page_again, read_submission
from notifyflow.core.references import ById
from notifyflow.errors import Fault, NotFound, UnreadableIncident
from notifyflow.pipeline.transaction.idempotency import Once
from notifyflow.web.delivery.listings import IncidentListing, KnownIn, MessageListing, RecipientListing, narrowed
from notifyflow.web.frame import cursors
from notifyflow.web.frame.auth import Require
from notifyflow.web.frame.body import Body
from notifyflow.web.frame.bulkhead import CROWD, Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.openapi import PLACE, SHOWN, refusals, request_body
from notifyflow.web.frame.schemas import (
    ActResponse,
    IncidentListResponse,
    MessageListResponse,
    ReachabilityResponse,
    RecipientListResponse,
    StoppedResponse,
    notified,
)

INCIDENT_LIMIT_BYTES = 1024 * 1024
_ACT_LIMIT_BYTES = 16 * 1024
_ONCE = "idempotency-key"


class JsonBody(Body):
    """A dependency that reads a body of JSON as text."""

    async def __call__(self, request: Request) -> AsyncIterator[str]:  # type: ignore[override]
        """Read the body; its room is released when the response has been sent."""
        async with self.read(request) as body:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if body and kind != "application/json":
                detail = "Send JSON with the header Content-Type: application/json."
                raise HTTPException(415, detail, {"Accept": "application/json"})
            try:
                text = body.decode()
            except UnicodeDecodeError:
                raise UnreadableIncident((Fault("document", "it is not valid UTF-8", "Send JSON in UTF-8"),)) from None
            yield text


IdempotencyKey = Annotated[
    str | None,
    Header(
        description="A repetition with the same key and body changes nothing and gets the same response.",
        json_schema_extra={"minLength": 1, "maxLength": MAX_KEY},  # validated below, with everything else
    ),
]
act_body = Depends(JsonBody(_ACT_LIMIT_BYTES))
ACT_REFUSALS = refusals(400, 401, 403, 404, 408, 409, 413, 415, 422, 429)


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/v1``."""
    routes = APIRouter(prefix="/v1")
    _add_intake(routes, context, bulkhead)
    _add_incident(routes, context, bulkhead)
    for add in (_add_incidents, _add_acts, _add_page_again, _add_messages, _add_recipients):
        add(routes, context)
    return routes


# All handlers but two are plain functions, so they run in worker threads: the database blocks.


def _add_intake(routes: APIRouter, context: Context, bulkhead: Bulkhead) -> None:
    let_ingest = Depends(Require(context, KeyScope.INGEST))
    read_body = Depends(JsonBody(INCIDENT_LIMIT_BYTES, room=bulkhead.room))

    @routes.post(
        "/incidents",
        tags=["incidents"],
        summary="Submit an incident",
        status_code=201,
        responses={
            200: {
                "model": NotifiedDocument,
                "description": "The key belongs to an unresolved incident, which was updated",
                "headers": PLACE,
            },
            201: {"description": "A new incident was opened", "headers": PLACE},
            **refusals(400, 401, 403, 408, 413, 415, 422, 429),
        },
        openapi_extra=request_body(request_schemas.NEW_INCIDENT),
    )
    async def submit(
        caller: Annotated[ApiKey, let_ingest],
        body: Annotated[str, read_body],
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> NotifiedDocument:
        """Page the recipients, or count a repetition of the key; the response is sent after commit. Scope: `ingest`."""
        stored = await bulkhead.run(len(body), partial(_submit, context, caller, body, idempotency_key))
        response.headers["Location"] = f"incidents/{stored.incident_id}"  # relative, to keep a proxy's prefix
        response.status_code = 201 if stored.is_new else 200
        return notified(stored)


def _submit(context: Context, caller: ApiKey, body: str, idempotency_key: str | None) -> Notified:
    once, submission = None, read_submission(body, most_recipients=context.most_recipients)
    if idempotency_key is not None:
        fingerprint = hashlib.sha256(body.encode()).hexdigest()
        once = Once(api_key_id=caller.id, idempotency_key=idempotency_key, fingerprint=fingerprint)
        submission = replace(submission, unread=(*idempotency_faults(idempotency_key), *submission.unread))
    return context.service.submit(submission, caller=caller, once=once)


def idempotency_faults(idempotency_key: str | None) -> Iterator[Fault]:
    """Yield the faults of an idempotency key; none without one."""
    if idempotency_key is None:
        return
    if not idempotency_key:
        yield Fault(_ONCE, "it is empty", "Use a new one for each request, or leave it out")
    yield from length_faults(_ONCE, idempotency_key, MAX_KEY, "Shorten it")


def _add_incidents(routes: APIRouter, context: Context) -> None:
    let_read = Depends(Require(context, KeyScope.READ))

    @routes.get(
        "/incidents",
        tags=["incidents"],
        summary="List incidents",
        responses={**SHOWN, **refusals(401, 403, 422, 429)},
    )
    def list_incidents(caller: Annotated[ApiKey, let_read], listing: Annotated[IncidentListing, Query()]) -> IncidentListResponse:
        """Return the incidents of the key's namespace, the newest first. Scope: `read`."""
        before_id = cursors.read(listing.mark, listing.cursor)
        incidents = context.service.lists.newest(listing.filter(caller.namespaces), before_id=before_id, limit=listing.limit + 1)
        shown = incidents[: listing.limit]
        is_last = len(incidents) == len(shown)
        return IncidentListResponse(
            incidents=[IncidentSummaryDocument.of(each) for each in shown],
            next_cursor=None if is_last else cursors.write(listing.mark, shown[-1].facts.id),
        )


def _add_incident(routes: APIRouter, context: Context, bulkhead: Bulkhead) -> None:
    @routes.get(
        "/incidents/{incident_id}",
        tags=["incidents"],
        summary="Show one incident",
        response_model=IncidentReportDocument,
        responses={**SHOWN, **refusals(401, 403, 404, 409, 422, 429)},
    )
    async def show(caller: Annotated[ApiKey, Depends(Require(context, KeyScope.READ))], incident_id: str) -> Response:
        """Return one incident with all that belongs to it, what happened and what comes next. Scope: `read`."""
        etag = await bulkhead.reports.run(partial(_etag, context, caller, incident_id))
        read, write = partial(_report, context, incident_id), partial(Response, media_type="application/json")
        if etag.escalations > CROWD:
            return await bulkhead.crowds.run(f"document of {incident_id}", read, write)
        return await bulkhead.reports.run(lambda: write(read()))


def _report(context: Context, incident_id: str) -> str:
    """Return the document of an incident, as text: made in a worker thread, since a large one takes long."""
    status, service = context.service.status(ById(incident_id)), context.service
    return IncidentReportDocument.of_all(status, service.next_events(status), service.timeline(status)).model_dump_json()


def _etag(context: Context, caller: ApiKey, incident_id: str) -> ETag:
    """Return the etag of an incident; one of a namespace that the key does not reach is treated as missing."""
    etag = context.service.etag(incident_id)
    if not caller.reaches(etag.namespace):
        raise NotFound(incident_id)
    return etag


def _add_acts(routes: APIRouter, context: Context) -> None:
    let_operate = Depends(Require(context, KeyScope.OPERATE))

    @routes.post(
        "/incidents/{incident_id}/acknowledge",
        tags=["acts"],
        summary="Acknowledge an incident",
        responses=ACT_REFUSALS,
        openapi_extra=request_body(request_schemas.ACT, is_required=False),
    )
    def acknowledge(incident_id: str, caller: Annotated[ApiKey, let_operate], body: Annotated[str, act_body]) -> StoppedResponse:
        """Acknowledge an incident; its queued notifications are cancelled. Scope: `operate`."""
        return _stop(context, context.service.acknowledge, incident_id, caller, body)

    @routes.post(
        "/incidents/{incident_id}/resolve",
        tags=["acts"],
        summary="Resolve an incident",
        responses=ACT_REFUSALS,
        openapi_extra=request_body(request_schemas.ACT, is_required=False),
    )
    def resolve(incident_id: str, caller: Annotated[ApiKey, let_operate], body: Annotated[str, act_body]) -> StoppedResponse:
        """Resolve an incident; the same key then opens a new one. Scope: `operate`."""
        return _stop(context, context.service.resolve, incident_id, caller, body)


def _stop(context: Context, act: Callable[..., Stopped], incident_id: str, caller: ApiKey, body: str) -> StoppedResponse:
    by = read_act(body).by or caller.name
    _etag(context, caller, incident_id)
    stopped = act(ById(incident_id), by=by, via=Via.API)
    return StoppedResponse.of({**asdict(stopped), "incident": _find(context, caller, incident_id)})


def _add_page_again(routes: APIRouter, context: Context) -> None:
    let_operate = Depends(Require(context, KeyScope.OPERATE))

    @routes.post(
        "/incidents/{incident_id}/page-again",
        tags=["acts"],
        summary="Page a recipient again",
        responses=ACT_REFUSALS,
        openapi_extra=request_body(request_schemas.PAGE_AGAIN),
    )
    def page_again(incident_id: str, caller: Annotated[ApiKey, let_operate], body: Annotated[str, act_body]) -> ActResponse:
        """Start a new round for one recipient, also after an acknowledgement. Scope: `operate`."""
        page = read_page_again(body)
        _etag(context, caller, incident_id)
        context.service.page_again(ById(incident_id), page.recipient, by=page.by or caller.name, via=Via.API)
        return ActResponse(has_changed=True, incident=IncidentSummaryDocument.of(_find(context, caller, incident_id)))


def _add_messages(routes: APIRouter, context: Context) -> None:
    let_read = Depends(Require(context, KeyScope.READ))

    @routes.get(
        "/messages",
        tags=["messages"],
        summary="List messages",
        responses={**SHOWN, **refusals(401, 403, 422, 429)},
    )
    def list_messages(caller: Annotated[ApiKey, let_read], listing: Annotated[MessageListing, Query()]) -> MessageListResponse:
        """Return the notifications of the key's namespace with their attempts, the newest first. Scope: `read`."""
        before = cursors.read(listing.mark, listing.cursor) or None
        page = context.service.lists.messages(listing.filter(caller.namespaces), before=before, limit=listing.limit)
        return MessageListResponse(
            messages=[MessageDocument.of(each) for each in page.messages],
            next_cursor=None if page.older is None else cursors.write(listing.mark, page.older),
            searched_to=page.searched_to,
        )


def _add_recipients(routes: APIRouter, context: Context) -> None:
    let_read = Depends(Require(context, KeyScope.READ))

    @routes.get(
        "/recipients",
        tags=["recipients"],
        summary="List recipients and how they can be reached",
        responses={**SHOWN, **refusals(401, 403, 422, 429)},
    )
    def list_recipients(
        caller: Annotated[ApiKey, let_read], listing: Annotated[RecipientListing, Query()]
    ) -> RecipientListResponse:
        """Return all recipients of past and present incidents in the key's namespace, by id. Scope: `read`."""
        after_id = cursors.read(listing.mark, listing.cursor)
        recipients = context.service.lists.recipients(
            narrowed(caller.namespaces, listing.namespace), after_id=after_id, limit=listing.limit + 1
        )
        shown = recipients[: listing.limit]
        is_last = len(recipients) == len(shown)
        return RecipientListResponse(
            recipients=[ReachabilityResponse.of(each, context.channels) for each in shown],
            next_cursor=None if is_last else cursors.write(listing.mark, shown[-1].contact.recipient_id),
        )

    @routes.get(
        "/recipients/{recipient_id:path}",
        tags=["recipients"],
        summary="Show how a recipient can be reached",
        responses={**SHOWN, **refusals(401, 403, 404, 422, 429)},
    )
    def show_recipient(caller: Annotated[ApiKey, let_read], recipient_id: str, namespace: KnownIn = None) -> ReachabilityResponse:
        """Return each channel's providers and the result of its last page. Scope: `read`."""
        recipient = context.service.recipient(recipient_id, narrowed(caller.namespaces, namespace))
        if recipient is None:
            raise HTTPException(404, "No incident has a recipient with this id.")
        return ReachabilityResponse.of(recipient, context.channels)


def _find(context: Context, caller: ApiKey, incident_id: str) -> IncidentStatus:
    """Return an incident; one of a namespace that the key does not reach is treated as missing."""
    status = context.service.status(ById(incident_id))
    if not caller.reaches(status.facts.namespace):
        raise NotFound(incident_id)
    return status
