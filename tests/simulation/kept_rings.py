"""Checks that a process keeps no ring for itself: what it was rung for is handled, or given back with the next sweep."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from notifyflow.engine.deliver import Deliverer
from tests.simulation.database import SimulatedDatabase
from tests.simulation.world import World, require


class KeptRings:
    """Counts who handles rings, and looks into the processes in which nobody does."""

    def __init__(self, world: World, database: SimulatedDatabase, disturbances: Callable[[], tuple[int, ...]]) -> None:
        self._world = world
        self._database = database
        self._disturbances = disturbances
        self._inside: Counter[Deliverer] = Counter()
        self._begun: Counter[Deliverer] = Counter()

    @contextmanager
    def handled(self, deliverer: Deliverer) -> Iterator[None]:
        """Count a thread that handles a ring in the block."""
        self._inside[deliverer] += 1
        self._begun[deliverer] += 1
        try:
            yield
        finally:
            self._inside[deliverer] -= 1

    def pay_back(self, deliverer: Deliverer) -> None:
        """Do what an engine does after each sweep; require that an idle process has no ring left then."""
        before, versions = self._state(deliverer), self._versions(deliverer)
        deliverer.pay_back()
        for _ in range(2):  # claims lock rows that they leave as they are, and the next sweep gives their rings back
            if deliverer._pending_rings._owed:
                deliverer.pay_back()
        if not self._inside[deliverer] and self._state(deliverer) == before:
            rings = deliverer._pending_rings
            require(not rings._ids, f"nobody handles the rings for {sorted(each[-4:] for each in rings._ids)}")
            kept = self._versions(deliverer).items() & versions.items()  # what moved meanwhile was locked
            owed = sorted(each[-4:] for each, _ in kept if each not in self._database.locks)  # a frozen process may hold some
            require(not owed, f"the rings for {owed} are not given back")

    def are_owed(self, deliverer: Deliverer) -> bool:
        """Return whether the next sweep has rings to give back: an engine sweeps every second."""
        return bool(deliverer._pending_rings._owed)

    def _versions(self, deliverer: Deliverer) -> dict[str, int]:
        """Return the versions of the rows that a process owes rings for."""
        look = "SELECT id, version FROM notifyflow_notification WHERE id = ?"
        return {row_id: version for each in deliverer._pending_rings._owed for row_id, version in self._database.look(look, each)}

    def _state(self, deliverer: Deliverer) -> Any:
        return self._inside[deliverer], self._begun[deliverer], self._disturbances(), self._world.now_s >= self._database.up_at_s
