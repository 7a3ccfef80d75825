"""Loops beside the sweeps: what a process does every few seconds, each in a thread of its own.

The deadlines of watched jobs, and the note that the web service listens for their pings, need no more than this one.
"""

import threading
from collections.abc import Callable
from datetime import timedelta

from notifyflow.engine import threads
from notifyflow.errors import StorageUnavailable
from notifyflow.log import get_logger, source_line

_log = get_logger("notifyflow.engine")

SWEEP_EVERY = timedelta(seconds=1)
NOTE_EVERY = timedelta(seconds=5)


class WatchLoop:
    """Does something every few seconds, until it is stopped; a failure waits for the next time.

    Args:
        name: The name of its thread.
        turn: Does it once.
        every: The time between two turns.
        waits_first: Whether the first turn comes after that time, too, and not at once.

    Attributes:
        turn: Does it once. In tests, a driver calls it on its own clock, and no thread is started.
    """

    def __init__(self, name: str, turn: Callable[[], None], every: timedelta, *, waits_first: bool = False) -> None:
        self.name = name
        self.turn = turn
        self._every_s = every.total_seconds()
        self._first_s = self._every_s if waits_first else 0.0
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notifyflow-{name}", daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the running turn."""
        self._is_stopping.set()
        if self._thread.ident is not None:
            threads.end(self._thread)
        self.close()

    def close(self) -> None:
        """Free what the turns use."""

    def _run(self) -> None:
        pause_s = self._first_s
        while not self._is_stopping.wait(pause_s):
            pause_s = self._every_s
            try:
                self.turn()
            except StorageUnavailable:  # the sweeper says so
                pass
            except Exception as error:  # noqa: BLE001 - the edge of the thread
                _log.error("engine.watch_loop_broke", loop=self.name, error=type(error).__name__, place=source_line(error))
