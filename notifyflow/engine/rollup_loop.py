"""Lets the sweeper count the lines of the log now and then; errors there delay no sweep."""

from datetime import datetime

from notifyflow.errors import CommitUnknown, StorageUnavailable
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.rollup import EVERY, roll_up
from notifyflow.pipeline.transaction.ports import Dependencies

_log = get_logger("notifyflow.engine")

_MOST_SETS = 30
"""How many sets of lines one turn counts at most, so that the next sweep is not late."""


class RollupLoop:
    """Counts the lines of the log every few seconds, unless another process has."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._due_at: datetime | None = None

    def turn(self) -> None:
        """Count the uncounted lines, if it is time; never raises."""
        now = self._deps.clock.now()
        if self._due_at is not None and now < self._due_at <= now + EVERY:
            return
        try:
            has_more = self._roll_up()
        except CommitUnknown:
            has_more = True  # the next turn counts the rest
        except StorageUnavailable as error:
            _log.warning("engine.storage_unavailable", waited_s=error.waited_s, reason=error.reason)
            has_more = False
        except Exception as error:  # noqa: BLE001 - a damaged row may raise anything, and metrics must not hold up a page
            _log.error("engine.fold_broke", error=type(error).__name__, place=source_line(error))
            has_more = False
        self._due_at = None if has_more else now + EVERY

    def _roll_up(self) -> bool:
        """Count some sets of lines; return whether there are more."""
        return all(roll_up(self._deps) for _ in range(_MOST_SETS))
