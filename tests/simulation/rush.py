"""A rush: many people are notified over many channels at once, and a few CRITICAL incidents come in between."""

from collections.abc import Callable
from functools import partial
from typing import Any

from notifyflow import Recipient
from notifyflow.core.delivery.model import Severity
from tests.simulation.outside import CHANNELS
from tests.simulation.threads import ThreadWatch
from tests.simulation.world import Task, require

_RUSHED = 0.1
_CROWD = 12
_PATIENCE_S = 2.0  # how long a thread that gives way may take to release what it holds
_SEVERITY = (
    "SELECT n.severity FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id WHERE a.id = ?"
)


class Rush(ThreadWatch):
    """Writes the rush into some scripts, and checks in all worlds that no thread goes on while an urgent ring waits for one."""

    def __init__(self, *watched: Any) -> None:
        super().__init__(*watched)
        self._begun: dict[Task, tuple[float, tuple[int, ...]]] = {}

    def write_script(self, people: Callable[..., None], notify: Callable[..., Any], *, until_s: float) -> None:
        chance = self._world.apart("rush")
        if chance.random() >= _RUSHED:
            return
        at_s = chance.uniform(0, until_s)
        crowd = [Recipient(id=f"q{n}", addresses={name: f"q{n}@{name}" for name in CHANNELS[:4]}) for n in range(_CROWD)]
        people(at_s, partial(notify, key="rush"), chance.choice((Severity.INFO, Severity.ERROR)), crowd)
        for number in range(3):
            urgent = partial(notify, key=f"urgent-{number}")
            people(at_s + chance.uniform(0, 4), urgent, Severity.CRITICAL, [Recipient(id="gil", addresses={"sms": "gil@sms"})])

    def on_begin(self, attempt_id: str) -> None:
        """Require that a thread begins no second send that is not urgent while an urgent ring waits."""
        ((severity,),) = self._database.look(_SEVERITY, attempt_id)
        if severity == Severity.CRITICAL:
            return
        now_s, undisturbed = self._world.now_s, self._disturbances()
        before_s, then = self._begun.get(self._world.task, (-1.0, undisturbed))
        self._begun[self._world.task] = now_s, undisturbed
        for since_s, message in self._broker.waiting:
            is_late = message.is_urgent and since_s < before_s and now_s - since_s > _PATIENCE_S
            require(
                not is_late or then != undisturbed, f"{attempt_id[-4:]} is sent while an urgent ring waits since {since_s:.3f}"
            )
