"""Lends connections, each for one transaction, and lets writers of one process take turns."""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

from peewee import Database, PeeweeException

from notifyflow.errors import StorageUnavailable
from notifyflow.log import get_logger
from notifyflow.storage.dialects import Dialect
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.session.forks import GATE, ConnectionInUse

_log = get_logger("notifyflow.storage")

_CONNECT_WITHIN_S = 30.0
_TRY_WITHIN_S = 2.0
_TRY_EVERY_S = 1.0


class ForkedInside(Exception):
    """Raised when a thread forked inside a transaction, which is rolled back.

    Attributes:
        is_child: Whether this is the child.
    """

    def __init__(self, *, is_child: bool) -> None:
        where = "the parent runs it again" if is_child else "fork outside of it"
        super().__init__(f"the process was forked inside this transaction, which was rolled back: {where}")
        self.is_child = is_child


class WriteLock:
    """A fair lock: threads get it in the order of their requests.

    SQLite's own busy handler polls: of ten writing threads, some wait for a second while others pass twice.
    """

    def __init__(self) -> None:
        self._queue: deque[threading.Event] = deque()  # the first has the lock

    @contextmanager
    def acquired(self, deadline: Deadline) -> Iterator[None]:
        """Wait for the lock and hold it.

        Raises:
            StorageUnavailable: When the lock does not come before the deadline.
        """
        mine = threading.Event()
        try:
            with GATE.lock:
                self._queue.append(mine)
                self._queue[0].set()
            if not mine.wait(deadline.left_s):
                raise StorageUnavailable(deadline.waited_s, "other threads kept it busy")
            yield
        finally:
            with GATE.lock:
                if mine in self._queue:  # it is gone in a child that was forked meanwhile
                    self._queue.remove(mine)
                if self._queue:
                    self._queue[0].set()

    def begin_anew(self) -> None:
        """Empty the line in a child, which has no other threads."""
        self._queue.clear()


class _Lent(ConnectionInUse):
    """A connection of a pool while one thread uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.db: Database | None = None
        self.pid = os.getpid()

    @property
    def broken_off(self) -> ForkedInside:
        """The error for its user after it was cut."""
        return ForkedInside(is_child=os.getpid() != self.pid)

    def cut(self) -> None:
        """Close the connection, which rolls back its transaction."""
        super().cut()
        if self.db is not None:
            _close(self.db)


class _Opening:
    """A connection that a separate thread opens.

    Attributes:
        is_over: Whether it is open and idle, or could not be opened.
    """

    def __init__(self) -> None:
        self.is_awaited = True
        self.is_over = False
        self.error: PeeweeException | None = None
        self.deadline = Deadline(_CONNECT_WITHIN_S)


class ServerOutage:
    """Knows whether the server is away: after a call that gave up, one thread tries to connect once a second until it can.

    A server that is slow, or refuses more connections, is not away.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._error: PeeweeException | None = None
        self._thread = threading.Thread()
        self._is_closed = threading.Event()

    @property
    def error(self) -> PeeweeException | None:
        """Why the server cannot be connected to; None if it can, or nobody tries."""
        return self._error if self._thread.is_alive() else None  # a forked child has no such thread

    def suspect(self) -> None:
        """Find out whether the server is away, unless a thread does so already."""
        with GATE.lock:
            if not self._thread.is_alive():
                self._thread = threading.Thread(target=self._try, name="notifyflow-outage", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Try no more."""
        self._is_closed.set()

    def _try(self) -> None:
        before = None
        while (error := self._find()) is not None:
            if before is None:
                _log.warning("storage.server_away", reason=self._dialect.describe(error))
            self._error = before = error
            if self._is_closed.wait(_TRY_EVERY_S):
                return
        self._error = None
        if before is not None:
            _log.info("storage.server_back")

    def _find(self) -> PeeweeException | None:
        try:
            _close(self._dialect.connect(Deadline(_TRY_WITHIN_S)))
        except PeeweeException as error:
            return error if self._dialect.is_away(error) else None
        return None


class Pool:
    """A limited number of connections of one process; an idle one is used before a new one is opened.

    A separate thread opens each connection to a server, and goes on after the caller's time is over: the next caller finds it
    open.

    Attributes:
        write_lock: Every thread that writes to a file holds it.
    """

    def __init__(self, dialect: Dialect, size: int) -> None:
        self.write_lock = WriteLock()
        self._dialect = dialect
        self._size = size
        self._freed = threading.Condition(GATE.lock)
        self._lent: set[_Lent] = set()
        self._idle: list[Database] = []
        self._openings: list[_Opening] = []
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
        try:
            self._acquire_slot(lent, deadline)
            GATE.enter(lent, deadline)
            yield self._open(lent, deadline)
        except PeeweeException:
            if lent.is_cut:
                raise lent.broken_off from None
            raise
        finally:
            self._give_back(lent)

    def drop_idle(self) -> None:
        """Close the idle connections: if one is dead, the others are dead, too."""
        with GATE.lock:
            idle, self._idle = self._idle, []
        for db in idle:
            _close(db)

    def close(self) -> None:
        """Close all connections, and those in use when they come back."""
        self._is_closed = True
        self.drop_idle()

    def begin_anew(self) -> None:
        """Forget, in a child, the threads that used or waited for connections."""
        self.write_lock.begin_anew()
        self._openings.clear()
        self._freed = threading.Condition(GATE.lock)
        self._lent.clear()

    def _acquire_slot(self, lent: _Lent, deadline: Deadline) -> None:
        with self._freed:
            if not self._freed.wait_for(lambda: len(self._lent) < self._size, deadline.left_s):
                raise self._dialect.unavailable(deadline.waited_s, "all connections are in use")
            self._lent.add(lent)

    def _open(self, lent: _Lent, deadline: Deadline) -> Database:
        if self._dialect.is_embedded:
            if not self._take_idle(lent):
                lent.db = self._dialect.connect(deadline)
        else:
            self._await_open(lent, deadline)
        if lent.is_cut:
            raise lent.broken_off
        return cast(Database, lent.db)

    def _take_idle(self, lent: _Lent) -> bool:
        with GATE.lock:
            while self._idle:
                lent.db = self._idle[-1]  # before the next line, so that a fork in a signal handler finds it
                del self._idle[-1:]
                if not lent.db.is_closed():
                    return True
        return False

    def _await_open(self, lent: _Lent, deadline: Deadline) -> None:
        """Take an idle connection, or wait until one is open."""
        opening: _Opening | None = None
        with self._freed:
            try:
                while not (lent.is_cut or self._take_idle(lent)):
                    if opening is not None and opening.error is not None:
                        raise opening.error
                    if not deadline.left_s:
                        raise self._dialect.still_opening(None if opening is None else opening.deadline)
                    if opening is None or opening.is_over:
                        opening = self._begin_opening()
                    self._freed.wait(deadline.left_s)
            finally:
                if opening is not None:
                    opening.is_awaited = False

    def _begin_opening(self) -> _Opening:
        """Return a connection being opened that nobody waits for, or begin to open one."""
        opening = next((each for each in self._openings if not each.is_awaited), None)
        if opening is None:
            opening = _Opening()
            self._openings.append(opening)
            threading.Thread(target=self._connect, args=(opening,), name="notifyflow-connect", daemon=True).start()
        opening.is_awaited = True
        return opening

    def _connect(self, opening: _Opening) -> None:
        db = None
        try:
            db = self._dialect.connect(opening.deadline)
        except PeeweeException as error:
            opening.error = error
        with self._freed:
            opening.is_over = True
            self._openings.remove(opening)
            if db is not None and not self._is_closed:
                self._idle.append(db)
                db = None
            self._freed.notify_all()
        if db is not None:
            _close(db)

    def _give_back(self, lent: _Lent) -> None:
        """Release the slot; keep the connection if it can be used again."""
        db = lent.db
        with self._freed:
            self._lent.discard(lent)
            if db is not None and not (self._is_closed or lent.is_cut):
                if self._dialect.is_idle(db):
                    self._idle.append(db)
                    db = None
                elif not self._dialect.is_embedded:
                    self._begin_opening().is_awaited = False  # in its place, since the next caller may have as little time
            self._freed.notify_all()
        if db is not None:
            _close(db)
        GATE.leave(lent)


def _close(db: Database) -> None:
    with suppress(PeeweeException):  # it may be dead already
        db.close()
