"""The arena of one run: its own PostgreSQL and Redis, the HTTP sink, the ear, and the processes under measurement."""

import itertools
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from psycopg import sql

from tests.bench.throughput import channels
from tests.bench.throughput.contestants import PEERS_FOLDER, Contestant, program
from tests.bench.throughput.ear import Ear, ear
from tests.bench.throughput.sink import sink
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

ROOT = Path(__file__).parents[3]
DISK = "/var/tmp"
"""A folder on a disk: many machines keep /tmp in memory, where fsync costs nothing."""
POSTGRES = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "track_commit_timestamp": "on",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
}
REDIS = ("--appendonly", "yes", "--appendfsync", "everysec")
_POLL_S = 0.02
_START_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A state of database and broker to begin from again and again."""

    database: str
    broker: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """The result of a driver: how long all its calls took together, and each of them."""

    took_s: float
    calls: Sequence[Mapping[str, Any]]


class Arena:
    """What a run measures in."""

    def __init__(self, folder: Path, server: Postgres, queue: Redis, sink_url: str, ear: Ear) -> None:
        self.folder = folder
        self.server = server
        self.sink_url = sink_url
        self.ear = ear
        self.redis = redis.Redis(port=queue.port)
        self.postgres_processes, self.redis_processes = Processes(server.pid), Processes(queue.pid)
        self._redis_url, self._redis_port = queue.url, queue.port
        self._names = (f"bench_{number}" for number in itertools.count(1))
        self._brokers = itertools.count(1)
        self._empty: dict[str, str] = {}
        self.database = ""

    @property
    def url(self) -> str:
        """The database in use."""
        return self.server.url(self.database)

    def variables(self, **more: str) -> dict[str, str]:
        """Return the environment of a process under measurement."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFYFLOW_")}
        return kept | {
            "DATABASE_URL": self.url,
            "PEEWEE_URL": self.url.replace("postgresql:", "psycopg3+pool:") + "?max_connections=20&timeout=10",
            "REDIS_URL": self._redis_url,
            "EAR": "0",
            "PROVIDER": "null",
            "PYTHONPATH": f"{self.folder}:{ROOT}",
            "NOTIFYFLOW_DATABASE_URL": self.url,
            "NOTIFYFLOW_BROKER_URL": self._redis_url,
            "NOTIFYFLOW_PROVIDER_LIMITS": f"{channels.NAME}=1000000",
            "NOTIFYFLOW_BUNDLING": "false",
            **more,
        }

    def begin(self, contestant: Contestant, snapshot: Snapshot | None = None) -> None:
        """Begin with an empty database and broker, or with those of a snapshot."""
        self.redis.flushdb()
        self.ear.received.clear()
        if snapshot is None:
            self.database = self._copy(self._empty_database(contestant))
            return
        self.database = self._copy(snapshot.database)
        client = redis.Redis(port=self._redis_port, db=snapshot.broker)
        with client, client.pipeline(transaction=False) as pipeline:
            for key in client.scan_iter(count=1_000):
                pipeline.copy(key, key, destination_db=0)
            pipeline.execute()

    def keep(self) -> Snapshot:
        """Take a snapshot of what is there; all processes have ended."""
        self.query("VACUUM ANALYZE")
        snapshot = Snapshot(database=self.database, broker=next(self._brokers))
        for key in self.redis.scan_iter(count=1_000):
            self.redis.move(key, snapshot.broker)
        return snapshot

    def query(self, query: str) -> list[tuple[Any, ...]]:
        """Run a statement in the database in use."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def left(self, contestant: Contestant) -> int:
        """Return how many notifications are not carried yet."""
        ((left,),) = self.query(contestant.left)
        return int(left)

    def committed(self, query: str) -> dict[str, float]:
        """Return when the transactions of a contestant's query were committed, in seconds since the epoch."""
        found = self.query(
            f"SELECT who, extract(epoch FROM pg_xact_commit_timestamp(xact))::float8 FROM ({query}) AS q (who, xact)"
        )
        return dict(found)

    @contextmanager
    def watching(self) -> Iterator[Callable[[str], float]]:
        """Yield a function that asks for a number, over a connection whose statements are not counted."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET pg_stat_statements.track = 'none'")

            def query(statement: str) -> float:
                row = connection.execute(statement).fetchone()
                assert row is not None
                return float(row[0])

            yield query

    def drive(
        self,
        contestant: Contestant,
        *,
        incidents: int,
        recipients: int = 1,
        callers: int = 1,
        channels: int = 3,
        pause_ms: int = 0,
        **more: str,
    ) -> Driven:
        """Run a contestant's driver to its end."""
        numbers = map(str, (incidents, recipients, callers, channels, pause_ms))
        return Driven(**json.loads(self.run(*contestant.drive, *numbers, **more)))

    def run(self, *command: str, **more: str) -> str:
        """Run a command to its end; return what it wrote."""
        with self._log() as log:
            done = subprocess.run(command, env=self.variables(**more), cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert done.returncode == 0, f"{command} failed:\n{self._log_tail()}"
        return done.stdout

    @contextmanager
    def worker(self, contestant: Contestant, *, processes: int = 1, **more: str) -> Iterator["Processes"]:
        """Run a contestant's worker, and kill it at the end: nothing of its database is used again."""
        command = [part.format(processes=processes) for part in contestant.worker]
        with self._log() as log:
            process = subprocess.Popen(
                command,
                env=self.variables(**more),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            yield Processes(process.pid)
            assert process.poll() is None, f"{command} ended:\n{self._log_tail()}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @contextmanager
    def warm_worker(self, contestant: Contestant, **more: str) -> Iterator["Processes"]:
        """Run a contestant's worker that has carried a few notifications and has nothing left."""
        self.begin(contestant)
        with self.worker(contestant, **more) as worker:
            self.drive(contestant, incidents=10, PREFIX="warm")
            self.wait_until(lambda: not self.left(contestant), within_s=_START_S)
            self.ear.received.clear()
            yield worker

    def wait_until(self, is_so: Callable[[], bool], *, within_s: float) -> float:
        """Wait until a condition holds; return how long that took.

        Raises:
            TimeoutError: When it does not in time.
        """
        began = time.perf_counter()
        while not is_so():
            if time.perf_counter() - began > within_s:
                raise TimeoutError(f"it did not come to that within {within_s:g} s:\n{self._log_tail()}")
            time.sleep(_POLL_S)
        return time.perf_counter() - began

    def _empty_database(self, contestant: Contestant) -> str:
        schema = "ours" if contestant.is_ours else "peers"
        if schema not in self._empty:
            self._empty[schema] = self.database = self._copy("template0")
            if contestant.is_ours:
                self.run(program("notifyflow"), "db", "upgrade")
            else:
                self.query((PEERS_FOLDER / "schema.sql").read_text())
            self.query("CREATE EXTENSION pg_stat_statements")
        return self._empty[schema]

    def _copy(self, database: str) -> str:
        name = next(self._names)
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self.server.execute(copy.format(sql.Identifier(name), sql.Identifier(database)))
        return name

    @contextmanager
    def _log(self) -> Iterator[Any]:
        with (self.folder / "log").open("ab") as log:
            yield log

    def _log_tail(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4_000:]


class Processes:
    """A process and its children."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    @property
    def cpu_s(self) -> float:
        """The processor time that they have used, ended children included."""
        spent = 0.0
        for each in self._all():
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                spent += times.user + times.system + times.children_user + times.children_system
        return spent

    @property
    def memory_mb(self) -> float:
        """The memory that they hold and share with nobody else."""
        used = 0
        for each in self._all():
            with suppress(psutil.NoSuchProcess):
                used += each.memory_full_info().uss
        return used / 1_000_000

    def connections(self, port: int) -> int:
        """Count their connections to a port."""
        found = 0
        for each in self._all():
            with suppress(psutil.NoSuchProcess):
                found += sum(bool(one.raddr) and one.raddr.port == port for one in each.net_connections("tcp"))
        return found

    def _all(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


@contextmanager
def arena() -> Iterator[Arena]:
    """Set it up for as long as the block lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="notifyflow-bench-", dir=DISK) as folder,
        _postgres() as server,
        _redis() as queue,
        sink() as sink_url,
        ear() as listening,
    ):
        channels.install(Path(folder))
        yield Arena(Path(folder), server, queue, sink_url, listening)


@contextmanager
def _postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="notifyflow-bench-", dir=DISK, ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder), settings=POSTGRES)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _redis() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="notifyflow-bench-", dir=DISK, ignore_cleanup_errors=True) as folder:
        server = Redis(Path(folder), options=REDIS)
        try:
            server.start()
            yield server
        finally:
            server.stop()
