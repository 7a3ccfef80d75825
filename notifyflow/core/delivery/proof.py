"""What shows that a page arrived: a report, a pressed key, or its acceptance if no receipt can come; pure.

Each function judges one page by its attempts alone, so that all readers of the rows come to the same result.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from notifyflow.core.capabilities import ChannelCapabilities
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Evidence, NotificationState, Severity
from notifyflow.core.delivery.policy import Policy

_OVERDUE_AFTER = timedelta(minutes=5)


def overdue_after(policy: Policy, channel: str) -> timedelta:
    """Return how long after an attempt its missing receipt is overdue."""
    return policy.overdue_after.get(channel, _OVERDUE_AFTER)


def unproven_after(policy: Policy, channel: str, severity: Severity, capabilities: ChannelCapabilities) -> timedelta | None:
    """Return how long an accepted page without possible receipts may still arrive; None if its acceptance shows its arrival.

    For a call it is the time of ringing. Whether a CRITICAL push is seen shows only by an acknowledgement; others are not
    awaited.
    """
    if capabilities.shows_without_receipt:
        return None
    is_awaited = capabilities.is_call or severity is Severity.CRITICAL
    return overdue_after(policy, channel) if is_awaited else timedelta(0)


def has_arrived(row: NotificationFacts) -> bool:
    """Return whether a page arrived: it is DELIVERED, a key was pressed, or SENT shows it without a receipt."""
    is_shown = row.state is NotificationState.SENT and silent_at(row) is None
    return is_shown or is_confirmed(row)


def is_confirmed(row: NotificationFacts) -> bool:
    """Return whether a page is DELIVERED or a key was pressed; such a page counts even outside the tiers."""
    has_key_press = any(attempt.evidence is Evidence.HUMAN for attempt in counted(row))
    return row.state is NotificationState.DELIVERED or has_key_press


def silent_at(row: NotificationFacts) -> datetime | None:
    """Return when a SENT page counts as overdue, before outages move it; None if it is not SENT, or needs no receipt."""
    if row.state is not NotificationState.SENT:
        return None
    due = (attempt.receipt_due_at or attempt.unproven_at for attempt in counted(row)[-1:])  # none in a damaged row
    return next(due, None)


def awaits_receipt(row: NotificationFacts) -> bool:
    """Return whether a receipt of a SENT page may still come."""
    return row.state is NotificationState.SENT and any(attempt.receipt_due_at for attempt in counted(row)[-1:])


def has_rung(row: NotificationFacts, calling: Collection[str]) -> bool:
    """Return whether a page made a phone ring: its carrier reports a call that rang, was answered, busy or not answered.

    A call that only the provider's own interface accepted has not rung, nor one that the carrier reports as failed or cancelled.
    """
    return row.channel in calling and any(rang(attempt) for attempt in counted(row))


def rang(attempt: AttemptFacts) -> bool:
    """Return whether a call rang, as ``has_rung`` says."""
    return attempt.evidence not in (None, Evidence.ACCEPTED)
