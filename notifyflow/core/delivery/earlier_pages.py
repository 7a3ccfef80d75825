"""How pages of a series' earlier incidents count in the open one: when they count as failed, and when they repeat; pure.

They never count as arrived.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.delivery.attempts import counted, used_up
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.intervals import Interval, paged_at
from notifyflow.core.delivery.model import NotificationState, Result, Severity
from notifyflow.core.delivery.proof import has_arrived, overdue_after
from notifyflow.core.delivery.series_carried import EarlierPage

PAGE_AGAIN_AFTER = timedelta(minutes=10)
"""How long after the last page of the series a tier that had opened pages again, once in each incident."""

_FAILING = (Result.IN_DOUBT, Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE)
_RETRIED = (Result.IN_DOUBT, Result.TEMPORARY_FAILURE)
_LEAST_WAITS = {"sms": timedelta(seconds=20), "voice": timedelta(seconds=20)}
_LEAST_WAIT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A page of an earlier incident of the series, and its row as it is now."""

    page: EarlierPage
    row: NotificationFacts


def failures(row: NotificationFacts) -> int:
    """Return the number of failed attempts that a row has used up."""
    return sum(attempt.result in _FAILING for attempt in used_up(row))


def in_all(earlier: Earlier, own: NotificationFacts | None = None) -> int:
    """Return the number of failed attempts of a way in the series, including its page in the open incident."""
    return earlier.page.failures + failures(earlier.row) + (failures(own) if own else 0)


def receipt_wait(escalation: EscalationFacts, channel: str) -> timedelta:
    """Return how long a receipt is awaited; after an earlier wait in the series, only the rest of it, or a minimum."""
    wait = overdue_after(escalation.policy, channel)
    pages = escalation.carried.pages if escalation.carried else ()
    waited = max((page.waited for page in pages if page.channel == channel), default=timedelta())
    return max(wait - waited, min(wait, _LEAST_WAITS.get(channel, _LEAST_WAIT)))


def failed_at(
    earlier: Earlier,
    own: NotificationFacts | None,
    escalation: EscalationFacts,
    *,
    outages: Iterable[Interval],
    intervals: Iterable[Interval],
) -> datetime | None:
    """Return when an earlier page counts as failed or suspected in the open incident; None if never.

    Args:
        earlier: The earlier page.
        own: The page of the open incident on the same channel of the tier; None if there is none yet.
        escalation: The escalation of the open incident.
        outages: Outages since it started, by which the wait for a receipt moves.
        intervals: Outages and pauses since then, by which every other wait moves.
    """
    row, now = earlier.row, escalation.started_at
    if has_arrived(row) or (own is not None and own.state in (NotificationState.SENT, NotificationState.DELIVERED)):
        return None
    total = in_all(earlier, own)
    if row.state is NotificationState.FAILED or total >= row.max_attempts:
        return now
    policy, is_critical = escalation.policy, escalation.severity is Severity.CRITICAL
    if not policy.is_suspicion_on:
        return None
    is_refused = any(attempt.is_our_fault or attempt.is_halved for attempt in counted(row))
    if is_refused or (is_critical and total >= policy.suspected_after_attempts):
        return now
    if row.state is NotificationState.SENT:
        wait = receipt_wait(escalation, row.channel)
        return paged_at(now + wait, outages, since=now, severity=escalation.severity) if is_critical else None
    schedule = policy.retries.schedule(row.channel, escalation.severity)
    longest = policy.suspected_after_deferral if is_critical else schedule.window
    left = max(longest - earlier.page.waited, timedelta())
    return paged_at(now + left, intervals, since=now, severity=escalation.severity)


def pages_again_at(earlier: Earlier, escalation: EscalationFacts) -> datetime:
    """Return when a channel of an opened tier pages again: at the opening of the incident, or later.

    After a page that was sent or failed for good, it is ``PAGE_AGAIN_AFTER``; a failed attempt is retried by the schedule, or at
    once if its message of several was refused for its content.
    """
    page, row = earlier.page, earlier.row
    attempts = counted(row)
    total = in_all(earlier)
    if not attempts:
        at = escalation.started_at if page.paged_at is None else page.paged_at + PAGE_AGAIN_AFTER
    elif attempts[-1].is_halved and attempts[-1].result in _RETRIED:
        at = escalation.started_at
    elif attempts[-1].result in _RETRIED and 0 < total < row.max_attempts:
        delays = escalation.policy.retries.schedule(row.channel, escalation.severity).delays
        at = (attempts[-1].ended_at or attempts[-1].started_at) + delays[min(total, len(delays)) - 1]
    else:
        at = attempts[-1].started_at + PAGE_AGAIN_AFTER
    return max(at, escalation.started_at)
