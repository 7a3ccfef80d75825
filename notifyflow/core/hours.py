"""Hours of the week, in local time: when they begin and end, on both sides of a change of clocks; pure."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from notifyflow.core import local_time

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""The begin and end of a stretch without one; every zone can show them."""

_DAY = timedelta(days=1)
_WEEK = timedelta(weeks=1)
_NOTHING = timedelta(0)
_FIRST_MONDAY = datetime.combine(date.min, time.min)

Span = tuple[timedelta, timedelta]
"""Begin and end, since Monday 00:00; the end may be in the next week."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Hours on some days of the week.

    Attributes:
        days: The days on which they begin; 0 is Monday.
        begins: When they begin, in local time.
        ends: When they end. Unless it is later than ``begins``, that is on the next day: from 00:00 to 00:00 is a whole day.
    """

    days: frozenset[int]
    begins: time
    ends: time


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The period around an instant in which hours last, or do not.

    Attributes:
        is_covered: Whether they last.
    """

    is_covered: bool
    begins_at: datetime
    ends_at: datetime


def stretch(hours: tuple[Hours, ...], zone: ZoneInfo, at: datetime) -> Stretch:
    """Return the stretch of an instant; no hours, or a whole week of them, last always."""
    spans = _spans(hours)
    if not spans:
        return Stretch(is_covered=True, begins_at=EARLIEST, ends_at=LATEST)

    def begin(number: int) -> datetime:
        return _instant(number, 0)

    def end(number: int) -> datetime:
        return _instant(number, 1)

    def _instant(number: int, side: int) -> datetime:
        week, index = divmod(number, len(spans))
        return local_time.instant(_FIRST_MONDAY + week * _WEEK + spans[index][side], zone)

    local = local_time.shown(at, zone)
    week, since_monday = divmod(local - _FIRST_MONDAY, _WEEK)
    number = last(begin, at, week * len(spans) + bisect_right(spans, (since_monday, _WEEK * 2)) - 1)
    return _lasting(number, begin, end) if at < end(number) else _pausing(number, begin, end)


def last(begin: Callable[[int], datetime], at: datetime, number: int) -> int:
    """Return the number of the last instant of a rising series that is not after ``at``, starting from a close number."""
    while at < begin(number):
        number -= 1
    while begin(number + 1) <= at:
        number += 1
    return number


def _lasting(number: int, begin: Callable[[int], datetime], end: Callable[[int], datetime]) -> Stretch:
    """Return the stretch of the hours with this number, joined with hours that touch it because of a skipped time."""
    first = number
    while begin(first) == end(first - 1):
        first -= 1
    while end(number) == begin(number + 1):
        number += 1
    return Stretch(is_covered=True, begins_at=begin(first), ends_at=end(number))


def _pausing(number: int, begin: Callable[[int], datetime], end: Callable[[int], datetime]) -> Stretch:
    """Return the stretch after the hours with this number, leaving out hours that are skipped whole."""
    following = number + 1
    while begin(following) == end(following):
        following += 1
    while begin(number) == end(number):
        number -= 1
    return Stretch(is_covered=False, begins_at=end(number), ends_at=begin(following))


@lru_cache(maxsize=1_000)
def _spans(hours: tuple[Hours, ...]) -> tuple[Span, ...]:
    """Return the spans of a week, in order, with touching ones joined; empty if they cover the whole week."""
    laid = sorted(_laid(each, day, week) for each in hours for day in each.days for week in (-1, 0, 1))
    joined: list[Span] = []
    for begins, ends in laid:
        if joined and begins <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ends))
        else:
            joined.append((begins, ends))
    return tuple(each for each in joined if _NOTHING <= each[0] < _WEEK)


def _laid(hours: Hours, day: int, week: int) -> Span:
    begins, ends = _since_midnight(hours.begins), _since_midnight(hours.ends)
    midnight = week * _WEEK + day * _DAY
    return midnight + begins, midnight + ends + (_NOTHING if begins < ends else _DAY)


def _since_midnight(at: time) -> timedelta:
    return datetime.combine(date.min, at) - _FIRST_MONDAY
