"""The sweeper: one thread in each process that handles work due by time. There is no leader; all may sweep."""

import threading
from collections.abc import Callable
from datetime import datetime

from notifyflow.core.delivery.ports import Clock
from notifyflow.core.delivery.retry import pause_s
from notifyflow.engine import threads
from notifyflow.errors import StorageUnavailable
from notifyflow.log import get_logger, source_line

_log = get_logger("notifyflow.engine")

_SHORTEST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


class Sweeper:
    """Sweeps when work is due, at least once a second, until it is stopped.

    Args:
        clock: The only source of time.
        sweep: Sweeps once; returns whether every row could be handled.
        next_wake_at: Returns when the next sweep has work; None while no timer runs.
        fraction: Draws a number from [0, 1).
    """

    def __init__(
        self,
        clock: Clock,
        sweep: Callable[[], bool],
        next_wake_at: Callable[[], datetime | None],
        fraction: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._fraction = fraction
        self._sweep = sweep
        self._next_wake_at = next_wake_at
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifyflow-sweeper", daemon=True)

    def start(self) -> None:
        """Start to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for a running sweep, and begin no other."""
        self._is_stopping.set()
        threads.end(self._thread)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._is_stopping.wait(pause_s):
            pause_s = self._turn()

    def _turn(self) -> float:
        """Sweep once; only ``stop`` ends the loop.

        Returns:
            How long to pause, in seconds.
        """
        try:
            is_clean = self._sweep()
            wake_at = self._next_wake_at()
        except StorageUnavailable as error:
            _log.warning("engine.storage_unavailable", waited_s=error.waited_s, reason=error.reason)
            return self._pause_after_fault()
        except Exception as error:  # noqa: BLE001 - the edge of the thread
            _log.error("engine.sweep_broke", error=type(error).__name__, place=source_line(error))
            return self._pause_after_fault()
        if wake_at is None or not is_clean:  # a row that breaks the sweep stays due: no reason to hurry
            return _LONGEST_PAUSE_S
        return min(max((wake_at - self._clock.now()).total_seconds(), _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)

    def _pause_after_fault(self) -> float:
        """Return a pause of random length, so that processes that failed together do not retry together."""
        return pause_s(1, self._fraction(), first_s=_LONGEST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
