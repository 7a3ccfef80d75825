"""Runs the blocking methods of a flow on threads of its own, for programs with an event loop."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import TypeVar

from notifyflow.app.forks import FORKED
from notifyflow.app.runtime import POLL_EVERY_S
from notifyflow.errors import StorageUnavailable
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.store import Store

MOST = 8
"""How many threads there are at most; submissions at the same time are committed together."""
_WITHIN_S = 5.0

T = TypeVar("T")


class Threads:
    """A few threads for the awaited calls of a flow, started when needed.

    Args:
        store: The database, which a call may use for 5 s in all.
    """

    _lock: Lock
    _pool: ThreadPoolExecutor | None

    def __init__(self, store: Store) -> None:
        self._store = store
        self.begin_anew()
        FORKED.add(self)

    def begin_anew(self) -> None:
        """Begin without threads, also in a forked child: they stayed with the parent."""
        self._lock = Lock()
        self._pool = None

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call on a thread and return its result; its time begins now, although it may wait for a thread.

        If the caller is cancelled, a call that waits for a thread never begins, and one that has begun goes on to its end.

        Raises:
            StorageUnavailable: When no thread was free within 5 s.
        """
        within = partial(self._run_within, Deadline(_WITHIN_S), call)
        return await asyncio.get_running_loop().run_in_executor(self._started(), copy_context().run, within)

    async def wait_until(self, is_so: Callable[[], bool], timeout_s: float | None) -> bool:
        """Check on a thread now and then whether it is so, for ``timeout_s`` seconds at most; return whether it is."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not await self.run(is_so):
            left_s = POLL_EVERY_S if until is None else until - time.monotonic()
            if left_s <= 0:
                return False
            await asyncio.sleep(min(left_s, POLL_EVERY_S))
        return True

    def close(self) -> None:
        """End the threads after the calls that run or wait."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(MOST, "notifyflow-await")
            return self._pool

    def _run_within(self, deadline: Deadline, call: Callable[[], T]) -> T:
        if not deadline.left_s:
            raise StorageUnavailable(deadline.waited_s, "calls that came earlier took all the time")
        with self._store.within(deadline.left_s):
            return call()
