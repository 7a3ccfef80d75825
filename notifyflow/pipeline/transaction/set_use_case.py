"""Runs use cases for sets of items, each in one transaction; damaged items run apart, so that they harm no other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from notifyflow.errors import CommitUnknown, Contended, Refused, StaleRow, StorageUnavailable
from notifyflow.pipeline.transaction import set_aside, sparing, use_case
from notifyflow.pipeline.transaction.halving import SetPart, SetParts
from notifyflow.pipeline.transaction.journal import CutShort, is_looked_up
from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import DamagedRow

T = TypeVar("T")
Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class SetResult(Generic[T_co]):
    """The result of a set of items in one transaction.

    Attributes:
        results: For each item the use case's result, or its own error: nothing of it was stored. If the database stopped
            answering while they ran one by one, ``CommitUnknown`` or ``StorageUnavailable`` for the rest.
        follow_ups: The follow-ups of the stored items; the caller reports them.
        interruption: The interruption of the thread after some items were stored; the caller raises it after its report.
    """

    results: tuple[T_co | Exception, ...]
    follow_ups: FollowUps = NOTHING
    interruption: BaseException | None = None

    def only(self) -> Committed[T_co]:
        """Return the result of a set of one item; raise its error."""
        (result,) = self.results
        if isinstance(result, Exception):
            raise result
        return Committed(result, self.follow_ups)

    def finish(self, report: Callable[[FollowUps], object]) -> T_co:
        """Report what is stored of one item, and return its result; raise its error, or the interruption."""
        if self.follow_ups != NOTHING:
            report(self.follow_ups)
        if self.interruption is not None:
            raise self.interruption
        return self.only().value


@dataclass(frozen=True, slots=True)
class SetUseCase(Generic[Item, Loaded, T]):
    """A use case for a set of items.

    Attributes:
        name: The name under which the size of its sets is remembered.
        load: Locks and reads, with as many statements for all items as for one.
        handle: Handles one item, with the result of ``load``; it sees the changes of the items before it.
        finish: Writes what the items have in common, after the last one.
        blames: Returns the kind and id of the row to set aside if the item is damaged; None if there is none.
        counts_most: Whether an item is to be handled although a row of it cannot be written; see ``sparing``.
        is_in_sets: Whether a transaction handles no more items than ``Dependencies.set_size``: then those of one message take
            several.
    """

    name: str
    load: Callable[[Transaction, Sequence[Item]], Loaded]
    handle: Callable[[Transaction, Loaded, Item], T]
    finish: Callable[[Transaction, Loaded], None] = lambda tx, loaded: None
    blames: Callable[[Item], tuple[str, ...] | None] = lambda item: None
    counts_most: Callable[[Item], bool] = lambda item: False
    is_in_sets: bool = False

    def run(self, deps: Dependencies, items: Sequence[Item]) -> SetResult[T]:
        """Run it in one transaction, or several if it ``is_in_sets``.

        If items raise errors, the transaction is rolled back and runs again without them. If the whole set meets the same trouble
        twice (an unreadable row, a refused write, or locks of others), it is halved, until each half passes or one item is left.
        Damaged rows are set aside, so that they harm no other. After contention, the next sets are as small as the part that
        passed, and twice as large after each part that passes.

        Once something is stored, an error that ends the rest applies to the rest only.

        Raises:
            CommitUnknown: As ``run``.
            StorageUnavailable: When the database did not answer in time; nothing was stored.
        """
        running = _SetRun(self, deps, items)
        running.run()
        return running.result()

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
            except use_case.DAMAGE as error:
                errors[number] = error
        if errors:
            raise _Refused(errors)
        self.finish(tx, loaded)
        return results


class _SetRun(Generic[Item, Loaded, T]):
    """Runs the items of a set, part by part, within one time."""

    def __init__(self, kind: SetUseCase[Item, Loaded, T], deps: Dependencies, items: Sequence[Item]) -> None:
        self._kind = kind
        self._deps = deps
        self._items = items
        self._results: dict[int, T | Exception] = {}
        self._follow_ups = NOTHING
        self._is_anything_stored = False
        self._end: BaseException | None = None

    def run(self) -> None:
        """Run all, the first part first."""
        parts = SetParts(self._deps, self._kind.name, range(len(self._items)), is_in_sets=self._kind.is_in_sets)
        while (part := parts.take()) is not None:
            try:
                self._run_part(parts, part)
            except BaseException as error:
                is_of_part = isinstance(error, CommitUnknown) and len(part.items) < len(self._items)  # only its part fails
                if is_looked_up(error) or not (self._is_anything_stored or is_of_part):
                    raise
                self._end = error
                if isinstance(error, Exception):
                    self._results.update(dict.fromkeys(part.items, error))
                return

    def result(self) -> SetResult[T]:
        """Return the results, after damaged rows were set aside."""
        end = self._end
        waited_s, reason = (end.waited_s, end.reason) if isinstance(end, StorageUnavailable) else (0, "the set was cut short")
        left = StorageUnavailable(waited_s, reason)
        results = tuple(self._results.get(number, left) for number in range(len(self._items)))
        interruption = None if isinstance(end, Exception) else end
        follow_ups = self._follow_ups
        try:
            follow_ups += use_case.put_aside(self._deps, [] if end else list(self._damaged(results)))
        except BaseException as error:
            if is_looked_up(error):
                raise
            interruption = None if isinstance(error, CutShort) else error
        return SetResult(results, follow_ups, interruption)

    def _run_part(self, parts: SetParts[int], part: SetPart[int]) -> None:
        """Run a part in one transaction; put the rest back, and blame a single item for damage."""
        body = partial(self._kind.handle_all, {number: self._items[number] for number in part.items})
        try:
            found, follow_ups = parts.run(part, body)
        except _Refused as refused:
            is_alone = len(part.items) == 1
            again = [number for number, error in refused.errors.items() if not is_alone and set_aside.is_damage(error)]
            self._results.update({number: error for number, error in refused.errors.items() if number not in again})
            left = [number for number in part.items if number not in refused.errors]
            parts.put_back(*([SetPart(left)] if left else []), *(SetPart([number]) for number in again))
        except _Mixed as mixed:
            own = [number for number, is_operations in zip(part.items, mixed.is_operations, strict=True) if is_operations]
            parts.put_back(SetPart(own), SetPart([number for number in part.items if number not in own]))
        except use_case.DAMAGE as error:
            if not parts.halve(part, error):
                self._run_alone(part.items[0], body, error)
        else:
            self._note(found, follow_ups)

    def _run_alone(self, number: int, body: Callable[[Transaction], Mapping[int, T]], error: Exception) -> None:
        """Run a damaged item without the rows that cannot be written, if it counts for more; otherwise it is an error."""
        if self._kind.counts_most(self._items[number]) and sparing.is_unwritable(error):
            try:
                self._note(*sparing.run(self._deps, body))
                return
            except _Refused as refused:
                error = refused.errors[number]
            except (Contended, Refused) as again:
                error = again
        self._results[number] = set_aside.as_refusal(error)  # nobody is to try again at once

    def _note(self, found: Mapping[int, T], follow_ups: FollowUps) -> None:
        self._is_anything_stored = True
        self._results.update(found)
        self._follow_ups += follow_ups

    def _damaged(self, results: Sequence[T | Exception]) -> Iterator[DamagedRow]:
        for item, result in zip(self._items, results, strict=True):
            if isinstance(result, Exception) and set_aside.is_damage(result) and (row := self._kind.blames(item)):
                yield from set_aside.blamed(row, result)


def keep_apart(is_operations: Sequence[bool]) -> None:
    """Split a set with both operations incidents and others into two sets; the ``load`` of a set calls it before it locks.

    A transaction that locks escalations of both would lock the operations incident, whose lock must come first, after its
    escalations.
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
