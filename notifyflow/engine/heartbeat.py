"""Pings an outside monitor while all is well; when the pings stop, the monitor raises the alarm.

It has its own thread, so that a hanging monitor delays no sweep, and a hanging sweep stops the heartbeat.
"""

import time
from datetime import timedelta

from notifyflow.channels.monitor import Monitor
from notifyflow.engine.watch_loops import WatchLoop
from notifyflow.errors import ProviderError, StorageUnavailable
from notifyflow.log import get_logger
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.upkeep.heartbeat import Pulse, beat

_log = get_logger("notifyflow.engine")

_LOOKS_A_BEAT = 10
_VOUCHES_FOR_S = 60.0  # a sweep without a broker sends due notifications itself, which takes time


class Heartbeat(WatchLoop):
    """Beats while this process sweeps, every sweep is clean, and the database shows nothing left behind.

    Args:
        monitor: The monitor.
        deps: The dependencies of the use cases.
        every: The time between two heartbeats of all processes together.
    """

    def __init__(self, monitor: Monitor, deps: Dependencies, *, every: timedelta) -> None:
        super().__init__("heartbeat", self._beat, every / _LOOKS_A_BEAT, waits_first=True)
        self._monitor = monitor
        self._deps = deps
        self._every = every
        self._clean_until = 0.0
        self._withheld: str | None = None

    def close(self) -> None:
        """Close the monitor's client."""
        self._monitor.close()

    def note_sweep(self, *, is_clean: bool) -> None:
        """Note that a sweep has ended; a clean one vouches for the next minute."""
        self._clean_until = time.monotonic() + _VOUCHES_FOR_S if is_clean else 0.0

    def _beat(self) -> None:
        if time.monotonic() > self._clean_until:
            self._withhold("not_swept_clean")
            return
        try:
            pulse = beat(self._deps, every=self._every)
        except StorageUnavailable:
            self._withheld = "storage_unavailable"
            raise
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
