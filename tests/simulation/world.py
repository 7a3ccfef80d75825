"""A world in which one seed decides everything: the time, the order of execution, and the faults.

Processes are groups of greenlets. Whoever runs goes on until it calls a port; there time passes, another may run, the process may
stand still or die. Nothing else switches, so that the same seed gives the same trace, line by line.
"""

import hashlib
import heapq
import random
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NoReturn

from greenlet import getcurrent, greenlet

START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)

_IDLE_STEPS = 60_000  # sound worlds make 31,000 at most without a move: one whose damaged row is looked at again and again
_SHORTEST_S = 1e-6
"""The shortest wait; a shorter one may be rounded away for ever."""


class Violation(BaseException):
    """Raised when an invariant is violated; not an Exception, so that no edge of the product catches it."""


class FaultyOracle(Exception):
    """Raised in the hub when an oracle raised an error of its own, which is the cause."""


def require(condition: object, what: str) -> None:
    """Raise a Violation unless a condition holds."""
    if not condition:
        raise Violation(what)


class Killed(BaseException):
    """Thrown into the greenlets of a process that dies."""


class Interrupted(BaseException):
    """Raised in a thread whose request or actor is cut short, while its process goes on."""


class Process:
    """One process: its clock, its greenlets, and whether it runs, stands still or is dead."""

    def __init__(self, world: "World", name: str, boot: Callable[["Process"], None], skew_s: float = 0.0) -> None:
        self.world = world
        self.name = name
        self.skew = timedelta(seconds=skew_s)
        self.tasks: list[Task] = []
        self.booted_s = 0.0
        self.interrupted_s = 0.0
        self.paused_until_s = 0.0
        self.away_s: float | None = None  # how long it stays dead; drawn unless it is given
        self.is_dead = True
        self._boot = boot
        world.processes.append(self)
        world.after(0, self.start)

    def start(self) -> None:
        if self.is_dead:
            self.is_dead, self.booted_s, self.paused_until_s = False, self.world.now_s, 0.0
            self._boot(self)

    def spawn(self, body: Callable[[], object]) -> "Task":
        task = Task(self, body)
        self.tasks = [each for each in self.tasks if not each.greenlet.dead] + [task]
        task.wake_after(0)
        return task

    def now(self) -> datetime:
        """Return the time by this process's clock."""
        return START + timedelta(seconds=self.world.now_s) + self.skew

    def kill(self) -> None:
        """Kill the process at once and restart it later; runs in the hub, where none of its greenlets runs."""
        self.is_dead = True
        for task in self.tasks:
            if task.greenlet:  # it has begun and not ended
                self.world.task = task
                task.greenlet.throw(Killed())
        self.tasks = []
        self.world.after(self.world.random.uniform(0.5, 20) if self.away_s is None else self.away_s, self.start)


class Monitor:
    """On what the greenlets of a process wait for each other; nothing else runs while one does not call it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._waiting: list[Task] = []

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *arguments: object) -> None:
        pass

    def wait(self, timeout: float | None = None) -> None:
        me = self._world.task
        self._waiting.append(me)
        if timeout is not None:
            me.wake_after(max(timeout, _SHORTEST_S))
        self._world.block()
        if me in self._waiting:  # the time is over
            self._waiting.remove(me)

    def notify_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            task.wake_after(0)


class Deadline:
    """The instant by which a call must be done, some seconds from now."""

    def __init__(self, world: "World", timeout_s: float) -> None:
        self._world = world
        self._began_s = world.now_s
        self._timeout_s = timeout_s

    @property
    def waited_s(self) -> float:
        return self._world.now_s - self._began_s

    @property
    def left_s(self) -> float:
        left_s = self._timeout_s - self.waited_s
        return left_s if left_s > _SHORTEST_S else 0.0


class Task:
    """One greenlet of a process."""

    def __init__(self, process: Process, body: Callable[[], object]) -> None:
        self.process = process
        self.world = process.world
        self.session: object = None  # the transaction it is in, if any
        self.is_done = False  # whether its work is done
        self.is_interruptible = False  # whether it is the thread of a request or an actor
        self.greenlet = greenlet(self._run, parent=self.world.hub)
        self._body = body
        self._awaited = 0  # the number of the wake-up that it waits for; older ones are void

    def wake_after(self, delay_s: float) -> None:
        self._awaited += 1
        self.world.after(delay_s, lambda awaited=self._awaited: self._wake(awaited))  # type: ignore[misc]

    def _wake(self, awaited: int) -> None:
        if awaited != self._awaited or self.process.is_dead or self.greenlet.dead:
            return
        left_s = self.process.paused_until_s - self.world.now_s
        if left_s > 0:
            self.world.after(max(left_s, _SHORTEST_S), lambda: self._wake(awaited))
            return
        self.world.task = self
        last_will = self.greenlet.switch()
        if last_will:
            last_will()

    def _run(self) -> None:
        try:
            self._body()
        except (Killed, Interrupted):
            return


class World:
    """The clock, the scheduler, the random numbers, and the trace of one world.

    Attributes:
        odds: How likely each fault is at each point where it can strike; none is, once the world has healed.
        task: Who runs now.
        steps: How many steps were made.
        moved_at_step: The step that moved a row last.
    """

    def __init__(self, seed: int, *, begins_s: float = 0.0) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now_s = begins_s  # since START
        self.odds: dict[str, float] = {}
        self.steps = 0
        self.moved_at_step = 0
        self.is_healed = False
        self.widest_skew_s = 0.0  # how far two clocks may be apart
        self.trace: list[str] = []
        self.faults: dict[str, int] = {}
        self.processes: list[Process] = []
        self.hub = getcurrent()
        self.task: Task
        self._line: list[tuple[float, float, int, Callable[[], object]]] = []
        self._count = count()

    @property
    def awake_s(self) -> float:
        """When a process that sweeps can run: now, unless all of them stand still."""
        sweeping = (each.paused_until_s for each in self.processes if each.name != "web" and not each.is_dead)
        return max(self.now_s, min(sweeping, default=0.0))

    def apart(self, what: str) -> random.Random:
        """Return a random generator for one feature, so that worlds without the feature keep their traces."""
        return random.Random(f"{self.seed} {what}")

    def observed(self, oracle: Callable[..., object]) -> Callable[..., None]:
        """Return an oracle for a port to call: what it finds, and an error of its own, end the world at once.

        Both go to the hub, past the product, which would take them for errors of its database or channel.
        """

        def observe(*arguments: Any) -> None:
            try:
                oracle(*arguments)
            except Violation as violation:
                self.hub.throw(violation)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
                faulty = FaultyOracle(f"an oracle raises {type(error).__name__}: {error} ({where})")
                faulty.__cause__ = error
                self.hub.throw(faulty)

        return observe

    def after(self, delay_s: float, call: Callable[[], object]) -> None:
        """Schedule a call; calls due at the same instant run in random order."""
        heapq.heappush(self._line, (self.now_s + delay_s, self.random.random(), next(self._count), call))

    def run(self, is_over: Callable[[], bool], *, until_s: float, steps: int) -> bool:
        """Run scheduled calls until the condition holds and return True; return False after the time or the steps are used up.

        Where no row moves any more, less than all steps are made: who waits for it would look at it till the time is over.
        """
        while self._line and self._line[0][0] <= until_s and self.steps < min(steps, self.moved_at_step + _IDLE_STEPS):
            self.steps += 1
            self.now_s, _, _, call = heapq.heappop(self._line)
            call()
            if is_over():
                return True
        self.now_s = max(self.now_s, until_s)
        return False

    def end(self) -> None:
        """Kill all greenlets."""
        self._line.clear()
        for process in self.processes:
            process.kill()

    def sleep(self, delay_s: float) -> None:
        self.task.wake_after(delay_s)
        self.block()

    def block(self) -> None:
        """Wait until ``wake_after`` wakes this greenlet."""
        me = self.task
        if me.process.is_dead:  # it cleans up, and the dead call nobody
            raise Killed
        self.hub.switch()
        self.task = me

    def die(self) -> NoReturn:
        self.hub.switch(self.task.process.kill)
        raise AssertionError("the dead do not go on")

    def point(self, where: str) -> None:
        """Mark a point at which a fault can strike: before or after a call of a port, or a commit."""
        process = self.task.process
        if process.is_dead:
            raise Killed
        if self.strikes("crash", where):
            self.die()
        if self.strikes("pause", where):
            process.paused_until_s = self.now_s + self.random.uniform(1, 150)
        if self.task.is_interruptible and where.startswith("before") and self.strikes("interrupt", where):
            process.interrupted_s = self.now_s
            raise Interrupted
        self.sleep(self.random.expovariate(1000))

    def strikes(self, fault: str, where: str) -> bool:
        """Return whether a fault strikes here and now."""
        odds = self.odds.get(fault, 0.0)
        if not odds or self.is_healed or self.random.random() >= odds:
            return False
        self.faults[fault] = self.faults.get(fault, 0) + 1
        self.note(f"*** {fault}: {where}")
        return True

    def note(self, what: str, who: str = "") -> None:
        who = who or (self.task.process.name if getcurrent() is not self.hub else "world")
        self.trace.append(f"{self.now_s:10.4f} {who:<8} {what}")

    @property
    def trace_hash(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]
