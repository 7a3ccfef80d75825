"""An oracle that itself raises an error ends its world at once, whatever the product would have made of the error."""

from typing import Any

import pytest

from tests.simulation.database import Session
from tests.simulation.scenario import AS_IT_IS, Scenario
from tests.simulation.world import Task

SEED = 7
COMMITS = ("sweep", "worker", "receipt")
OTHERS = ("begin", "message", "response", "log")


class WithFaultyOracle(Scenario):
    """A world with an oracle that divides by zero when it looks at one place."""

    def __init__(self, place: str) -> None:
        super().__init__(SEED, AS_IT_IS)
        self.place = place
        self.failed = 0
        self.seen_since = 0
        self._places: dict[Task, str] = {}

    def _look(self, place: str | None) -> None:
        self.seen_since += bool(self.failed)
        if place == self.place:
            self.failed += 1
            self.failed // 0

    def _sweep(self, *arguments: Any) -> None:
        self._places[self.world.task] = "sweep"
        super()._sweep(*arguments)

    def _handle_rings(self, *arguments: Any) -> None:
        self._places[self.world.task] = "worker"
        super()._handle_rings(*arguments)

    def _receive(self, *arguments: Any) -> Task | None:
        task = super()._receive(*arguments)
        if task is not None:
            self._places[task] = "receipt"
        return task

    def _after_commit(self, session: Session) -> None:
        super()._after_commit(session)
        self._look(self._places.get(self.world.task) if session.lines else None)

    def _on_begin(self, *arguments: Any) -> None:
        super()._on_begin(*arguments)
        self._look("begin")

    def _on_message(self, *arguments: Any) -> None:
        super()._on_message(*arguments)
        self._look("message")

    def _on_response(self, *arguments: Any) -> None:
        super()._on_response(*arguments)
        self._look("response")

    def _on_log(self, *arguments: Any) -> None:
        super()._on_log(*arguments)
        self._look("log")


@pytest.mark.parametrize("place", COMMITS + OTHERS)
def test_a_fault_of_an_oracle_ends_the_world_at_once_and_is_named(place: str) -> None:
    world = WithFaultyOracle(place)
    result = world.run()
    assert (world.failed, world.seen_since) == (1, 0)
    assert result.violation.startswith("an oracle raises ZeroDivisionError: integer division or modulo by zero (test_oracles.py:")
    assert "self.failed // 0" in result.trace[-2]
