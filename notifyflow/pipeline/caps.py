"""Counts calls and texts inside the claim's transaction, under the locks of the channel's carriers."""

from collections.abc import Mapping

from notifyflow.core import caps
from notifyflow.core.facts import EscalationFacts, NotificationFacts
from notifyflow.pipeline.carriers import Desk, is_urgent
from notifyflow.pipeline.transaction import Transaction

USED_UP = "the cap of calls and texts an hour was reached: some fail for it"
"""What operations is told."""


def is_capped(tx: Transaction, desk: Desk, row: NotificationFacts, escalation: EscalationFacts) -> bool:
    """Tell whether a notification may not be sent any more in this hour."""
    caps_of = _caps(tx, row, escalation)
    if not caps_of:
        return False
    desk.open()  # whoever counts for this channel waits here
    spent = tx.ledger.spent(row.channel, caps_of, hour=caps.hour_of(tx.now))
    return caps.is_used_up(caps_of, spent, is_urgent=is_urgent(row))


def spend(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> None:
    """Count a notification that is sent now."""
    tx.ledger.spend(row.channel, _caps(tx, row, escalation), hour=caps.hour_of(tx.now))


def _caps(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> Mapping[str, int]:
    if row.channel not in caps.CAPPED_CHANNELS:
        return {}
    address = tx.ledger.contact(row.incident_id, escalation.recipient_id).addresses[row.channel]
    return tx.tools.caps.of(row.channel, escalation.recipient_id, address)
