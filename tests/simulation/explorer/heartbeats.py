"""Stories in which the alert is a job's: it fails, the sweep opens its incident, and its next success resolves it."""

import json

from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.oncall.pings import Ping, Signal
from notifyflow.pipeline.oncall.roster import store_directory
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.directory import DirectoryFile
from notifyflow.service.oncall.roster import Rosters
from notifyflow.service.oncall.routes import Routes
from notifyflow.service.oncall.watched_jobs import JobWatch
from notifyflow.storage.store import Store
from tests.builders import CHANNELS, KEY
from tests.simulation.explorer.stage import Firing, Stage
from tests.simulation.explorer.story import Story

_JOB = KEY
_KEY = f"heartbeat/{_JOB}"


class JobStage(Stage):
    """Plays a story whose alert is a watched job: the route of the directory leads to Ada."""

    def __init__(self, store: Store, story: Story) -> None:
        super().__init__(store, story)
        use_cases, policy = UseCases(self.deps, self._note), story.policy
        self._rosters = Rosters(store, use_cases, DirectoryFile(None, SHIPPED, self.clock, tell=lambda reason: None))
        self._watch = JobWatch(store, use_cases, Routes(self.deps, {**SHIPPED, policy.name: policy}, self._rosters))
        self._declare()

    def _declare(self) -> None:
        """Store a directory with Ada as she is now, and with Ben if he is next."""
        ada = self._ada()
        parts = [f"[recipients.ada]\nname = 'Ada'\ntimezone = 'UTC'\naddresses = {_table(ada.addresses)}"]
        parts += [f"quiet = {json.dumps(ada.quiet)}"] if ada.quiet else []
        parts += [f"channels = {_table(ada.channels)}"] if ada.channels else []
        route = f'[default]\nto = ["ada"]\npolicy = "{self._story.policy.name}"'
        if self._story.next_s is not None:
            parts.append(f"[recipients.ben]\naddresses = {_table({name: f'ben@{name}' for name in CHANNELS})}")
            route += f'\nthen = [{{ after = "{self._story.next_s:.0f}s", to = ["ben"] }}]'
        job = f'[heartbeats.{_JOB}]\nevery = "30d"\nseverity = "CRITICAL"'
        store_directory(self.deps, "\n".join([*parts, route, job]), changed_at=self.clock.now())
        self._rosters.read()

    def _work(self) -> None:
        for _ in range(2):  # a failure and the success after it
            self._watch.sweep()
            self._look()
        super()._work()

    def _look(self) -> None:
        """Note whether the incident of the job was opened or resolved."""
        if (status := self.store.read(lambda reads: reads.status(_KEY))) is None:
            return
        if status.facts.id not in {firing.incident_id for firing in self.observed.firings}:
            self.observed.firings.append(Firing(self._now_s, status.facts.id))
        if status.facts.resolved_at is not None and status.facts.resolved_by == _JOB:
            self._ended("healed_s")

    def _fire(self) -> None:
        self._ping(Signal.FAIL)

    def _heal(self) -> None:
        self._ping(Signal.SUCCESS)

    def _move(self) -> None:
        self.observed.moved_s = self._now_s
        self._declare()
        if self.observed.firings and self.observed.firings[-1].healed_s is None and self.observed.firings[-1].resolved_s is None:
            self._fire()

    def _ping(self, signal: Signal) -> None:
        self._watch.receive(_JOB, Ping(signal=signal, at=self.clock.now()), "POST")


def _table(values: object) -> str:
    """Write a mapping as an inline table."""
    assert isinstance(values, dict)
    return "{ " + ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items()) + " }"
