"""The page of one incident: who was told, who was not and why, what comes next; and what a responder can do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from functools import cache, partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from notifyflow.channels.meanings import meanings
from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.machines import NOTIFICATION
from notifyflow.core.delivery.model import IncidentState, Via
from notifyflow.core.diagrams.diagram_svg import svg
from notifyflow.core.insight import chain_words, describer, inbound_words, silence_words, told
from notifyflow.core.insight import pause_words as words
from notifyflow.core.insight.chain_steps import runs
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.timeline import TimelineEntry, timeline
from notifyflow.core.insight.timeline_words import sentence
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.limits.silences import like
from notifyflow.core.messages.addresses import is_web_address
from notifyflow.core.messages.looks import INCIDENTS
from notifyflow.core.messages.ways import message
from notifyflow.core.references import ById
from notifyflow.errors import NotFound
from notifyflow.log import get_logger
from notifyflow.web.frame import respond
from notifyflow.web.frame.bulkhead import CROWD, Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import RequireRole, form_of
from notifyflow.web.frame.times import zone_of

_log = get_logger("notifyflow.web")

_SOON = timedelta(minutes=1)
_MOST_RECIPIENTS = 50
"""How many recipients the page shows at first."""
_MOST_ON_A_PAGE = 200
"""How many it shows at once."""
_MOST_ENTRIES = 500
"""How many entries of the timeline it shows at once, the latest on the first page."""
_CLOCK_S = 2
"""How often a page that shows seconds is rendered anew."""
_SLOW_CLOCK_S = 30
"""How often any other page is, for what changes with time alone."""


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/incidents/{id}``."""
    routes = APIRouter(prefix="/incidents/{incident_id}", route_class=bulkhead.pages.route_class)
    _add_page(routes, context, bulkhead)
    _add_acts(routes, context)
    _add_addresses(routes, context)
    return routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An incident as read for a page, shared by all its readers.

    Attributes:
        entries: Its history.
    """

    status: IncidentStatus
    next_events: NextEvents
    entries: Sequence[TimelineEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePart:
    """The part of an incident that a page shows.

    Attributes:
        number: The number of the page, from 1; None for the one that shows the first recipients only.
        chosen_id: The notification whose lifecycle is drawn; may be empty.
    """

    number: int | None
    chosen_id: str


def _add_page(routes: APIRouter, context: Context, bulkhead: Bulkhead) -> None:
    @routes.api_route("", methods=["GET", "HEAD"])
    async def show(
        user: Annotated[CurrentUser, Depends(RequireRole(context, Role.VIEWER))],
        request: Request,
        incident_id: str,
        notification: str = "",
        everybody: bool = False,
        page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    ) -> Response:
        def look() -> Response | tuple[str, bool]:
            etag, is_crowd = _etag(context, user, incident_id)
            return respond.unchanged(request, user, etag) or (etag, is_crowd)

        looked = await bulkhead.pages.run(look)
        if isinstance(looked, Response):
            return looked
        etag, is_crowd = looked
        part = PagePart(number=page if everybody else None, chosen_id=notification)

        def make(seen: Seen) -> Response:
            values = _values(context, seen, zone_of(request), user, part)
            return respond.page(request, user, "incident.html", values, etag=etag)

        read = partial(_read, context, incident_id)
        if is_crowd:
            return await bulkhead.crowds.run(incident_id, read, make)
        return await bulkhead.pages.run(lambda: make(read()))


def _add_acts(routes: APIRouter, context: Context) -> None:
    let_respond = Depends(RequireRole(context, Role.RESPONDER))

    @routes.post("/acknowledge")
    def acknowledge(user: Annotated[CurrentUser, let_respond], incident_id: str) -> Response:
        ref = _ref(context, user, incident_id)
        context.service.acknowledge(ref, by=user.by, via=Via.DASHBOARD)
        return respond.redirect(f"../{incident_id}")

    @routes.post("/resolve")
    def resolve(user: Annotated[CurrentUser, let_respond], incident_id: str) -> Response:
        ref = _ref(context, user, incident_id)
        context.service.resolve(ref, by=user.by, via=Via.DASHBOARD)
        return respond.redirect(f"../{incident_id}")

    @routes.post("/page-again")
    def page_again(user: Annotated[CurrentUser, let_respond], request: Request, incident_id: str) -> Response:
        ref = _ref(context, user, incident_id)
        context.service.page_again(ref, form_of(request).get("recipient", ""), by=user.by, via=Via.DASHBOARD)
        return respond.redirect(f"../{incident_id}")


def _add_addresses(routes: APIRouter, context: Context) -> None:
    @routes.post("/addresses")
    def reveal(
        user: Annotated[CurrentUser, Depends(RequireRole(context, Role.ADMIN))], request: Request, incident_id: str
    ) -> Response:
        status = _reached(context, user, incident_id)
        _log.warning("web.address_revealed", user_id=user.user_id, incident_id=incident_id)
        contacts = {each.contact.recipient_id: each.contact for each in status.escalations}
        values = {"facts": status.facts, "title": status.content.title, "contacts": contacts.values()}
        return respond.page(request, user, "addresses.html", values)


def _read(context: Context, incident_id: str) -> Seen:
    status = context.service.status(ById(incident_id))
    entries = timeline(status, explain=meanings(context.channels))
    return Seen(status=status, next_events=context.service.next_events(status), entries=entries)


def _etag(context: Context, user: CurrentUser, incident_id: str) -> tuple[str, bool]:
    """Return an etag of the page, and whether the incident is a crowd's; raise ``NotFound`` if the user may not see it.

    The etag is the versions of its rows, and the time, which counts in finer steps the sooner something is due.
    """
    etag = context.service.etag(incident_id)
    if not user.reaches(etag.namespace):
        raise NotFound(incident_id)
    now = context.service.now()
    is_soon = etag.soonest_at is not None and etag.soonest_at - now < _SOON
    paused = context.service.pauses()
    turn = int(now.timestamp()) // (_CLOCK_S if is_soon else _SLOW_CLOCK_S)
    return repr((etag, paused, turn)), etag.escalations > CROWD


def _ref(context: Context, user: CurrentUser, incident_id: str) -> ById:
    """Return a reference to an incident that the user may see; raise ``NotFound``."""
    if not user.reaches(context.service.etag(incident_id).namespace):
        raise NotFound(incident_id)
    return ById(incident_id)


def _reached(context: Context, user: CurrentUser, incident_id: str) -> IncidentStatus:
    """Return an incident that the user may see; raise ``NotFound``."""
    status = context.service.status(ById(incident_id))
    if not user.reaches(status.facts.namespace):
        raise NotFound(incident_id)
    return status


def _values(context: Context, seen: Seen, zone: tzinfo, user: CurrentUser, part: PagePart) -> Mapping[str, Any]:
    status, next_events = seen.status, seen.next_events
    facts, content = status.facts, status.content
    times = Times(zone, next_events.now, facts.opened_at)
    described = describer.Describer(status, next_events, brief=times.brief, explain=meanings(context.channels))
    before, most = (part.number or 1) - 1, _MOST_RECIPIENTS if part.number is None else _MOST_ON_A_PAGE
    recipients = described.recipients(most=most, after=before * most)
    end = max(0, len(seen.entries) - before * _MOST_ENTRIES)
    latest = seen.entries[max(0, end - _MOST_ENTRIES) : end]
    names = cache(chain_words.names(status, next_events))
    links = {name: value for name, value in (content.labels or {}).items() if is_web_address(value)}
    is_moving = facts.state is not IncidentState.RESOLVED
    silence = silence_words.lasting(status.silences, next_events.now) if is_moving else None
    return {
        "facts": facts,
        "content": content,
        "look": INCIDENTS[facts.state],
        "head": describer.head(status, times),
        "chain": [
            chain_words.lines(status, steps, next_events.step, name=names, now=next_events.now, brief=times.brief)
            for steps in runs(status)
        ],
        "chain_coming": chain_words.last_word(status, next_events, name=names, brief=times.brief),
        "recipients": recipients,
        "page": part.number,
        "count": described.count,
        "first": before * most + 1,
        "is_last": (before + 1) * most >= described.count and end <= _MOST_ENTRIES,
        "hidden": described.count - len(recipients),
        "entries": [(times.brief(each.at), each, sentence(each, name=names, brief=times.brief)) for each in latest],
        "entries_count": len(seen.entries),
        "entries_before": max(0, end - _MOST_ENTRIES),
        "arrivals": [(times.brief(each.first_at), inbound_words.sentence(each, brief=times.brief)) for each in status.arrivals],
        "links": links,
        "labels": {name: value for name, value in (content.labels or {}).items() if name not in links},
        "drawn": _drawn(status, part.chosen_id),
        "brief": times.brief,
        "read": times.full(next_events.now),
        "live": _live(status, next_events),
        "pauses": [words.sentence(each, until=times.brief) for each in next_events.pauses] if is_moving else [],
        "is_quarantined": status.is_quarantined,
        "silenced": "" if silence is None else silence_words.of_incident(silence, at=times.brief),
        "silence_like": str(like(content)),
        "typed": {},
        "silence_namespace": facts.namespace,
        "damaged": status.damaged_itself,
        "operations_key": status.operations_key,
        "operations": told.of_incident(status),
        "may_act": user.may(Role.RESPONDER) and facts.state is not IncidentState.RESOLVED,
        "may_reveal": user.may(Role.ADMIN),
    }


def _drawn(status: IncidentStatus, chosen_id: str) -> Mapping[str, Any] | None:
    """Return the lifecycle of the chosen notification with its way through it; None without one."""
    for each in status.escalations:
        for row in each.notifications:
            if row.id == chosen_id:
                name = f"{message(row.channel)} to {each.contact.name}, round {each.facts.round}"
                return {"id": row.id, "name": name, "svg": _diagram(status, row)}
    return None


def _diagram(status: IncidentStatus, row: NotificationFacts) -> Markup:
    taken = [(line.source, line.target) for line in status.transitions if line.row_id == row.id and line.source]
    return Markup(svg(NOTIFICATION, taken, at=row.state))  # noqa: S704 - states of ours, without any value


def _live(status: IncidentStatus, next_events: NextEvents) -> respond.Live:
    """Return how soon the page asks again; a crowd's page, which is costly to read, rarely does."""
    if len(status.escalations) > CROWD:
        return respond.Live.IDLE
    return respond.live(is_moving=status.facts.state is IncidentState.OPEN or any(next_events.escalations.values()))
