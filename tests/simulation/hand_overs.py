"""Stories of chains: who is paged after whom, and what people do at the very moment in which the next one is paged."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from notifyflow.core.delivery.chain import OPERATIONS, Chain, Planned
from notifyflow.core.delivery.model import Contact, Incident, Recipient, Severity, StepState, Via
from notifyflow.core.delivery.policy import Acknowledgement, Policy
from notifyflow.core.namespaces import SHARED
from notifyflow.core.references import ByKey
from notifyflow.pipeline.delivery.acknowledge import acknowledge, page_again, resolve
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.outside import CHANNELS
from tests.simulation.quiet import QuietHours
from tests.simulation.rosters import Rosters
from tests.simulation.world import START, World

_CHAINED = 0.2
_LEFT = 0.4
_LATER_S = 2400.0
_TEAM = ("ann", "bob", "cat", "dot")
_NAMES = ("@primary", "leads", "@nobody", "hal", "stranger")
_SEVERITIES = (Severity.CRITICAL, Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO)
_WAITS = tuple(timedelta(seconds=each) for each in (10, 60, 180, 600))

Submit = Callable[..., str]
"""Stores (incident, recipients, policy, namespace, chain), and returns the incident's id."""


class HandOvers:
    """Writes the stories of some worlds.

    Attributes:
        is_told: Whether this world has chains.
    """

    def __init__(self, world: World, database: SimulatedDatabase, rosters: Rosters, quiet: QuietHours) -> None:
        self._world, self._database, self._rosters, self._quiet = world, database, rosters, quiet
        self._chance = world.apart("chains")
        self.is_told = self._chance.random() < _CHAINED
        self.acts_at_hand_over = self._chance.random() < 0.4

    def write_script(self, people: Callable[..., None], submit: Submit, policy: Policy, *, until_s: float) -> None:
        """Plan the stories.

        Args:
            people: Schedules an act: (delay in seconds, act, arguments).
            submit: Stores an incident.
            policy: The policy of the incidents.
            until_s: When all faults end.
        """
        if not self.is_told:
            return
        chance, self._people = self._chance, people
        self._rosters.write_script(people, until_s=until_s)
        policy = replace(policy, acknowledgement=Acknowledgement.ANY)
        for number in range(chance.choice((1, 1, 2))):
            self._tell(f"chain-{number}", partial(self._notify, submit, policy, self._team(), self._steps()), until_s)

    def _tell(self, key: str, notify: Callable[..., FollowUps], until_s: float) -> None:
        chance, people = self._chance, self._people
        severity = chance.choice(_SEVERITIES)
        at_s = chance.uniform(0, until_s / 2)
        people(at_s, partial(notify, key, severity))
        later_s = partial(chance.uniform, at_s, until_s)
        if chance.random() < 0.3:
            people(later_s(), partial(notify, key, chance.choice(_SEVERITIES)))
        if chance.random() < 0.25:
            people(later_s(), partial(self._acknowledge, key))
        if chance.random() < 0.2:
            people(later_s(), partial(self._page_again, key))
        if chance.random() < 0.3:
            ends_s = later_s()
            people(ends_s, partial(self._resolve, key))
            people(ends_s + chance.choice((0.0, 1.0)) * chance.uniform(0, _LATER_S), partial(notify, key, severity))

    def after_commit(self, session: Session) -> None:
        """Let somebody act when a step begins, and when the next one is about to."""
        if not self.acts_at_hand_over:
            return
        chance = self._chance
        for line in session.lines:
            if line["machine"] == "step" and line["target"] in (StepState.STARTED, StepState.SKIPPED) and chance.random() < 0.5:
                found = self._database.look("SELECT key FROM notifyflow_incident WHERE id = ?", line["incident_id"])
                due = self._database.look("SELECT MIN(due_at) FROM notifyflow_step WHERE incident_id = ?", line["incident_id"])
                acts = [partial(self._acknowledge, found[0][0]), partial(self._resolve, found[0][0]), self._rosters.take]
                self._people(self._wait_s(due[0][0]), chance.choice(acts))

    def _wait_s(self, due_at: str | None) -> float:
        """Return how many seconds it is to the next hand-over, or to now, give or take a few statements of the database."""
        wait_s = self._chance.expovariate(20)
        if due_at is not None and self._chance.random() < 0.5:
            wait_s += (datetime.fromisoformat(due_at) - START).total_seconds() - self._world.now_s - 0.05
        return max(wait_s, 0.0)

    def _team(self) -> list[Recipient]:
        chance, team = self._chance, []
        for who in _TEAM:
            ways = [name for name in CHANNELS if chance.random() < 0.4] or ["email"]
            whose = "gone" if chance.random() < _LEFT else who
            team.append(self._quiet.given(Recipient(id=who, addresses={name: f"{whose}@{name}" for name in ways})))
        return team

    def _steps(self) -> list[tuple[tuple[str, ...], timedelta]]:
        """Return the steps: whom each pages, and after which time; the first one is of the team."""
        chance = self._chance
        steps = [(tuple(chance.sample(_TEAM, k=chance.choice((1, 1, 2)))), timedelta())]
        for _ in range(chance.choice((1, 2, 3))):
            to = tuple(chance.sample((*_TEAM, *_NAMES), k=chance.choice((1, 1, 2))))
            steps.append((to, chance.choice(_WAITS)))
        if chance.random() < 0.2:
            steps.append(((OPERATIONS,), chance.choice(_WAITS)))
        return steps

    def _notify(
        self,
        submit: Submit,
        policy: Policy,
        team: list[Recipient],
        steps: list[tuple[tuple[str, ...], timedelta]],
        key: str,
        severity: Severity,
        deps: Dependencies,
    ) -> FollowUps:
        del deps
        (first, _), *later = steps
        contacts = tuple(Contact(recipient_id=each.id, name=each.id, addresses=each.addresses, quiet=each.quiet) for each in team)
        then = tuple(Planned(to=to, after=after) for to, after in later)
        named = {name for each in then for name in each.to}
        chain = Chain(to=first, then=then, people=tuple(each for each in contacts if each.recipient_id in named))
        incident = Incident(key=key, title="down", severity=severity)
        people = [each for who in first for each in team if each.id == who]
        incident_id = submit(incident, people, policy, SHARED, chain)
        self._world.note(f"notified in steps: {incident_id[-4:]} {severity} {[list(to) for to, _ in steps]}")
        return NOTHING

    def _acknowledge(self, key: str, deps: Dependencies) -> FollowUps:
        return acknowledge(deps, ByKey(key, SHARED), by=self._chance.choice((*_TEAM, "eve")), via=Via.LIBRARY).follow_ups

    def _resolve(self, key: str, deps: Dependencies) -> FollowUps:
        return resolve(deps, ByKey(key, SHARED), by="ann", via=Via.LIBRARY).follow_ups

    def _page_again(self, key: str, deps: Dependencies) -> FollowUps:
        who = self._chance.choice(_TEAM)
        return page_again(deps, ByKey(key, SHARED), who, by="eve", via=Via.LIBRARY).follow_ups
