"""When temporary failures and doubts are retried, and how long other retries pause."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from notifyflow.core.delivery.intervals import Interval, counted
from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import RetrySchedule


def next_due(
    schedule: RetrySchedule,
    *,
    attempts: int,
    first_started_at: datetime,
    now: datetime,
    fraction: float,
    retry_after_s: float | None,
    intervals: Iterable[Interval] = (),
) -> datetime | None:
    """Return the time of the next attempt, never sooner than the provider asked; None if that is beyond the window.

    The window begins with the first attempt; outages and pauses (``intervals``) do not count for it. Only a provider's
    ``Retry-After`` can end a row early. ``attempts`` is the number of attempts that count, from 1, and less than the schedule
    has.
    """
    wait = schedule.delays[attempts - 1] * (1 + schedule.jitter * (2 * fraction - 1))
    if retry_after_s is not None and retry_after_s > wait.total_seconds():
        if counted(first_started_at, now, intervals).total_seconds() + retry_after_s > schedule.window.total_seconds():
            return None
        wait = timedelta(seconds=retry_after_s)
    return now + wait


def resend_at(due_at: datetime, *, severity: Severity, called_at: datetime, doubt_resolution_time: timedelta) -> datetime:
    """Return when a message in doubt is sent again: not while the provider's events may resolve the doubt, unless it is CRITICAL.

    The call in doubt ended, or at least began, at ``called_at``; the provider's events arrive within ``doubt_resolution_time``.
    """
    return due_at if severity is Severity.CRITICAL else max(due_at, called_at + doubt_resolution_time)


def pause_s(tries: int, fraction: float, *, first_s: float, longest_s: float) -> float:
    """Return the pause before the next try, in seconds, after failures that hit many processes at once.

    The pause doubles with each failed try from ``first_s`` up to ``longest_s``. It is shortened at random (``fraction``) by up
    to half, so that processes that failed together do not retry together.
    """
    doublings = min(tries - 1, 32)  # more than any longest pause needs, and no float overflows
    return min(first_s * 2.0**doublings, longest_s) * (1 - fraction / 2)
