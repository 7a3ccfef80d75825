"""The message log: every notification and attempt, with search; addresses are masked."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response, StreamingResponse

from notifyflow.core import text
from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.delivery.model import IN_PROGRESS, Evidence, Kind, NotificationState
from notifyflow.core.insight.left_out import sentence
from notifyflow.core.insight.message_log import SEARCHED, LoggedMessage, MessagePage
from notifyflow.core.messages.evidence import VOUCHERS
from notifyflow.log import get_logger
from notifyflow.storage.insight.left_out import collected
from notifyflow.web.delivery.listings import MessageListing
from notifyflow.web.frame import cursors, respond, spreadsheets
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import RequireRole, form_of
from notifyflow.web.frame.times import zone_of
from notifyflow.web.insight import searches
from notifyflow.web.insight.searches import Search

_log = get_logger("notifyflow.web")

_IN_A_CHUNK = 1_000
_COLUMNS = (
    *("notification", "queued_at", "recipient", "address", "channel", "kind", "state", "reason", "incident", "key", "namespace"),
    *("severity", "attempt", "provider", "provider_ref", "started_at", "ended_at", "result", "evidence", "code", "meaning"),
    *("attempt_id", "carried_by", "position", "is_named"),
)

_NAMES = {"ref": "provider_ref", "reason": "text"}
"""The names of fields whose name in the form is another one than in the API."""
Read = Callable[[str | None], MessagePage]


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/messages``."""
    routes = APIRouter(route_class=bulkhead.pages.route_class)
    let_view, let_reveal = Depends(RequireRole(context, Role.VIEWER)), Depends(RequireRole(context, Role.ADMIN))

    @routes.get("/messages")
    def show(user: Annotated[CurrentUser, let_view], request: Request) -> Response:
        search, cursor = _read(request), request.query_params.get("cursor")
        before = cursors.read(search.listing.mark, cursor) or None
        etag = respond.etag(context, is_list=True)
        if same := respond.unchanged(request, user, etag):
            return same
        page = context.service.lists.messages(search.listing.filter(user.namespaces), before=before, limit=search.listing.limit)
        values = _values(context, user, search, page) | {"is_older": cursor is not None}
        return respond.page(request, user, "messages.html", values, etag=etag)

    @routes.get("/messages.csv")
    def export(user: Annotated[CurrentUser, let_view], request: Request) -> Response:
        search = _read(request)
        wanted = search.listing.filter(user.namespaces)
        _log.info("web.messages_exported", user_id=user.user_id, fields=sorted(search.fields))
        chunks = _chunks(lambda before: context.service.lists.messages(wanted, before=before, limit=_IN_A_CHUNK))
        headers = {"Content-Disposition": 'attachment; filename="notifyflow-messages.csv"'}
        return StreamingResponse(bulkhead.pages.stream(chunks), media_type="text/csv; charset=utf-8", headers=headers)

    @routes.post("/messages/reveal")
    def reveal(user: Annotated[CurrentUser, let_reveal], request: Request) -> Response:
        message = context.service.message(form_of(request).get("notification", ""))
        if message is None or not user.reaches(message.facts.namespace):
            raise HTTPException(404, "There is no such message, or it has been deleted.")
        _log.warning(
            "web.address_revealed", notification_id=message.facts.id, recipient_id=message.recipient_id, user_id=user.user_id
        )
        return respond.page(request, user, "address.html", {"message": message})

    return routes


def _read(request: Request) -> Search[MessageListing]:
    return searches.read(MessageListing, request.query_params, zone_of(request), names=_NAMES)


def _values(context: Context, user: CurrentUser, search: Search[MessageListing], page: MessagePage) -> dict[str, object]:
    return {
        "page": page,
        "search": search,
        "is_narrow": not search.fields.keys() <= {"recipient", "key", "ref", "reason", "state"},
        "live": respond.live(is_moving=any(each.facts.state in IN_PROGRESS for each in page.messages)),
        "older": page.older and search.following(page.older),
        "searched": SEARCHED,
        "states": list(NotificationState),
        "evidence": list(Evidence),
        "channels": sorted(context.channels),
        "providers": sorted({provider.name for channel in context.channels.values() for provider in channel.providers}),
        "vouchers": VOUCHERS,
        "may_reveal": user.may(Role.ADMIN),
    }


def _chunks(read: Read) -> Iterator[str]:
    """Yield the log as CSV, a page of it at a time; each is read by itself, so that no transaction lasts.

    The last line says how many damaged rows it lacks, if any.
    """
    yield spreadsheets.lines([_COLUMNS])
    before: str | None = None
    while True:
        page = read(before)
        yield spreadsheets.lines(row for message in page.messages for row in _rows(message))
        before = page.older
        if before is None:
            break
    if damaged := sentence(collected(), are_named=False):
        yield spreadsheets.lines([[damaged]])


def _rows(message: LoggedMessage) -> Iterator[tuple[object, ...]]:
    """Yield a row for each attempt, or one for a message without attempts."""
    facts = message.facts
    address = text.masked(message.address) if message.address and facts.kind is not Kind.INCIDENT_EVENT else ""
    start = (facts.id, _iso(facts.created_at), message.recipient_id, address, facts.channel, facts.kind.value, facts.state.value)
    about = (*start, facts.reason, facts.incident_id, message.key, facts.namespace, facts.severity.value)
    for attempt in facts.attempts:
        called = (attempt.number, attempt.provider, attempt.provider_ref, _iso(attempt.started_at), _iso(attempt.ended_at))
        ended = (attempt.result or attempt.state, attempt.evidence, attempt.code, attempt.reason)
        yield (*about, *called, *ended, attempt.id, attempt.sent_with, attempt.position, attempt.is_named)
    if not facts.attempts:
        yield (*about, *[None] * (len(_COLUMNS) - len(about)))


def _iso(at: datetime | None) -> str:
    return "" if at is None else at.isoformat(timespec="milliseconds")
