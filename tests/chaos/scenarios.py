"""The faults of workers and servers, on a field of any kind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from notifyflow import NotifyFlow, Settings
from notifyflow.core.delivery.ports import Clock
from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.store import Store
from tests.chaos.field import DEADLINE_S, ROOT, Field, Verdict, until
from tests.chaos.proxy import Proxy
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMq
from tests.servers.redis import Redis

CALLS = {"send": 1, "ring": 1, "claim": 1, "record": 1, "sweep": 3, "id": 5, "time": 40}
"""The points at which a process can be killed, with the calls in a step."""
EMBEDDED_CALLS = {"send": 1, "claim": 1, "record": 1, "sweep": 3, "id": 5, "time": 40}
IMPATIENT = "untold 45"
"""A clock by which every ring and lease of a dead worker has expired."""


def strikes(calls: dict[str, int], whens: Iterable[str] = ("before", "after"), numbers: Iterable[int] = (1,)) -> list[str]:
    """Return the places to strike: every call, before and after, every number."""
    return [f"{call} {when} {number * step}" for number in numbers for when in whens for call, step in calls.items()]


@contextmanager
def distributed(
    server: Postgres, broker: Redis | RabbitMq, sandbox: Sandbox, folder: Path, *, clock: Clock | None = None, **variables: str
) -> Iterator[Field]:
    """Create a field with a fresh database."""
    name = server.create_database()
    given = {"NOTIFYFLOW_DATABASE_URL": server.url(name), "NOTIFYFLOW_BROKER_URL": broker.url, **variables}
    store = Store(server.url(name))
    store.upgrade()
    store.close()
    if isinstance(broker, Redis):
        broker.execute("FLUSHALL")
    with Field(sandbox, folder, given, clock=clock).open() as field:
        yield field
    server.drop_database(name)


def kill_a_crowd(field: Field, places: Sequence[str]) -> None:
    """Run workers side by side until each has been killed at its place; another finishes their work."""
    doomed = [field.worker(CHAOS_STRIKE=place) for place in places]
    field.notify_until(lambda: all(worker.has_ended for worker in doomed))
    survivor = field.worker(CHAOS_CLOCK=IMPATIENT)
    field.settle()
    survivor.terminate()


def storm(field: Field, troubles: Sequence[Callable[[], object]], *, people: int = 20, **variables: str) -> None:
    """Run two workers, and cause faults while they send."""
    workers = [field.worker(**variables) for _ in range(2)]
    for trouble in troubles:
        before = field.seen()
        field.notify(people)
        until(lambda before=before: field.seen() > before)  # type: ignore[misc]
        trouble()
    field.settle()
    for worker in workers:
        worker.terminate()


def freeze_one_past_its_lease(field: Field, *, people: int = 20) -> None:
    """Freeze a worker in the middle of its sends, let another do its work, and continue the first."""
    frozen = field.worker()
    key = field.notify(people)
    until(lambda: field.seen() > 0)
    frozen.signal(signal.SIGSTOP)
    other = field.worker()
    until(lambda: field.is_settled(key))
    frozen.signal(signal.SIGCONT)
    field.notify(people)
    field.settle()
    frozen.terminate()
    other.terminate()


def end_in_good_order(field: Field, *, people: int = 20) -> None:
    """Stop a worker in the middle of its sends; another does the rest, and nothing is in doubt."""
    leaving = field.worker()
    field.notify(people)
    until(lambda: field.seen() > 0)
    leaving.terminate()
    other = field.worker(CHAOS_CLOCK=IMPATIENT)
    field.settle()
    other.terminate()


class Embedded(Field):
    """A SQLite file on which one process after the other notifies and delivers."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        super().__init__(sandbox, folder, {"NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder / 'notifyflow.db'}"})
        self.flow = NotifyFlow(Settings.from_variables(self.variables))

    def run(self, place: str, *, people: int) -> None:
        """Run a process that notifies and delivers until it is killed; every accepted notification has to be delivered."""
        key = f"incident {place}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFYFLOW_", "COVERAGE_"))}
        done = subprocess.run(
            [sys.executable, "-m", "tests.chaos.embedded", key, str(people)],
            env={**kept, **self.variables, "CHAOS_STRIKE": place},
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=DEADLINE_S,
        )
        assert done.returncode == -signal.SIGKILL, f"it was not struck at {place!r}: {done.stderr[-2000:]}"
        is_stored = self.flow.find(key) is not None
        assert is_stored or "accepted" not in done.stdout, "what was accepted is lost"
        if is_stored:
            self.keys.append(key)


def kill_embedded(sandbox: Sandbox, folder: Path, places: Iterable[str], *, people: int = 3) -> Verdict:
    """Kill one process after the other, each at its place; the last one finishes their work."""
    field = Embedded(sandbox, folder)
    with field.flow as flow:
        for place in places:
            field.run(place, people=people)
        flow.start()
        field.settle()
        return field.verdict()


def crash(server: Postgres | Redis | RabbitMq) -> Callable[[], None]:
    """Return the fault of a server that dies and comes back."""

    def crash_and_return() -> None:
        if isinstance(server, Postgres):
            server.stop(signal.SIGQUIT)
        else:
            server.stop()
        server.start()

    return crash_and_return


def through(field: Field, *, database: Proxy, broker: Proxy) -> dict[str, str]:
    """Route a worker's connections through proxies."""

    def lead(name: str, proxy: Proxy) -> str:
        return re.sub(r":\d+/", f":{proxy.port}/", field.variables[name], count=1)

    names = {"NOTIFYFLOW_DATABASE_URL": database, "NOTIFYFLOW_BROKER_URL": broker}
    return {name: lead(name, proxy) for name, proxy in names.items()}
