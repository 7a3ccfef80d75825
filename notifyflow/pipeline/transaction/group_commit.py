"""Commits the items of a process's threads in groups (group commit): while one transaction runs, the next group fills.

It has no thread of its own: one of the waiting threads is the leader. It commits all pending items, its own or not, and then
another thread leads. If a leader is cut short, or its commit is unknown, the next thread first checks the log for committed
items.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, cast

from notifyflow.errors import CommitUnknown
from notifyflow.pipeline.transaction.journal import CutShort, Journal
from notifyflow.pipeline.transaction.ports import NOTHING, FollowUps
from notifyflow.pipeline.transaction.set_use_case import SetResult
from notifyflow.pipeline.transaction.use_case import moved_nothing

Item = TypeVar("Item")
T = TypeVar("T")


class ConditionLock(Protocol):
    """A lock on which threads wait for each other, such as ``threading.Condition``."""

    def __enter__(self) -> bool: ...

    def __exit__(self, *arguments: object) -> None: ...

    def wait(self, timeout: float | None = None) -> object:
        """Release the lock, wait for ``notify_all`` or until ``timeout`` seconds have passed, and acquire the lock again."""
        ...

    def notify_all(self) -> None:
        """Wake all waiting threads."""
        ...


class ItemDeadline(Protocol):
    """The instant by which an item's commit must be done."""

    @property
    def waited_s(self) -> float:
        """Seconds since the item came."""
        ...

    @property
    def left_s(self) -> float:
        """Seconds left; 0 after its end."""
        ...


@dataclass(slots=True, eq=False)
class PendingItem(Generic[Item, T]):
    """An item that waits for its commit, with the result once that is done.

    Attributes:
        is_urgent: Whether it goes before all items that are not.
        until: The deadline; None for any time.
        known_by: The deadline for looking up an unknown commit.
        is_waiting: Whether its transaction has not begun.
        is_withdrawn: Whether nobody waits for it any more.
        is_done: Whether its transaction has ended, in either way, and its follow-ups are reported.
        result: The result of its commit; an exception if it was not stored.
    """

    item: Item
    is_urgent: bool = False
    until: ItemDeadline | None = None
    known_by: ItemDeadline | None = None
    is_waiting: bool = True
    is_withdrawn: bool = False
    is_done: bool = False
    result: T | Exception | None = None


@dataclass(slots=True, eq=False)
class _Group(Generic[Item, T]):
    """The items of one transaction, from its beginning until all are done.

    Attributes:
        journal: The notes of its transactions so far.
        result: The result of the commit; None before that.
        is_reported: Whether its follow-ups are reported.
        is_by_leader: Whether the thread that commits it is the leader.
        is_old: Whether that thread was cut short, or its commit is unknown: the commit is looked up.
    """

    items: Sequence[PendingItem[Item, T]] = ()
    journal: Journal = field(default_factory=Journal)
    result: SetResult[T] | None = None
    is_reported: bool = False
    is_by_leader: bool = False
    is_old: bool = False


@dataclass(slots=True)
class _Hold(Generic[Item, T]):
    """The set that a thread is committing, if any."""

    group: _Group[Item, T] | None = None


class TimeIsOver(Exception):
    """Raised when an item's time was over before its transaction began; it is not committed."""


class GroupCommit(Generic[Item, T]):
    """Items that wait for the next transaction; used by many threads.

    Args:
        commit: (items) → their results and follow-ups; its error applies to all of them.
        report: Reports the follow-ups of a transaction, before its items are done; the next transaction does not wait for
            it.
        most: How much one transaction takes at most, by the sizes of its items; at least one item.
        size: Returns the size of an item.
        names: Returns the names of an item. Two items with a common name are not in one set: the later one waits for the next.
        within: Limits the time of a transaction, in seconds.
        monitor: The lock on which the threads wait for each other.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], SetResult[T]],
        report: Callable[[FollowUps], object],
        *,
        most: int,
        size: Callable[[Item], int] = lambda item: 1,
        names: Callable[[Item], Collection[Hashable]] = lambda item: (),
        within: Callable[[float], AbstractContextManager[object]] = nullcontext,
        monitor: Callable[[], AbstractContextManager[bool]] = threading.Condition,
    ) -> None:
        self._commit = commit
        self._report = report
        self._most = most
        self._size = size
        self._names = names
        self._within = within
        self._new_monitor = monitor
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget, in a forked child, the leader and the items that stayed with the parent."""
        self._monitor: ConditionLock = self._new_monitor()  # type: ignore[assignment]
        self._waiting: deque[PendingItem[Item, T]] = deque()
        self._left: list[_Group[Item, T]] = []
        self._has_leader = False

    def commit(
        self, item: Item, *, is_urgent: bool = False, until: ItemDeadline | None = None, known_by: ItemDeadline | None = None
    ) -> T:
        """Return the result of an item once it is committed, together with items from other threads.

        If the caller is interrupted while the item waits, it is not committed.

        An urgent item goes before all others. A transaction has as much time as its item with the least time left. An unknown
        commit may be looked up for longer, until ``known_by``.

        Raises:
            TimeIsOver: When its time was over before its transaction began.
            Exception: The error of the item, or of its transaction.
        """
        pending = self.add(item, is_urgent=is_urgent, until=until)
        pending.known_by = known_by or until
        try:
            self.wait_for([pending], until=until)
        except BaseException:
            with self._monitor:
                self._withdraw([pending])
            raise
        if isinstance(pending.result, Exception):
            raise pending.result
        return cast(T, pending.result)

    def add(self, item: Item, *, is_urgent: bool = False, until: ItemDeadline | None = None) -> PendingItem[Item, T]:
        """Add an item, an urgent one behind other urgent ones; it is committed when a thread waits for it or for a neighbour."""
        pending: PendingItem[Item, T] = PendingItem(item, is_urgent, until)
        with self._monitor:
            index = sum(each.is_urgent for each in self._waiting) if is_urgent else len(self._waiting)
            self._waiting.insert(index, pending)
        return pending

    def wait_for(self, items: Sequence[PendingItem[Item, T]], *, until: ItemDeadline | None = None) -> None:
        """Return once some items are done; when the time is over, withdraw the waiting ones and raise ``TimeIsOver``.

        If the caller is interrupted, its commit is looked up: known results are given out and reported.
        """
        hold: _Hold[Item, T] = _Hold()
        try:
            while (group := self._wait_or_take(hold, items, until)) is not None:
                self._carry_on(group, items, until)
                hold.group = None
        except BaseException:
            if hold.group is not None:
                self._leave(hold.group, items, until)
            raise

    def _wait_or_take(
        self, hold: _Hold[Item, T], items: Sequence[PendingItem[Item, T]], until: ItemDeadline | None
    ) -> _Group[Item, T] | None:
        """Return the group that this thread must commit: an abandoned one, or a new one as leader; None if all items are done."""
        with self._monitor:
            while not all(pending.is_done for pending in items):
                if self._left:
                    hold.group = self._left[0]  # before the next line, so that it is not lost if the thread is cut short here
                    del self._left[0]
                    return hold.group
                is_waiting = any(pending.is_waiting for pending in items)
                left_s = until.left_s if until is not None and is_waiting else None
                if left_s == 0:
                    self._withdraw(items)
                    raise TimeIsOver
                if is_waiting and not self._has_leader:
                    hold.group = _Group(is_by_leader=True)
                    self._has_leader = True
                    self._take(hold.group)
                    return hold.group
                self._monitor.wait(left_s)
        return None

    def _take(self, group: _Group[Item, T]) -> None:
        """Take the items of the next transaction: as many as fit, none that shares a name with one before it."""
        taken: list[PendingItem[Item, T]] = []
        left: deque[PendingItem[Item, T]] = deque()
        names: set[Hashable] = set()
        room = self._most
        for pending in self._waiting:
            own, size = self._names(pending.item), self._size(pending.item)
            if not names.isdisjoint(own) or (size > room and taken):
                left.append(pending)
            else:
                taken.append(pending)
                room -= size
            names.update(own)
        group.items, self._waiting = taken, left
        for pending in taken:
            pending.is_waiting = False

    def _withdraw(self, items: Sequence[PendingItem[Item, T]]) -> None:
        """Withdraw the waiting items; nobody waits for the others any more."""
        for pending in items:
            if pending.is_waiting:
                pending.is_waiting = False
                self._waiting.remove(pending)
            pending.is_withdrawn = True

    def _carry_on(self, group: _Group[Item, T], own: Sequence[PendingItem[Item, T]], until: ItemDeadline | None) -> None:
        """Commit a set, or look up its commit; report the follow-ups, and give the results out."""
        if group.result is None:
            try:
                group.result = self._commit_all(group, own, until)
            except CutShort:
                self._put_back(group)
                return
            except CommitUnknown as unknown:
                self._doubt(group, unknown, own)
                return
        if group.result.follow_ups != NOTHING and not group.is_reported:
            self._end_lead(group)
            try:
                self._report(group.result.follow_ups)
            except Exception:
                group.is_reported = True
                self._give_out(group, group.result)
                raise
            group.is_reported = True
        self._give_out(group, group.result)
        if group.result.interruption is not None and not group.is_old:
            raise group.result.interruption

    def _commit_all(
        self, group: _Group[Item, T], own: Sequence[PendingItem[Item, T]], until: ItemDeadline | None
    ) -> SetResult[T]:
        """Commit; or, for a set whose thread was cut short, return the result of its commit.

        Raises:
            CutShort: When nothing was committed.
            CommitUnknown: When that cannot be found out in time.
        """
        if group.is_old:
            group.journal.read_again()
            limits = [each.known_by for each in own]
        else:
            limits = [until, *(pending.until for pending in group.items)]
        try:
            return group.journal.context().run(self._commit_within, group.items, limits)
        except CommitUnknown:
            raise
        except Exception as error:  # noqa: BLE001 - it concerns all, and each has to learn of it
            return SetResult((error,) * len(group.items))

    def _commit_within(self, items: Sequence[PendingItem[Item, T]], limits: Sequence[ItemDeadline | None]) -> SetResult[T]:
        limits_s = [each.left_s for each in limits if each is not None]
        with self._within(min(limits_s)) if limits_s else nullcontext():
            return self._commit([pending.item for pending in items])

    def _give_out(self, group: _Group[Item, T], committed: SetResult[T]) -> None:
        """Distribute the results, and let another thread be the leader."""
        for pending, result in zip(group.items, committed.results, strict=True):
            if not pending.is_done:
                pending.result, pending.is_done = result, True
        self._end_lead(group)

    def _doubt(self, group: _Group[Item, T], unknown: CommitUnknown, own: Sequence[PendingItem[Item, T]]) -> None:
        """Let the waiting threads that have time left look the unknown commit up again; tell the others."""
        if group.is_old and moved_nothing(unknown):
            self._put_back(group)
            return
        for pending in group.items:
            is_over = pending.known_by is None or not pending.known_by.left_s or (group.is_old and pending in own)
            if not pending.is_done and (is_over or moved_nothing(unknown)):
                pending.result, pending.is_done = unknown, True
        group.is_old = True
        if not all(pending.is_done for pending in group.items):
            self._left.append(group)
        self._end_lead(group)

    def _leave(self, group: _Group[Item, T], own: Sequence[PendingItem[Item, T]], until: ItemDeadline | None) -> None:
        """Look up the commit of a set whose thread was cut short; if this thread is cut short as well, leave it to others."""
        group.is_old = True
        try:
            self._end_lead(group)
            self._carry_on(group, own, until)
        except BaseException:
            self._left.append(group)
            self._end_lead(group)
            raise

    def _put_back(self, group: _Group[Item, T]) -> None:
        """Let items that were not stored wait again, before all others."""
        with self._monitor:
            for pending in reversed(group.items):
                if not (pending.is_done or pending.is_withdrawn or pending in self._waiting):
                    self._waiting.appendleft(pending)
                    pending.is_waiting = True
        self._end_lead(group)

    def _end_lead(self, group: _Group[Item, T]) -> None:
        """Let another thread be the leader, if this one is, and wake all."""
        with self._monitor:
            if group.is_by_leader:
                self._has_leader = group.is_by_leader = False
            self._monitor.notify_all()
