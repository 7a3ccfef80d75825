"""Times that do not count: outages of our own, and what an operator has stopped; deadlines move by them; pure.

While nobody sweeps, no receipt need have had a way in, and nobody could acknowledge. What is due after such a time is no sign
of anything, so that its deadline moves by as long as we stood still while it was waited for. While everything is paused nobody is
paged, so that nobody is late in answering, and no page grows old.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

STANDSTILL = timedelta(seconds=60)
"""Sweeping that is not heard of for longer has stood still."""


class Interval(Protocol):
    """A time that does not count."""

    @property
    def began_at(self) -> datetime:
        """When it began."""
        ...

    @property
    def ended_at(self) -> datetime:
        """When it ended or, as far as is known, will end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One time in which an operator had stopped something.

    Attributes:
        began_at: When it was stopped.
        ended_at: When it went on, or will go on by itself; while nobody knows, now.
        is_for_critical: Whether CRITICAL is stopped, too.
        is_quarantined: Whether it is a quarantine of the incident: then receipts are not waited for, either.
    """

    began_at: datetime
    ended_at: datetime
    is_for_critical: bool = True
    is_quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One time in which nobody swept.

    Attributes:
        began_at: When somebody swept last.
        ended_at: When somebody swept again; while it lasts, now.
    """

    began_at: datetime
    ended_at: datetime

    @property
    def length(self) -> timedelta:
        """How long it was."""
        return self.ended_at - self.began_at


def outage_since(swept_at: datetime, now: datetime) -> Outage | None:
    """Tell whether sweeping has stood still since it was last heard of.

    Args:
        swept_at: When somebody swept last.
        now: The time.

    Returns:
        The outage, as far as it has come; None where there is none.
    """
    return Outage(began_at=swept_at, ended_at=now) if now - swept_at > STANDSTILL else None


def moved(deadline: datetime, intervals: Iterable[Interval], *, since: datetime) -> datetime:
    """Move a deadline by the times that do not count; where several overlap, each instant is counted once.

    Args:
        deadline: As it was set.
        intervals: Those that are known, in any order.
        since: From when on it was waited.

    Returns:
        The deadline; it never lies within an interval, and is never sooner than it was set.
    """
    covered_until = since
    for each in sorted(intervals, key=lambda each: each.began_at):
        began_at = max(each.began_at, covered_until)
        if began_at < min(deadline, each.ended_at):
            deadline += each.ended_at - began_at
            covered_until = each.ended_at
    return deadline


def counted(since: datetime, until: datetime, intervals: Iterable[Interval]) -> timedelta:
    """Return how much of a time counts."""
    return until - since - (moved(until, _cut(intervals, until), since=since) - until)


def _cut(intervals: Iterable[Interval], until: datetime) -> list[Interval]:
    """Leave out what comes later."""
    return [Stop(began_at=each.began_at, ended_at=min(each.ended_at, until)) for each in intervals if each.began_at < until]
