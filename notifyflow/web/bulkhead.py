"""Reads and stores incoming requests in threads of their own, so that a flood leaves links, receipts and health checks free."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from notifyflow.web.body import Room

T = TypeVar("T")

_MIB = 1024 * 1024
_AT_A_TIME = 4


class Bulkhead:
    """A few worker threads, so that a flood of requests cannot take them all, and a limit on the memory of bodies.

    Attributes:
        room: What the bodies of those who have shown a key share.
        small_room: What the bodies share that are read before anybody has.
    """

    def __init__(self) -> None:
        self._threads = CapacityLimiter(_AT_A_TIME)
        self._thread_for_large = CapacityLimiter(1)  # of large bodies one at a time: each becomes many times its size
        self.room = Room(64 * _MIB)
        self.small_room = Room(16 * _MIB)

    async def run(self, size_bytes: int, work: Callable[[], T]) -> T:
        """Run a blocking function when a thread is free.

        Args:
            size_bytes: The length of the request's body.
            work: The function.
        """
        return await to_thread.run_sync(work, limiter=self._threads if size_bytes <= _MIB else self._thread_for_large)
