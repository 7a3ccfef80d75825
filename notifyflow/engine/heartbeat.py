"""Pings an outside monitor while all is well; when the pings stop, the monitor raises the alarm.

It has its own thread, so that a hanging monitor delays no sweep, and a hanging sweep stops the heartbeat.
"""

import threading
import time
from datetime import timedelta

from notifyflow.channels.monitor import Monitor
from notifyflow.engine import threads
from notifyflow.errors import ProviderError, StorageUnavailable
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.upkeep.heartbeat import Pulse, beat

_log = get_logger("notifyflow.engine")

_LOOKS_A_BEAT = 10
_VOUCHES_FOR_S = 60.0  # a sweep without a broker sends due notifications itself, which takes time


class Heartbeat:
    """Beats while this process sweeps, every sweep is clean, and the database shows nothing left behind.

    Args:
        monitor: The monitor.
        deps: The dependencies of the use cases.
        every: The time between two heartbeats of all processes together.
    """

    def __init__(self, monitor: Monitor, deps: Dependencies, *, every: timedelta) -> None:
        self._monitor = monitor
        self._deps = deps
        self._every = every
        self._clean_until = 0.0
        self._withheld: str | None = None
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifyflow-heartbeat", daemon=True)

    def start(self) -> None:
        """Start to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for a running ping, and send no other."""
        self._is_stopping.set()
        threads.end(self._thread)
        self._monitor.close()

    def note_sweep(self, *, is_clean: bool) -> None:
        """Note that a sweep has ended; a clean one vouches for the next minute."""
        self._clean_until = time.monotonic() + _VOUCHES_FOR_S if is_clean else 0.0

    def _run(self) -> None:
        pause_s = self._every.total_seconds() / _LOOKS_A_BEAT
        while not self._is_stopping.wait(pause_s):
            try:
                self._turn()
            except StorageUnavailable:  # the sweeper logs it
                self._withheld = "storage_unavailable"
            except Exception as error:  # noqa: BLE001 - the edge of the thread
                _log.error("engine.heartbeat_broke", error=type(error).__name__, place=source_line(error))

    def _turn(self) -> None:
        if time.monotonic() > self._clean_until:
            self._withhold("not_swept_clean")
            return
        pulse = beat(self._deps, every=self._every)
        if pulse is Pulse.OURS:
            self._ping()
        elif pulse is not Pulse.EARLY:
            self._withhold(pulse.value)

    def _ping(self) -> None:
        self._withheld = None
        try:
            self._monitor.ping()
        except ProviderError as error:
            _log.warning("engine.heartbeat_failed", error=type(error).__name__, code=error.code)

    def _withhold(self, reason: str) -> None:
        """Log why the heartbeat is withheld, once for each reason."""
        if reason != self._withheld:
            self._withheld = reason
            _log.error("engine.heartbeat_withheld", reason=reason)
