"""Threads for incoming incidents and for logins, so that a flood of them does not slow down links, receipts and health checks."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from notifyflow.errors import TooManyLogins
from notifyflow.web.body import Room

T = TypeVar("T")

_MIB = 1024 * 1024
_AT_A_TIME = 4
_HASHES_AT_A_TIME = 2
_MOST_WAITING = 20


class Bulkhead:
    """A few worker threads, so that a flood of requests cannot take them all, and a limit on the memory of bodies.

    Attributes:
        room: The memory for bodies of authenticated requests.
        small_room: The memory for bodies that are read before authentication.
    """

    def __init__(self) -> None:
        self._threads = CapacityLimiter(_AT_A_TIME)
        self._hashes = 0  # that run or wait
        self._threads_for_hashes = CapacityLimiter(_HASHES_AT_A_TIME)  # each hash of a password takes 19 MiB
        self._thread_for_large = CapacityLimiter(1)  # one large body at a time: parsed, it takes many times its size
        self.room = Room(64 * _MIB)
        self.small_room = Room(16 * _MIB)

    async def run(self, size_bytes: int, work: Callable[[], T]) -> T:
        """Run a blocking function, for a request whose body has this size, when a thread is free."""
        return await to_thread.run_sync(work, limiter=self._threads if size_bytes <= _MIB else self._thread_for_large)

    async def hash(self, work: Callable[[], T]) -> T:
        """Run a function that hashes a password when a thread is free.

        Raises:
            TooManyLogins: When too many wait already.
        """
        if self._hashes >= _HASHES_AT_A_TIME + _MOST_WAITING:
            raise TooManyLogins(1)
        self._hashes += 1
        try:
            return await to_thread.run_sync(work, limiter=self._threads_for_hashes)
        finally:
            self._hashes -= 1
