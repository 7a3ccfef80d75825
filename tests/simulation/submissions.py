"""The submissions of a web process, which are committed together, and in some worlds many of them at once."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from notifyflow.core.intake import validation
from notifyflow.core.model import Incident, Notified, Recipient, Severity
from notifyflow.core.policy import Policy
from notifyflow.engine.reporter import Reporter
from notifyflow.pipeline.notify import Submitted
from notifyflow.pipeline.ports import Dependencies
from notifyflow.service.submissions import Submissions
from notifyflow.service.use_cases import UseCases
from tests.simulation.database import SimulatedDatabase
from tests.simulation.outside import CHANNELS, Broker
from tests.simulation.world import Deadline, Monitor, World

_WITHIN_S = 5.0
_BURSTING = 0.1
_BURST = 8
_KEYS = 4


class WebSubmissions:
    """Stores what people submit through the web process, as long as that lives; all in one namespace."""

    def __init__(self, world: World, database: SimulatedDatabase, broker: Broker) -> None:
        self._world = world
        self._database = database
        self._broker = broker

    def boot(self, deps: Dependencies) -> None:
        """Begin without the submissions of the process before."""
        self._deps = deps
        use_cases = UseCases(deps, Reporter(self._broker, self._database).report)
        self._submissions = Submissions(use_cases, within=self._database.within, monitor=partial(Monitor, self._world))

    def submit(self, incident: Incident, people: Sequence[Recipient], policy: Policy) -> Notified:
        """Store an incident, and report what it led to."""
        admitted = validation.admit(incident, people, self._deps.check_address, self._deps.channels)
        return self._submissions.store(Submitted(admitted=admitted, policy=policy), Deadline(self._world, _WITHIN_S))

    def write_script(self, people: Callable[..., None], notify: Callable[..., Any], *, until_s: float) -> None:
        """In some worlds, submit incidents at the same instant, several of them with one key."""
        chance = self._world.apart("burst")
        if chance.random() >= _BURSTING:
            return
        at_s = chance.uniform(0, until_s)
        for _ in range(_BURST):
            key, severity = f"burst-{chance.randrange(_KEYS)}", chance.choice(list(Severity))
            reached_by = chance.sample(CHANNELS, chance.choice((1, 2)))
            hal = Recipient(id="hal", addresses={name: f"hal@{name}" for name in reached_by})
            people(at_s + chance.choice((0.0, chance.uniform(0, 0.2))), partial(notify, key=key), severity, [hal])
