"""Gathers what the threads of a process have to commit, and commits it together: while one transaction runs, the next fills.

There is no thread of its own: of those that wait for their items, one leads. It commits what has been gathered, its own or not,
and another leads after it.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from notifyflow.pipeline.ports import NOTHING, Consequences
from notifyflow.pipeline.use_case import Settled

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
        """Wake all that wait."""
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
    """An item that was handed over, and the result once it is settled.

    Attributes:
        item: The item.
        is_urgent: Whether it goes before all that are not.
        until: How long it may take; None for any time.
        is_waiting: Whether its transaction has not begun.
        is_settled: Whether its transaction has ended, one way or the other, and what it led to is reported.
        result: What the commit returned for it; an exception if it was not stored.
    """

    item: Item
    is_urgent: bool = False
    until: Deadline | None = None
    is_waiting: bool = True
    is_settled: bool = False
    result: T | Exception | None = None


class TimeIsOver(Exception):
    """Raised when the time of an item was over before its transaction began; it is not committed."""


class Gathering(Generic[Item, T]):
    """Items that wait for the next transaction; used by many threads.

    Args:
        commit: (items) → their results and what they led to; an error of it concerns all of them.
        report: Reports what a transaction led to, before its items are settled; the next transaction does not wait for it.
        most: How much one transaction takes at most, by the sizes of its items; at least one item.
        size: Returns the size of an item.
        names: Returns what an item shares with no other of its set: the later one waits for the next transaction.
        within: Limits the time of a transaction, in seconds.
        monitor: On what the threads wait for each other.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Settled[T]],
        report: Callable[[Consequences], object],
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
        self._is_led = False

    def commit(self, item: Item, *, is_urgent: bool = False, until: Deadline | None = None) -> T:
        """Return the result of an item once it is committed, with what others hand over meanwhile.

        If the caller is interrupted while the item waits, it is not committed.

        An urgent one goes before all that are not. A transaction has as much time as the item of its set that has the least left.

        Raises:
            TimeIsOver: When its time was over before its transaction began.
            Exception: The error of the item, or of its transaction.
        """
        ticket = self.hand_over(item, is_urgent=is_urgent, until=until)
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
        """Add an item, an urgent one behind other urgent ones; it is committed when somebody waits for it, or for a neighbour."""
        ticket: Ticket[Item, T] = Ticket(item, is_urgent, until)
        with self._monitor:
            place = sum(each.is_urgent for each in self._waiting) if is_urgent else len(self._waiting)
            self._waiting.insert(place, ticket)
        return ticket

    def settle(self, tickets: Sequence[Ticket[Item, T]], *, until: Deadline | None = None) -> None:
        """Return once some items are settled; when the time is over, withdraw those that wait and raise ``TimeIsOver``."""
        while some := self._wait_or_lead(tickets, until):
            self._lead(some, until)

    def _wait_or_lead(self, tickets: Sequence[Ticket[Item, T]], until: Deadline | None) -> Sequence[Ticket[Item, T]]:
        """Return the items of the next transaction if this thread leads it; none if its own are settled."""
        with self._monitor:
            while not all(ticket.is_settled for ticket in tickets):
                is_waiting = any(ticket.is_waiting for ticket in tickets)
                left_s = until.left_s if until is not None and is_waiting else None
                if left_s == 0:
                    self._withdraw(tickets)
                    raise TimeIsOver
                if is_waiting and not self._is_led:
                    self._is_led = True
                    return self._take()
                self._monitor.wait(left_s)
        return ()

    def _take(self) -> Sequence[Ticket[Item, T]]:
        """Take the items of the next transaction: as many as fit, none that shares a name with one before it."""
        taken: list[Ticket[Item, T]] = []
        left: list[Ticket[Item, T]] = []
        names: set[Hashable] = set()
        room = self._most
        for ticket in self._waiting:
            own, size = self._names(ticket.item), self._size(ticket.item)
            ticket.is_waiting = not names.isdisjoint(own) or (size > room and bool(taken))
            names.update(own)
            if ticket.is_waiting:
                left.append(ticket)
            else:
                taken.append(ticket)
                room -= size
        self._waiting = deque(left)
        return taken

    def _withdraw(self, tickets: Sequence[Ticket[Item, T]]) -> None:
        """Take back what still waits."""
        for ticket in tickets:
            if ticket.is_waiting:
                ticket.is_waiting = False
                self._waiting.remove(ticket)

    def _lead(self, tickets: Sequence[Ticket[Item, T]], until: Deadline | None) -> None:
        limits = [each.left_s for each in (until, *(ticket.until for ticket in tickets)) if each is not None]
        try:
            with self._within(min(limits)) if limits else nullcontext():
                settled = self._commit([ticket.item for ticket in tickets])
        except Exception as error:  # noqa: BLE001 - it concerns all, and each has to learn of it
            settled = Settled((error,) * len(tickets))
        except BaseException:
            self._hand_on(tickets)
            raise
        if settled.consequences == NOTHING and settled.interruption is None:
            self._conclude(tickets, settled)
            self._hand_on()
            return
        self._hand_on()
        try:
            self._report(settled.consequences)
        finally:
            with self._monitor:
                self._conclude(tickets, settled)
                self._monitor.notify_all()
        if settled.interruption is not None:
            raise settled.interruption

    def _conclude(self, tickets: Sequence[Ticket[Item, T]], settled: Settled[T]) -> None:
        for ticket, result in zip(tickets, settled.results, strict=True):
            ticket.result, ticket.is_settled = result, True

    def _hand_on(self, left: Sequence[Ticket[Item, T]] = ()) -> None:
        """Let another thread lead; what an interrupted leader leaves goes first."""
        with self._monitor:
            for ticket in reversed(left):
                ticket.is_waiting = True
                self._waiting.appendleft(ticket)
            self._is_led = False
            self._monitor.notify_all()
