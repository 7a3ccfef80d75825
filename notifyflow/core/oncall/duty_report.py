"""Who is on duty in a schedule, and who is next; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.copies import replace
from notifyflow.core.delivery.chain import ChainPlace
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.hours import LATEST
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedules import Override, Schedule, Shift

_AHEAD = timedelta(days=366)
"""How far ahead the next shift is searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Who is on duty in a schedule, at an instant and from then on.

    Attributes:
        on_duty: The shift at the instant.
        next: The first shift of other people after it, nobody's included; None without one within a year.
        shifts: The shifts from the instant on, for some weeks.
        overrides: The overrides that end after the instant.
        calendar_fetched_at: When its calendar could be read last; None without one.
    """

    schedule: Schedule
    at: datetime
    on_duty: Shift
    next: Shift | None
    shifts: Sequence[Shift]
    overrides: Sequence[Override]
    calendar_fetched_at: datetime | None


def duty(roster: Roster, schedule: Schedule, at: datetime, *, weeks: int) -> Duty:
    """Return who is on duty in a schedule, at an instant and for some weeks from then on."""
    shift = roster.on_duty(schedule, at)
    following = roster.shifts(schedule, begin=shift.ends_at, end=min(at + _AHEAD, LATEST))
    calendar = roster.calendars.get(schedule.name)
    return Duty(
        schedule=schedule,
        at=at,
        on_duty=shift,
        next=next((each for each in following if each.people != shift.people), None),
        shifts=tuple(roster.shifts(schedule, begin=at, end=min(at + timedelta(weeks=weeks), LATEST))),
        overrides=[each for each in roster.overrides if each.schedule == schedule.name and each.ends_at > at],
        calendar_fetched_at=None if calendar is None or schedule.ical is None else calendar.fetched_at,
    )


def with_people(place: ChainPlace, roster: Roster, at: datetime) -> ChainPlace:
    """Return a chain's place with all people that its next step would page at an instant; ``place`` has the given names only."""
    to = place.following.to if place.following else ()
    meant = [each.id for each in roster.people(to, at).recipients if each.id not in place.paged]
    return replace(place, people=FrozenDict({each: place.people.get(each) or roster.name_of(each) for each in meant}))
