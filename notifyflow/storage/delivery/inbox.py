"""The inbox: stores each event of a provider once, with its state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Any

from peewee import JOIN, SQL, Expression, IntegerField, Select, Tuple, Value

from notifyflow.core.delivery.model import Receipt, Result
from notifyflow.storage.session import sets
from notifyflow.storage.session.conditions import is_aside
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Parameters, Run, Statement, finds
from notifyflow.storage.tables import AttemptRow, NotificationRow, ReceiptRow

_MOST_WAITING = 1000
_COLUMNS = tuple(Receipt.__dataclass_fields__)
_KEY = ("provider", "event_id")
_DECIDING = (Result.DELIVERED, Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE)
_IS_WAITING = ReceiptRow.state == SQL("'waiting'")
_IS_NAMED = (AttemptRow.provider == ReceiptRow.provider) & (AttemptRow.id == ReceiptRow.attempt_id)
_IS_REFERRED_TO = (
    (AttemptRow.provider == ReceiptRow.provider)
    & (AttemptRow.provider_ref == ReceiptRow.provider_ref)
    & (AttemptRow.provider_ref != SQL("''"))
)
_HAS_ATTEMPT = reduce(or_, (finds(AttemptRow.select(SQL("1")).where(each)) for each in (_IS_NAMED, _IS_REFERRED_TO)))


def _waiting(where: Callable[[Parameters], Expression]) -> Statement:
    """Read waiting receipts in the order they came; the last value is the limit."""
    columns = [getattr(ReceiptRow, name) for name in _COLUMNS]

    def build(param: Parameters) -> Select:
        found = ReceiptRow.select(*columns).where(_IS_WAITING, where(param))
        return found.order_by(ReceiptRow.received_at).limit(param(IntegerField()))

    return Statement(build)


_WAITING = _waiting(lambda param: param.any_of(ReceiptRow.provider) & param.any_of(ReceiptRow.provider_ref))
_MISSED = _waiting(
    lambda param: (
        ((ReceiptRow.received_at > param(ReceiptRow.received_at)) | (ReceiptRow.received_at < param(ReceiptRow.received_at)))
        & _HAS_ATTEMPT
        & ~is_aside(ReceiptRow.event_id)
    )
)
_STALE = _waiting(lambda param: (ReceiptRow.received_at < param(ReceiptRow.received_at)) & ~_HAS_ATTEMPT)


def _has_old_body(before: datetime | Value) -> Expression:
    old: Expression = (ReceiptRow.body != SQL("''")) & (ReceiptRow.received_at < before)
    return old


_OLD_BODY = Statement(
    lambda param: ReceiptRow.select(ReceiptRow.event_id).where(_has_old_body(param(ReceiptRow.received_at))).limit(1)
)


class ReceiptState(StrEnum):
    """The state of a receipt in the inbox."""

    WAITING = "waiting"
    MATCHED = "matched"
    FOREIGN = "foreign"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A receipt as it came.

    Attributes:
        raw: The body it came in; personal.
        attempt_id: Its attempt; None if that is unknown.
        is_applied: Whether the transaction that stores it applies it; otherwise it waits.
    """

    receipt: Receipt
    raw: str
    attempt_id: str | None
    is_applied: bool = True


def _row(receipt: Receipt, raw: str, at: datetime, state: ReceiptState, attempt_id: str | None = None) -> dict[str, Any]:
    values = {name: getattr(receipt, name) for name in _COLUMNS}
    return values | {"state": state, "matched_attempt_id": attempt_id, "body": raw, "received_at": at}


def _key(receipt: Receipt) -> tuple[str, ...]:
    """Return a receipt's key as it is stored; receipts are locked in the order of their keys."""
    return tuple(getattr(ReceiptRow, name).db_value(getattr(receipt, name)) for name in _KEY)


def _match(arrived: Arrived) -> tuple[ReceiptState, str | None]:
    if not arrived.is_applied:
        return ReceiptState.WAITING, None
    if arrived.attempt_id is not None:
        return ReceiptState.MATCHED, arrived.attempt_id
    return (ReceiptState.WAITING if arrived.receipt.attempt_id is None else ReceiptState.FOREIGN), None


class Inbox(Repository):
    """Receipts."""

    def add(self, receipt: Receipt, *, raw: str, at: datetime) -> bool:
        """Store a waiting receipt; return whether it is new. See ``add_many``."""
        return self._unit.insert_once(ReceiptRow, _row(receipt, raw, at, ReceiptState.WAITING))

    def add_many(self, arrived: Sequence[Arrived], *, at: datetime) -> tuple[bool, ...]:
        """Store receipts: as matched if they are applied to known attempts, as foreign if they name others, else as waiting.

        Args:
            arrived: The receipts.
            at: When they came.

        Returns:
            For each receipt whether it is new: False if the provider's event is stored already, or comes twice in
                ``arrived``.
        """
        keys = [_key(each.receipt) for each in arrived]
        first = {key: number for number, key in reversed([*enumerate(keys)])}
        ordered = [arrived[first[key]] for key in sorted(first)]
        rows = [_row(each.receipt, each.raw, at, *_match(each)) for each in ordered]
        inserted = self._unit.insert_new(ReceiptRow, rows, _KEY)
        return tuple(key in inserted and first[key] == number for number, key in enumerate(keys))

    def note_called_back(self, receipts: Sequence[Receipt]) -> None:
        """Note that the callbacks of fetched receipts have arrived, too."""
        if receipts:
            rows = [(False, *key, True) for key in sorted(map(_key, receipts))]
            sets.update(self._unit.db, ReceiptRow, ("is_fetched",), (*_KEY, "is_fetched"), rows)

    def match(self, waiting: Sequence[tuple[Receipt, str | None]]) -> tuple[bool, ...]:
        """Match waiting receipts with their attempts; a receipt without an attempt is marked as foreign.

        Returns:
            For each receipt whether it was still waiting; False if another process was faster.
        """
        if not waiting:
            return ()
        by_key = {_key(receipt): attempt_id for receipt, attempt_id in waiting}
        rows = [
            (ReceiptState.FOREIGN if attempt_id is None else ReceiptState.MATCHED, attempt_id, *key, ReceiptState.WAITING)
            for key, attempt_id in sorted(by_key.items())
        ]
        columns, guards = ("state", "matched_attempt_id"), (*_KEY, "state")
        matched = self._unit.update_those(ReceiptRow, columns, guards, _KEY, rows)
        return tuple(_key(receipt) in matched for receipt, _ in waiting)

    def store_reply(self, receipt: Receipt, *, is_done: bool) -> None:
        """Store that a waiting receipt is a reply.

        A reply that had an effect must have it only once. Its event is kept for ever, since nothing in it shows its age.
        """
        is_it = (ReceiptRow.provider == receipt.provider) & (ReceiptRow.event_id == receipt.event_id)
        state = ReceiptState.DONE if is_done else ReceiptState.FOREIGN
        self._unit.execute(ReceiptRow.update(state=state).where(is_it, _IS_WAITING))

    def waiting(self, providers: Sequence[str], provider_refs: Sequence[str]) -> tuple[Receipt, ...]:
        """Read the receipts that came before their attempts' message ids were known, in the order they came."""
        return self._receipts(_WAITING(providers, provider_refs, _MOST_WAITING))

    def missed(self, *, since: datetime, before: datetime, limit: int) -> tuple[Receipt, ...]:
        """Read waiting receipts of known attempts that came after ``since`` or before ``before``, in the order they came.

        A receipt and the record of its attempt that are written at the same time do not see each other.
        """
        return self._receipts(_MISSED(since, before, limit))

    def stale(self, *, before: datetime, limit: int) -> tuple[Receipt, ...]:
        """Read waiting receipts of unknown attempts that were received before an instant, the oldest first."""
        return self._receipts(_STALE(before, limit))

    def has_called_back(self, provider: str, channel: str, *, since: datetime) -> bool:
        """Return whether a provider has reported a delivery or a failure since an instant, even of an unknown attempt."""
        query = (
            ReceiptRow.select(SQL("1"))
            .join(AttemptRow, JOIN.LEFT_OUTER, on=(AttemptRow.id == ReceiptRow.matched_attempt_id))
            .join(NotificationRow, JOIN.LEFT_OUTER, on=(NotificationRow.id == AttemptRow.notification_id))
            .where(
                ReceiptRow.provider == provider,
                ReceiptRow.received_at > since,
                ReceiptRow.is_fetched == SQL("FALSE"),
                ReceiptRow.result.in_(_DECIDING),
                NotificationRow.channel.is_null() | (NotificationRow.channel == channel),
            )
        )
        return self._unit.first(query.limit(1)) is not None

    def forget_bodies(self, *, before: datetime, limit: int) -> None:
        """Overwrite the raw bodies of some receipts received before an instant; the parsed values stay."""
        if not self._unit.rows(_OLD_BODY(before)):  # usually there are none, and a sweep must not write for nothing
            return
        key = Tuple(ReceiptRow.provider, ReceiptRow.event_id)
        old = (
            ReceiptRow.select(ReceiptRow.provider, ReceiptRow.event_id)
            .where(_has_old_body(before))
            .order_by(ReceiptRow.received_at)
            .limit(limit)
        )
        self._unit.execute(ReceiptRow.update(body="").where(key.in_(old)))

    def _receipts(self, found: Run) -> tuple[Receipt, ...]:
        return tuple(Receipt(**row) for row in self._unit.rows(found))
