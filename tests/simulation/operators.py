"""What operators do: they set low limits, pause sending, stop workers, and suspend all of them at once."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import partial

from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.engine.deliver import Deliverer
from notifyflow.pipeline.delivery.outages import pause, resume
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from notifyflow.storage.delivery.intervals import Intervals
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.tables.fields import instant_text
from tests.simulation.adoption import freed
from tests.simulation.clocks import Covers
from tests.simulation.database import SimulatedDatabase
from tests.simulation.outside import Outside
from tests.simulation.world import Process, World, require

DRAINS_WITHIN_S = 60.0
_LIMITED = 0.25
_STOPPED = 0.3
_LONGEST_PAUSE_S = 900.0
_STANDSTILL = 0.15
_BUSY_S = 2.0
_WAITING = "SELECT id FROM notifyflow_notification WHERE state = 'QUEUED' AND deferred_by = 'pause' AND due_at > ?"


class Operators:
    """Plans and runs the operators' acts, and checks their effects.

    Attributes:
        limits: How many each provider takes a minute; empty where that stays as it is.
        pauses: What was paused, and since when that is committed for certain.
        covers: For how long each of these stood for certain.
    """

    def __init__(self, world: World, database: SimulatedDatabase, outside: Outside) -> None:
        self.pauses: dict[Pause, float] = {}
        self.covers = Covers(world, database)
        self._world = world
        self._database = database
        self._deliverers: dict[Process, Deliverer] = {}
        self._stopping: dict[Deliverer, float] = {}
        self._rings_read: dict[Deliverer, dict[str, tuple[str | None, tuple[int, ...]]]] = {}
        self.providers = [each.name for channel in outside.channels.values() for each in channel.providers]
        self._names = {PauseScope.ALL: [""], PauseScope.CHANNEL: list(outside.channels), PauseScope.PROVIDER: self.providers}
        chance = world.apart("limits")
        is_limited = chance.random() < _LIMITED
        self.limits = {name: chance.choice((1, 2, 5)) for name in self.providers} if is_limited else {}

    def write_script(
        self, people: Callable[..., None], workers: Collection[Process], *, until_s: float, on_stop: Callable[[Process], None]
    ) -> None:
        """Plan the operators' acts.

        Args:
            people: Schedules an act: (delay in seconds, act, arguments).
            workers: The processes that can be stopped.
            until_s: When all faults end; workers are stopped afterwards, too.
            on_stop: Called with a worker that has stopped undisturbed, before it is gone.
        """
        chance = self._world.apart("pauses")
        for _ in range(chance.choice((0, 0, 1, 2, 3))):
            scope = chance.choice((PauseScope.ALL, *PauseScope))
            name = chance.choice(self._names[scope])
            at_s, span_s = chance.uniform(0, until_s), chance.uniform(10, _LONGEST_PAUSE_S)
            people(at_s, partial(self._pause, scope, name, span_s, is_for_critical=chance.random() < 0.5))
            if chance.random() < 0.5:
                people(at_s + chance.uniform(1, _LONGEST_PAUSE_S), partial(self._resume, scope, name))
        chance = self._world.apart("standstills")
        if chance.random() < _STANDSTILL:
            self._world.after(chance.uniform(0, until_s), partial(self._stand_still, workers, chance.uniform(61, 300)))
        chance = self._world.apart("stops")
        for _ in range(chance.choice((1, 2, 3)) if chance.random() < _STOPPED else 0):
            worker = chance.choice(list(workers))
            at_s = chance.choice((chance.uniform(0, _BUSY_S), chance.uniform(0, until_s + DRAINS_WITHIN_S)))
            self.stop(worker, at_s, on_stop=on_stop)

    def stop(self, worker: Process, at_s: float, *, on_stop: Callable[[Process], None]) -> None:
        """Plan to stop a worker."""
        self._world.after(at_s, partial(self._stop, worker, on_stop))

    def started(self, process: Process, deliverer: Deliverer) -> None:
        """Record that a worker has started."""
        self._deliverers[process] = deliverer
        self._rings_read[deliverer] = {}

    def note_ring(self, deliverer: Deliverer, ids: Sequence[str]) -> None:
        """Record a ring that a worker has read, with the times at which its notifications were rung for."""
        rung = dict(self._rung(ids))
        self._rings_read[deliverer] |= {row_id: (rung.get(row_id), self.disturbances()) for row_id in ids}

    def is_stopping(self, deliverer: Deliverer) -> bool:
        return deliverer in self._stopping

    def stopped_s(self, process: Process) -> float:
        """Return when a worker was told to stop; infinity if it was not."""
        return self._stopping.get(self._deliverers[process], float("inf")) if process in self._deliverers else float("inf")

    def paused(self, channel: str, provider: str, *, is_urgent: bool, before_s: float) -> Pause | None:
        """Return a pause that was committed before a time, still stands, and covers a send; otherwise None."""
        now = self._world.task.process.now()
        for standing in self._database.read(lambda db: Intervals(UnitOfWork(db)).pauses(now=now)):
            if self.pauses.get(standing, before_s) < before_s and standing.covers(channel, provider, is_urgent=is_urgent):
                return standing
        return None

    def _pause(self, scope: PauseScope, name: str, span_s: float, deps: Dependencies, *, is_for_critical: bool) -> FollowUps:
        now, at_s = deps.clock.now(), self._world.now_s
        new = Pause(
            scope=scope,
            name=name,
            ends_at=now + timedelta(seconds=span_s),
            paused_at=now,
            paused_by="eve",
            is_for_critical=is_for_critical,
        )
        self.covers.end(scope, name)
        pause(deps, new)
        self.pauses[new] = self._world.now_s
        if new in self._database.read(lambda db: Intervals(UnitOfWork(db)).pauses(now=now)):  # another act may have been faster
            self.covers.end(scope, name)
            self.covers.begin(new, ends_s=at_s + span_s)
        self._world.note(f"paused: {scope} {name} for {span_s:.0f} s, CRITICAL, too: {is_for_critical}")
        return NOTHING

    def _resume(self, scope: PauseScope, name: str, deps: Dependencies) -> FollowUps:
        self.covers.end(scope, name)
        was_paused = resume(deps, scope, name)
        self.covers.end(scope, name)  # what was paused meanwhile
        self._world.note(f"resumed: {scope} {name}: {was_paused}")
        if was_paused and not self._database.read(lambda db: Intervals(UnitOfWork(db)).pauses(now=deps.clock.now())):
            later = instant_text(deps.clock.now() + timedelta(seconds=1 + 2 * self._world.widest_skew_s))
            left = [row_id[-4:] for (row_id,) in self._database.look(_WAITING, later)]
            require(not left, f"pause: {left} wait for the end of a pause that was ended")
        return NOTHING

    def _stop(self, process: Process, on_stop: Callable[[Process], None]) -> None:
        """Do what SIGTERM does: start no further send, and end the process when the running ones are recorded."""
        if process.is_dead or self._deliverers[process] in self._stopping:
            return
        world, deliverer = self._world, self._deliverers[process]
        world.note(f"*** {process.name} is told to stop")
        before, was_running = self.disturbances(), process.paused_until_s < world.now_s

        def is_undisturbed() -> bool:
            return was_running and self.disturbances() == before

        def stop() -> None:
            self._stopping[deliverer] = world.now_s
            deliverer.stop()
            if is_undisturbed():
                self._check_rings(deliverer, is_over=False)

        def end() -> None:
            if self._deliverers[process] is deliverer and not process.is_dead:
                if is_undisturbed():
                    self._check_rings(deliverer, is_over=True)
                    on_stop(process)
                process.kill()

        process.spawn(stop)
        world.after(DRAINS_WITHIN_S, end)

    def _check_rings(self, deliverer: Deliverer, *, is_over: bool) -> None:
        """Require that a stopped worker has returned the rings it did not handle, so that others can ring for them.

        A claim under way returns its rings when it is over. Rows that another worker had locked and then failed to claim are rung
        for again after a while. By a slow clock they were not due when it looked.
        """
        if self._world.widest_skew_s:
            return
        read, now, locked = self._rings_read[deliverer], self.disturbances(), set() if is_over else self._database.locks
        kept = [row_id for row_id, rung_at in self._rung(list(read)) if row_id not in locked and read[row_id] == (rung_at, now)]
        require(not kept, f"{[each[-4:] for each in kept]} are rung for by a worker that has stopped")

    def _rung(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """Return when each queued notification was rung for, without the quarantined ones."""
        is_rung = f"state = 'QUEUED' AND rung_at IS NOT NULL AND id IN ({', '.join('?' * len(ids))}) AND {freed('incident_id')}"
        return self._database.look(f"SELECT id, rung_at FROM notifyflow_notification WHERE {is_rung}", *ids)

    def _stand_still(self, workers: Collection[Process], span_s: float) -> None:
        """Suspend all workers for a while, as when their machines sleep; none sweeps."""
        world = self._world
        if not world.is_healed:
            world.note(f"*** all workers stand still for {span_s:.0f} s")
            world.faults["standstill"] = world.faults.get("standstill", 0) + 1
            for each in workers:
                each.paused_until_s = max(each.paused_until_s, world.now_s + span_s)

    def disturbances(self) -> tuple[int, ...]:
        """Count the faults that can keep a worker from recording a send's outcome."""
        return self._database.epoch, *(
            self._world.faults.get(fault, 0) for fault in ("pause", "stall", "commit_unknown", "standstill")
        )
