"""Accepted attempts that lack a decisive receipt, and how often their status was polled."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add

from peewee import SQL, Case

from notifyflow.storage.models import AttemptRow, NotificationRow
from notifyflow.storage.unit import Unit
from notifyflow.storage.work import is_free

_OLDEST = timedelta(days=1)
_IS_AWAITING_RECEIPT = (  # as the index has it
    (AttemptRow.result == SQL("'accepted'"))
    & (AttemptRow.times_polled < SQL("3"))
    & AttemptRow.receipt_due_at.is_null(is_null=False)
    & (AttemptRow.provider_ref != SQL("''"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptToPoll:
    """An attempt whose status is to be polled.

    Attributes:
        attempt_id: The attempt.
        channel: Which channel carries it.
        provider: The provider to poll.
        provider_ref: The provider's id of the message.
        started_at: When the attempt began.
        receipt_due_at: From when on its receipt is overdue.
        times_polled: How often it was polled.
    """

    attempt_id: str
    channel: str
    provider: str
    provider_ref: str
    started_at: datetime
    receipt_due_at: datetime
    times_polled: int


class StatusPolls(Unit):
    """Status polls."""

    def attempts_to_poll(
        self, providers: Collection[str], *, ahead: timedelta, waits: Sequence[timedelta], now: datetime, limit: int
    ) -> tuple[AttemptToPoll, ...]:
        """Find attempts to poll, the oldest first; not locked. Attempts of quarantined incidents are left out.

        Args:
            providers: The providers to poll.
            ahead: How long before its receipt is overdue an attempt is polled for the first time.
            waits: How long after its start it is polled again.
            now: The instant.
            limit: How many at most.
        """
        passed = (AttemptRow.receipt_due_at <= now + ahead, *(AttemptRow.started_at <= now - wait for wait in waits))
        times = reduce(add, (Case(None, [(each, 1)], 0) for each in passed))
        query = (
            AttemptRow.select(
                AttemptRow.id.alias("attempt_id"),
                NotificationRow.channel,
                AttemptRow.provider,
                AttemptRow.provider_ref,
                AttemptRow.started_at,
                AttemptRow.receipt_due_at,
                AttemptRow.times_polled,
            )
            .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
            .where(
                _IS_AWAITING_RECEIPT,
                is_free(NotificationRow),
                AttemptRow.started_at > now - _OLDEST,
                AttemptRow.provider.in_(list(providers)),
                AttemptRow.times_polled < times,
            )
            .order_by(AttemptRow.started_at)
            .limit(limit)
        )
        return tuple(AttemptToPoll(**row) for row in self._rows(query))

    def record_poll(self, attempt: AttemptToPoll, *, times: int) -> bool:
        """Count a poll; return False if another process has counted one since the attempt was read."""
        is_it = (AttemptRow.id == attempt.attempt_id) & (AttemptRow.times_polled == attempt.times_polled)
        return bool(self._execute(AttemptRow.update(times_polled=times).where(is_it)))
