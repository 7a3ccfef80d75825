"""Gathers the items of a process's threads, and commits them together: while one transaction runs, the next fills.

It has no thread of its own: one of the waiting threads leads. The leader commits all gathered items, its own or not, and another
thread leads after it. If a leader is cut short, or its commit is unknown, the next thread first checks the log for committed
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
from notifyflow.pipeline.transaction.set_use_case import Settled
from notifyflow.pipeline.transaction.use_case import moved_nothing

Item = TypeVar("Item")
T = TypeVar("T")


class Monitor(Protocol):
    """A lock on which threads wait for each other, such as ``threading.Condition``."""

    def __enter__(self) -> bool: ...

    def __exit__(self, *arguments: object) -> None: ...

    def wait(self, timeout: float | None = None) -> object:
        """Release the lock, wait for ``notify_all`` or until some seconds have passed, and acquire the lock again."""
        ...

    def notify_all(self) -> None:
        """Wake all waiting threads."""
        ...


class Deadline(Protocol):
    """The instant by which an item must be settled."""

    @property
    def waited_s(self) -> float:
        """Seconds since the item came."""
        ...

    @property
    def left_s(self) -> float:
        """Seconds left; 0 after its end."""
        ...


@dataclass(slots=True, eq=False)
class Ticket(Generic[Item, T]):
    """An item that was handed over, with its result once it is settled.

    Attributes:
        is_urgent: Whether it goes before all items that are not.
        until: The deadline; None for any time.
        known_by: The deadline for looking up an unknown commit.
        is_waiting: Whether its transaction has not begun.
        is_withdrawn: Whether nobody waits for it any more.
        is_settled: Whether its transaction has ended, in either way, and its follow-ups are reported.
        result: The result of its commit; an exception if it was not stored.
    """

    item: Item
    is_urgent: bool = False
    until: Deadline | None = None
    known_by: Deadline | None = None
    is_waiting: bool = True
    is_withdrawn: bool = False
    is_settled: bool = False
    result: T | Exception | None = None


@dataclass(slots=True, eq=False)
class _Set(Generic[Item, T]):
    """The items of one transaction, from its beginning until all are settled.

    Attributes:
        journal: The notes of its transactions so far.
        settled: The result of the commit; None before that.
        is_reported: Whether its follow-ups are reported.
        is_led: Whether the thread that settles it leads.
        is_old: Whether that thread was cut short, or its commit is unknown: the commit is looked up.
    """

    tickets: Sequence[Ticket[Item, T]] = ()
    journal: Journal = field(default_factory=Journal)
    settled: Settled[T] | None = None
    is_reported: bool = False
    is_led: bool = False
    is_old: bool = False


@dataclass(slots=True)
class _Hold(Generic[Item, T]):
    """The set that a thread is settling, if any."""

    some: _Set[Item, T] | None = None


class TimeIsOver(Exception):
    """Raised when an item's time was over before its transaction began; it is not committed."""


class Gathering(Generic[Item, T]):
    """Items that wait for the next transaction; used by many threads.

    Args:
        commit: (items) → their results and follow-ups; its error applies to all of them.
        report: Reports the follow-ups of a transaction, before its items are settled; the next transaction does not wait for
            it.
        most: How much one transaction takes at most, by the sizes of its items; at least one item.
        size: Returns the size of an item.
        names: Returns the names of an item. Two items with a common name are not in one set: the later one waits for the next.
        within: Limits the time of a transaction, in seconds.
        monitor: The lock on which the threads wait for each other.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Settled[T]],
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
        self._monitor: Monitor = self._new_monitor()  # type: ignore[assignment]
        self._waiting: deque[Ticket[Item, T]] = deque()
        self._left: list[_Set[Item, T]] = []
        self._is_led = False

    def commit(
        self, item: Item, *, is_urgent: bool = False, until: Deadline | None = None, known_by: Deadline | None = None
    ) -> T:
        """Return the result of an item once it is committed, together with items from other threads.

        If the caller is interrupted while the item waits, it is not committed.

        An urgent item goes before all others. A transaction has as much time as its item with the least time left. An unknown
        commit may be looked up for longer, until ``known_by``.

        Raises:
            TimeIsOver: When its time was over before its transaction began.
            Exception: The error of the item, or of its transaction.
        """
        ticket = self.hand_over(item, is_urgent=is_urgent, until=until)
        ticket.known_by = known_by or until
        try:
            self.settle([ticket], until=until)
        except BaseException:
            with self._monitor:
                self._withdraw([ticket])
            raise
        if isinstance(ticket.result, Exception):
            raise ticket.result
        return cast(T, ticket.result)

    def hand_over(self, item: Item, *, is_urgent: bool = False, until: Deadline | None = None) -> Ticket[Item, T]:
        """Add an item, an urgent one behind other urgent ones; it is committed when a thread waits for it or for a neighbour."""
        ticket: Ticket[Item, T] = Ticket(item, is_urgent, until)
        with self._monitor:
            place = sum(each.is_urgent for each in self._waiting) if is_urgent else len(self._waiting)
            self._waiting.insert(place, ticket)
        return ticket

    def settle(self, tickets: Sequence[Ticket[Item, T]], *, until: Deadline | None = None) -> None:
        """Return once some items are settled; when the time is over, withdraw the waiting ones and raise ``TimeIsOver``.

        If the caller is interrupted, its commit is looked up: known results are handed over and reported.
        """
        hold: _Hold[Item, T] = _Hold()
        try:
            while (some := self._wait_or_hold(hold, tickets, until)) is not None:
                self._carry_on(some, tickets, until)
                hold.some = None
        except BaseException:
            if hold.some is not None:
                self._leave(hold.some, tickets, until)
            raise

    def _wait_or_hold(
        self, hold: _Hold[Item, T], tickets: Sequence[Ticket[Item, T]], until: Deadline | None
    ) -> _Set[Item, T] | None:
        """Return the set that this thread has to settle: an abandoned one, or one that it leads; None if its own are settled."""
        with self._monitor:
            while not all(ticket.is_settled for ticket in tickets):
                if self._left:
                    hold.some = self._left[0]  # before the next line, so that it is not lost if the thread is cut short here
                    del self._left[0]
                    return hold.some
                is_waiting = any(ticket.is_waiting for ticket in tickets)
                left_s = until.left_s if until is not None and is_waiting else None
                if left_s == 0:
                    self._withdraw(tickets)
                    raise TimeIsOver
                if is_waiting and not self._is_led:
                    hold.some = _Set(is_led=True)
                    self._is_led = True
                    self._take(hold.some)
                    return hold.some
                self._monitor.wait(left_s)
        return None

    def _take(self, some: _Set[Item, T]) -> None:
        """Take the items of the next transaction: as many as fit, none that shares a name with one before it."""
        taken: list[Ticket[Item, T]] = []
        left: deque[Ticket[Item, T]] = deque()
        names: set[Hashable] = set()
        room = self._most
        for ticket in self._waiting:
            own, size = self._names(ticket.item), self._size(ticket.item)
            if not names.isdisjoint(own) or (size > room and taken):
                left.append(ticket)
            else:
                taken.append(ticket)
                room -= size
            names.update(own)
        some.tickets, self._waiting = taken, left
        for ticket in taken:
            ticket.is_waiting = False

    def _withdraw(self, tickets: Sequence[Ticket[Item, T]]) -> None:
        """Withdraw the waiting items; nobody waits for the others any more."""
        for ticket in tickets:
            if ticket.is_waiting:
                ticket.is_waiting = False
                self._waiting.remove(ticket)
            ticket.is_withdrawn = True

    def _carry_on(self, some: _Set[Item, T], own: Sequence[Ticket[Item, T]], until: Deadline | None) -> None:
        """Commit a set, or look up its commit; report the follow-ups, and hand the results over."""
        if some.settled is None:
            try:
                some.settled = self._commit_all(some, own, until)
            except CutShort:
                self._put_back(some)
                return
            except CommitUnknown as unknown:
                self._doubt(some, unknown, own)
                return
        if some.settled.follow_ups != NOTHING and not some.is_reported:
            self._hand_on(some)
            try:
                self._report(some.settled.follow_ups)
            except Exception:
                some.is_reported = True
                self._conclude(some, some.settled)
                raise
            some.is_reported = True
        self._conclude(some, some.settled)
        if some.settled.interruption is not None and not some.is_old:
            raise some.settled.interruption

    def _commit_all(self, some: _Set[Item, T], own: Sequence[Ticket[Item, T]], until: Deadline | None) -> Settled[T]:
        """Commit; or, for a set whose thread was cut short, return the result of its commit.

        Raises:
            CutShort: When nothing was committed.
            CommitUnknown: When that cannot be found out in time.
        """
        if some.is_old:
            some.journal.read_again()
            limits = [each.known_by for each in own]
        else:
            limits = [until, *(ticket.until for ticket in some.tickets)]
        try:
            return some.journal.keep(lambda: self._commit_within(some.tickets, limits))
        except CommitUnknown:
            raise
        except Exception as error:  # noqa: BLE001 - it concerns all, and each has to learn of it
            return Settled((error,) * len(some.tickets))

    def _commit_within(self, tickets: Sequence[Ticket[Item, T]], limits: Sequence[Deadline | None]) -> Settled[T]:
        limits_s = [each.left_s for each in limits if each is not None]
        with self._within(min(limits_s)) if limits_s else nullcontext():
            return self._commit([ticket.item for ticket in tickets])

    def _conclude(self, some: _Set[Item, T], settled: Settled[T]) -> None:
        """Hand the results over, and let another thread lead."""
        for ticket, result in zip(some.tickets, settled.results, strict=True):
            if not ticket.is_settled:
                ticket.result, ticket.is_settled = result, True
        self._hand_on(some)

    def _doubt(self, some: _Set[Item, T], unknown: CommitUnknown, own: Sequence[Ticket[Item, T]]) -> None:
        """Let the waiting threads that have time left look the unknown commit up again; tell the others."""
        if some.is_old and moved_nothing(unknown):
            self._put_back(some)
            return
        for ticket in some.tickets:
            is_over = ticket.known_by is None or not ticket.known_by.left_s or (some.is_old and ticket in own)
            if not ticket.is_settled and (is_over or moved_nothing(unknown)):
                ticket.result, ticket.is_settled = unknown, True
        some.is_old = True
        if not all(ticket.is_settled for ticket in some.tickets):
            self._left.append(some)
        self._hand_on(some)

    def _leave(self, some: _Set[Item, T], own: Sequence[Ticket[Item, T]], until: Deadline | None) -> None:
        """Look up the commit of a set whose thread was cut short; if this thread is cut short as well, leave it to others."""
        some.is_old = True
        try:
            self._hand_on(some)
            self._carry_on(some, own, until)
        except BaseException:
            self._left.append(some)
            self._hand_on(some)
            raise

    def _put_back(self, some: _Set[Item, T]) -> None:
        """Let items that were not stored wait again, before all others."""
        with self._monitor:
            for ticket in reversed(some.tickets):
                if not (ticket.is_settled or ticket.is_withdrawn or ticket in self._waiting):
                    self._waiting.appendleft(ticket)
                    ticket.is_waiting = True
        self._hand_on(some)

    def _hand_on(self, some: _Set[Item, T]) -> None:
        """Let another thread lead, if this one does, and wake all."""
        with self._monitor:
            if some.is_led:
                self._is_led = some.is_led = False
            self._monitor.notify_all()
