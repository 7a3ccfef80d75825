"""Worlds in which others are in the way for a while, the more so the more a transaction writes: sets shrink and grow again."""

from collections import Counter
from datetime import datetime, timedelta
from functools import partial

from notifyflow.core.delivery.model import Incident, Recipient, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.namespaces import SHARED
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.simulation.database import Collided, Session
from tests.simulation.outside import Certain
from tests.simulation.scenario import AS_IT_IS, RunResult, Scenario, Variant
from tests.simulation.world import START, require

_CROWD = 40
_CROWDS_S = {"before": 20.0, "pressed": 200.0, "since": 700.0, "after": 800.0}
_PRESSED_S = (190.0, 600.0)
_A_ROW = 0.1
"""How often a row that is written meets the lock of another: a page alone passes in most tries, twenty together hardly ever."""
_WITHIN_S = 60.0
_LASTS_S = 1000.0
_ACCEPTED_AT = """
    SELECT MIN(a.ended_at) FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_incident i ON i.id = n.incident_id WHERE i.key = ? AND a.evidence IS NOT NULL
"""


class Pressed(Scenario):
    """A world without faults, but for deadlocks for a while; crowds are notified before, meanwhile and afterwards."""

    def __init__(self, seed: int, variant: Variant) -> None:
        super().__init__(seed, variant)
        self._outside.certain = Certain(outcome="accepted", receipts=(), latencies_s=(0.004, 0.006))
        self._outside.dropping = {}
        self._operators.limits = {}
        self._phones.senders = {}
        self._subscribers = ()
        self._heals_s = _LASTS_S
        self._in_the_way = self.world.apart("pressure")
        self._database.on_write = self._press
        self._notified_s: dict[str, float] = {}
        self._largest = Counter[str]()
        self.world.widest_skew_s = 0.0
        for process in self.world.processes:
            process.skew = timedelta()

    def _draw_faults(self) -> None:
        """Draw none."""

    def _write_script(self) -> None:
        """Notify crowds, an incident for each of their people."""
        self._acknowledges_at_tier = False
        for crowd, at_s in _CROWDS_S.items():
            for number in range(_CROWD):
                self._people(at_s, partial(self._notify_one, f"{crowd}-{number}"))

    def _press(self, rows: int) -> None:
        began_s, ended_s = _PRESSED_S
        if began_s <= self.world.now_s < ended_s and self._in_the_way.random() > (1 - _A_ROW) ** rows:
            raise Collided("deadlock")

    def _notify_one(self, key: str, deps: Dependencies) -> FollowUps:
        del deps
        self._notified_s.setdefault(key, self.world.now_s)
        who = Recipient(id=key, addresses={"email": f"{key}@email"})
        self._submit(Incident(key=key, title="down", severity=Severity.ERROR), [who], DEFAULT, SHARED)
        return NOTHING

    def _is_settled(self) -> bool:
        return self.world.now_s > _LASTS_S and super()._is_settled()

    def _after_commit(self, session: Session) -> None:
        crowd = [name for name, at_s in _CROWDS_S.items() if at_s <= self.world.now_s][-1:]
        claimed = sum(session.attempts.values())
        self._largest.update({each: max(claimed - self._largest[each], 0) for each in crowd})
        super()._after_commit(session)

    def _at_end(self) -> None:
        """Require that nobody waited for long, that nobody is blamed, and that claims are as large as before at the end."""
        super()._at_end()
        for key, at_s in self._notified_s.items():
            ((at,),) = self._database.look(_ACCEPTED_AT, key)
            waited_s = float("inf") if at is None else (datetime.fromisoformat(at) - START).total_seconds() - at_s
            require(waited_s <= _WITHIN_S, f"15: {key} waited {waited_s:.1f} s while others were in the way")
        blamed = self._database.look("SELECT row_id FROM notifyflow_set_aside")
        require(not blamed, f"15: locks of others are blamed on rows: {blamed}")
        before, after = self._largest["before"], self._largest["after"]
        require(2 * after >= before, f"15: a claim takes {after} at most, and took {before} before others were in the way")


def simulate_pressure(seed: int, variant: Variant = AS_IT_IS) -> RunResult:
    """Run one such world and return its result."""
    return Pressed(seed, variant).run()
