"""Runs use cases: one transaction each, which ends with the events for subscribers and notices to operations."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar, assert_never, cast

from notifyflow.core.facts import IncidentFacts
from notifyflow.core.references import ById, ByKey, IncidentRef
from notifyflow.errors import CommitUnknown, NotFound, NotifyflowError, StaleRow, StorageUnavailable
from notifyflow.pipeline import incident_events, operations, steps
from notifyflow.pipeline.journal import CutShort, Note, is_looked_up, next_note
from notifyflow.pipeline.ports import NOTHING, Committed, Consequences, Dependencies
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import Ledger, Line

T = TypeVar("T")
Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
T_co = TypeVar("T_co", covariant=True)


_TIMEOUT_S = 5.0
_LEAST_S = 0.1
DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, NotifyflowError)
"""The errors that a damaged row or a bug of ours raises; those of the database concern the whole transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done(Generic[T_co]):
    """The result of a transaction, what it led to, its last line in the log, if any, and the server's process that ran it."""

    answer: T_co
    consequences: Consequences
    line: Line | None
    backend: int | None


def run(deps: Dependencies, body: Callable[[Transaction], T]) -> Committed[T]:
    """Run a use case; its body runs again from its start when the transaction lost a race, or its commit got lost.

    Raises:
        CommitUnknown: When the response to the commit was lost and the log does not show whether it was done; ``led_to`` returns
            what it led to if it was.
        StorageUnavailable: When the database did not answer in time.
    """
    note = next_note()
    if not note.is_committed:
        try:
            _look_up(deps, note) if note.is_old else _commit(deps, body, note)
        except CommitUnknown:
            raise
        except Exception as error:
            note.error = error
            raise
    done = cast(_Done[T], note.done)
    return Committed(done.answer, done.consequences)


def _commit(deps: Dependencies, body: Callable[[Transaction], T], note: Note) -> None:
    """Commit what a body does; again as long as there is time and the log shows that the commit was not done."""

    def once(ledger: Ledger) -> object:
        note.done = None
        tx = Transaction(ledger, deps)
        answer = body(tx)
        steps.settle(tx)
        incident_events.settle(tx)
        operations.settle(tx)
        note.done = _Done(answer=answer, consequences=tx.consequences, line=ledger.line, backend=ledger.backend)
        return note.done

    left_s = _TIMEOUT_S
    while not note.is_committed:
        try:
            deps.transactions.run(once, timeout_s=left_s)
            note.is_committed = True
        except CommitUnknown as unknown:
            left_s -= max(unknown.waited_s, _LEAST_S)
            note.is_committed = _was_done(deps, note.done, unknown.waited_s)
            if not note.is_committed and left_s < _LEAST_S:
                reason = "the connection broke during each commit, and nothing was stored"
                raise StorageUnavailable(unknown.waited_s, reason) from None


def _look_up(deps: Dependencies, note: Note) -> None:
    """Find out what became of a transaction whose thread was cut short; raise what it raised.

    Raises:
        CutShort: When nothing of it was stored.
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
    line, backend = cast(_Done[object], done).line, cast(_Done[object], done).backend
    if line is None:
        raise CommitUnknown(waited_s, done)
    try:
        return deps.transactions.run(lambda ledger: ledger.has_written(line, backend))
    except CommitUnknown as unknown:  # of a transaction that only read
        return bool(unknown.result)
    except StorageUnavailable:
        raise CommitUnknown(waited_s, done) from None


@dataclass(frozen=True, slots=True)
class Settled(Generic[T_co]):
    """A set of items that was handled in one transaction.

    Attributes:
        results: For each item what the use case returned, or the error that concerns it alone: nothing of it was stored. If the
            database stopped answering while they ran one by one, ``CommitUnknown`` or ``StorageUnavailable`` for the rest.
        consequences: What the others led to; the caller reports it.
        interruption: What interrupted the thread when some of them were stored; the caller raises it after its report.
    """

    results: tuple[T_co | Exception, ...]
    consequences: Consequences = NOTHING
    interruption: BaseException | None = None

    def only(self) -> Committed[T_co]:
        """Return the result of a set of one item; raise its error."""
        (result,) = self.results
        if isinstance(result, Exception):
            raise result
        return Committed(result, self.consequences)


@dataclass(frozen=True, slots=True)
class SetUseCase(Generic[Item, Loaded, T]):
    """A use case for a set of items.

    Attributes:
        load: Locks and reads, with as many statements for all items as for one.
        handle: Handles one item, with what ``load`` returned; it sees what the items before it made of a row.
        finish: Writes what the items have in common, after the last one.
    """

    load: Callable[[Transaction, Sequence[Item]], Loaded]
    handle: Callable[[Transaction, Loaded, Item], T]
    finish: Callable[[Transaction, Loaded], None] = lambda tx, loaded: None

    def run(self, deps: Dependencies, items: Sequence[Item]) -> Settled[T]:
        """Run it in one transaction.

        If items raise errors, the transaction is rolled back and runs again without them. If a row cannot be read, or the
        database refuses what the set wrote, the items run one by one, so that a bad row harms no other.

        Raises:
            CommitUnknown: As ``run``.
            StorageUnavailable: When the database did not answer in time; nothing was stored.
        """
        results: dict[int, T | Exception] = {}
        consequences = NOTHING
        while left := {number: item for number, item in enumerate(items) if number not in results}:
            try:
                found, consequences = run(deps, partial(self._handle_all, left))
                results.update(found)
            except _Refused as refused:
                results.update(refused.errors)
            except _Mixed as mixed:
                own = {number for number, is_operations in zip(left, mixed.is_operations, strict=True) if is_operations}
                return self._run_apart(deps, items, [own, set(range(len(items))) - own])
            except StorageUnavailable:
                raise
            except DAMAGE as error:
                if len(left) > 1:
                    return self._run_apart(deps, items, [{number} for number in range(len(items))])
                results.update(dict.fromkeys(left, error))
        return Settled(tuple(results[number] for number in range(len(items))), consequences)

    def _handle_all(self, items: Mapping[int, Item], tx: Transaction) -> Mapping[int, T]:
        loaded = self.load(tx, list(items.values()))
        results: dict[int, T] = {}
        errors: dict[int, Exception] = {}
        for number, item in items.items():
            try:
                results[number] = self.handle(tx, loaded, item)
            except (StaleRow, StorageUnavailable):
                raise
            except DAMAGE as error:
                errors[number] = error
        if errors:
            raise _Refused(errors)
        self.finish(tx, loaded)
        return results

    def _run_apart(self, deps: Dependencies, items: Sequence[Item], parts: Sequence[Collection[int]]) -> Settled[T]:
        """Run each part in a transaction of its own; once one is committed, what ends the next one is an error of the rest."""
        results: dict[int, T | Exception] = {}
        consequences = NOTHING
        end: BaseException | None = None
        for part in parts:
            try:
                settled = self.run(deps, [items[number] for number in part])
            except BaseException as error:
                is_of_part = bool(results) or isinstance(error, CommitUnknown)  # which concerns its part alone
                if is_looked_up(error) or not is_of_part:
                    raise
                end = error
                if isinstance(error, Exception):
                    results.update(dict.fromkeys(part, error))
                break
            results.update(zip(part, settled.results, strict=True))
            consequences += settled.consequences
            if end := settled.interruption:
                break
        waited_s, reason = (end.waited_s, end.reason) if isinstance(end, StorageUnavailable) else (0, "the set was cut short")
        left = StorageUnavailable(waited_s, reason)
        return Settled(
            tuple(results.get(number, left) for number in range(len(items))),
            consequences,
            interruption=None if isinstance(end, Exception) else end,
        )


def keep_apart(is_operations: Sequence[bool]) -> None:
    """Make a set of operations incidents and of others two sets; the ``load`` of a set calls it before it locks.

    A transaction that locks the escalations of both would lock the operations incident, which comes before its escalations, after
    them.
    """
    if len(set(is_operations)) > 1:
        raise _Mixed(is_operations)


class _Mixed(Exception):
    """Raised by ``keep_apart``."""

    def __init__(self, is_operations: Sequence[bool]) -> None:
        super().__init__()
        self.is_operations = is_operations


class _Refused(Exception):
    """Raised to roll back when some items of a set raised errors."""

    def __init__(self, errors: Mapping[int, Exception]) -> None:
        super().__init__()
        self.errors = errors


def led_to(unknown: CommitUnknown) -> Consequences:
    """Return what a use case led to, if its commit was done whose response was lost."""
    return cast(_Done[object], unknown.result).consequences


def moved_nothing(unknown: CommitUnknown) -> bool:
    """Return whether a use case whose commit is unknown moved nothing, so that it may be repeated; the log cannot tell of it."""
    return cast(_Done[object], unknown.result).line is None


def run_on(deps: Dependencies, ref: IncidentRef, body: Callable[[Transaction, IncidentFacts], T]) -> Committed[T]:
    """Run a use case, as ``run``, on one incident, which is locked for it.

    Raises:
        NotFound: When there is no such incident.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
    """
    return run(deps, lambda tx: body(tx, _lock(tx, ref)))


def _lock(tx: Transaction, ref: IncidentRef) -> IncidentFacts:
    match ref:
        case ByKey(key, namespace):
            incident = tx.ledger.incidents.lock_named(key, namespace=namespace)
            name = key
        case ById(incident_id):
            incident = tx.ledger.incidents.find(incident_id, is_locked=True)
            name, namespace = incident_id, None
        case _:
            assert_never(ref)
    if incident is None:
        raise NotFound(name, namespace)
    return incident
