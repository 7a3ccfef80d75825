"""The page of all incidents: open ones first, with the filter of its URL."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from notifyflow.core import text
from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.delivery.model import IncidentState, Severity
from notifyflow.core.insight import chain_words, silence_words
from notifyflow.core.insight import pause_words as words
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import IncidentLine, ListPlace
from notifyflow.core.messages import failures
from notifyflow.core.messages.looks import INCIDENTS
from notifyflow.errors import InvalidRequest
from notifyflow.web.delivery.listings import IncidentListing
from notifyflow.web.frame import cursors, respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import RequireRole
from notifyflow.web.frame.times import zone_of
from notifyflow.web.insight import searches
from notifyflow.web.insight.searches import Search

_MOST_LABELS = 4


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the route of ``/incidents``."""
    routes = APIRouter(route_class=bulkhead.pages.route_class)

    @routes.api_route("/incidents", methods=["GET", "HEAD"])
    def show(user: Annotated[CurrentUser, Depends(RequireRole(context, Role.VIEWER))], request: Request) -> Response:
        zone = zone_of(request)
        search = searches.read_valid(IncidentListing, request.query_params, zone)
        times = Times(zone, context.service.now())
        place = _place(search, request.query_params.get("cursor"))
        etag = respond.etag(context, with_time=True, is_list=True)
        if same := respond.unchanged(request, user, etag):
            return same
        wanted = search.listing.filter(user.namespaces)
        found = context.service.lists.incidents(wanted, after=place, limit=search.listing.limit)
        values = {
            "search": search,
            "has_details": not search.fields.keys() <= {"text", "state"},
            "states": tuple(IncidentState),
            "severities": tuple(Severity),
            "looks": INCIDENTS,
            "pauses": [words.sentence(each, until=times.brief) for each in context.service.pauses()],
            "silences": [
                silence_words.sentence(each, now=context.service.now(), at=times.brief)
                for each in context.service.silences.in_force(user.namespaces)
            ],
            "groups": _groups(found.lines, times),
            "live": respond.live(is_moving=any(line.facts.state is IncidentState.OPEN for line in found.lines)),
            "is_first": place is None,
            "older": _older(search, found.following),
            "is_cut": found.is_cut,
        }
        return respond.page(request, user, "incidents.html", values, etag=etag)

    return routes


def _place(search: Search[IncidentListing], cursor: str | None) -> ListPlace | None:
    """Return where the page before ended; None for the first page, or if the cursor belongs to another search."""
    try:
        state, _, incident_id = cursors.read(search.listing.mark, cursor).partition(" ")
        return ListPlace(state=IncidentState(state), incident_id=incident_id)
    except (InvalidRequest, ValueError):  # of another search, or forged
        return None


def _older(search: Search[IncidentListing], place: ListPlace | None) -> str:
    """Return the query of the next page; empty if there is none."""
    return "" if place is None else search.following(f"{place.state} {place.incident_id}")


def _groups(lines: Iterable[IncidentLine], times: Times) -> Sequence[tuple[IncidentState, Sequence[dict[str, Any]]]]:
    return [(state, [_row(line, times) for line in group]) for state, group in groupby(lines, key=lambda line: line.facts.state)]


def _row(line: IncidentLine, times: Times) -> dict[str, Any]:
    facts, counts, now = line.facts, line.counts, times.now
    silence = silence_words.lasting(filter(None, (line.silence,)), now) if now else None
    shown = dict(list(line.labels.items())[:_MOST_LABELS])
    return {
        "facts": facts,
        "title": text.cut(line.title, 200),
        "labels": shown,
        "more_labels": len(line.labels) - len(shown),
        "opened": times.brief(facts.opened_at),
        "then": _then(line, times),
        "reached": f"{counts.reached:,} of {text.quantity(counts.recipients, 'recipient')} reached" if counts.recipients else "",
        "silenced": "" if silence is None else silence_words.of_incident(silence, at=times.brief),
        "chain": "" if line.chain is None else chain_words.in_list(line.chain, brief=times.brief),
        "failures": _failures(line),
    }


def _then(line: IncidentLine, times: Times) -> str:
    """Return who acknowledged or resolved it, and when."""
    facts = line.facts
    if facts.resolved_at is not None:
        return f"resolved by {facts.resolved_by or 'notifyflow'} {times.brief(facts.resolved_at)}"
    if facts.acknowledged_at is not None:
        return f"acknowledged by {facts.acknowledged_by or 'somebody'} {times.brief(facts.acknowledged_at)}"
    return f"came {facts.times_seen:,} times" if facts.times_seen > 1 else ""


def _failures(line: IncidentLine) -> Sequence[str]:
    """Return the marks of an incident: unreached people, other critical failures, and failed pages."""
    counts = line.counts
    why = failures.critical_failure(counts.critical_reason or "").removeprefix("critical failure")
    marks = [
        (counts.failed, "recipient", " not reached"),
        (max(0, counts.critical - counts.failed), "critical failure", why),
        (counts.failed_pages, "page", " failed"),
    ]
    return [f"{text.quantity(count, noun)}{what}" for count, noun, what in marks if count]
