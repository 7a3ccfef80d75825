"""The message log: every notification and attempt, with search; addresses are masked."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from notifyflow.core import text
from notifyflow.core.accounts.users import Role, Visitor
from notifyflow.core.delivery.model import IN_PROGRESS, Evidence, Kind, NotificationState
from notifyflow.core.insight.left_out import sentence
from notifyflow.core.insight.message_log import SEARCHED, LoggedMessage, MessageFilter, MessagePage
from notifyflow.core.messages.evidence import VOUCHERS
from notifyflow.log import get_logger
from notifyflow.storage.insight.left_out import collected
from notifyflow.web.frame import cursors, respond, spreadsheets
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.schemas import Plausible
from notifyflow.web.frame.times import zone_of
from notifyflow.web.frame.visitors import Admit, form_of

_log = get_logger("notifyflow.web")

_ON_A_PAGE = 50
_IN_A_CHUNK = 1_000
_COLUMNS = (
    *("notification", "queued_at", "recipient", "address", "channel", "kind", "state", "reason", "incident", "key", "namespace"),
    *("severity", "attempt", "provider", "provider_ref", "started_at", "ended_at", "result", "evidence", "code", "meaning"),
    *("attempt_id", "carried_by"),
)

Text = Annotated[str, Field(max_length=255)]
Unset = BeforeValidator(lambda value: value or None)
Read = Callable[[str | None], MessagePage]


class MessageQuery(BaseModel):
    """The query of the URL; an empty field is no condition."""

    model_config = ConfigDict(extra="forbid")

    recipient: Text = ""
    key: Text = ""
    ref: Text = ""
    reason: Text = ""
    state: Annotated[NotificationState | None, Unset] = None
    evidence: Annotated[Evidence | None, Unset] = None
    channel: Text = ""
    provider: Text = ""
    since: Annotated[Annotated[datetime, Plausible] | None, Unset] = None
    until: Annotated[Annotated[datetime, Plausible] | None, Unset] = None
    cursor: Annotated[str | None, Field(max_length=2000)] = None

    @property
    def fields(self) -> dict[str, str]:
        """The set fields, as in the URL; the mark of a cursor is made of them."""
        found = self.model_dump(mode="json", exclude={"cursor"}, exclude_defaults=True)
        return {name: str(value) for name, value in found.items() if value}

    def filter(self, visitor: Visitor, zone: tzinfo) -> MessageFilter:
        """Return the filter, within the namespaces that the visitor sees; times are in the zone."""
        return MessageFilter(
            states=frozenset(filter(None, (self.state,))),
            channels=frozenset(filter(None, (self.channel,))),
            providers=frozenset(filter(None, (self.provider,))),
            evidence=frozenset(filter(None, (self.evidence,))),
            provider_ref=self.ref.strip(),
            recipient_id=self.recipient.strip(),
            key=self.key.strip(),
            text=self.reason.strip(),
            since=_in(self.since, zone),
            until=_in(self.until, zone),
            namespaces=visitor.namespaces,
        )


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/messages``."""
    routes = APIRouter(route_class=bulkhead.pages.route_class)
    let_view, let_reveal = Depends(Admit(context, Role.VIEWER)), Depends(Admit(context, Role.ADMIN))

    @routes.get("/messages")
    def show(visitor: Annotated[Visitor, let_view], request: Request, query: Annotated[MessageQuery, Query()]) -> Response:
        before = cursors.read(query.fields, query.cursor) or None
        stamp = respond.stamp(context)
        if same := respond.unchanged(request, visitor, stamp):
            return same
        page = context.service.messages(query.filter(visitor, zone_of(request)), before=before, limit=_ON_A_PAGE)
        return respond.page(request, visitor, "messages.html", _values(context, visitor, query, page), stamp=stamp)

    @routes.get("/messages.csv")
    def export(visitor: Annotated[Visitor, let_view], request: Request, query: Annotated[MessageQuery, Query()]) -> Response:
        wanted = query.filter(visitor, zone_of(request))
        _log.info("web.messages_exported", user_id=visitor.user_id, fields=sorted(query.fields))
        chunks = _chunks(lambda before: context.service.messages(wanted, before=before, limit=_IN_A_CHUNK))
        headers = {"Content-Disposition": 'attachment; filename="notifyflow-messages.csv"'}
        return StreamingResponse(bulkhead.pages.stream(chunks), media_type="text/csv; charset=utf-8", headers=headers)

    @routes.post("/messages/reveal")
    def reveal(visitor: Annotated[Visitor, let_reveal], request: Request) -> Response:
        message = context.service.message(form_of(request).get("notification", ""))
        if message is None or not visitor.reaches(message.facts.namespace):
            raise HTTPException(404, "There is no such message, or it has been deleted.")
        _log.warning(
            "web.address_revealed", notification_id=message.facts.id, recipient_id=message.recipient_id, user_id=visitor.user_id
        )
        return respond.page(request, visitor, "address.html", {"message": message})

    return routes


def _values(context: Context, visitor: Visitor, query: MessageQuery, page: MessagePage) -> dict[str, object]:
    fields = query.fields
    is_narrow = not fields.keys() <= {"recipient", "key", "ref", "reason", "state"}
    older = page.older and _address({**fields, "cursor": cursors.write(fields, page.older)})
    return {
        "page": page,
        "query": {name: fields.get(name, "") for name in MessageQuery.model_fields},
        "is_filtered": bool(fields),
        "is_narrow": is_narrow,
        "is_older": query.cursor is not None,
        "live": respond.live(is_moving=any(each.facts.state in IN_PROGRESS for each in page.messages)),
        "older": older,
        "newest": _address(fields),
        "searched": SEARCHED,
        "states": list(NotificationState),
        "evidence": list(Evidence),
        "channels": sorted(context.channels),
        "providers": sorted({provider.name for channel in context.channels.values() for provider in channel.providers}),
        "vouchers": VOUCHERS,
        "may_reveal": visitor.may(Role.ADMIN),
    }


def _address(fields: Mapping[str, str]) -> str:
    return f"?{urlencode(fields)}" if fields else ""


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
        yield (*about, *called, *ended, attempt.id, attempt.sent_with)
    if not facts.attempts:
        yield (*about, *[None] * (len(_COLUMNS) - len(about)))


def _iso(at: datetime | None) -> str:
    return "" if at is None else at.isoformat(timespec="milliseconds")


def _in(at: datetime | None, zone: tzinfo) -> datetime | None:
    """Return an instant as the form has it, which gives no zone."""
    return at if at is None or at.tzinfo else at.replace(tzinfo=zone)
