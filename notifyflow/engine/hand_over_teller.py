"""Tells people of hand-overs: checks the roster in memory, and reads the database only if somebody may be told.

Every delivering process does so; the first one to note a hand-over in the database tells people.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from notifyflow.core.oncall.hand_overs import to_tell
from notifyflow.core.oncall.roster import Roster
from notifyflow.engine.watch_loops import WatchLoop
from notifyflow.log import get_logger
from notifyflow.pipeline.oncall import hand_overs
from notifyflow.service.delivery.use_cases import UseCases

_log = get_logger("notifyflow.engine")

LOOK_EVERY = timedelta(seconds=15)


class HandOverTeller(WatchLoop):
    """Checks every few seconds for hand-overs, until it is stopped.

    Args:
        use_cases: Runs use cases.
        roster: Returns the roster in force.
        every: The time between two checks.
    """

    def __init__(self, use_cases: UseCases, roster: Callable[[], Roster], *, every: timedelta = LOOK_EVERY) -> None:
        super().__init__("hand-over-teller", self.look, every)
        self._use_cases = use_cases
        self._roster = roster
        self._handled: Mapping[str, datetime] = {}

    def look(self) -> None:
        """Tell people about past hand-overs of the last hour that they were not told about.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        if not to_tell(self._roster(), self._handled, self._use_cases.deps.clock.now()):
            return
        told = self._use_cases.run(hand_overs.tell)
        self._handled = told.handled
        for each in told.now:
            _log.info("engine.duty_handed_over", schedule=each.schedule, at=each.at.isoformat(), people=list(each.people))
