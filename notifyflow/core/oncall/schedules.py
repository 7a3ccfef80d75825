"""Schedules: who is on duty, and when the next hand-over is; pure.

Turns count local dates, so that a hand-over at 09:00 is at 09:00 on both sides of a change of clocks. Nothing here knows where a
schedule is written or who may change it.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from notifyflow.core import local_time
from notifyflow.core.copies import replace
from notifyflow.core.hours import EARLIEST, LATEST, Hours, last, stretch

CALENDAR_AHEAD = timedelta(days=60)
"""How far ahead of reading the shifts of a calendar are known."""
_CONFIRMED_FOR = timedelta(days=1)
"""How long a calendar is only asked for changes; after that it is read again."""
_RESOLUTION = timedelta(microseconds=1)


class Unit(StrEnum):
    """The unit of a turn's length."""

    HOURS = "h"
    DAYS = "d"
    WEEKS = "w"
    MONTHS = "mo"


_LENGTHS = {Unit.HOURS: timedelta(hours=1), Unit.DAYS: timedelta(days=1), Unit.WEEKS: timedelta(weeks=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """The length of a turn, in local time.

    Attributes:
        count: How many units, from 1; hours divide 24.
    """

    count: int
    unit: Unit

    def begin(self, first: datetime, number: int) -> datetime:
        """Return when a turn begins, by the beginning of the turn 0; in a shorter month, on its last day instead."""
        if self.unit is not Unit.MONTHS:
            return first + number * self.count * _LENGTHS[self.unit]
        year, month = divmod(first.year * 12 + first.month - 1 + number * self.count, 12)
        day = min(first.day, monthrange(year, month + 1)[1])
        return first.replace(year=year, month=month + 1, day=day)

    def estimate(self, first: datetime, local: datetime) -> int:
        """Return the number of the turn at a local time, or the next."""
        if self.unit is not Unit.MONTHS:
            return (local - first) // (self.count * _LENGTHS[self.unit])
        return ((local.year - first.year) * 12 + local.month - first.month) // self.count

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A rotation: turns of equal length, one after the other.

    Attributes:
        who: The turns in their order, each one person or several, by recipient id; after the last one the first follows.
        first: When the first turn begins, in the schedule's local time; the layer does not apply before.
        every: The length of a turn.
        only: Hours outside of which the layer does not apply; a turn's length counts on. Empty for none.
    """

    who: tuple[tuple[str, ...], ...]
    first: datetime
    every: Every
    only: tuple[Hours, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Who is on duty when: by layers, of which the last one that applies counts, or by a calendar.

    Attributes:
        name: Its name, without the ``@`` with which others refer to it.
        timezone: IANA name.
        layers: The layers; empty if a calendar counts.
        ical: The URL of an iCalendar file; None for layers.
        may_have_gaps: Whether it is meant that nobody is on duty at some times.
        handover: Whether people are told when the duty changes hands.
    """

    name: str
    timezone: str
    layers: tuple[Layer, ...] = ()
    ical: str | None = None
    may_have_gaps: bool = False
    handover: bool = False


class DutyReason(StrEnum):
    """Why somebody, or nobody, is on duty."""

    LAYER = "layer"
    CALENDAR = "calendar"
    OVERRIDE = "override"
    LAST_KNOWN = "last_known"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A period in which the duty does not change: one turn, event or override.

    Attributes:
        people: The ids of those on duty; empty for nobody.
        begins_at: When it begins, in UTC.
        ends_at: When it ends, in UTC.
        why: What it follows from.
    """

    people: tuple[str, ...]
    begins_at: datetime
    ends_at: datetime
    why: DutyReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A change of the duty for some time.

    Attributes:
        schedule: The name of the schedule.
        people: Who is on duty instead, by recipient id.
        instead_of: The one person whose duty it replaces, whenever they are on duty; empty for the whole duty.
        made_at: When it was made; of several at one instant, the newest counts.
    """

    id: str
    schedule: str
    people: tuple[str, ...]
    instead_of: str = ""
    begins_at: datetime
    ends_at: datetime
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The duty as a calendar has it.

    Attributes:
        schedule: The name of the schedule.
        shifts: The shifts, in order, without overlaps; between two of them, nobody is on duty.
    """

    schedule: str
    shifts: tuple[Shift, ...]
    fetched_at: datetime

    @property
    def known_until(self) -> datetime:
        """Until when a gap in the calendar is known; after that, the people of the last shift stay on duty."""
        return self.fetched_at + CALENDAR_AHEAD - _CONFIRMED_FOR


def shifts(
    schedule: Schedule, *, begin: datetime, end: datetime, overrides: Iterable[Override] = (), calendar: Calendar | None = None
) -> Iterator[Shift]:
    """Yield the consecutive shifts that overlap a period, those without anybody on duty included.

    The first may have begun before ``begin``, and the last may end after ``end``.
    """
    changes = _in_order(schedule, overrides)
    at, end = begin, min(end, LATEST)
    while at < end:
        shift = _shift(schedule, at, changes, calendar)
        yield shift
        at = shift.ends_at


def on_duty(schedule: Schedule, at: datetime, *, overrides: Iterable[Override] = (), calendar: Calendar | None = None) -> Shift:
    """Return the shift at an instant.

    Args:
        schedule: The schedule.
        at: The instant, from ``EARLIEST`` to ``LATEST``; before and after, the first and the last shift are returned.
        overrides: Overrides; those of other schedules are left out.
        calendar: The schedule's calendar; without one, a schedule with ``ical`` has nobody on duty.
    """
    return _shift(schedule, at, _in_order(schedule, overrides), calendar)


def _in_order(schedule: Schedule, overrides: Iterable[Override]) -> list[Override]:
    meant = (each for each in overrides if each.schedule == schedule.name and each.begins_at < each.ends_at)
    return sorted(meant, key=lambda each: (each.made_at, each.id))


def _shift(schedule: Schedule, at: datetime, overrides: list[Override], calendar: Calendar | None) -> Shift:
    at = min(max(at, EARLIEST), LATEST - _RESOLUTION)
    shift = _by_layers(schedule, at) if schedule.ical is None else _by_calendar(calendar, at)
    for override in overrides:
        shift = _overridden(shift, override, at)
    return shift


def _by_layers(schedule: Schedule, at: datetime) -> Shift:
    zone = ZoneInfo(schedule.timezone)
    begins_at, ends_at = EARLIEST, LATEST
    for layer in reversed(schedule.layers):
        people, since, until = turn(layer, zone, at)
        begins_at, ends_at = max(begins_at, since), min(ends_at, until)
        if people:
            return Shift(people=people, begins_at=begins_at, ends_at=ends_at, why=DutyReason.LAYER)
    return Shift(people=(), begins_at=begins_at, ends_at=ends_at, why=DutyReason.NOBODY)


def turn(layer: Layer, zone: ZoneInfo, at: datetime) -> tuple[tuple[str, ...], datetime, datetime]:
    """Return the people of a layer's turn, and its beginning and end without a break; nobody where the layer does not apply."""

    def begin(number: int) -> datetime:
        return local_time.instant(layer.every.begin(layer.first, number), zone)

    first = begin(0)
    hours = stretch(layer.only, zone, max(at, first))
    if at < first and hours.is_covered:
        return (), EARLIEST, first
    if not hours.is_covered:
        return (), EARLIEST if hours.begins_at <= first else hours.begins_at, hours.ends_at
    number = last(begin, at, layer.every.estimate(layer.first, local_time.shown(at, zone)))
    people = layer.who[number % len(layer.who)]
    return people, max(begin(number), hours.begins_at), min(begin(number + 1), hours.ends_at)


def _by_calendar(calendar: Calendar | None, at: datetime) -> Shift:
    events = () if calendar is None else calendar.shifts
    following = bisect_right(events, at, key=lambda each: each.begins_at)
    before = events[following - 1] if following else None
    if before is not None and at < before.ends_at:
        return before
    gap = Shift(
        people=(),
        begins_at=EARLIEST if before is None else before.ends_at,
        ends_at=events[following].begins_at if following < len(events) else LATEST,
        why=DutyReason.NOBODY,
    )
    if calendar is None or before is None:
        return gap
    if at < calendar.known_until:
        return replace(gap, ends_at=min(gap.ends_at, calendar.known_until))
    return Shift(
        people=before.people, begins_at=max(gap.begins_at, calendar.known_until), ends_at=gap.ends_at, why=DutyReason.LAST_KNOWN
    )


def _overridden(shift: Shift, override: Override, at: datetime) -> Shift:
    """Return the shift with an override, cut at the override's beginning or end."""
    has_effect = not override.instead_of or override.instead_of in shift.people
    if not has_effect or override.ends_at <= shift.begins_at or shift.ends_at <= override.begins_at:
        return shift
    if at < override.begins_at:
        return replace(shift, ends_at=override.begins_at)
    if override.ends_at <= at:
        return replace(shift, begins_at=override.ends_at)
    if not override.instead_of:
        return _whole(override)
    people = [new for each in shift.people for new in (override.people if each == override.instead_of else (each,))]
    return Shift(
        people=tuple(dict.fromkeys(people)),
        begins_at=max(shift.begins_at, override.begins_at),
        ends_at=min(shift.ends_at, override.ends_at),
        why=DutyReason.OVERRIDE,
    )


def _whole(override: Override) -> Shift:
    return Shift(people=override.people, begins_at=override.begins_at, ends_at=override.ends_at, why=DutyReason.OVERRIDE)
