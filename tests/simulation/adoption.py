"""A database that is adopted, as after a restore: its incidents stay in quarantine until they are released or resolved."""

from collections.abc import Callable
from functools import partial

from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from notifyflow.pipeline.upkeep.adopt import adopt, release_from_quarantine, resolve_quarantined
from tests.simulation.clocks import Covers
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.world import World, require

_ADOPTED = 0.15
_LONGEST_S = 900.0
_BY_US = {
    ("notification", "claimed"),
    ("notification", "lease_expired"),
    ("notification", "expired"),
    ("escalation", "round_due"),
}
"""Events that only sending or the passing of time can cause."""


class Adoption:
    """Adopts the database at a drawn time, and checks that no quarantined row moves."""

    def __init__(self, world: World, database: SimulatedDatabase, covers: Covers) -> None:
        self._world = world
        self._database = database
        self._covers = covers
        self._quarantined_s: dict[str, float] = {}
        self._is_decided = False

    def write_script(self, people: Callable[..., None], *, until_s: float) -> None:
        """Plan the adoption; incidents still quarantined after the last fault are released then."""
        chance = self._world.apart("adopted")
        if chance.random() >= _ADOPTED:
            return
        at_s = chance.uniform(0, until_s)
        people(at_s, self._adopt)
        decide = release_from_quarantine if chance.random() < 0.7 else resolve_quarantined
        people(at_s + chance.uniform(10, _LONGEST_S), partial(self._decide, decide))
        people(until_s + _LONGEST_S, partial(self._decide, release_from_quarantine))

    def check(self, session: Session) -> None:
        """Require that a transaction neither sends nor times out a row that was quarantined when it began."""
        for line in session.lines:
            is_quarantined = self._quarantined_s.get(line["incident_id"], session.began_s) < session.began_s
            is_ours = (line["machine"], line["event"]) in _BY_US
            require(
                not (is_quarantined and is_ours),
                f"11: {line['row_id'][-4:]} is {line['event']}, which is quarantined",
            )

    def _adopt(self, deps: Dependencies) -> FollowUps:
        count = adopt(deps, "copy", is_forced=True)
        if not self._is_decided:
            quarantined = [incident_id for (incident_id,) in self._database.look("SELECT incident_id FROM notifyflow_quarantine")]
            self._quarantined_s |= dict.fromkeys(quarantined, self._world.now_s)
            self._covers.quarantine(quarantined)
        self._world.note(f"adopted: {count} incidents are quarantined")
        return NOTHING

    def _decide(self, decide: Callable[[Dependencies], int], deps: Dependencies) -> FollowUps:
        self._is_decided = True  # uncertain from now on: the web service may have stalled while it adopted
        self._quarantined_s.clear()
        self._covers.release()
        self._world.note(f"{decide.__name__}: {decide(deps)} incidents")
        return NOTHING


def freed(column: str) -> str:
    """Return the SQL condition that an incident is not quarantined."""
    return f"{column} NOT IN (SELECT incident_id FROM notifyflow_quarantine)"
