"""On call: who is on duty, until when, who is next, and the calendar of the next weeks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from notifyflow.core.intake.schedules import MARK
from notifyflow.core.roster import Roster
from notifyflow.core.schedules import Schedule, Shift, Why
from notifyflow.core.users import Role, Visitor
from notifyflow.core.wording import text
from notifyflow.web.context import Context
from notifyflow.web.dashboard import respond
from notifyflow.web.dashboard.duty_calendar import Day, Name, joined, span_at, weeks
from notifyflow.web.dashboard.visitors import Admit

_MOST_CALENDARS = 6
"""How many calendars the page shows at once."""
_WHY = {Why.LAYER: "", Why.CALENDAR: "by its calendar", Why.OVERRIDE: "by an override", Why.NOBODY: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody on duty: their id, which is empty if the directory does not know them, and their name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The duty of a schedule at some time, as the page shows it.

    Attributes:
        people: Who is on duty; empty for nobody.
        why: Why, in a few words.
        begins: When it begins, in the schedule's zone.
        ends: When it ends; empty if that is after the calendar.
    """

    people: tuple[Person, ...]
    why: str
    begins: str
    ends: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota:
    """A schedule, as the page shows it.

    Attributes:
        name: Its name, without ``@``.
        zone: Its time zone.
        now: The duty now.
        next: The duty after it; None if nothing changes in the time that the calendar shows.
        weeks: The days of its calendar, by week; empty if only the others' are shown.
    """

    name: str
    zone: str
    now: Held
    next: Held | None
    weeks: tuple[tuple[Day, ...], ...]


def router(context: Context) -> APIRouter:
    """Build the routes of ``/oncall``."""
    routes = APIRouter()

    @routes.get("/oncall")
    def show(
        visitor: Annotated[Visitor, Depends(Admit(context, Role.VIEWER))],
        request: Request,
        schedule: Annotated[str, Query(max_length=255)] = "",
    ) -> Response:
        return _page(context, visitor, request, chosen=schedule)

    return routes


def _page(context: Context, visitor: Visitor, request: Request, *, chosen: str) -> Response:
    if visitor.namespaces is not None:
        return respond.page(request, visitor, "oncall.html", {"is_seen": False})
    roster, now = context.service.rosters.current(), context.access.now()
    if chosen and chosen not in roster.directory.schedules:
        raise HTTPException(404, "There is no schedule of this name.")
    drawn = [chosen] if chosen else sorted(roster.directory.schedules)[:_MOST_CALENDARS]
    values = {"is_seen": True, "chosen": chosen, "rotas": list(_rotas(roster, now, drawn))}
    return respond.page(request, visitor, "oncall.html", values)


def _rotas(roster: Roster, now: datetime, drawn: Sequence[str]) -> Iterator[Rota]:
    for name, schedule in sorted(roster.directory.schedules.items()):
        yield rota(roster, schedule, now, is_drawn=name in drawn)


def rota(roster: Roster, schedule: Schedule, now: datetime, *, is_drawn: bool) -> Rota:
    """Return a schedule as the page shows it."""
    zone = ZoneInfo(schedule.timezone)
    span = span_at(now, zone)
    shifts = list(joined(roster.shifts(schedule, begin=span.begins_at if is_drawn else now, end=span.ends_at)))
    current, *later = (each for each in shifts if each.ends_at > now)
    name_of = _namer(roster)
    return Rota(
        name=schedule.name,
        zone=schedule.timezone,
        now=_held(roster, current, zone, span.ends_at),
        next=_held(roster, later[0], zone, span.ends_at) if later else None,
        weeks=weeks(shifts, span, name_of) if is_drawn else (),
    )


def _held(roster: Roster, shift: Shift, zone: ZoneInfo, shown_until: datetime) -> Held:
    name_of = _namer(roster)
    return Held(
        people=tuple(Person(id=each if each in roster.directory.recipients else "", name=name_of(each)) for each in shift.people),
        why=_WHY[shift.why],
        begins=text.moment(shift.begins_at, zone),
        ends=text.moment(shift.ends_at, zone) if shift.ends_at < shown_until else "",
    )


def _namer(roster: Roster) -> Name:
    """Return how to name a recipient; whom a calendar has and the directory does not know has the schedule's name."""

    def name(recipient_id: str) -> str:
        known = roster.directory.recipients.get(recipient_id)
        if known is not None:
            return known.name or known.id
        return "somebody unknown" if recipient_id.startswith(MARK) else recipient_id

    return name
