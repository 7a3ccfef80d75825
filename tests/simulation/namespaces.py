"""A second namespace with the same incident keys and recipient ids: no ingest key moves another namespace's row."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from notifyflow.core.delivery.model import Incident, Recipient, Severity, Via
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.namespaces import SHARED
from notifyflow.core.references import ByKey
from notifyflow.pipeline.delivery.acknowledge import acknowledge, resolve
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.outside import CHANNELS
from tests.simulation.world import Task, World, require

OTHER = "other"
_BESIDE = 0.3
_ANYWHERE = 0.2
_THEIRS = "i.namespace <> ? AND NOT i.is_operations"
_OF_THEIRS = f"JOIN notifyflow_incident i ON i.id = t.incident_id WHERE {_THEIRS}"
_ROWS = {
    "incident": f"SELECT i.* FROM notifyflow_incident i WHERE {_THEIRS} ORDER BY i.id",
    **{
        table: f"SELECT t.* FROM notifyflow_{table} t {_OF_THEIRS} ORDER BY 1, 2"
        for table in ("contact", "escalation", "notification", "transition")
    },
}

Act = Callable[[Dependencies], FollowUps]


class Namespaces:
    """Plans the other namespace's requests, and checks that an act in one namespace leaves the rows of the others alone."""

    def __init__(self, world: World, database: SimulatedDatabase) -> None:
        self._world = world
        self._database = database
        self._chance = world.apart("namespaces")
        self._is_shared = self._chance.random() < _BESIDE
        self._acting: dict[Task, str] = {}
        self._before: dict[str, list[Any]] = {}

    def write_script(self, people: Callable[..., None], notify: Callable[..., str], policy: Policy, *, until_s: float) -> None:
        """Plan the other namespace's requests.

        Args:
            people: Schedules an act: (delay in seconds, act).
            notify: Submits (incident, recipients, policy, namespace), and returns the incident's id.
            policy: The policy of their incidents.
            until_s: When all faults end.
        """
        if not self._is_shared:
            return
        chance = self._chance
        for _ in range(chance.choice((1, 2, 3))):
            people(chance.choice((0.0, chance.uniform(0, until_s))), partial(self._notify, notify, policy))
        for act in (acknowledge, resolve):
            if chance.random() < 0.5:
                people(chance.uniform(0, until_s), self.within(OTHER, partial(self._end, act)))

    def named(self) -> str | None:
        """Return the namespace that an operator names: ours, or None for all."""
        return SHARED if self._is_shared and self._chance.random() >= _ANYWHERE else None

    def within(self, namespace: str | None, act: Act) -> Act:
        """Run an act in a namespace; it may change rows of that namespace only."""

        def watched(deps: Dependencies) -> FollowUps:
            if not self._is_shared or namespace is None:
                return act(deps)
            with self.acting(namespace):
                return act(deps)

        return watched

    @contextmanager
    def acting(self, namespace: str | None) -> Iterator[None]:
        """Let transactions in the block change rows of one namespace only; None lets them change any."""
        me = self._world.task
        if self._is_shared and namespace is not None:
            self._acting[me] = namespace
        try:
            yield
        finally:
            self._acting.pop(me, None)

    def before_commit(self, session: Session) -> None:
        """Remember the rows that the transaction must not change."""
        namespace = self._acting.get(session.task)
        self._before = {} if namespace is None else self._rows(namespace)

    def after_commit(self, session: Session) -> None:
        """Require that those rows are unchanged."""
        namespace = self._acting.get(session.task)
        if namespace is not None:
            now = self._rows(namespace)
            moved = [table for table, rows in now.items() if rows != self._before[table]]
            require(not moved, f"11: whoever acts in the namespace {namespace!r} has moved {moved} of another")

    def _rows(self, namespace: str) -> dict[str, list[Any]]:
        return {table: self._database.look(query, namespace) for table, query in _ROWS.items()}

    def _notify(self, notify: Callable[..., str], policy: Policy, deps: Dependencies) -> FollowUps:
        del deps
        chance = self._chance
        who = chance.choice(("ada", "eve"))
        addresses = {name: f"{chance.choice((who, 'eve'))}@{name}" for name in CHANNELS if chance.random() < 0.6} or {
            "email": "eve@email"
        }
        incident = Incident(key="db-1", title="all is well", severity=chance.choice(list(Severity)))
        incident_id = notify(incident, [Recipient(id=who, addresses=addresses)], policy, OTHER)
        self._world.note(f"notified elsewhere: {incident_id[-4:]} {incident.severity} {who}")
        return NOTHING

    def _end(self, act: Callable[..., Any], deps: Dependencies) -> FollowUps:
        done = act(deps, ByKey("db-1", OTHER), by="eve", via=Via.LIBRARY)
        self._world.note(f"{act.__name__} elsewhere: {bool(done.value)}")
        follow_ups: FollowUps = done.follow_ups
        return follow_ups
