"""Drives an hour's pages through a worker, samples memory, files and connections, and writes docs/figures/soak.rst."""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import redis
from psycopg import sql

from notifyflow import Incident, NotifyFlow, Policy, Recipient, Settings
from notifyflow.app import log_output
from notifyflow.cli.frame import serving
from notifyflow.core.delivery.model import Kind, NotificationState
from notifyflow.core.delivery.policy import Retries, RetrySchedule, Tier
from notifyflow.storage.store import Store
from tests.bench.scene import rows, stand_ins
from tests.chaos.field import Worker
from tests.servers.postgres import Postgres, postgres
from tests.servers.redis import redis_server

PAGES = 6000  # what a provider's limit of 100 a minute allows in an hour
PEOPLE, CHANNELS, AT_ONCE = 10, ("email", "slack", "sms"), 5
EVERY_S, ENOUGH_S = 2.0, 240.0
MOST_GROWTH, MOST_MORE = 0.1, 2  # of memory; of threads, files or connections
POLICY = Policy(
    name="soak",
    tiers=(Tier(name="primary", channels=CHANNELS),),
    retries=Retries(normal=RetrySchedule(delays=(timedelta(seconds=1),) * 5)),
)
_SERVING = "AnyIO worker thread"  # as many as there are requests at once, 40 at most; each ends when it was idle for 10 s
_PAGE = Path(__file__).parents[2] / "docs" / "figures" / "soak.rst"
_TITLES = {
    "worker_memory": "Worker: memory (RSS), MB",
    "worker_threads": "Worker: threads",
    "worker_files": "Worker: open files and sockets",
    "caller_memory": "Caller and web service: memory (RSS), MB",
    "caller_threads": "Caller and web service: threads, but those that serve a request",
    "caller_files": "Caller and web service: open files and sockets",
    "connections": "PostgreSQL: connections",
    "clients": "Redis: clients",
    "queues_memory": "Redis: memory, MB",
}
_TEXT = """.. Made by scripts/soak; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 52 16 16 16

{table}

{pages:,} pages over email, Slack and SMS, and {updates:,} messages that tell what became of them, in {minutes:.1f} minutes:
{attempts:,} attempts, {retried:,} of the messages tried again, {delivered:,} receipts.
All of it, stand-ins too, on the same two cores.
"""
Sample = Mapping[str, float]


@contextmanager
def watched(sample: Callable[[], Sample]) -> Iterator[list[Sample]]:
    """Take a sample every few seconds, in another thread."""
    samples: list[Sample] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(EVERY_S):
            samples.append(sample())

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield samples
        finally:
            is_over.set()
        watching.result()


def sample(worker: int, server: Postgres, name: str, broker: redis.Redis) -> Sample:
    """Sample the worker's processes, this process, and the connections of both to the servers."""
    parent = psutil.Process(worker)
    return {
        **_sample("worker", [parent, *parent.children(recursive=True)]),
        **_sample("caller", [psutil.Process()]),
        "caller_threads": sum(thread.name != _SERVING for thread in threading.enumerate()),
        "connections": server.execute(
            sql.SQL("SELECT count(*) FROM pg_stat_activity WHERE datname = {}").format(sql.Literal(name))
        )[0][0],
        "clients": broker.info("clients")["connected_clients"],
        "queues_memory": broker.info("memory")["used_memory"] / 1e6,
    }


def _sample(who: str, processes: Sequence[psutil.Process]) -> Sample:
    return {
        f"{who}_memory": sum(process.memory_info().rss for process in processes) / 1e6,
        f"{who}_threads": sum(process.num_threads() for process in processes),
        f"{who}_files": sum(process.num_fds() for process in processes),
    }


@contextmanager
def installation(server: Postgres, name: str, broker_url: str, folder: Path) -> Iterator[tuple[NotifyFlow, Worker]]:
    """Start a sandbox that sometimes fails, a worker, and here the web service for the receipts."""
    script = [
        f"{who}: " + ", then ".join(["ok 19 times", f"{how} once"] * 200)
        for who, how in zip(CHANNELS, ("451", "503", "503"), strict=True)
    ]
    with closing(Store(server.url(name))) as store:
        store.upgrade()
    with stand_ins(*script) as settings, serving.listen("127.0.0.1", 0) as web:
        given = settings | {
            "NOTIFYFLOW_DATABASE_URL": server.url(name),
            "NOTIFYFLOW_BROKER_URL": broker_url,
            "NOTIFYFLOW_PUBLIC_URL": serving.url_of(web),
            "NOTIFYFLOW_PROVIDER_LIMITS": "smtp=1000000,slack=1000000,twilio=1000000",
            "NOTIFYFLOW_BUNDLING": "false",
        }
        with NotifyFlow(Settings.from_variables(given)) as flow, serving.served(flow.asgi(), web):
            worker = Worker(given, folder / "worker.log", threads=8, module="notifyflow.worker")
            try:
                yield flow, worker
            finally:
                worker.kill()


def drive(flow: NotifyFlow) -> list[str]:
    """Page crowd after crowd, a few at once; every second incident is acknowledged meanwhile, the others are resolved."""
    until = time.monotonic() + ENOUGH_S
    people = [Recipient(id=f"p{n}", email=f"p{n}@example.com", slack=f"U{n:08}", phone=f"+1500555{n:04}") for n in range(PEOPLE)]
    keys = [f"incident-{number}" for number in range(PAGES // PEOPLE // len(CHANNELS))]
    for number, key in enumerate(keys):
        assert time.monotonic() < until, f"only {number} of {len(keys)} incidents in {ENOUGH_S:.0f} s: too slow a machine"
        flow.notify(Incident(key=key, title="orders db is down"), people, policy=POLICY)
        if number < AT_ONCE:
            continue
        oldest = keys[number - AT_ONCE]
        if number % 2:
            flow.acknowledge(oldest, by="p0")
        elif flow.wait(oldest, timeout_s=60):
            flow.resolve(oldest, by="p0")
    assert all(flow.wait(key, timeout_s=60) for key in keys), "not all came to rest"
    return keys


def fifths(samples: Sequence[Sample], name: str) -> tuple[float, float]:
    """Return the medians of the second fifth, after the warm-up, and of the last fifth."""
    values, fifth = [sample[name] for sample in samples], len(samples) // 5
    return statistics.median(values[fifth : 2 * fifth]), statistics.median(values[-fifth:])


def is_flat(name: str, before: float, after: float) -> bool:
    """Return whether a figure has stayed within limits."""
    return after <= before * (1 + MOST_GROWTH) if name.endswith("memory") else after - before <= MOST_MORE


def _rows(samples: Sequence[Sample]) -> str:
    """Return the rows of the table."""
    cells = [("Median of the", "second fifth", "last fifth", "growth")]
    for name, title in _TITLES.items():
        before, after = fifths(samples, name)
        cells.append((title, f"{before:.1f}", f"{after:.1f}", f"{after / before - 1:+.1%}"))
    return "\n".join(f"   {' ' if number else '*'} - {cell}" for row in cells for number, cell in enumerate(row))


def main() -> int:
    """Soak, write the figures, and return whether all of them are flat."""
    log_output.to_stderr(default="error")
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        postgres() as server,
        redis_server() as queue,
        redis.Redis.from_url(queue.url) as broker,
    ):
        name, started_at = server.create_database(), time.monotonic()
        with installation(server, name, queue.url, Path(folder)) as (flow, worker):
            with watched(lambda: sample(worker.group, server, name, broker)) as samples:
                keys = drive(flow)
            took_s, found = time.monotonic() - started_at, rows(flow, keys)
    text = _TEXT.format(
        table=_rows(samples),
        pages=sum(row.kind is Kind.PAGE for row in found),
        updates=sum(row.kind is Kind.STATUS_UPDATE for row in found),
        minutes=took_s / 60,
        attempts=sum(len(row.attempts) for row in found),
        retried=sum(len(row.attempts) > 1 for row in found),
        delivered=sum(row.state is NotificationState.DELIVERED for row in found),
    )
    _PAGE.write_text(text, encoding="utf-8")
    risen = [title for name, title in _TITLES.items() if not is_flat(name, *fifths(samples, name))]
    sys.stdout.write(text + "".join(f"Not flat: {title}\n" for title in risen))
    return 1 if risen else 0


if __name__ == "__main__":
    sys.exit(main())
