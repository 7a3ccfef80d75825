"""Deadlines, and the outages and pauses by which they move; pure.

During an outage of notifyflow receipts may not get in and people may not be able to acknowledge; during a pause no one is paged.
A deadline that passes during either proves nothing, and is put off by its length.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

STANDSTILL = timedelta(seconds=60)
"""No sweep for longer than this counts as an outage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A time by which deadlines move.

    Attributes:
        began_at: When it began.
        ended_at: When it ended, or will end by itself; now, while nobody knows.
    """

    began_at: datetime
    ended_at: datetime

    @property
    def length(self) -> timedelta:
        """Its length."""
        return self.ended_at - self.began_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage(Interval):
    """A time without a sweep: from the last sweep before it to the first one after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Interval):
    """A pause, or a quarantine.

    Attributes:
        is_for_critical: Whether CRITICAL is stopped, too.
        is_quarantined: Whether it is a quarantine of the incident: then receipts are not waited for, either.
    """

    is_for_critical: bool = True
    is_quarantined: bool = False


def outage_since(swept_at: datetime, now: datetime) -> Outage | None:
    """Return the outage that has lasted since the last sweep; None if there is none."""
    return Outage(began_at=swept_at, ended_at=now) if now - swept_at > STANDSTILL else None


def moved(deadline: datetime, intervals: Iterable[Interval], *, since: datetime) -> datetime:
    """Return a deadline of a wait that began at ``since``, moved by outages and pauses; it never lies within one of them.

    The intervals are in any order; overlapping ones count once.
    """
    covered_until = since
    for each in sorted(intervals, key=lambda each: each.began_at):
        began_at = max(each.began_at, covered_until)
        if began_at < min(deadline, each.ended_at):
            deadline += each.ended_at - began_at
            covered_until = each.ended_at
    return deadline


def counted(since: datetime, until: datetime, intervals: Iterable[Interval]) -> timedelta:
    """Return how much of a time lies outside the intervals."""
    return until - since - (moved(until, _cut(intervals, until), since=since) - until)


def _cut(intervals: Iterable[Interval], until: datetime) -> list[Interval]:
    """Return the intervals cut off at ``until``."""
    return [Interval(began_at=each.began_at, ended_at=min(each.ended_at, until)) for each in intervals if each.began_at < until]
