"""What providers say: the inbox, in which every event stands once, and how it was settled."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from peewee import SQL, Expression, IntegerField, Select, Tuple, Value, fn

from notifyflow.core.model import Receipt
from notifyflow.storage.models import AttemptRow, ReceiptRow
from notifyflow.storage.moves import Moves
from notifyflow.storage.statements import Places, Run, Statement

_COLUMNS = tuple(Receipt.__dataclass_fields__)
_IS_WAITING = ReceiptRow.standing == SQL("'waiting'")
_HAS_ATTEMPT = fn.EXISTS(
    AttemptRow.select(SQL("1")).where(
        AttemptRow.provider == ReceiptRow.provider,
        AttemptRow.provider_ref == ReceiptRow.provider_ref,
        AttemptRow.provider_ref != SQL("''"),
    )
)


def _waiting(where: Callable[[Places], Expression]) -> Statement:
    """Read what waits, in the order it came; the last value says how many at most."""
    columns = [getattr(ReceiptRow, name) for name in _COLUMNS]

    def build(given: Places) -> Select:
        found = ReceiptRow.select(*columns).where(_IS_WAITING, where(given))
        return found.order_by(ReceiptRow.received_at).limit(given(IntegerField()))

    return Statement(build)


_WAITING = _waiting(
    lambda given: (
        (ReceiptRow.provider == given(ReceiptRow.provider)) & (ReceiptRow.provider_ref == given(ReceiptRow.provider_ref))
    )
)
_MISSED = _waiting(
    lambda given: (
        ((ReceiptRow.received_at > given(ReceiptRow.received_at)) | (ReceiptRow.received_at < given(ReceiptRow.received_at)))
        & _HAS_ATTEMPT
    )
)
_STALE = _waiting(lambda given: (ReceiptRow.received_at < given(ReceiptRow.received_at)) & ~_HAS_ATTEMPT)


def _has_old_body(before: datetime | Value) -> Expression:
    old: Expression = (ReceiptRow.body != SQL("''")) & (ReceiptRow.received_at < before)
    return old


_OLD_BODY = Statement(
    lambda given: ReceiptRow.select(ReceiptRow.event_id).where(_has_old_body(given(ReceiptRow.received_at))).limit(1)
)


class Standing(StrEnum):
    """How far a receipt is settled."""

    WAITING = "waiting"
    MATCHED = "matched"
    FOREIGN = "foreign"
    DONE = "done"


class Inbox(Moves):
    """Receipts."""

    def add_receipt(self, receipt: Receipt, *, raw: str, at: datetime, attempt_id: str | None = None) -> bool:
        """Keep a receipt, as one that is settled where it is known whose it is, and waits for that otherwise.

        Args:
            receipt: What it says.
            raw: The body it came in, as it came; personal.
            at: When it came.
            attempt_id: Whose attempt it is about; None where that is not known yet.

        Returns:
            Whether it is new: False where the provider's event stands here already.
        """
        values = {name: getattr(receipt, name) for name in _COLUMNS}
        standing = Standing.WAITING if attempt_id is None else Standing.MATCHED
        values |= {"standing": standing, "matched_attempt_id": attempt_id, "body": raw, "received_at": at}
        return self._insert_once(ReceiptRow, values)

    def note_called_back(self, receipt: Receipt) -> None:
        """Note that the callback of a receipt that was fetched has come, too."""
        is_it = (ReceiptRow.provider == receipt.provider) & (ReceiptRow.event_id == receipt.event_id)
        ReceiptRow.update(is_fetched=False).where(is_it, ReceiptRow.is_fetched).execute(self._db)

    def settle_receipt(self, receipt: Receipt, *, attempt_id: str | None) -> bool:
        """Note whose attempt a receipt that waits was about; None: nobody's, it is foreign.

        Returns:
            Whether it waited still; False where somebody else has settled it.
        """
        standing = Standing.FOREIGN if attempt_id is None else Standing.MATCHED
        is_it = (ReceiptRow.provider == receipt.provider) & (ReceiptRow.event_id == receipt.event_id)
        query = ReceiptRow.update(standing=standing, matched_attempt_id=attempt_id).where(is_it, _IS_WAITING)
        return bool(query.execute(self._db))

    def settle_answer(self, receipt: Receipt, *, is_done: bool) -> None:
        """Note that a receipt that waits is what somebody answered.

        What was done because of it is not done again: its event is kept for ever, since nothing in it says how old it is.
        """
        is_it = (ReceiptRow.provider == receipt.provider) & (ReceiptRow.event_id == receipt.event_id)
        standing = Standing.DONE if is_done else Standing.FOREIGN
        ReceiptRow.update(standing=standing).where(is_it, _IS_WAITING).execute(self._db)

    def waiting_receipts(self, provider: str, provider_ref: str) -> tuple[Receipt, ...]:
        """Read what a provider has said about a message of its own id before we knew that id, in the order it came."""
        return self._receipts(_WAITING(provider, provider_ref, 100))

    def missed_receipts(self, *, since: datetime, before: datetime, limit: int) -> tuple[Receipt, ...]:
        """Read what waits though its attempt is known, of what came since one instant or before the other, in the order it came.

        A receipt and the record of its attempt that are written at once do not see each other.
        """
        return self._receipts(_MISSED(since, before, limit))

    def stale_receipts(self, *, before: datetime, limit: int) -> tuple[Receipt, ...]:
        """Read what came before then and still waits, and whose attempt nobody knows, in the order it came."""
        return self._receipts(_STALE(before, limit))

    def forget_bodies(self, *, before: datetime, limit: int) -> None:
        """Overwrite the raw bodies of some that came before then; what was read from them stays."""
        if not self._rows(_OLD_BODY(before)):  # as a rule there are none, and a sweep is not to write for nothing
            return
        key = Tuple(ReceiptRow.provider, ReceiptRow.event_id)
        old = (
            ReceiptRow.select(ReceiptRow.provider, ReceiptRow.event_id)
            .where(_has_old_body(before))
            .order_by(ReceiptRow.received_at)
            .limit(limit)
        )
        ReceiptRow.update(body="").where(key.in_(old)).execute(self._db)

    def _receipts(self, found: Run) -> tuple[Receipt, ...]:
        return tuple(Receipt(**row) for row in self._rows(found))
