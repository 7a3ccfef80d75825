"""Keeps every connection of this process closed at the instant of a fork.

SQLite remembers the locks of a process in that process's memory. A fork copies the memory but not the locks: an inherited
connection believes in locks that the kernel does not know. The parent knows of no other user of the file, so its last close
deletes the write-ahead log, and with it the child's later commits (SQLite: How To Corrupt An SQLite Database File, section 2.6).
A connection to PostgreSQL is one socket, which two processes would write to.

So a fork first stops new uses of connections, waits for those in use, and closes all. Both sides then open new ones. Nothing here
knows a database.
"""

import logging  # noqa: F401 - first, since its fork hook takes a lock and must run after the wait for threads that log
import os
import threading
import weakref
from typing import Protocol

from notifyflow.errors import StorageUnavailable
from notifyflow.storage.dialects.deadline import Deadline


class ConnectionInUse:
    """A connection that one thread uses.

    Attributes:
        thread: The thread's identifier.
        is_cut: Whether the connection was closed under its user, who forked while using it.
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.is_cut = False

    def cut(self) -> None:
        """Close the connection, which rolls back its transaction."""
        self.is_cut = True


class Closable(Protocol):
    """An object that holds connections."""

    def drop_idle(self) -> None:
        """Close the idle connections."""
        ...

    def begin_anew(self) -> None:
        """Forget, in a child, the threads that used connections: only the parent has them."""
        ...


class ForkGate:
    """Lets threads use connections, and processes fork between uses.

    Attributes:
        lock: Guards the gate and the holders. A fork holds it, so that a child finds nothing half changed.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a signal's handler may fork while its thread holds it
        self._changed = threading.Condition(self.lock)
        self._holders: weakref.WeakSet[Closable] = weakref.WeakSet()
        self._used: set[ConnectionInUse] = set()
        self._is_shut = False

    def watch(self, holder: Closable) -> None:
        """Close this holder's connections before each fork, for as long as the holder exists."""
        with self.lock:
            self._holders.add(holder)

    def enter(self, used: ConnectionInUse, deadline: Deadline) -> None:
        """Begin to use a connection. A thread that already uses another one passes, since the fork waits for it.

        Raises:
            StorageUnavailable: When a fork waits for others until the deadline.
        """
        with self._changed:
            is_inside = any(each.thread == used.thread for each in self._used)
            if not is_inside and not self._changed.wait_for(lambda: not self._is_shut, deadline.left_s):
                raise StorageUnavailable(deadline.waited_s, "this process is about to fork and waits for other transactions")
            self._used.add(used)

    def leave(self, used: ConnectionInUse) -> None:
        """End the use of a connection."""
        with self._changed:
            self._used.discard(used)
            self._changed.notify_all()

    def shut(self) -> None:
        """Close all connections before a fork: this thread's own at once, the others when they are free."""
        self.lock.acquire()
        for used in [each for each in self._used if each.thread == threading.get_ident()]:
            used.cut()
            self._used.discard(used)
        self._changed.notify_all()
        self._changed.wait_for(lambda: not self._is_shut)  # another thread forks
        self._is_shut = True
        self._changed.wait_for(lambda: not self._used)
        for holder in list(self._holders):
            holder.drop_idle()

    def reopen(self) -> None:
        """Go on in the parent, whether the fork succeeded or not."""
        self._is_shut = False
        self._changed.notify_all()
        self.lock.release()

    def begin_anew(self) -> None:
        """Go on in the child, where only the thread that forked exists."""
        self._changed = threading.Condition(self.lock)
        self._used.clear()
        for holder in list(self._holders):
            holder.begin_anew()
        self.reopen()


GATE = ForkGate()

if hasattr(os, "register_at_fork"):  # if processes can fork at all
    os.register_at_fork(before=GATE.shut, after_in_parent=GATE.reopen, after_in_child=GATE.begin_anew)
