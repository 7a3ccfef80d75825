"""Worlds in which jobs ping while clocks are put forward or back in a zone, and each process has a clock of its own.

The system clocks are minutes apart and drift. The product's clock keeps to the database's time; the oracle has only that.
"""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from notifyflow.app.clock_and_ids import DatabaseClock
from notifyflow.core.delivery.ports import Clock
from notifyflow.errors import StorageUnavailable
from notifyflow.storage.store import Store
from tests.simulation.database import SimulatedDatabase
from tests.simulation.heartbeats import Watching
from tests.simulation.scenario import AS_IT_IS, RunResult, Variant
from tests.simulation.world import START, Process, World

_CHANGES = (
    ("America/New_York", datetime(2027, 3, 14, 7, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2027, 3, 28, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 10, 2, 15, 30, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2027, 10, 31, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 11, 7, 6, tzinfo=UTC)),
)
"""When clocks change in a zone: by an hour, on Lord Howe Island by half of one."""
_ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")
_APART_S = 300.0
_DRIFT = 50e-6
_MEASURED_WITHIN_S = 0.01


class _Measured(Store):
    """The database, asked for its time: the answer is a little off."""

    def __init__(self, world: World, database: SimulatedDatabase) -> None:
        self._world, self._database = world, database
        self._chance = world.apart("measured times")

    is_embedded = False
    left_s = 0.0

    def now(self) -> datetime:
        if self._world.now_s < self._database.up_at_s:
            raise StorageUnavailable(5.0, "simulated")
        error_s = self._chance.uniform(-_MEASURED_WITHIN_S, _MEASURED_WITHIN_S)
        return START + timedelta(seconds=self._world.now_s + error_s)


class ChangingClocks(Watching):
    """A world of jobs around a change of clocks; most of their times are skipped by it, come twice, or are near it."""

    def __init__(self, seed: int, variant: Variant) -> None:
        chance = Random(f"{seed} change of clocks")
        self._zone, self._changes_at = chance.choice(_CHANGES)
        self._clocks: dict[tuple[str, float], DatabaseClock] = {}
        begins_at = self._changes_at - timedelta(seconds=chance.uniform(1200, 4800))
        super().__init__(seed, variant, begins_s=(begins_at - START).total_seconds())
        self.world.widest_skew_s = 0.1
        self._systems = {each.name: self._system(self.world.apart(f"clock of {each.name}")) for each in self.world.processes}

    def _system(self, chance: Random) -> tuple[float, float]:
        """Draw how far the system clock of a machine is from the database's, and how fast it drifts."""
        return chance.choice((0.0, chance.uniform(-2, 2), chance.uniform(-_APART_S, _APART_S))), chance.uniform(-_DRIFT, _DRIFT)

    def _clock(self, process: Process) -> Clock:
        """Return the product's clock, one for each life of a process."""
        life = (process.name, process.booted_s)
        if life not in self._clocks:
            world, (apart_s, drift), begins_s = self.world, self._systems[process.name], self.world.now_s

            def system_now() -> datetime:
                return START + timedelta(seconds=world.now_s + apart_s + drift * (world.now_s - begins_s))

            store = _Measured(world, self._database)
            self._clocks[life] = DatabaseClock(store, system_now=system_now, monotonic=lambda: world.now_s)
        return self._clocks[life]

    def _request(self, name: str, what: str) -> None:
        """Handle a ping once its key could be read."""
        if self.world.now_s >= self._database.up_at_s:
            super()._request(name, what)

    def _timetable(self, chance: Random) -> str:
        """Return a time of day near the change, by the clocks before or after it; or a minute of each hour, or a span."""
        zone = self._zone if chance.random() < 0.7 else chance.choice(_ZONES)
        near = self._changes_at + timedelta(seconds=chance.uniform(-2400, 5400))
        offset_of = self._changes_at + timedelta(days=chance.choice((-1, 1)))
        wall = near + (offset_of.astimezone(ZoneInfo(zone)).utcoffset() or timedelta())
        hour = wall.hour if chance.random() < 0.8 else "*"
        cron = f'cron = "{wall.minute} {hour} * * *"\ntimezone = "{zone}"'
        return cron if chance.random() < 0.85 else f'every = "{chance.choice((2, 5, 15))}m"'


def simulate_clock_changes(seed: int, variant: Variant = AS_IT_IS) -> RunResult:
    """Run one such world and return its result."""
    return ChangingClocks(seed, variant).run()
