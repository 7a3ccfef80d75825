"""Loops about watched jobs: the sweep of their deadlines, and the note that the web service listens for their pings."""

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
    """

    def __init__(self, name: str, turn: Callable[[], None], every: timedelta) -> None:
        self._name = name
        self._turn = turn
        self._every_s = every.total_seconds()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notifyflow-{name}", daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the running turn."""
        self._is_stopping.set()
        threads.end(self._thread)

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self._turn()
            except StorageUnavailable:  # the sweeper says so
                pass
            except Exception as error:  # noqa: BLE001 - the edge of the thread
                _log.error("engine.watch_loop_broke", loop=self._name, error=type(error).__name__, place=source_line(error))
            self._is_stopping.wait(self._every_s)
