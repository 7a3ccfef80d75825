"""The state of one page in a decision: awaited, overdue, suspected, lost or expired; pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.delivery import earlier_pages
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.earlier_pages import Earlier
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.intervals import GRACE, POLLED_GRACE, Interval, PausedInterval, moved, paged_at
from notifyflow.core.delivery.model import IN_PROGRESS, AttemptState, DeferralReason, Kind, NotificationState, Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.delivery.proof import awaits_receipt, has_arrived, is_confirmed, silent_at


@dataclass(frozen=True, kw_only=True)
class DecisionContext:
    """The input of a decision about one escalation.

    Attributes:
        escalation: The escalation, read under its lock.
        notifications: All notifications of the escalation *after* the event.
        addresses: The channels on which the recipient can be reached.
        calling: The channels that ring a phone.
        wishes: The channels that the recipient wants at the start of a CRITICAL round.
        outages: Outages of the sweeper since the round started.
        polled: The providers that are polled for missing receipts.
        paused_intervals: Intervals since then without its clocks: a pause of everything of its urgency, or a quarantine
            of its incident.
        earlier: The pages carried over from earlier incidents of the series.
    """

    escalation: EscalationFacts
    incident: IncidentFacts
    notifications: tuple[NotificationFacts, ...]
    addresses: frozenset[str]
    calling: frozenset[str] = frozenset()
    wishes: tuple[str, ...] = ()
    polled: frozenset[str] = frozenset()
    outages: tuple[Interval, ...] = ()
    paused_intervals: tuple[PausedInterval, ...] = ()
    earlier: tuple[Earlier, ...] = ()

    @property
    def pages(self) -> tuple[NotificationFacts, ...]:
        """The pages of its tiers, without pages that were only wished for."""
        return tuple(row for row in self.notifications if row.kind is Kind.PAGE and row.tier)

    @property
    def wished(self) -> tuple[NotificationFacts, ...]:
        """The wished pages that no tier has adopted."""
        return tuple(row for row in self.notifications if row.kind is Kind.PAGE and not row.tier)

    @property
    def telling(self) -> tuple[NotificationFacts, ...]:
        """The pages that show whether the recipient was reached: the pages of tiers, and wished pages that arrived."""
        return (*self.pages, *(row for row in self.wished if is_confirmed(row)))

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """The times by which deadlines of pages and people move; deadlines of receipts move by ``outages`` only."""
        return (*self.outages, *self.paused_intervals)


def expires_at(escalation: EscalationFacts, intervals: Iterable[Interval]) -> datetime:
    """Return when the round expires: then no page is sent and no tier opens."""
    return moved(escalation.started_at + escalation.policy.freshness(escalation.severity), intervals, since=escalation.started_at)


def row_expires_at(escalation: EscalationFacts, row: NotificationFacts, intervals: Iterable[Interval]) -> datetime:
    """Return when a notification expires.

    A page expires with its round, or later by the time of the pauses that deferred it. Any other notification's age counts from
    when it was queued.
    """
    if row.kind is not Kind.PAGE:
        return moved(row.created_at + escalation.policy.fresh_for, intervals, since=row.created_at)
    return expires_at(escalation, (*intervals, *paused(row)))


def paused(row: NotificationFacts) -> tuple[PausedInterval, ...]:
    """Return the pauses that deferred a row; empty if none did."""
    if row.paused_since is None or row.paused_until is None:
        return ()
    return (PausedInterval(began_at=row.paused_since, ended_at=row.paused_until),)


def is_suspected(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a page counts as failed although it may still arrive."""
    policy = context.escalation.policy
    if not policy.is_suspicion_on:
        return False
    is_critical = row.severity is Severity.CRITICAL
    if row.state is NotificationState.SENT:
        return is_critical and is_overdue(context, row, now)
    if row.state not in IN_PROGRESS:
        return False
    if any(attempt.is_our_fault or attempt.is_halved for attempt in counted(row)):
        return True
    suspected_at = _suspected_at(context, row)
    has_failed_often = is_critical and earlier_pages.failures(row) >= policy.suspected_after_attempts
    return has_failed_often or (suspected_at is not None and now >= suspected_at)


def overdue_receipts(context: DecisionContext, now: datetime) -> frozenset[tuple[str, str]]:
    """Return channel and provider of each SENT page whose receipt is overdue."""
    overdue = (row for row in context.pages if awaits_receipt(row) and is_overdue(context, row, now))
    return frozenset((row.channel, counted(row)[-1].provider) for row in overdue)


def receipt_due_at(context: DecisionContext, row: NotificationFacts) -> datetime | None:
    """Return when a SENT row counts as overdue, whether or not a receipt can come; None if it needs none."""
    at = silent_at(row)
    if at is None:
        return None
    latest = counted(row)[-1]
    grace = POLLED_GRACE if latest.provider in context.polled else GRACE
    return paged_at(at, context.outages, since=latest.started_at, severity=row.severity, grace=grace)


def unconfirmed_at(row: NotificationFacts, policy: Policy, outages: Iterable[Interval]) -> datetime:
    """Return when a SENT row that needs a receipt is no longer awaited: when it is overdue, if no receipt can come."""
    latest = counted(row)[-1]
    at = latest.unproven_at or latest.started_at + policy.unconfirmed_after
    return moved(at, outages, since=latest.started_at)


def is_pending(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a page is in progress, or its arrival is still awaited."""
    if silent_at(row) is None:
        return row.state in IN_PROGRESS
    return now < unconfirmed_at(row, context.escalation.policy, context.outages)


def longest_deferral(row: NotificationFacts, policy: Policy) -> timedelta:
    """Return how long a row may be deferred before it is suspected; zero if the provider is suspended."""
    if row.deferred_by is DeferralReason.SUSPENSION:
        return timedelta(0)
    is_critical = row.severity is Severity.CRITICAL
    return policy.suspected_after_deferral if is_critical else policy.retries.schedule(row.channel, row.severity).window


def is_young(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a failure may open a tier: its attempt began, or the row was ended, less than ``escalate_within`` ago.

    An attempt under way has not failed.
    """
    attempts = [each for each in counted(row) if each.state is not AttemptState.RUNNING]
    began_at = row.ended_at or (attempts[-1].started_at if attempts else now)
    return now < moved(began_at + context.escalation.policy.escalate_within, context.intervals, since=began_at)


def is_overdue(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a SENT row is overdue."""
    due_at = receipt_due_at(context, row)
    return due_at is not None and now >= due_at


def _suspected_at(context: DecisionContext, row: NotificationFacts) -> datetime | None:
    """Return when a deferred row becomes suspected; None if it is not deferred."""
    if row.deferred_since is None:
        return None
    at = row.deferred_since + longest_deferral(row, context.escalation.policy)
    return paged_at(at, context.intervals, since=row.deferred_since, severity=row.severity)


def is_lost(context: DecisionContext, row: NotificationFacts) -> bool:
    """Return whether a page is FAILED, or is tried again although its way has used up its attempts in the series."""
    earlier = (each for each in context.earlier if (each.page.tier, each.page.channel) == (row.tier, row.channel))
    is_used_up = any(not has_arrived(each.row) and earlier_pages.in_all(each, row) >= row.max_attempts for each in earlier)
    return row.state is NotificationState.FAILED or (row.state is NotificationState.QUEUED and is_used_up)


def timers_of(context: DecisionContext, row: NotificationFacts) -> Iterator[datetime]:
    """Yield when a page becomes overdue, is no longer awaited, or is suspected; these times may have passed."""
    overdue_at = receipt_due_at(context, row)
    if overdue_at is not None:
        yield overdue_at
        yield unconfirmed_at(row, context.escalation.policy, context.outages)
    suspected_at = _suspected_at(context, row)
    if suspected_at is not None:
        yield suspected_at
