"""Counts a provider's callbacks, and the attempts it sent none for."""

from datetime import datetime

from peewee import JOIN, SQL, Case, fn

from notifyflow.core.model import AttemptState
from notifyflow.core.tier_rules import Silence
from notifyflow.storage.models import AttemptRow, EscalationRow, NotificationRow, ReceiptRow
from notifyflow.storage.unit import Unit


class Callbacks(Unit):
    """Questions about the callback path of one provider on one channel."""

    def has_called_back(self, provider: str, channel: str, *, since: datetime) -> bool:
        """Return whether a provider has called back since an instant; callbacks of unknown attempts count for every channel."""
        query = (
            ReceiptRow.select(SQL("1"))
            .join(AttemptRow, JOIN.LEFT_OUTER, on=(AttemptRow.id == ReceiptRow.matched_attempt_id))
            .join(NotificationRow, JOIN.LEFT_OUTER, on=(NotificationRow.id == AttemptRow.notification_id))
            .where(
                ReceiptRow.provider == provider,
                ReceiptRow.received_at > since,
                ReceiptRow.is_fetched == SQL("FALSE"),
                NotificationRow.channel.is_null() | (NotificationRow.channel == channel),
            )
        )
        return self._first(query.limit(1)) is not None

    def silence(self, provider: str, channel: str, *, since: datetime, now: datetime) -> Silence:
        """Count the attempts of a provider on a channel since an instant for which receipts are awaited."""
        is_sent = AttemptRow.state != AttemptState.NOT_SENT
        is_owing = AttemptRow.evidence.is_null(is_null=False) & (AttemptRow.receipt_due_at <= now)
        query = (
            AttemptRow.select(
                fn.COUNT(Case(None, [(is_owing, 1)])).alias("accepted"),
                fn.COUNT(Case(None, [(is_owing, EscalationRow.recipient_id)]).distinct()).alias("reached"),
                fn.COUNT(Case(None, [(is_sent, EscalationRow.recipient_id)]).distinct()).alias("sent_to"),
            )
            .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
            .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
            .where(
                AttemptRow.provider == provider,
                AttemptRow.started_at > since,
                AttemptRow.receipt_due_at.is_null(is_null=False),
                NotificationRow.channel == channel,
            )
        )
        (row,) = self._rows(query)
        return Silence(**row)
