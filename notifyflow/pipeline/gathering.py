"""Gathers what the threads of a process have to commit, and commits it together: while one transaction runs, the next fills.

There is no thread of its own: of those that wait for their items, one leads. It commits what has been gathered, its own or not,
and another leads after it.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

Item = TypeVar("Item")
T = TypeVar("T")


class Monitor(Protocol):
    """A lock on which threads wait for each other, such as ``threading.Condition``."""

    def __enter__(self) -> bool: ...

    def __exit__(self, *arguments: object) -> None: ...

    def wait(self) -> object:
        """Release the lock, wait for ``notify_all``, and acquire the lock again."""
        ...

    def notify_all(self) -> None:
        """Wake all that wait."""
        ...


@dataclass(slots=True, eq=False)
class Ticket(Generic[Item, T]):
    """An item that was handed over, and the result once it is settled.

    Attributes:
        item: The item.
        is_settled: Whether its transaction has ended, one way or the other.
        result: What the commit returned for it; an exception if it was not stored.
    """

    item: Item
    is_settled: bool = False
    result: T | Exception | None = None


class Gathering(Generic[Item, T]):
    """Items that wait for the next transaction; used by many threads.

    Args:
        commit: (items) → their results, in order; an error of it concerns all of them.
        most: How many items one transaction takes at most.
        monitor: On what the threads wait for each other.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[T | Exception]],
        *,
        most: int,
        monitor: Callable[[], AbstractContextManager[bool]] = threading.Condition,
    ) -> None:
        self._commit = commit
        self._most = most
        self._new_monitor = monitor
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget, in a forked child, the leader and the items that stayed with the parent."""
        self._monitor: Monitor = self._new_monitor()  # type: ignore[assignment]
        self._waiting: deque[Ticket[Item, T]] = deque()
        self._is_led = False

    def commit(self, item: Item) -> T:
        """Return the result of an item once it is committed, with what others hand over meanwhile; raise its error."""
        ticket = self.hand_over(item)
        self.settle([ticket])
        if isinstance(ticket.result, Exception):
            raise ticket.result
        return cast(T, ticket.result)

    def hand_over(self, item: Item, *, is_urgent: bool = False) -> Ticket[Item, T]:
        """Add an item, an urgent one before all others; it is committed when somebody waits for it, or for a neighbour."""
        ticket: Ticket[Item, T] = Ticket(item)
        with self._monitor:
            (self._waiting.appendleft if is_urgent else self._waiting.append)(ticket)
        return ticket

    def settle(self, tickets: Sequence[Ticket[Item, T]]) -> None:
        """Return once some items are settled."""
        while some := self._wait_or_lead(tickets):
            self._lead(some)

    def _wait_or_lead(self, tickets: Sequence[Ticket[Item, T]]) -> list[Ticket[Item, T]]:
        """Return the items of the next transaction if this thread leads it; none if its own are settled."""
        with self._monitor:
            while not all(ticket.is_settled for ticket in tickets):
                if self._is_led:
                    self._monitor.wait()
                    continue
                self._is_led = True
                return [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        return []

    def _lead(self, tickets: Sequence[Ticket[Item, T]]) -> None:
        try:
            results: Sequence[T | Exception] = self._commit([ticket.item for ticket in tickets])
        except Exception as error:  # noqa: BLE001 - it concerns all, and each has to learn of it
            results = [error] * len(tickets)
        except BaseException:
            self._hand_on(tickets)
            raise
        for ticket, result in zip(tickets, results, strict=True):
            ticket.result, ticket.is_settled = result, True
        self._hand_on()

    def _hand_on(self, left: Sequence[Ticket[Item, T]] = ()) -> None:
        """Let another thread lead; what an interrupted leader leaves goes first."""
        with self._monitor:
            self._waiting.extendleft(reversed(left))
            self._is_led = False
            self._monitor.notify_all()
