"""Heartbeats: the watched jobs with their last pings, and the page of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.oncall import watched_jobs
from notifyflow.core.oncall.pings import Mark, read_entries
from notifyflow.core.oncall.watched_job_words import expected
from notifyflow.core.oncall.watched_jobs import JobState, WatchedJob
from notifyflow.web.frame import respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import RequireRole
from notifyflow.web.oncall import ping_strip
from notifyflow.web.oncall.ping_strip import Strip

_ON_A_PAGE = 50
_LOOKS: Mapping[JobState, tuple[str, str]] = {
    JobState.NEW: ("·", "plain"),
    JobState.UP: ("✓", "good"),
    JobState.RUNNING: ("▸", "sent"),
    JobState.LATE: ("!", "waiting"),
    JobState.MISSED: ("✕", "bad"),
    JobState.FAILED: ("✕", "bad"),
    JobState.UNKNOWN: ("?", "unsure"),
}
"""The sign and the tone of each state."""
_DEADLINES = frozenset({Mark.MISSED, Mark.UNKNOWN})
"""Entries of deadlines, which stand among the pings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownJob:
    """A watched job, as a page shows it.

    Attributes:
        sign: The sign of its state.
        tone: The tone of its state.
        expected: Its timetable in words.
        last: Its last ping, which may be a failure; None without one.
    """

    job: WatchedJob
    state: JobState
    sign: str
    tone: str
    expected: str
    entries: Sequence[tuple[datetime, Mark]]
    last: tuple[datetime, Mark] | None
    strip: Strip


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/heartbeats``."""
    routes = APIRouter(prefix="/heartbeats", route_class=bulkhead.pages.route_class)
    let_view = Depends(RequireRole(context, Role.VIEWER))

    @routes.get("")
    def list_jobs(
        user: Annotated[CurrentUser, let_view], request: Request, after: Annotated[str, Query(max_length=100)] = ""
    ) -> Response:
        etag = respond.etag(context, with_time=True)
        if same := respond.unchanged(request, user, etag):
            return same
        watched, now = context.service.watched_jobs, context.service.now()
        unwell = [] if after else watched.unwell(user.namespaces, limit=_ON_A_PAGE)
        page = watched.page(user.namespaces, after=after, limit=_ON_A_PAGE)
        values = {
            "unwell": [_shown(job, now) for job in unwell],
            "most_unwell": _ON_A_PAGE,
            "jobs": [_shown(job, now) for job in page.jobs],
            "is_first": not after,
            "next": page.after and f"?{urlencode({'after': page.after})}",
            **_drawing(),
        }
        return respond.page(request, user, "heartbeats.html", values, etag=etag)

    @routes.get("/{name}")
    def show(user: Annotated[CurrentUser, let_view], request: Request, name: str) -> Response:
        etag = respond.etag(context, with_time=True)
        if same := respond.unchanged(request, user, etag):
            return same
        job = context.service.watched_jobs.find(name)
        if job is None or not user.reaches(job.namespace):
            raise HTTPException(404, "The directory declares no such heartbeat.")
        values = {"each": _shown(job, context.service.now()), **_drawing()}
        return respond.page(request, user, "heartbeat.html", values, etag=etag)

    return routes


def _drawing() -> Mapping[str, object]:
    return {"legend": ping_strip.legend(), "slot": ping_strip.SLOT, "width": ping_strip.WIDTH, "height": ping_strip.HEIGHT}


def _shown(job: WatchedJob, now: datetime) -> ShownJob:
    state, entries = watched_jobs.state(job, now), read_entries(job.pings)
    sign, tone = _LOOKS[state]
    last = next((each for each in reversed(entries) if each[1] not in _DEADLINES), None)
    return ShownJob(
        job=job,
        state=state,
        sign=sign,
        tone=tone,
        expected=expected(job.timetable),
        entries=entries,
        last=last,
        strip=ping_strip.strip(entries),
    )
