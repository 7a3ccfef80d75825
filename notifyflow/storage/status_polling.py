"""Attempts that a provider has taken and says nothing more about, and how often it was asked."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add

from peewee import SQL, Case

from notifyflow.storage.models import AttemptRow, NotificationRow
from notifyflow.storage.moves import Moves
from notifyflow.storage.work import is_free

_OLDEST = timedelta(days=1)
_IS_SILENT = (  # as the index has it
    (AttemptRow.result == SQL("'accepted'"))
    & (AttemptRow.times_asked < SQL("3"))
    & AttemptRow.receipt_due_at.is_null(is_null=False)
    & (AttemptRow.provider_ref != SQL("''"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """An attempt to ask after.

    Attributes:
        attempt_id: The attempt.
        channel: Which channel carries it.
        provider: Whom to ask.
        provider_ref: Its id of the message.
        started_at: When the attempt began.
        receipt_due_at: From when on its receipt is overdue.
        times_asked: How often it was asked after.
    """

    attempt_id: str
    channel: str
    provider: str
    provider_ref: str
    started_at: datetime
    receipt_due_at: datetime
    times_asked: int


class Questions(Moves):
    """What is asked, and that it was."""

    def silent_attempts(
        self, providers: Collection[str], *, ahead: timedelta, waits: Sequence[timedelta], now: datetime, limit: int
    ) -> tuple[Silent, ...]:
        """Find attempts to ask after, the oldest first; not locked. What is held is nobody's to ask after.

        Args:
            providers: Whom to ask.
            ahead: How long before its receipt is overdue an attempt is asked after for the first time.
            waits: How long after its beginning it is asked after again.
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
                AttemptRow.times_asked,
            )
            .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
            .where(
                _IS_SILENT,
                is_free(NotificationRow.incident_id),
                AttemptRow.started_at > now - _OLDEST,
                AttemptRow.provider.in_(list(providers)),
                AttemptRow.times_asked < times,
            )
            .order_by(AttemptRow.started_at)
            .limit(limit)
        )
        return tuple(Silent(**row) for row in self._rows(query))

    def note_asked(self, silent: Silent, *, times: int) -> bool:
        """Note that an attempt is asked after; tell whether nobody else has noted it since it was read."""
        is_it = (AttemptRow.id == silent.attempt_id) & (AttemptRow.times_asked == silent.times_asked)
        return bool(AttemptRow.update(times_asked=times).where(is_it).execute(self._db))
