"""Where what others send us in any number is read and stored, apart from links, receipts and health."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from notifyflow.web.body import Room

T = TypeVar("T")

_MIB = 1024 * 1024
_AT_A_TIME = 4


class Lane:
    """A few worker threads, so that no flood of requests takes all that there are, and room for so many bodies.

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
        """Do something that blocks, as soon as it is its turn.

        Args:
            size_bytes: How long the body is that it is about.
            work: What is to be done.
        """
        return await to_thread.run_sync(work, limiter=self._threads if size_bytes <= _MIB else self._thread_for_large)
