"""Decides which threads leave their work to an urgent ring that waits for a thread."""

import threading
from collections.abc import Callable


class Precedence:
    """Makes as many threads give way as urgent rings wait; used by many threads.

    Args:
        waiting: Returns how many urgent rings wait for a thread of this process.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._waiting = waiting
        self._lock = threading.Lock()
        self._leaving = 0

    def takes_thread(self) -> bool:
        """Return whether the calling thread, which is between two sends, must give way; if so, it calls ``note_free`` later."""
        waiting = self._waiting()
        with self._lock:
            self._leaving = min(self._leaving, waiting)
            if waiting == self._leaving:
                return False
            self._leaving += 1
            return True

    def note_free(self) -> None:
        """Note that a thread that had to give way is free."""
        with self._lock:
            self._leaving = max(0, self._leaving - 1)
