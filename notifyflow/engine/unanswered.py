"""The rings that a process has heard and not answered yet, so that a process that ends can give them back."""

import threading
from collections.abc import Collection


class Unanswered:
    """Notifications that this process was rung for and has not looked for yet; used by many threads, until it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._owed: set[str] = set()
        self._is_closed = False

    def hear(self, notification_ids: Collection[str]) -> bool:
        """Take note of a ring; False once it is closed, since nobody here will answer it."""
        with self._lock:
            if not self._is_closed:
                self._ids.update(notification_ids)
            return not self._is_closed

    def answer(self, notification_ids: Collection[str]) -> None:
        """Strike off what somebody has looked for."""
        with self._lock:
            self._ids.difference_update(notification_ids)

    def owe(self, notification_ids: Collection[str]) -> None:
        """Note rings that nobody here will answer and that could not be given back."""
        with self._lock:
            self._owed.update(notification_ids)

    def pop_owed(self) -> Collection[str]:
        """Return and forget the owed rings; the caller takes them back now."""
        with self._lock:
            owed, self._owed = self._owed, set()
            return owed

    def close(self) -> Collection[str]:
        """Take note of nothing more, and return all that is left."""
        with self._lock:
            self._is_closed = True
            left, self._ids = self._ids, set()
            return left
