"""The duty of one schedule as pages show it: who is on duty now, who is next, and a calendar by day in the schedule's zone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifyflow.core import local_time, text
from notifyflow.core.oncall.schedules import DutyReason, Shift

SHOWN_FOR = timedelta(weeks=4)
"""How far ahead a calendar goes at least."""
LANES = 6
"""How many colours tell people apart, beside their names."""

_DAY = timedelta(days=1)
_WEEK = timedelta(weeks=1)
_MOST_PIECES = 6
"""How many changes of one day are written out; the day says how many more there are."""

Name = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOfDay:
    """A part of a day in which the duty does not change.

    Attributes:
        begins: When it begins, as ``09:00``; empty if that is the beginning of the day.
        names: Who is on duty; empty for nobody.
        is_override: Whether an override says so.
        lane: The number of the colour of these people, from 0.
    """

    begins: str
    names: str
    is_override: bool
    lane: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the calendar.

    Attributes:
        label: The same in words: ``30 Nov``.
        is_today: Whether it is today in the schedule's zone.
        pieces: The duty, in order; none on a date that the zone skips.
        hidden: How many more changes it has.
    """

    date: date
    label: str
    name: str
    is_today: bool
    is_past: bool
    pieces: tuple[PartOfDay, ...]
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDays:
    """The days that a calendar shows.

    Attributes:
        first: The first day, a Monday.
        today: Today in the schedule's zone.
        end: The Monday after the last day.
    """

    first: date
    today: date
    end: date
    zone: ZoneInfo

    @property
    def begins_at(self) -> datetime:
        """When the first day begins."""
        return _midnight(self.first, self.zone)

    @property
    def ends_at(self) -> datetime:
        """When the last day ends."""
        return _midnight(self.end, self.zone)


def span_at(now: datetime, zone: ZoneInfo) -> CalendarDays:
    """Return the whole weeks from the current one that hold the next four weeks."""
    today = local_time.shown(now, zone).date()
    first = today - timedelta(days=today.weekday())
    weeks = -(-(today + SHOWN_FOR - first) // _WEEK)
    return CalendarDays(first=first, today=today, end=first + weeks * _WEEK, zone=zone)


def joined(shifts: Iterable[Shift]) -> Iterator[Shift]:
    """Yield shifts; shifts in a row with the same people for the same reason are joined."""
    last: Shift | None = None
    for shift in shifts:
        if last is not None and (last.people, last.why) == (shift.people, shift.why):
            last = replace(last, ends_at=shift.ends_at)
            continue
        if last is not None:
            yield last
        last = shift
    if last is not None:
        yield last


def weeks(shifts: Sequence[Shift], span: CalendarDays, name: Name) -> tuple[tuple[Day, ...], ...]:
    """Return the days of the calendar, by week.

    Args:
        shifts: The joined shifts of the span.
        span: The days to show.
        name: Returns the name of a recipient, by id.
    """
    lanes = {people: number % LANES for number, people in enumerate(dict.fromkeys(each.people for each in shifts if each.people))}
    days, rest = [], list(shifts)
    for number in range((span.end - span.first).days):
        day = span.first + number * _DAY
        begins_at, ends_at = _midnight(day, span.zone), _midnight(day + _DAY, span.zone)
        rest = [each for each in rest if each.ends_at > begins_at]
        pieces = [_piece(each, begins_at, span.zone, lanes, name) for each in _among(rest, begins_at, ends_at)]
        days.append(_day(day, span, pieces))
    return tuple(tuple(days[start : start + 7]) for start in range(0, len(days), 7))


def _among(shifts: Sequence[Shift], begin: datetime, end: datetime) -> Iterator[Shift]:
    return (each for each in shifts if begin < end and each.begins_at < end)


def _day(day: date, span: CalendarDays, pieces: Sequence[PartOfDay]) -> Day:
    shown = pieces if len(pieces) <= _MOST_PIECES else pieces[: _MOST_PIECES - 1]
    return Day(
        date=day,
        label=f"{day.day} {text.MONTHS[day.month - 1][:3]}",
        name=text.DAYS[day.weekday()][:3],
        is_today=day == span.today,
        is_past=day < span.today,
        pieces=tuple(shown),
        hidden=len(pieces) - len(shown),
    )


def _piece(shift: Shift, day_begins_at: datetime, zone: ZoneInfo, lanes: dict[tuple[str, ...], int], name: Name) -> PartOfDay:
    return PartOfDay(
        begins=f"{local_time.shown(shift.begins_at, zone):%H:%M}" if shift.begins_at > day_begins_at else "",
        names=text.listed([name(each) for each in shift.people]),
        is_override=shift.why is DutyReason.OVERRIDE,
        lane=lanes.get(shift.people, 0),
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return local_time.instant(datetime.combine(day, time.min), zone)
