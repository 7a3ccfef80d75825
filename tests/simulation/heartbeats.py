"""Worlds in which jobs ping while processes die, the database goes away, and the directory changes.

No miss is told that was none, none is left out, and none is told twice; ``job_record.py`` judges.
"""

from dataclasses import replace
from functools import partial
from random import Random

from notifyflow.core.delivery.model import Via
from notifyflow.core.delivery.policy import DEFAULT, SHIPPED
from notifyflow.core.delivery.ports import Clock
from notifyflow.core.intake.integrations import pagerduty
from notifyflow.core.namespaces import SHARED
from notifyflow.core.oncall.pings import Ping, Signal
from notifyflow.core.oncall.timetables import Timetable
from notifyflow.core.references import ByKey
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import HeartbeatNotFound, StorageUnavailable
from notifyflow.pipeline import inbound
from notifyflow.pipeline.delivery.acknowledge import resolve
from notifyflow.pipeline.inbound import RoutedRequest
from notifyflow.pipeline.oncall.roster import store_directory
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.directory import DirectoryFile
from notifyflow.service.oncall.roster import Rosters
from notifyflow.service.oncall.routes import Routes
from notifyflow.service.oncall.watched_jobs import JobWatch
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.job_record import JobRecord
from tests.simulation.outside import Certain
from tests.simulation.scenario import AS_IT_IS, RunResult, Scenario, Variant
from tests.simulation.world import Monitor, Process, World

_HEALS_S = 6000.0
_SETTLES_S = 2700.0
_NAMES = ("backup", "export", "import", "report", "sync")
_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC")
_QUIET_AT_END_S = 120.0
"""So that all pings are handled when the world is judged."""
_NOTE_EVERY_S = 5.0
_SWEEP_EVERY_S = 2.0
_RESPONDS_WITHIN_S = 12.0
_TRIES = 4
_FAULTS = {"crash": 0.001, "pause": 0.0005, "commit_unknown": 0.003}
_SIGNALS = {"success": Signal.SUCCESS, "start": Signal.START, "fail": Signal.FAIL}


class _Reading(Store):
    """The reads of the simulated database."""

    def __init__(self, world: World, database: SimulatedDatabase) -> None:
        self._world, self._database = world, database

    def read(self, query, *, timeout_s=5.0):  # type: ignore[no-untyped-def]
        if self._world.now_s < self._database.up_at_s:
            raise StorageUnavailable(timeout_s, "simulated")
        return self._database.read(lambda db: query(Reads(db)))


class Watching(Scenario):
    """A world in which jobs ping over HTTP, web processes note that they listen, and workers look for missing pings."""

    def __init__(self, seed: int, variant: Variant, *, begins_s: float = 0.0) -> None:
        super().__init__(seed, variant, begins_s=begins_s)
        self._outside.certain = Certain(outcome="accepted", receipts=(), latencies_s=(0.1, 0.5))
        self._outside.dropping = {}
        self._operators.limits = {}
        self._phones.senders = {}
        self._subscribers = ()
        self._heals_s = begins_s + _HEALS_S
        self._lasts_s = self._heals_s + _SETTLES_S
        self._beats.are_rows_sound = False  # no storm is in these worlds, and workers stand still
        self.world.widest_skew_s = 0.0
        for process in self.world.processes:
            process.skew *= 0
        self._record = JobRecord(self.world, self._database, self._web_process, self._workers)
        self._declared: dict[str, Timetable] = {}

    def _draw_faults(self) -> None:
        """Let processes die and stand still now and then, and be away together with the database or without it."""
        chance, world = self.world.apart("faults of watched jobs"), self.world
        world.odds = {name: most * chance.random() for name, most in _FAULTS.items() if chance.random() < 0.5}
        for _ in range(chance.choice((0, 1, 2, 3))):
            span_s = chance.choice((chance.uniform(2, 14), chance.uniform(16, 120), chance.uniform(300, 1500)))
            gone = chance.choice((self.world.processes, [self._web_process], self._workers, []))
            world.after(chance.uniform(0, _HEALS_S - span_s), partial(self._lose, gone, span_s))

    def _lose(self, gone: list[Process], span_s: float) -> None:
        """Lose some processes for a while, or the database if there are none."""
        if not gone:
            self._lose_database(span_s)
            return
        self.world.note(f"*** {', '.join(each.name for each in gone)} are away for {span_s:.0f} s")
        for process in gone:
            process.away_s = span_s
            process.kill()
            process.away_s = None

    def _heal(self) -> None:
        super()._heal()
        for process in self.world.processes:
            process.start()

    def _write_script(self) -> None:
        """Store a directory and some changes of it, let jobs ping, somebody resolve, and a sender who is hostile try to."""
        self._acknowledges_at_tier = False
        chance = self.world.apart("watched jobs")
        self._people(0, self._declare, self._document(chance))
        for _ in range(chance.choice((0, 1, 2, 3))):
            self._people(chance.uniform(0, _HEALS_S), self._declare, self._document(chance))
        for name in _NAMES:
            self._plan(name, self.world.apart(f"pings of {name}"))
            for act in (self._resolve_job, self._attack):
                for _ in range(chance.choice((0, 1))):
                    self._people(chance.uniform(0, _HEALS_S), act, name)
        self.world.after(1, self._sample)

    def _document(self, chance: Random) -> str:
        """Return a directory with some of the jobs."""
        parts = ['recipients.ada = { addresses = { email = "ada@email" } }', 'default = { to = ["ada"], policy = "default" }']
        for name in chance.sample(_NAMES, k=chance.choice((2, 3, 4))):
            parts.append(f'[heartbeats.{name}]\n{self._timetable(chance)}\ngrace = "{chance.choice((1, 3, 10))}m"')
        return "\n".join(parts)

    def _timetable(self, chance: Random) -> str:
        """Return when a job is expected, as the directory has it."""
        minute, zone = chance.randrange(60), chance.choice(_ZONES)
        return chance.choice((f'every = "{chance.choice((2, 5, 15))}m"', f'cron = "{minute} * * * *"\ntimezone = "{zone}"'))

    def _declare(self, document: str, deps: Dependencies) -> FollowUps:
        self.world.note(f"directory: {store_directory(deps, document, changed_at=deps.clock.now())}")
        directory = self._database.read(lambda db: Reads(db).roster.current()).directory
        self._declared = {name: job.timetable for name, job in directory.heartbeats.items()}
        return NOTHING

    def _resolve_job(self, name: str, deps: Dependencies) -> FollowUps:
        return resolve(deps, ByKey(f"heartbeat/{name}", SHARED), by="ada", via=Via.LIBRARY).follow_ups

    def _attack(self, name: str, deps: Dependencies) -> FollowUps:
        """Resolve the incident of a job by an integration, as whoever has an ingest key can try to."""
        request, _ = pagerduty.read({"dedup_key": f"heartbeat/{name}", "event_action": "resolve"}, new_key="")
        routed = RoutedRequest(request=request, contacts=(), policy=DEFAULT)
        return inbound.handle(deps, [routed], by="eve", via=Via.PAGERDUTY, namespace=SHARED).follow_ups

    # The jobs

    def _plan(self, name: str, chance: Random) -> None:
        """Plan the next run of a job: about on time, much too late, or never for a while."""
        if self.world.now_s > self._lasts_s:
            return
        now, timetable = self._web_process.now(), self._declared.get(name)
        if timetable is None:
            self.world.after(chance.uniform(30, 300), partial(self._plan, name, chance))
            return
        grace_s, planned_s = timetable.grace.total_seconds(), (timetable.after(now) - now).total_seconds()
        wait_s = max(5.0, planned_s + chance.uniform(-1, 1) * grace_s)
        if chance.random() < 0.2:
            wait_s = chance.choice((wait_s + 2 * grace_s, chance.uniform(1, 4) * planned_s, chance.uniform(1500, 2000)))
        if chance.random() < 0.3:
            self.world.after(wait_s, partial(self._ping, name, "start", _TRIES))
            wait_s += 60.0 + chance.uniform(0, 1.5) * grace_s
        what = "fail" if chance.random() < 0.1 else "success"
        if chance.random() < 0.9:
            self.world.after(wait_s, partial(self._ping, name, what, _TRIES))
        self.world.after(wait_s + 60.0, partial(self._plan, name, chance))

    def _ping(self, name: str, what: str, tries: int) -> None:
        """Ping, and again if there is no response or a refusal, as curl does with ``--retry``."""
        if self.world.now_s > self._lasts_s - _QUIET_AT_END_S:
            return
        process = self._web_process
        task = None if process.is_dead else process.spawn(partial(self._request, name, what))
        self.world.after(_RESPONDS_WITHIN_S, lambda: self._ping_again(task, name, what, tries))

    def _ping_again(self, task: object, name: str, what: str, tries: int) -> None:
        if tries > 1 and not getattr(task, "is_done", False):
            self._ping(name, what, tries - 1)

    def _request(self, name: str, what: str) -> None:
        ping = Ping(signal=_SIGNALS[what], at=self._clock(self._web_process).now())
        self._record.try_(name, what, ping.at)
        try:
            self._listener.receive(name, ping, "POST")
        except HeartbeatNotFound:
            pass
        except StorageUnavailable:
            return
        self.world.task.is_done = True

    # The processes

    def _clock(self, process: Process) -> Clock:
        """Return the clock that a process uses."""
        return process

    def _deps(self, process: Process) -> Dependencies:
        return replace(super()._deps(process), clock=self._clock(process))

    def _boot_web(self, process: Process) -> None:
        super()._boot_web(process)
        self._listener = self._watch_of(process)
        process.spawn(partial(self._listen, self._listener))

    def _boot(self, process: Process) -> None:
        super()._boot(process)
        process.spawn(partial(self._look, self._watch_of(process)))

    def _watch_of(self, process: Process) -> JobWatch:
        deps = self._deps(process)
        use_cases, store = UseCases(deps, Reporter(self._broker, deps).report), _Reading(self.world, self._database)
        file = DirectoryFile(None, SHIPPED, deps.clock, tell=lambda reason: None)
        routes = Routes(deps, SHIPPED, Rosters(store, use_cases, file))
        return JobWatch(store, use_cases, routes, monitor=partial(Monitor, self.world))

    def _listen(self, watch: JobWatch) -> None:
        while True:
            try:
                watch.note_listening()
            except StorageUnavailable:
                self._record.note_failed()
            self.world.sleep(_NOTE_EVERY_S)

    def _look(self, watch: JobWatch) -> None:
        while True:
            self.world.point("before a sweep of jobs")
            self._safely(watch.sweep)
            self.world.sleep(_SWEEP_EVERY_S)

    # The judgement

    def _sample(self) -> None:
        self._record.sample()
        if self.world.now_s < self._lasts_s:
            self.world.after(1, self._sample)

    def _after_commit(self, session: Session) -> None:
        if session.writes:
            self.world.moved_at_step = self.world.steps
        super()._after_commit(session)
        self._record.after_commit(session)

    def _is_settled(self) -> bool:
        return self.world.now_s > self._lasts_s and super()._is_settled()

    def _at_end(self) -> None:
        super()._at_end()
        self._record.at_end(set(self._declared))


def simulate_heartbeats(seed: int, variant: Variant = AS_IT_IS) -> RunResult:
    """Run one such world and return its result."""
    return Watching(seed, variant).run()
