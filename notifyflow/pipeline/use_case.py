"""Runs use cases: one transaction each, which ends with the events for subscribers and notices to operations."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar, assert_never, cast

from notifyflow.core.facts import IncidentFacts
from notifyflow.core.references import ById, ByKey, IncidentRef
from notifyflow.core.set_aside import SetAside
from notifyflow.errors import CommitUnknown, Contended, NotFound, NotifyflowError, StaleRow, StorageUnavailable
from notifyflow.pipeline import incident_events, operations, set_aside, steps
from notifyflow.pipeline.journal import CutShort, Note, is_looked_up, next_note
from notifyflow.pipeline.ports import NOTHING, Committed, Consequences, Dependencies
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import Ledger, Line, Place, Unread

T = TypeVar("T")
Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
T_co = TypeVar("T_co", covariant=True)


_LEAST_S = 0.1
DAMAGE = (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError, NotifyflowError)
"""The errors that a damaged row or a bug of ours raises; those of the database concern the whole transaction."""

TOGETHER = 2
"""How often a set of several items may meet the same trouble before it is halved."""
ALONE = 4
"""How often an item alone may meet the same trouble before it is set aside."""
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done(Generic[T_co]):
    """The result of a transaction, what it led to, its last line in the log, the server's process, and what it could not read."""

    answer: T_co
    consequences: Consequences
    line: Line | None
    backend: int | None
    unread: tuple[Unread, ...]


def run(
    deps: Dependencies, body: Callable[[Transaction], T], *, tries: int | None = None, timeout_s: float = _TIMEOUT_S
) -> Committed[T]:
    """Run a use case; its body runs again from its start when the transaction lost a race, or its commit got lost.

    Rows that cannot be read are left out, and set aside after it.

    Raises:
        CommitUnknown: When the response to the commit was lost and the log does not show whether it was done; ``led_to`` returns
            what it led to if it was.
        Contended: When it met the same trouble ``tries`` times in a row.
        StorageUnavailable: When the database did not answer in time.
    """
    done = _run(deps, body, tries=tries, timeout_s=timeout_s)
    return Committed(done.answer, done.consequences + set_aside_unread(deps, done.unread))


def _run(deps: Dependencies, body: Callable[[Transaction], T], *, tries: int | None, timeout_s: float = _TIMEOUT_S) -> _Done[T]:
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


def _commit(deps: Dependencies, body: Callable[[Transaction], T], note: Note, *, tries: int | None, timeout_s: float) -> None:
    """Commit what a body does; again as long as there is time and the log shows that the commit was not done."""

    def once(ledger: Ledger) -> object:
        note.done = None
        tx = Transaction(ledger, deps)
        answer = body(tx)
        steps.settle(tx)
        incident_events.settle(tx)
        operations.settle(tx)
        if tx.mended:
            ledger.set_asides.release(tx.mended)
        note.done = _Done(
            answer=answer,
            consequences=tx.consequences,
            line=ledger.line,
            backend=ledger.backend,
            unread=tuple(ledger.unread),
        )
        return note.done

    left_s = timeout_s
    while not note.is_committed:
        try:
            deps.transactions.run(once, timeout_s=left_s, tries=tries)
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


def set_aside_unread(deps: Dependencies, unread: Sequence[Unread]) -> Consequences:
    """Set rows aside that could not be read."""
    with suppress(CutShort):  # they are met again
        return put_aside(deps, set_aside.places_of(unread)) if unread else NOTHING
    return NOTHING


def put_aside(deps: Dependencies, places: Sequence[Place]) -> Consequences:
    """Set damaged rows aside, each for five minutes; return what that led to.

    Operations is told in the same transaction, unless what it is told with is damaged itself. If the database does not answer,
    the rows are met again.
    """
    if not places:
        return NOTHING
    with suppress(StorageUnavailable):
        try:
            done = _run(deps, partial(set_aside.write, places=places, is_told=True), tries=ALONE)
        except DAMAGE as error:
            if not set_aside.is_damage(error):
                raise
            done = _run(deps, partial(set_aside.write, places=places, is_told=False), tries=ALONE)
        led_to = done.consequences + Consequences(set_aside=tuple(done.answer))
        return sum((_count_as_failed(deps, row) for row in done.answer if set_aside.counts_as_failed(row)), led_to)
    return NOTHING


def _count_as_failed(deps: Dependencies, row: SetAside) -> Consequences:
    """Decide the escalation of a page that counts as failed; if that is damaged, too, it is set aside."""
    try:
        return run(deps, partial(set_aside.decide, row=row), tries=ALONE).consequences
    except DAMAGE as error:
        if not set_aside.is_damage(error):
            return NOTHING
        return put_aside(deps, set_aside.blamed(("escalation", row.escalation_id), error))


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
        place: Returns the kind and the id of the row that is set aside if the item is damaged; None if there is none.
    """

    load: Callable[[Transaction, Sequence[Item]], Loaded]
    handle: Callable[[Transaction, Loaded, Item], T]
    finish: Callable[[Transaction, Loaded], None] = lambda tx, loaded: None
    place: Callable[[Item], tuple[str, ...] | None] = lambda item: None

    def run(self, deps: Dependencies, items: Sequence[Item]) -> Settled[T]:
        """Run it in one transaction.

        If items raise errors, the transaction is rolled back and runs again without them. If the set as a whole meets the same
        trouble twice, in a row that cannot be read, in what it writes, or in the locks of others, it is halved, until each half
        passes or one item is left. What is damaged is set aside, so that it harms no other.

        Once something is stored, what ends the rest is an error of the rest.

        Raises:
            CommitUnknown: As ``run``.
            StorageUnavailable: When the database did not answer in time; nothing was stored.
        """
        settling = _Settling(self, deps, items)
        settling.run()
        return settling.settled()

    def handle_all(self, items: Mapping[int, Item], tx: Transaction) -> Mapping[int, T]:
        """Handle some items in one transaction, by their numbers.

        Raises:
            _Refused: When some of them raised errors.
        """
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


class _Settling(Generic[Item, Loaded, T]):
    """Settles the items of a set, part by part, within one time."""

    def __init__(self, use_case: SetUseCase[Item, Loaded, T], deps: Dependencies, items: Sequence[Item]) -> None:
        self._use_case = use_case
        self._deps = deps
        self._items = items
        self._results: dict[int, T | Exception] = {}
        self._consequences = NOTHING
        self._is_anything_stored = False
        self._insisting: set[int] = set()
        self._end: BaseException | None = None
        self._ends_at = deps.clock.now() + timedelta(seconds=_TIMEOUT_S)

    def run(self) -> None:
        """Settle all, the first part first."""
        parts = deque([list(range(len(self._items)))] if self._items else [])
        while parts:
            part = parts.popleft()
            try:
                parts.extendleft(reversed(self._run_part(part)))
            except BaseException as error:
                is_of_part = isinstance(error, CommitUnknown) and len(part) < len(self._items)  # it concerns its part alone
                if is_looked_up(error) or not (self._is_anything_stored or is_of_part):
                    raise
                self._end = error
                if isinstance(error, Exception):
                    self._results.update(dict.fromkeys(part, error))
                return

    def settled(self) -> Settled[T]:
        """Return the results, after what is damaged was set aside."""
        end = self._end
        waited_s, reason = (end.waited_s, end.reason) if isinstance(end, StorageUnavailable) else (0, "the set was cut short")
        left = StorageUnavailable(waited_s, reason)
        results = tuple(self._results.get(number, left) for number in range(len(self._items)))
        interruption = None if isinstance(end, Exception) else end
        led_to = self._consequences
        try:
            led_to += put_aside(self._deps, [] if end else list(self._damaged(results)))
        except BaseException as error:
            if is_looked_up(error):
                raise
            interruption = None if isinstance(error, CutShort) else error
        return Settled(results, led_to, interruption)

    def _run_part(self, part: list[int]) -> Sequence[list[int]]:
        """Run a part in one transaction; return the parts that it leaves."""
        left_s = max((self._ends_at - self._deps.clock.now()).total_seconds(), 0.0)
        body = partial(self._use_case.handle_all, {number: self._items[number] for number in part})
        tries = TOGETHER if len(part) > 1 else ALONE if part[0] not in self._insisting else None
        try:
            found, consequences = run(self._deps, body, tries=tries, timeout_s=left_s)
        except _Refused as refused:
            again = [number for number, error in refused.errors.items() if len(part) > 1 and set_aside.is_damage(error)]
            self._results.update({number: error for number, error in refused.errors.items() if number not in again})
            left = [number for number in part if number not in refused.errors]
            return [*([left] if left else []), *([number] for number in again)]
        except _Mixed as mixed:
            own = [number for number, is_operations in zip(part, mixed.is_operations, strict=True) if is_operations]
            return [own, [number for number in part if number not in own]]
        except DAMAGE as error:
            return self._halve(part, error)
        self._is_anything_stored = True
        self._results.update(found)
        self._consequences += consequences
        return []

    def _halve(self, part: list[int], error: Exception) -> Sequence[list[int]]:
        """Return the halves of a part that met an error; blame a single item for damage."""
        is_damage = set_aside.is_damage(error)
        if not is_damage and isinstance(error, StorageUnavailable) and not isinstance(error, Contended):
            raise error
        if len(part) > 1:
            middle = len(part) // 2
            return [part[:middle], part[middle:]]
        if isinstance(error, Contended) and not is_damage:  # others are in its way; it is tried for as long as its time lasts
            self._insisting.add(part[0])
            return [part]
        self._results[part[0]] = set_aside.as_refusal(error)  # nobody is to try again at once
        return []

    def _damaged(self, results: Sequence[T | Exception]) -> Iterator[Place]:
        for item, result in zip(self._items, results, strict=True):
            if isinstance(result, Exception) and set_aside.is_damage(result) and (place := self._use_case.place(item)):
                yield from set_aside.blamed(place, result)


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
