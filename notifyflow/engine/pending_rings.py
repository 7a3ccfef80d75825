"""Keeps the rings that a process has received and not handled yet, so that a process that ends can give them back."""

import threading
from collections.abc import Collection


class PendingRings:
    """Notifications that this process was rung for and has not looked for yet; used by many threads, until it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._owed: set[str] = set()
        self._is_closed = False

    def add(self, notification_ids: Collection[str]) -> bool:
        """Add what a ring was for; False once it is closed, since nobody here will handle it."""
        with self._lock:
            if not self._is_closed:
                self._ids.update(notification_ids)
            return not self._is_closed

    def remove(self, notification_ids: Collection[str]) -> None:
        """Remove what somebody has looked for."""
        with self._lock:
            self._ids.difference_update(notification_ids)

    def owe(self, notification_ids: Collection[str]) -> None:
        """Note rings that nobody here will handle and that could not be given back."""
        with self._lock:
            self._owed.update(notification_ids)

    def pop_owed(self) -> Collection[str]:
        """Return and forget the owed rings; the caller takes them back now."""
        with self._lock:
            owed, self._owed = self._owed, set()
            return owed

    def close(self) -> Collection[str]:
        """Add nothing more, and return all that is left."""
        with self._lock:
            self._is_closed = True
            left, self._ids = self._ids, set()
            return left
