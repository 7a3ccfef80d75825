"""Measures what a text costs from ``notify()`` until its receipt made it DELIVERED."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from tests.bench.scene import stand_ins
from tests.bench.throughput.arena import ROOT, Arena, Processes
from tests.bench.throughput.contestants import OURS, program
from tests.servers.ports import reserve_port

STATEMENTS = "statements"
_WITHIN_S = 120.0
_SAMPLED_EVERY_S = 0.1
_SETTLED_S = 2.0
"""How long PostgreSQL may take to count what its other processes used."""
_DELIVERED = "SELECT count(*) FROM notifyflow_notification WHERE state = 'DELIVERED'"
_RESET = "SELECT count(pg_stat_statements_reset(0, oid)) FROM pg_database WHERE datname = current_database()"
_STATEMENTS = """
    SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND query !~* '^(BEGIN|COMMIT|ROLLBACK|SET)'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the texts come."""

    name: str
    incidents: int
    recipients: int
    pause_s: float

    @property
    def texts(self) -> int:
        return self.incidents * self.recipients


WARM = Shape(name="warm", incidents=20, recipients=1, pause_s=0.05)
SHAPES = (
    Shape(name="one at a time, 20 a second", incidents=400, recipients=1, pause_s=0.05),
    Shape(name="incidents to 50 people", incidents=16, recipients=50, pause_s=0.5),
)
_CPU = ("the caller of ``notify()``", "the worker", "the web service, for receipts", "PostgreSQL", "Redis")
Cost = Mapping[str, float]
"""What was measured, with its unit, and its value for each text; connections for each process."""


def measure(field: Arena, shape: Shape) -> Cost:
    """Send the texts twice: once to count statements, which takes time itself, and once for everything else."""
    counted = _sent(field, shape, counts_statements=True)
    return _sent(field, shape, counts_statements=False) | {STATEMENTS: counted[STATEMENTS]}


def _sent(field: Arena, shape: Shape, *, counts_statements: bool) -> dict[str, float]:
    field.begin(OURS)
    if counts_statements:
        field.query(f"ALTER DATABASE {field.database} SET pg_stat_statements.track = 'top'")
    port = reserve_port()
    with ExitStack() as stack:
        variables = stack.enter_context(stand_ins()) | {
            "NOTIFYFLOW_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "NOTIFYFLOW_PROVIDER_LIMITS": "twilio=1000000",
            "PYTHONPATH": str(ROOT),
        }
        query = stack.enter_context(field.watching())
        web = replace(OURS, worker=(program("notifyflow"), "web", "--port", str(port)))
        processes = [stack.enter_context(field.worker(each, **variables)) for each in (OURS, web)]
        settings = {name: value for name, value in field.variables(**variables).items() if name.startswith("NOTIFYFLOW_")}
        flow = stack.enter_context(NotifyFlow(Settings.from_variables(settings)))
        _send(flow, WARM)
        field.wait_until(lambda: query(_DELIVERED) == WARM.texts, within_s=_WITHIN_S)
        time.sleep(_SETTLED_S)
        before = _spent(field, processes)
        if counts_statements:
            query(_RESET)
        with _connections(processes, field.server.port) as most:
            _send(flow, shape)
            field.wait_until(lambda: query(_DELIVERED) == WARM.texts + shape.texts, within_s=_WITHIN_S)
        time.sleep(_SETTLED_S)
        found = {name: (value - before[name]) / shape.texts for name, value in _spent(field, processes).items()}
        return found | {
            STATEMENTS: query(_STATEMENTS) / shape.texts,
            "connections of the worker at most": float(most[0]),
            "connections of the web service at most": float(most[1]),
        }


def _send(flow: NotifyFlow, shape: Shape) -> None:
    """Notify; each text goes to a number of its own, since one number gets few of them in an hour."""
    for number in range(shape.incidents):
        first = number * shape.recipients
        numbers = [f"+1500555{each:04}" for each in range(first, first + shape.recipients)]
        people = [Recipient(id=f"{shape.name}-{each}", addresses={"sms": each}) for each in numbers]
        flow.notify(Incident(key=f"{shape.name}-{number}", title="orders db is down"), people)
        time.sleep(shape.pause_s)


def _spent(field: Arena, processes: list[Processes]) -> dict[str, float]:
    ((written,),) = field.query("SELECT pg_current_wal_insert_lsn() - '0/0'")
    times = (time.process_time(), *(each.cpu_s for each in (*processes, field.postgres_processes, field.redis_processes)))
    return {
        "kB of write-ahead log": float(written) / 1000,
        **{f"ms of {name}": 1000 * spent for name, spent in zip(_CPU, times, strict=True)},
    }


@contextmanager
def _connections(processes: list[Processes], port: int) -> Iterator[list[int]]:
    """Count the connections of each process to a port again and again; yield the most of each, which is right at the end."""
    most, is_over = [0] * len(processes), threading.Event()

    def sample() -> None:
        while not is_over.wait(_SAMPLED_EVERY_S):
            for number, each in enumerate(processes):
                most[number] = max(most[number], each.connections(port))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield most
    finally:
        is_over.set()
        thread.join()
