"""A second account of watched jobs, from the whole history at once: when a job was truly missed, and when nobody could know.

It knows no rows and no states: for each silence between two successes it lists the deadlines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from notifyflow.core.oncall.timetables import Timetable

MINUTE = timedelta(minutes=1)
CATCH_UP = 15 * MINUTE
EARLY = timedelta(seconds=10)

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Stored:
    """A ping that was committed: a success, a start or a failure."""

    at: datetime
    what: str


@dataclass(frozen=True)
class Silence:
    """A time without a success, with its deadlines.

    Attributes:
        missed: The deadlines at which it was truly missed.
        unknown: Those at which nobody could know.
        caught_up: Of these, those that only the time to catch up excuses.
    """

    began_at: datetime
    ended_at: datetime
    missed: tuple[datetime, ...]
    unknown: tuple[datetime, ...]
    caught_up: tuple[datetime, ...] = ()


def minutes_of(cron: str, zone: str, since: datetime, until: datetime) -> list[datetime]:
    """Return the times of ``M H * * *`` or ``M * * * *``, by walking through the minutes, as Debian's cron does."""
    minute, hour = cron.split()[:2]
    found, at, shown = [], since.replace(second=0, microsecond=0) - 3 * 60 * MINUTE, set[datetime]()
    before = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) - MINUTE
    while at <= until:
        local = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        if hour == "*":
            is_time = local.minute == int(minute)
        else:
            wanted = local.replace(hour=int(hour), minute=int(minute))
            is_skipped = before < wanted < local and local - before > MINUTE
            is_time = (local == wanted or is_skipped) and wanted not in shown
            shown |= {wanted} if is_time else set()
        found += [at] if is_time else []
        before, at = local, at + MINUTE
    return found


def silences(
    timetable: Timetable, declared_at: datetime, stored: Sequence[Stored], absences: Sequence[Span], until: datetime
) -> list[Silence]:
    """Return all silences of a history."""
    successes = [each.at for each in stored if each.what == "success"]
    marks = [declared_at, *successes, until]
    ticks = minutes_of(timetable.cron, timetable.timezone, declared_at, until + timedelta(days=2)) if timetable.cron else []
    found = []
    for number, (began_at, ended_at) in enumerate(pairwise(marks)):
        windows = [
            *_planned(timetable, began_at, ended_at, ticks, is_success=number > 0),
            *_of_runs(timetable, stored, began_at, ended_at),
        ]
        missed, unknown, caught_up, excused_at, excused_until = [], [], [], ended_at, began_at
        for begin, due in sorted(windows, key=lambda each: each[1]):
            over = [end for start, end in absences if start <= due and begin <= end]
            if any(each.what == "fail" and excused_at <= each.at < due for each in stored):
                excused_until = began_at  # it has shown since that it is alive
            if over or due <= excused_until:
                unknown.append(due)
                caught_up += [] if over else [due]
                excused_at = due if over else excused_at
                excused_until = max([excused_until, *(end + CATCH_UP for end in over)])
            else:
                missed.append(due)
        found.append(Silence(began_at, ended_at, tuple(missed), tuple(unknown), tuple(caught_up)))
    return found


def _planned(
    timetable: Timetable, began_at: datetime, ended_at: datetime, ticks: Sequence[datetime], *, is_success: bool
) -> list[Span]:
    grace = timetable.grace
    if timetable.every is None:
        after = began_at + EARLY if is_success else began_at
        return [(each - EARLY, each + grace) for each in ticks if each > after and each + grace < ended_at]
    found, expected_at = [], began_at + timetable.every
    while expected_at + grace < ended_at:
        found.append((expected_at - min(grace, timetable.every / 2), expected_at + grace))
        expected_at += timetable.every
    return found


def _of_runs(timetable: Timetable, stored: Sequence[Stored], began_at: datetime, ended_at: datetime) -> list[Span]:
    """Return the deadlines of runs that have said that they start, and not how they ended."""
    found: list[Span] = []
    started_at = None
    for each in [*(each for each in stored if began_at <= each.at <= ended_at), Stored(ended_at, "success")]:
        if started_at is not None and (each.what != "start" or each.at >= started_at + timetable.grace):
            if each.at > started_at + timetable.grace:
                found.append((started_at, started_at + timetable.grace))
            started_at = None
        if each.what == "start" and started_at is None:
            started_at = each.at
    return found
