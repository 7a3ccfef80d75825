"""Lends connections for one transaction each, and gives writers of one process their turn."""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from peewee import Database, PeeweeException

from notifyflow.errors import StorageUnavailable
from notifyflow.storage.deadline import Deadline
from notifyflow.storage.dialects import Dialect
from notifyflow.storage.forks import GATE, Lease


class ForkedInside(Exception):
    """Raised when a thread forked inside a transaction, which is rolled back.

    Attributes:
        is_child: Whether this is the child.
    """

    def __init__(self, *, is_child: bool) -> None:
        where = "the parent runs it again" if is_child else "fork outside of it"
        super().__init__(f"the process was forked inside this transaction, which was rolled back: {where}")
        self.is_child = is_child


class Turn:
    """A fair lock: threads get it in the order they asked for it.

    SQLite's own busy handler polls: of ten writing threads, some wait for a second while others pass twice.
    """

    def __init__(self) -> None:
        self._line: deque[threading.Event] = deque()  # the first has the turn

    @contextmanager
    def acquired(self, deadline: Deadline) -> Iterator[None]:
        """Wait for the turn and hold it.

        Raises:
            StorageUnavailable: When the turn does not come before the deadline.
        """
        mine = threading.Event()
        with GATE.lock:
            self._line.append(mine)
            self._line[0].set()
        try:
            if not mine.wait(deadline.left_s):
                raise StorageUnavailable(deadline.waited_s, "other threads kept it busy")
            yield
        finally:
            with GATE.lock:
                if mine in self._line:  # it is gone in a child that was forked meanwhile
                    self._line.remove(mine)
                if self._line:
                    self._line[0].set()

    def begin_anew(self) -> None:
        """Empty the line in a child, which has no other threads."""
        self._line.clear()


class _Lent(Lease):
    """A connection of a pool while one thread uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.db: Database | None = None
        self.pid = os.getpid()

    @property
    def broken_off(self) -> ForkedInside:
        """The error for its user once it is cut."""
        return ForkedInside(is_child=os.getpid() != self.pid)

    def cut(self) -> None:
        """Close the connection; its transaction is rolled back."""
        super().cut()
        if self.db is not None:
            _close(self.db)


class Pool:
    """A limited number of connections of one process; an idle one is used before a new one is opened.

    Attributes:
        turn: Acquired by every thread that writes to a file.
    """

    def __init__(self, dialect: Dialect, size: int) -> None:
        self.turn = Turn()
        self._dialect = dialect
        self._size = size
        self._freed = threading.Condition(GATE.lock)
        self._lent: set[_Lent] = set()
        self._idle: list[Database] = []
        self._is_closed = False
        GATE.watch(self)

    @contextmanager
    def connection(self, deadline: Deadline) -> Iterator[Database]:
        """Lend a connection; keep it if it comes back alive and without a transaction, and close it otherwise.

        Raises:
            StorageUnavailable: When none is free before the deadline.
            ForkedInside: When the process was forked while the connection was lent; its transaction is rolled back.
        """
        lent = _Lent()
        self._acquire_slot(lent, deadline)
        try:
            GATE.enter(lent, deadline)
            try:
                yield self._open(lent, deadline)
            except PeeweeException:
                if lent.is_cut:
                    raise lent.broken_off from None
                raise
            finally:
                self._return_connection(lent)
        finally:
            GATE.leave(lent)
            self._release_slot(lent)

    def drop_idle(self) -> None:
        """Close the idle connections: after one turned out dead, the others are dead, too."""
        with GATE.lock:
            idle, self._idle = self._idle, []
        for db in idle:
            _close(db)

    def close(self) -> None:
        """Close all connections; those in use, when they come back."""
        self._is_closed = True
        self.drop_idle()

    def begin_anew(self) -> None:
        """Forget, in a child, the threads that used or waited for connections."""
        self.turn.begin_anew()
        self._freed = threading.Condition(GATE.lock)
        self._lent.clear()

    def _acquire_slot(self, lent: _Lent, deadline: Deadline) -> None:
        with self._freed:
            if not self._freed.wait_for(lambda: len(self._lent) < self._size, deadline.left_s):
                raise self._dialect.unavailable(deadline.waited_s, "all connections are in use")
            self._lent.add(lent)

    def _release_slot(self, lent: _Lent) -> None:
        with self._freed:
            self._lent.discard(lent)
            self._freed.notify()

    def _open(self, lent: _Lent, deadline: Deadline) -> Database:
        with GATE.lock:
            if self._idle:
                lent.db = self._idle[-1]  # before the next line, so that a fork in a signal handler finds it
                del self._idle[-1:]
        if lent.db is None or lent.db.is_closed():
            lent.db = self._dialect.connect(deadline)
        if lent.is_cut:
            raise lent.broken_off
        return lent.db

    def _return_connection(self, lent: _Lent) -> None:
        db = lent.db
        if db is None:
            return
        with GATE.lock:
            is_kept = not self._is_closed and not lent.is_cut and self._dialect.is_idle(db)
            if is_kept:
                self._idle.append(db)
        if not is_kept:
            _close(db)


def _close(db: Database) -> None:
    with suppress(PeeweeException):  # it may be dead already
        db.close()
