"""Ends queued notifications that can no longer be sent."""

from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle, page_rules
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.lifecycle import Moved
from notifyflow.core.delivery.model import CLOSED, NO_ADDRESS, Ended, EscalationState, Kind, NotificationState
from notifyflow.pipeline.delivery import decisions, eligibility, incident_events, outages
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction

_NO_ADDRESS = "the recipient has no address for {channel} any more"
_REASONS = {
    Ended.EXPIRED: "its round started too long ago",
    Ended.NO_PROVIDER: "no provider is configured for {channel}",
    Ended.CAPPED: "the hourly limit of {channel} is used up",
    Ended.OPTED_OUT: "the recipient has said STOP to every number that could text them",
}


def is_expired(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> bool:
    """Return whether a notification is too old to send."""
    if tx.now < page_rules.row_expires_at(escalation, row, ()):  # true of most rows, for which the intervals need not be read
        return False
    idle, paused_intervals = outages.idle_times(tx, escalation, incident_events.receiver(tx, row, escalation))
    return tx.now >= page_rules.row_expires_at(escalation, row, (*idle, *paused_intervals))


def is_overtaken(row: NotificationFacts, escalation: EscalationFacts) -> bool:
    """Return whether a page was not stopped with its round, since it was set aside then."""
    return row.kind is Kind.PAGE and (escalation.state in CLOSED or not escalation.is_current)


def stop_overtaken(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> None:
    """Stop a page that was not stopped with its round; both are locked."""
    is_acknowledged = escalation.state is EscalationState.ACKNOWLEDGED
    tx.write(row, lifecycle.stop(row, "acknowledged" if is_acknowledged else "replaced", now=tx.now))


def end(tx: Transaction, row: NotificationFacts, why: Ended) -> Moved:
    """End a queued notification that can no longer be sent."""
    return lifecycle.end(row, why, reason=_REASONS[why].format(channel=row.channel), now=tx.now)


def write_end(tx: Transaction, row: NotificationFacts, why: Ended) -> None:
    """End a queued notification that can no longer be sent, and log why, also if its recipient has no address any more."""
    contact = incident_events.receiver(tx, row, tx.ledger.escalations.get(row.escalation_id))
    moved = end(tx, row, why)
    if why is Ended.NO_PROVIDER and row.channel not in contact.addresses:
        gone = replace(moved.after, reason=_NO_ADDRESS.format(channel=row.channel))
        tx.write(row, replace(moved, after=gone), reason=NO_ADDRESS)
    else:
        tx.write(row, moved, reason=why.value)


def end_queued(deps: Dependencies, escalation_id: str, notification_id: str, why: Ended) -> FollowUps:
    """End a row if it is still queued, in its own transaction, which locks the escalation first."""

    def body(tx: Transaction) -> None:
        escalation, row = tx.ledger.escalations.lock(escalation_id), tx.ledger.notifications.lock(notification_id)
        if row.state is NotificationState.QUEUED:
            write_end(tx, row, why)
            decisions.decide_page(tx, escalation, row, cause="recorded")
        if why is Ended.CAPPED and not tx.ledger.incidents.get(row.incident_id).is_operations:
            tx.notices.append((eligibility.USED_UP, row.channel))

    return use_case.run(deps, body, tries=use_case.ALONE)[1]
