"""Who is on duty, found by walking the calendar and the clock: naive, slow, and without any code of the core.

Somebody reads the clock on the wall again and again, counts the dates since the first turn on the calendar beside it, and hands
over as soon as the clock has shown the time of the hand-over.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, reset_tzpath

from notifyflow.core.hours import Hours
from notifyflow.core.oncall.schedules import Layer, Schedule, Unit

DAY = timedelta(days=1)
STEP = timedelta(minutes=15)
Turn = tuple[int, int]
"""The number of a layer, and of a turn in it."""


def turns(schedule: Schedule, begin: datetime, end: datetime, step: timedelta = STEP) -> Iterator[tuple[datetime, Turn | None]]:
    """Yield instants, ``step`` apart, with the turn in force, or None where nobody is on duty.

    Hand-overs and changes of clocks within the period have to be at multiples of the step.
    """
    for at, each in every_layer(schedule, begin, end, step):
        yield at, next(((layer, number) for layer, number in reversed(list(enumerate(each))) if number is not None), None)


def every_layer(
    schedule: Schedule, begin: datetime, end: datetime, step: timedelta = STEP
) -> Iterator[tuple[datetime, list[int | None]]]:
    """Yield instants with the number of the turn in each layer, or None where the layer does not apply."""
    zone = ZoneInfo(schedule.timezone)
    clocks = [_Counter(layer) for layer in schedule.layers]
    at, latest = (
        begin - timedelta(hours=27),
        datetime.combine(date.min, time.min),
    )  # a clock that was put back has caught up by then
    while at < end:
        latest = max(latest, at.astimezone(zone).replace(tzinfo=None))
        if begin <= at:
            yield at, [clock.number(latest) for clock in clocks]
        at += step


class _Counter:
    """Counts the turns of a layer while time passes."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._hand_overs = hand_overs(layer)
        self._next = next(self._hand_overs)
        self._number = -1

    def number(self, latest: datetime) -> int | None:
        while self._next <= latest:
            self._number += 1
            self._next = next(self._hand_overs)
        applies = self._number >= 0 and (not self._layer.only or any(last(each, latest) for each in self._layer.only))
        return self._number if applies else None


def hand_overs(layer: Layer) -> Iterator[datetime]:
    """Yield the local times of the hand-overs of a layer, read from a calendar page by page."""
    count, unit, first = layer.every.count, layer.every.unit, layer.first
    match unit:
        case Unit.HOURS:
            times = sorted({time((first.hour + hours) % 24, first.minute) for hours in range(0, 24, count)})
            for day in _days(first.date()):
                yield from (each for each in (datetime.combine(day, at) for at in times) if each >= first)
        case Unit.MONTHS:
            for number, (year, month) in enumerate(_months(first.year, first.month)):
                if number % count == 0:
                    yield datetime.combine(_day_of_month(year, month, first.day), first.time())
        case _:
            length = count * (7 if unit is Unit.WEEKS else 1)
            for number, day in enumerate(_days(first.date())):
                if number % length == 0:
                    yield datetime.combine(day, first.time())


def last(hours: Hours, clock: datetime) -> bool:
    """Return whether hours last while a clock shows a time."""
    passes_midnight = hours.ends <= hours.begins
    is_today = clock.weekday() in hours.days and clock.time() >= hours.begins and (passes_midnight or clock.time() < hours.ends)
    since_yesterday = passes_midnight and (clock - DAY).weekday() in hours.days and clock.time() < hours.ends
    return is_today or since_yesterday


def changes_of_clocks(zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """Return the instants at which the clocks of a zone change."""
    found = []
    at = begin
    while at < end:
        following = at + timedelta(hours=3)
        if at.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            before, after = at, following
            while after - before > timedelta(seconds=1):
                middle = (before + (after - before) / 2).replace(microsecond=0)
                is_changed = middle.astimezone(zone).utcoffset() != at.astimezone(zone).utcoffset()
                before, after = (before, middle) if is_changed else (middle, after)
            found.append(after.astimezone(UTC))
        at = following
    return found


def _days(day: date) -> Iterator[date]:
    while True:
        yield day
        day += DAY


def _months(year: int, month: int) -> Iterator[tuple[int, int]]:
    while True:
        yield year, month
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _day_of_month(year: int, month: int, day: int) -> date:
    while True:
        try:
            return date(year, month, day)
        except ValueError:
            day -= 1


@contextmanager
def pinned_zones() -> Iterator[None]:
    """Read time zones from the package ``tzdata``, whose version is pinned, instead of the system's files."""
    reset_tzpath(())
    ZoneInfo.clear_cache()
    try:
        yield
    finally:
        reset_tzpath()
        ZoneInfo.clear_cache()
