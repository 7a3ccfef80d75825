"""Connections, lent for one transaction each, and the turn that writers of one process take."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from peewee import Database

from notifyflow.errors import StorageUnavailable
from notifyflow.storage.dialects import Dialect


class Deadline:
    """The instant by which something must have been done."""

    def __init__(self, timeout_s: float) -> None:
        self._started = time.monotonic()
        self._ends = self._started + timeout_s

    @property
    def waited_s(self) -> float:
        """How long it has been running, in tenths of a second."""
        return round(time.monotonic() - self._started, 1)

    @property
    def left_s(self) -> float:
        """How long it still runs, in seconds; 0 when it is over."""
        return max(0.0, self._ends - time.monotonic())


class Turn:
    """A lock that is handed on in the order in which it was asked for.

    SQLite's own busy handler polls, so that under ten writing threads some wait for a second while others pass twice.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._line: deque[threading.Event] = deque()  # the first has the turn

    @contextmanager
    def taken(self, deadline: Deadline) -> Iterator[None]:
        """Hold the turn.

        Raises:
            StorageUnavailable: When it did not come before the deadline.
        """
        mine = threading.Event()
        with self._guard:
            self._line.append(mine)
            self._line[0].set()
        try:
            if not mine.wait(deadline.left_s):
                raise StorageUnavailable(deadline.waited_s, "other threads kept it busy")
            yield
        finally:
            with self._guard:
                self._line.remove(mine)
                if self._line:
                    self._line[0].set()


class Pool:
    """At most so many connections of one process; an idle one is used again before a new one is opened."""

    def __init__(self, dialect: Dialect, size: int) -> None:
        self._dialect = dialect
        self._places = threading.BoundedSemaphore(size)
        self._guard = threading.Lock()
        self._idle: list[Database] = []
        self._is_closed = False

    @contextmanager
    def connection(self, deadline: Deadline) -> Iterator[Database]:
        """Lend a connection; it is kept if it came back alive and without a transaction, and closed otherwise.

        Raises:
            StorageUnavailable: When none became free before the deadline.
        """
        if not self._places.acquire(timeout=deadline.left_s):
            raise StorageUnavailable(deadline.waited_s, "all connections are in use")
        try:
            with self._guard:
                db = self._idle.pop() if self._idle else None
            if db is None:
                db = self._dialect.connect(timeout_s=deadline.left_s)
            try:
                yield db
            finally:
                self._take_back(db)
        finally:
            self._places.release()

    def drop_idle(self) -> None:
        """Close the connections that nobody uses: after one turned out dead, the others are too."""
        with self._guard:
            idle, self._idle = self._idle, []
        for db in idle:
            db.close()

    def close(self) -> None:
        """Close all connections, those in use when they come back."""
        self._is_closed = True
        self.drop_idle()

    def _take_back(self, db: Database) -> None:
        with self._guard:
            is_kept = not self._is_closed and self._dialect.is_idle(db)
            if is_kept:
                self._idle.append(db)
        if not is_kept:
            db.close()
