"""Threads that are cut short right after they committed for others; checks that what they committed is rung for, and is sent."""

from typing import Any

from notifyflow.pipeline.transaction import journal
from tests.simulation.database import Session
from tests.simulation.threads import ThreadWatch
from tests.simulation.world import Interrupted, require

_CUTTING = 0.15
_CUTS = 0.05
_WITHIN_S = 2.0
_RUNNING = "SELECT state FROM notifyflow_attempt WHERE id = ? AND state = 'RUNNING'"


class Cuts(ThreadWatch):
    """Cuts threads short in some worlds."""

    def __init__(self, *watched: Any) -> None:
        super().__init__(*watched)
        self._begun: set[str] = set()

    def draw(self) -> None:
        """Draw whether this world has such threads."""
        if self._world.apart("cuts").random() < _CUTTING:
            self._world.odds["cut"] = _CUTS

    def on_begin(self, attempt_id: str) -> None:
        self._begun.add(attempt_id)

    def after_commit(self, session: Session) -> None:
        """Cut the thread short, if it commits for others; look a little later at what became of what it committed."""
        world = self._world
        if not (world.task.is_interruptible and journal.is_kept() and world.strikes("cut", "after a commit")):
            return
        pages = [each.id for each in session.pages]
        attempts = [each for each, is_new in session.attempts.items() if is_new]
        undisturbed = self._state()
        world.after(_WITHIN_S, lambda: self._check(pages, attempts, undisturbed))
        raise Interrupted

    def _check(self, pages: list[str], attempts: list[str], undisturbed: Any) -> None:
        if self._state() != undisturbed or self._broker.up_at_s > self._world.now_s - _WITHIN_S:
            return
        for each in pages:
            require(each in self._broker.rung, f"{each[-4:]} is not rung for, whose thread was cut short")
        for each in attempts:
            is_left = each not in self._begun and self._database.look(_RUNNING, each)
            require(
                not is_left, f"attempt {each[-4:]} is neither begun nor released, whose thread was cut short after its commit"
            )

    def _state(self) -> Any:
        faults = {name: count for name, count in self._world.faults.items() if not name.startswith(("message", "receipt"))}
        return faults, self._database.epoch, self._broker.up_at_s, self._disturbances()
