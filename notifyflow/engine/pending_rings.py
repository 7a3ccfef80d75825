"""Keeps a process's received and unhandled rings, to give them back when it ends."""

import threading
from collections.abc import Collection


class PendingRings:
    """The notifications of unhandled rings; used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._owed: set[str] = set()
        self._is_closed = False

    def add(self, notification_ids: Collection[str]) -> bool:
        """Add the notifications of a ring; return False once it is closed, since this process handles no more."""
        with self._lock:
            if not self._is_closed:
                self._ids.update(notification_ids)
            return not self._is_closed

    def remove(self, notification_ids: Collection[str]) -> None:
        """Remove handled notifications."""
        with self._lock:
            self._ids.difference_update(notification_ids)

    def owe(self, notification_ids: Collection[str]) -> None:
        """Note rings that this process does not handle and could not give back."""
        with self._lock:
            self._ids.difference_update(notification_ids)
            self._owed.update(notification_ids)

    def pop_owed(self) -> Collection[str]:
        """Return and forget the owed rings, for the caller to give back."""
        with self._lock:
            owed, self._owed = self._owed, set()
            return owed

    def close(self) -> Collection[str]:
        """Close it, and return the rest."""
        with self._lock:
            self._is_closed = True
            left, self._ids = self._ids, set()
            return left
