"""When every remaining way to a recipient is held up, so that operations is told before a page fails; pure.

A pause of everything holds up nothing: the person who started it knows. It stops these clocks, too.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from notifyflow.core.delivery import page_rules, tier_rules
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.intervals import paged_at
from notifyflow.core.delivery.model import IN_PROGRESS, DeferralReason, IncidentState, Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import Unacknowledged
from notifyflow.core.delivery.proof import has_arrived

REASON = "held_up"
"""The reason of the alert, as in ``AlertOperations``."""

SHORTEST = timedelta(seconds=30)
"""No way is held up sooner."""

_AFTER: Mapping[DeferralReason, timedelta] = {
    DeferralReason.PAUSE: SHORTEST,
    DeferralReason.SUSPENSION: SHORTEST,
    DeferralReason.CIRCUIT: SHORTEST,
    DeferralReason.LIMIT: timedelta(minutes=2),
    DeferralReason.RETRY_AFTER: timedelta(minutes=2),
}


def is_held_up(context: DecisionContext, now: datetime) -> bool:
    """Return whether every remaining way of a CRITICAL page is held up.

    After a page has arrived, only ways opened by a timer count: the policy wants them tried in any case. A tier that a timer will
    open is a remaining way.
    """
    if not _is_meant(context) or tier_rules.is_tier_timer_running(context, now):
        return False
    left = [row for row in context.pages if _is_left(context, row, now)]
    held = [row for row in left if (at := _held_up_at(context, row)) is not None and now >= at]
    is_missed = not any(map(has_arrived, context.telling)) or any(_is_timed(context, row) for row in held)
    return bool(left) and len(held) == len(left) and is_missed


def timers(context: DecisionContext, now: datetime) -> Iterator[datetime]:
    """Yield when ways may become held up."""
    if _is_meant(context) and context.escalation.held_up_at is None:
        found = (_held_up_at(context, row) for row in context.pages)
        yield from (at for at in found if at is not None and at > now)


def _is_meant(context: DecisionContext) -> bool:
    is_open = context.incident.state is IncidentState.OPEN and not context.incident.is_operations
    return is_open and context.escalation.severity is Severity.CRITICAL


def _is_left(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a page is to be sent, or its receipt may still come in time."""
    receipt_due_at = page_rules.receipt_due_at(context, row)
    return row.state in IN_PROGRESS or (receipt_due_at is not None and now < receipt_due_at)


def _held_up_at(context: DecisionContext, row: NotificationFacts) -> datetime | None:
    """Return when a deferred page counts as held up; None if it is not deferred."""
    after = _AFTER.get(row.deferred_by) if row.deferred_by is not None else None
    if after is None or row.deferred_since is None:
        return None
    return paged_at(row.deferred_since + after, context.intervals, since=row.deferred_since, severity=row.severity)


def _is_timed(context: DecisionContext, row: NotificationFacts) -> bool:
    """Return whether the tier of a page opens by a timer."""
    return any(isinstance(rule, Unacknowledged) for rule in context.escalation.policy.tiers[(row.tier or 1) - 1].rules)
