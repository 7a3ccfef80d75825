"""Deadlines, and the intervals by which they move: outages, pauses and quarantines; pure.

During an outage of notifyflow receipts may be lost and people may be unable to acknowledge; during a pause nobody is paged. So a
deadline that passes during either shows nothing, and moves by its length. But a CRITICAL page must not wait for ever if no
process lives for long: outages move a deadline that pages somebody by a quarter of an hour at most.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.delivery.model import Severity

LONGEST = timedelta(minutes=15)
"""The most by which outages alone move a CRITICAL deadline that pages somebody."""

GRACE = timedelta(seconds=20)
"""How long after an outage a deadline that passed in it is over: receipts and acknowledgements may come first."""

POLLED_GRACE = timedelta(seconds=60)
"""The same for a receipt whose provider is polled, which takes a while."""

OUTAGE_AFTER = timedelta(seconds=60)
"""A longer time without a sweep is an outage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A time by which deadlines move.

    Attributes:
        ended_at: When it ended, or will end by itself; now, if that is unknown.
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
class PausedInterval(Interval):
    """A pause, or a quarantine.

    Attributes:
        is_for_critical: Whether CRITICAL is stopped, too.
        is_quarantined: Whether it is a quarantine of the incident: then receipts are not waited for, either.
    """

    is_for_critical: bool = True
    is_quarantined: bool = False


def outage_since(swept_at: datetime, now: datetime) -> Outage | None:
    """Return the outage that has lasted since the last sweep; None if there is none."""
    return Outage(began_at=swept_at, ended_at=now) if now - swept_at > OUTAGE_AFTER else None


def moved(deadline: datetime, intervals: Iterable[Interval], *, since: datetime) -> datetime:
    """Return the deadline of a wait since ``since``, moved by outages and pauses; it never lies within one of them.

    The intervals are in any order; overlapping ones count once.
    """
    covered_until = since
    for each in sorted(intervals, key=lambda each: each.began_at):
        began_at = max(each.began_at, covered_until)
        if began_at < min(deadline, each.ended_at):
            deadline += each.ended_at - began_at
            covered_until = each.ended_at
    return deadline


def paged_at(
    deadline: datetime, intervals: Iterable[Interval], *, since: datetime, severity: Severity, grace: timedelta = GRACE
) -> datetime:
    """Return a deadline that pages somebody, moved by outages and pauses.

    If it is CRITICAL, time covered by outages alone moves it by ``LONGEST`` at most. If it then lies in an outage, it is over
    ``grace`` after that outage; later outages do not move it.
    """
    known = tuple(intervals)
    if severity is not Severity.CRITICAL:
        return moved(deadline, known, since=since)
    paused_intervals = [each for each in known if not isinstance(each, Outage)]
    left = LONGEST
    for each in _stretches(known, since):
        if each.began_at >= deadline:
            break
        length = min(each.length, left) if isinstance(each, Outage) else each.length
        deadline += length
        left -= length if isinstance(each, Outage) else timedelta()
    ends = [each.ended_at for each in known if isinstance(each, Outage) and each.began_at < deadline <= each.ended_at]
    return moved(max(ends) + grace, paused_intervals, since=max(ends)) if ends else deadline


def _stretches(intervals: Sequence[Interval], since: datetime) -> list[Interval]:
    """Return intervals from an instant on, in order and without overlaps; of an outage only the time that no pause covers."""
    paused_intervals = _joined((each for each in intervals if not isinstance(each, Outage)), since)
    outages = _joined((each for each in intervals if isinstance(each, Outage)), since)
    alone = (rest for each in outages for rest in _uncovered(each, paused_intervals))
    return sorted((*paused_intervals, *alone), key=lambda each: each.began_at)


def _joined(intervals: Iterable[Interval], since: datetime) -> list[Interval]:
    """Return intervals in order, each without what an earlier one covers."""
    found: list[Interval] = []
    covered_until = since
    for each in sorted(intervals, key=lambda each: each.began_at):
        if each.ended_at > covered_until:
            found.append(Interval(began_at=max(each.began_at, covered_until), ended_at=each.ended_at))
            covered_until = each.ended_at
    return found


def _uncovered(outage: Interval, paused_intervals: Iterable[Interval]) -> Iterator[Outage]:
    """Yield the parts of an outage that no paused interval covers; these are in order."""
    at = outage.began_at
    for pause in paused_intervals:
        until = min(pause.began_at, outage.ended_at)
        if at < until:
            yield Outage(began_at=at, ended_at=until)
        at = max(at, pause.ended_at)
    if at < outage.ended_at:
        yield Outage(began_at=at, ended_at=outage.ended_at)


def without_outages(intervals: Iterable[Interval], severity: Severity) -> tuple[Interval, ...]:
    """Return the intervals that count in a series' earlier incident: without outages if CRITICAL, so that these do not add up.

    Outages of the open incident move a CRITICAL deadline by ``LONGEST`` at most; those of earlier incidents would add to it.
    """
    return tuple(each for each in intervals if severity is not Severity.CRITICAL or not isinstance(each, Outage))


def counted(since: datetime, until: datetime, intervals: Iterable[Interval]) -> timedelta:
    """Return how much of a period lies outside the intervals."""
    return until - since - (moved(until, _cut(intervals, until), since=since) - until)


def _cut(intervals: Iterable[Interval], until: datetime) -> list[Interval]:
    """Return the intervals cut off at ``until``."""
    return [Interval(began_at=each.began_at, ended_at=min(each.ended_at, until)) for each in intervals if each.began_at < until]
