"""Runs use cases: one transaction each, which ends with the events for subscribers and notices to operations."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar, cast

from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.errors import CommitUnknown, Contended, NotifyflowError, StorageUnavailable
from notifyflow.pipeline.transaction import set_aside
from notifyflow.pipeline.transaction.journal import CutShort, JournalEntry, next_note
from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.dialects import ServerTransaction
from notifyflow.storage.ledger import DamagedRow, Ledger, Line, Unread

T = TypeVar("T")
Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
T_co = TypeVar("T_co", covariant=True)


_LEAST_S = 0.1
DAMAGE = (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError, NotifyflowError)
"""The errors of a damaged row or a bug of ours; database errors apply to the whole transaction."""

TOGETHER = 2
"""How often a set of several items may meet the same trouble before it is halved."""
ALONE = 4
"""How often an item alone may meet the same trouble before it is set aside."""
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done(Generic[T_co]):
    """A transaction's result, follow-ups, last log line, server transaction, and unreadable rows."""

    answer: T_co
    follow_ups: FollowUps
    line: Line | None
    writer: ServerTransaction | None
    unread: tuple[Unread, ...]


def run(
    deps: Dependencies, body: Callable[[Transaction], T], *, tries: int | None = None, timeout_s: float = TIMEOUT_S
) -> Committed[T]:
    """Run a use case. Its body runs again from its start if the transaction lost a race, or its commit was lost.

    Unreadable rows are left out, and set aside after it.

    Raises:
        CommitUnknown: When the response to the commit was lost and the log does not show whether it was done; ``follow_ups_of``
            returns its follow-ups if it was.
        Contended: When it met the same trouble ``tries`` times in a row.
        StorageUnavailable: When the database did not answer in time.
    """
    done = _run(deps, body, tries=tries, timeout_s=timeout_s)
    return Committed(done.answer, done.follow_ups + set_aside_unread(deps, done.unread))


def _run(deps: Dependencies, body: Callable[[Transaction], T], *, tries: int | None, timeout_s: float = TIMEOUT_S) -> _Done[T]:
    note = next_note()
    if not note.is_committed:
        try:
            _look_up(deps, note) if note.is_old else _commit(deps, body, note, tries=tries, timeout_s=timeout_s)
        except CommitUnknown:
            raise
        except Exception as error:
            note.error = error
            raise
    return cast(_Done[T], note.done)


def _commit(
    deps: Dependencies, body: Callable[[Transaction], T], note: JournalEntry, *, tries: int | None, timeout_s: float
) -> None:
    """Run and commit a body; again while there is time and the log shows that the commit was not done."""

    def once(ledger: Ledger) -> object:
        note.done = None
        tx = Transaction(ledger, deps)
        answer = body(tx)
        for act in deps.wiring.at_end:
            act(tx)
        if tx.mended:
            ledger.set_asides.release(tx.mended)
        note.done = _Done(
            answer=answer,
            follow_ups=tx.follow_ups,
            line=ledger.line,
            writer=ledger.server_transaction,
            unread=tuple(ledger.unread),
        )
        return note.done

    left_s = timeout_s
    while not note.is_committed:
        try:
            left_s -= _try(deps, once, note, tries=tries, timeout_s=left_s)
        except StorageUnavailable as error:
            if left_s < timeout_s and not isinstance(error, CommitUnknown | Contended):
                raise _all_lost(timeout_s) from None
            raise
        if not note.is_committed and left_s < _LEAST_S:
            raise _all_lost(timeout_s)


def _try(
    deps: Dependencies, once: Callable[[Ledger], object], note: JournalEntry, *, tries: int | None, timeout_s: float
) -> float:
    """Run a transaction and note whether it was committed; return how long a lost commit took, in seconds."""
    try:
        deps.transactions.run(once, timeout_s=timeout_s, tries=tries)
    except CommitUnknown as unknown:
        note.is_committed = _was_done(deps, note.done, unknown.waited_s)
        return max(unknown.waited_s, _LEAST_S)
    note.is_committed = True
    return 0.0


def _all_lost(waited_s: float) -> StorageUnavailable:
    return StorageUnavailable(waited_s, "the connection broke during each commit, and nothing was stored")


def _look_up(deps: Dependencies, note: JournalEntry) -> None:
    """Look up the commit of a transaction whose thread was cut short; raise the transaction's error.

    Raises:
        CutShort: When nothing was stored.
        CommitUnknown: As ``run``.
    """
    if note.error is not None:
        raise note.error
    note.is_committed = note.done is not None and _was_done(deps, note.done, 0)
    if not note.is_committed:
        raise CutShort


def _was_done(deps: Dependencies, done: object, waited_s: float) -> bool:
    """Return whether a commit was done, as the log shows once its connection is dead.

    Raises:
        CommitUnknown: When it wrote no line to the log, or the database does not answer.
    """
    line, writer = cast(_Done[object], done).line, cast(_Done[object], done).writer
    if line is None:
        raise CommitUnknown(waited_s, done)
    try:
        return deps.transactions.run(lambda ledger: ledger.has_written(line, writer))
    except CommitUnknown as unknown:  # the transaction only read
        return bool(unknown.result)
    except StorageUnavailable:
        raise CommitUnknown(waited_s, done) from None


def set_aside_unread(deps: Dependencies, unread: Sequence[Unread]) -> FollowUps:
    """Set unreadable rows aside."""
    with suppress(CutShort):  # they will be met again
        return put_aside(deps, set_aside.damaged_rows_of(unread)) if unread else NOTHING
    return NOTHING


def put_aside(deps: Dependencies, damaged: Sequence[DamagedRow]) -> FollowUps:
    """Set damaged rows aside, each for five minutes; return the follow-ups.

    Operations is told in the same transaction, unless the rows of that report are damaged themselves. If the database does not
    answer, the rows will be met again.
    """
    if not damaged:
        return NOTHING
    with suppress(StorageUnavailable):
        try:
            done = _run(deps, partial(set_aside.write, damaged=damaged, is_told=True), tries=ALONE)
        except DAMAGE as error:
            if not set_aside.is_damage(error):
                raise
            done = _run(deps, partial(set_aside.write, damaged=damaged, is_told=False), tries=ALONE)
        follow_ups = done.follow_ups + FollowUps(set_aside=tuple(done.answer))
        return sum((_count_as_failed(deps, row) for row in done.answer if set_aside.counts_as_failed(row)), follow_ups)
    return NOTHING


def _count_as_failed(deps: Dependencies, row: SetAside) -> FollowUps:
    """Decide the escalation of a page that counts as failed; if the escalation is damaged, too, set it aside."""
    try:
        return run(deps, lambda tx: deps.wiring.decide(tx, row.escalation_id), tries=ALONE).follow_ups
    except DAMAGE as error:
        if not set_aside.is_damage(error):
            return NOTHING
        return put_aside(deps, set_aside.blamed(("escalation", row.escalation_id), error))


def follow_ups_of(unknown: CommitUnknown) -> FollowUps:
    """Return the follow-ups of a use case whose commit is unknown, if the commit was done."""
    return cast(_Done[object], unknown.result).follow_ups


def moved_nothing(unknown: CommitUnknown) -> bool:
    """Return whether a use case with an unknown commit moved nothing, so that it may be repeated; the log cannot show it."""
    return cast(_Done[object], unknown.result).line is None
