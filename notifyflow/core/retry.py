"""When a temporary failure, or a doubt, is tried again."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from notifyflow.core import outage
from notifyflow.core.model import Severity
from notifyflow.core.outage import Interval
from notifyflow.core.policy import Schedule


def next_due(
    schedule: Schedule,
    *,
    attempts: int,
    first_started_at: datetime,
    now: datetime,
    fraction: float,
    retry_after_s: float | None,
    breaks: Iterable[Interval] = (),
) -> datetime | None:
    """Find the instant of the next attempt.

    Only a provider's ``Retry-After`` can end a row early: hours in which no worker of ours ran, or it was paused, are not held
    against it.

    Args:
        schedule: The notification's.
        attempts: Those that were made and count, from 1; fewer than ``schedule.attempts``.
        first_started_at: When the first of them began; the window runs from there.
        now: The time of the decision.
        fraction: From [0, 1); where in the jitter's range the wait lies.
        retry_after_s: What the provider asked to wait, in seconds; None where it did not say.
        breaks: Times that do not count: outages and pauses.

    Returns:
        The instant, never sooner than the provider asked; None when the provider asks for one beyond the window.
    """
    wait = schedule.delays[attempts - 1] * (1 + schedule.jitter * (2 * fraction - 1))
    if retry_after_s is not None and retry_after_s > wait.total_seconds():
        if outage.counted(first_started_at, now, breaks).total_seconds() + retry_after_s > schedule.window.total_seconds():
            return None
        wait = timedelta(seconds=retry_after_s)
    return now + wait


def resend_at(due_at: datetime, *, severity: Severity, called_at: datetime, doubt_resolution_time: timedelta) -> datetime:
    """Put a resend off while the provider's own events may still resolve the doubt; what is CRITICAL does not wait.

    Args:
        due_at: When it would be sent again.
        severity: The round's.
        called_at: When the call in doubt was over, or began where nobody knows.
        doubt_resolution_time: How soon the events come; zero where none do.
    """
    return due_at if severity is Severity.CRITICAL else max(due_at, called_at + doubt_resolution_time)
