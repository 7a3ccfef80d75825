"""Decides, inside the claim's transaction, whether and by which providers a notification may be sent: caps and opt-outs.

Calls and texts are counted under the locks of the channel's providers.
"""

from collections.abc import Sequence
from datetime import datetime

from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.limits import cap_counts
from notifyflow.pipeline.delivery.provider_health import is_urgent
from notifyflow.pipeline.delivery.reply_codes import texted_number
from notifyflow.pipeline.transaction.running import Transaction

USED_UP = "the cap of calls and texts an hour was reached: some fail for it"
"""The notice to operations."""


def allowed_providers(
    tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, providers: Sequence[str]
) -> Sequence[str]:
    """Return the providers that may send to the recipient; of a text, those without a STOP from the recipient's number."""
    senders = tx.deps.senders.get(row.channel)
    if not senders:
        return providers
    number = texted_number(tx, row.channel, tx.ledger.contacts.get(row.incident_id, escalation.recipient_id))
    opted_out = tx.ledger.replies.opt_outs(number, senders.values()) if number else frozenset()
    return [provider for provider in providers if senders.get(provider) not in opted_out] if opted_out else providers


def is_capped(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> bool:
    """Return whether a cap refuses the notification in this hour; the caller holds the locks of the channel's providers."""
    if row.channel not in tx.deps.caps.channels:
        return False
    caps_of = tx.deps.caps.of(row.channel, *_owner_and_address(tx, row, escalation), is_urgent=is_urgent(row))
    return bool(caps_of) and cap_counts.is_used_up(
        caps_of, tx.ledger.providers.spent(row.channel, caps_of, hour=cap_counts.hour_of(tx.now))
    )


def spend(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> None:
    """Count a notification that is sent now."""
    if row.channel in tx.deps.caps.channels:
        counted = tx.deps.caps.counted(row.channel, *_owner_and_address(tx, row, escalation))
        tx.ledger.providers.spend(row.channel, counted, hour=cap_counts.hour_of(tx.now))


def refund(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, *, spent_at: datetime) -> None:
    """Count a notification no longer that was claimed, and of which nothing was sent."""
    if row.channel in tx.deps.caps.channels:
        counted = tx.deps.caps.counted(row.channel, *_owner_and_address(tx, row, escalation))
        tx.ledger.providers.refund(row.channel, counted, hour=cap_counts.hour_of(spent_at))


def _owner_and_address(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> tuple[str, str]:
    """Return the namespace and the address of a notification."""
    address = tx.ledger.contacts.get(row.incident_id, escalation.recipient_id).addresses[row.channel]
    return row.namespace, address
