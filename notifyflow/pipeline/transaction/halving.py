"""Divides a set of items into parts that succeed: a failing part is halved, until each half succeeds or one item is left."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, NoReturn, TypeVar

from notifyflow.errors import CommitUnknown, Contended, StorageUnavailable
from notifyflow.pipeline.transaction import set_aside, use_case
from notifyflow.pipeline.transaction.journal import noted
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction

T = TypeVar("T")
Item = TypeVar("Item")


class _Passed(Exception):
    """Raised to roll back what could be done."""


@dataclass(frozen=True, slots=True)
class SetPart(Generic[Item]):
    """Some items of a set, for one transaction.

    Attributes:
        items: The items; a transaction that searches for them fills them in.
        wanted: How many it searches for at most; 0 if it does not.
        is_insisted_on: Whether contention has stopped this single item; it is tried until the time is up.
    """

    items: list[Item]
    wanted: int = 0
    is_insisted_on: bool = False

    @property
    def count(self) -> int:
        """How many items it has, or searches for if it has found none."""
        return len(self.items) or self.wanted

    @property
    def tries(self) -> int | None:
        """How often it may meet the same trouble."""
        if self.is_insisted_on:
            return None
        return use_case.ALONE if self.count == 1 else use_case.TOGETHER


class SetParts(Generic[Item]):
    """The remaining parts of a set, with one time limit for all.

    Args:
        deps: The dependencies of the use cases.
        name: The use case, under which the size that passes under contention is remembered.
        items: The items.
        is_in_sets: Whether a part has no more than ``Dependencies.set_size``.
    """

    def __init__(self, deps: Dependencies, name: str, items: Sequence[Item] = (), *, is_in_sets: bool = False) -> None:
        self._deps = deps
        self._name = name
        self._is_in_sets = is_in_sets
        self._left = deque([SetPart(list(items))] if items else [])
        self._ends_at: datetime | None = None

    def search(self, wanted: int, *, is_insisted_on: bool = False) -> SetPart[Item]:
        """Return a part whose transaction searches for its items: for all wanted ones, or fewer under contention."""
        return SetPart([], self._most(wanted), is_insisted_on)

    def take(self) -> SetPart[Item] | None:
        """Take the next part, or as much of it as may pass; None if none is left."""
        if not self._left:
            return None
        part = self._left.popleft()
        if (most := self._most(part.count)) < len(part.items):
            self._left.appendleft(SetPart(part.items[most:]))
            return SetPart(part.items[:most])
        return part

    def _most(self, wanted: int) -> int:
        most = min(wanted, self._deps.set_size) if self._is_in_sets else wanted
        return noted(lambda: self._deps.pressure.most(self._name, most))

    def put_back(self, *parts: SetPart[Item]) -> None:
        """Put parts before all others."""
        self._left.extendleft(reversed(parts))

    def run(self, part: SetPart[Item], body: Callable[[Transaction], T]) -> Committed[T]:
        """Run a part in one transaction; raises as ``use_case.run``."""
        now = self._deps.clock.now()
        self._ends_at = self._ends_at or now + timedelta(seconds=use_case.TIMEOUT_S)
        left_s = max((self._ends_at - now).total_seconds(), 0.0)
        try:
            committed = use_case.run(self._deps, body, tries=part.tries, timeout_s=left_s)
        except StorageUnavailable as error:
            if not (isinstance(error, CommitUnknown) or set_aside.is_damage(error)):
                self._deps.pressure.met(self._name, part.count)
            raise
        self._deps.pressure.passed(self._name, len(part.items))
        return committed

    def rehearse(self, part: SetPart[Item], body: Callable[[Transaction], object]) -> None:
        """Run a part in a transaction that is rolled back; raises as ``run`` if it could not be committed."""
        with suppress(_Passed):
            self.run(part, partial(_roll_back, body))

    def halve(self, part: SetPart[Item], error: Exception) -> bool:
        """Put a failed part back as two halves; return False if a single item is damaged or refused.

        A single item under contention is put back behind all others. A search that found nothing yet searches for fewer.

        Raises:
            StorageUnavailable: When the database is away, or the time is over.
        """
        is_damage, items = set_aside.is_damage(error), part.items
        items[:] = noted(items.copy)
        if isinstance(error, StorageUnavailable) and not (is_damage or isinstance(error, Contended)):
            raise error
        if len(items) > 1:
            middle = len(items) // 2
            self.put_back(SetPart(items[:middle]), SetPart(items[middle:]))
        elif isinstance(error, Contended) and not is_damage:
            self._left.append(SetPart(items, (part.wanted + 1) // 2, is_insisted_on=part.count == 1))
        else:
            return False
        return True


def _roll_back(body: Callable[[Transaction], object], tx: Transaction) -> NoReturn:
    body(tx)
    tx.ledger.flush()
    raise _Passed
