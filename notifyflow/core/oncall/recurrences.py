"""The times of a calendar's events and their repetitions, and the cost of finding them; pure.

The library for rules has no limits: it walks on from the first date, and searches for a matching date up to the year 9999.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from notifyflow.core import local_time
from notifyflow.core.hours import LATEST

if TYPE_CHECKING:
    from ical.event import Event
    from ical.types.recur import Recur

MOST_STEPS = 500_000
"""How many dates and times the rules of a calendar may search: a few seconds."""

_DAY = timedelta(days=1)
_SPACING = {
    "SECONDLY": (timedelta(seconds=1), 1),
    "MINUTELY": (timedelta(minutes=1), 1),
    "HOURLY": (timedelta(hours=1), 1),
    "DAILY": (_DAY, 1),
    "WEEKLY": (7 * _DAY, 7),
    "MONTHLY": (28 * _DAY, 31),
    "YEARLY": (365 * _DAY, 366),
}
"""The time between two repetitions of a rule, and the most dates in it."""
_COST_OF_A_YEAR = 5
_LAST_YEAR = 9999
_LAST_COMMON_DAY = 28
_LAST_COMMON_WEEK = 4


def steps(event: "Event", end: datetime, zone: ZoneInfo) -> int:
    """Return how many dates and times are searched, at most, for the repetitions of an event up to an end."""
    rule, start = event.rrule, event.start
    if rule is None or (span := end - instant(start, zone)) <= timedelta(0):
        return 1
    spacing, dates = _SPACING[rule.freq.value]
    times = max(1, len(rule.by_hour)) * max(1, len(rule.by_minute)) * max(1, len(rule.by_second))
    found = (span // (spacing * rule.interval) + 1) * dates * times
    if _may_fit_nothing(rule):
        cost = _COST_OF_A_YEAR if rule.freq.value == "YEARLY" else 2
        found += (_LAST_YEAR - start.year) * 365 * _DAY // (spacing * rule.interval) * cost
    return found


def _may_fit_nothing(rule: "Recur") -> bool:
    """Return whether a rule may match no date or time at all, such as 30 February."""
    is_by_date = bool(rule.by_month or rule.by_month_day or rule.by_year_day or rule.by_week_no)
    is_by_time = bool(rule.by_hour or rule.by_minute or rule.by_second)
    if rule.freq.value in ("HOURLY", "MINUTELY", "SECONDLY"):
        return is_by_date or is_by_time or bool(rule.by_weekday)
    if rule.interval > 1 and (is_by_date or (rule.freq.value == "DAILY" and rule.by_weekday)):
        return True
    is_odd_day = bool(rule.by_month_day) and all(abs(each) > _LAST_COMMON_DAY for each in rule.by_month_day)
    is_odd_week = any(abs(each.occurrence or 0) > _LAST_COMMON_WEEK for each in rule.by_weekday)
    is_odd_place = any(abs(each) > 1 for each in rule.by_setpos)
    return bool(is_odd_day or is_odd_week or is_odd_place or rule.by_year_day or rule.by_week_no)


def spans(event: "Event", window: tuple[datetime, datetime], zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Yield the beginning and the end of an event and its repetitions that overlap a window."""
    begin, end = window
    length = event.computed_duration
    gone = {instant(each, zone) for each in event.exdate}
    for start in _starts(event, (begin - length, end), zone):
        since, until = instant(start, zone), instant(start + length, zone)
        if since not in gone and since < end and begin < until and since < until:
            yield since, until


def replaced(events: Iterable["Event"], zone: ZoneInfo) -> dict[str, set[datetime]]:
    """Return the repetitions that separate events replace, by the id of the event."""
    from ical.types.recur import RecurrenceId  # it takes a quarter of a second

    found: dict[str, set[datetime]] = {}
    for event in events:
        if (at := event.recurrence_id) is not None:
            value = RecurrenceId.to_value(str(at))
            if isinstance(value, datetime) and value.tzinfo is None:
                value = value.replace(tzinfo=at.tzinfo or getattr(event.dtstart, "tzinfo", None))
            found.setdefault(event.uid, set()).add(instant(value, zone))
    return found


def is_over(event: "Event", at: datetime, zone: ZoneInfo) -> bool:
    """Return whether an event has ended, as far as known without following its rule."""
    if event.rrule is None:
        return next(spans(event, (at, LATEST), zone), None) is None
    return not event.rdate and event.rrule.until is not None and instant(event.rrule.until, zone) + event.computed_duration < at


def is_for_all_later(event: "Event") -> bool:
    """Return whether an event replaces a repetition of another one and all later ones (RFC 5545, section 3.2.13)."""
    return event.recurrence_id is not None and event.recurrence_id.range.value == "THISANDFUTURE"


def instant(value: date | datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a date, a local time or a time with a zone."""
    if not isinstance(value, datetime):
        return local_time.instant(datetime.combine(value, time()), zone)
    return value.astimezone(UTC) if value.tzinfo is not None else local_time.instant(value, zone)


def _starts(event: "Event", window: tuple[datetime, datetime], zone: ZoneInfo) -> Iterator[date | datetime]:
    yield from [event.start] if event.rrule is None else _repetitions(event.start, event.rrule, window, zone)
    yield from (each if isinstance(each, date) else each.start for each in event.rdate)


def _repetitions(
    start: date | datetime, rule: "Recur", window: tuple[datetime, datetime], zone: ZoneInfo
) -> Iterator[date | datetime]:
    """Yield a rule's starts, from about the beginning of a window to about its end."""
    begin, end = window[0] - _DAY, window[1] + _DAY
    is_aware = isinstance(start, datetime) and start.tzinfo is not None
    first, last = (begin, end) if is_aware else (local_time.shown(begin, zone), local_time.shown(end, zone))
    limits: dict[str, object] = {"count": None}  # counted here, since the library accepts only one limit
    if rule.until is None or instant(rule.until, zone) > end:
        limits["until"] = last
    for each in islice(rule.as_rrule(start).replace(**limits), rule.count):
        if first <= each:
            yield each if isinstance(start, datetime) else each.date()
