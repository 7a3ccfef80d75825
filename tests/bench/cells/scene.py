"""Two cells behind one web process, each with a PostgreSQL, a broker and a worker of its own, and senders at a steady pace."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from psycopg import sql

from notifyflow import NotifyFlow, Settings
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.storage.store import Store
from tests.bench.throughput import channels
from tests.bench.throughput.arena import DISK, POSTGRES, ROOT, Processes
from tests.bench.throughput.contestants import program
from tests.servers.ports import reserve_port
from tests.servers.postgres import Postgres
from tests.servers.redis import redis_server

FAILING, OTHER = "north", "south"
OWN_LOOPS, ONE_LOOP = "cells:app", "tests.bench.cells.one_loop:app"
_WITHIN_S = 60.0
_MOST_WAITING = 400
_DELAYS = """
    SELECT extract(epoch FROM n.created_at)::float8, extract(epoch FROM a.started_at - n.created_at)::float8
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The response to one request; the status is 0 if none came."""

    sent_at: float
    took_s: float
    status: int


@dataclass(slots=True, kw_only=True)
class Cell:
    """A cell: its server, its address and key, and the responses that its senders got."""

    name: str
    server: Postgres
    database: str
    url: str
    key: str
    answers: list[Answer] = field(default_factory=list)

    def page(self, number: int) -> None:
        """Submit an incident, and note the response."""
        sent_at, began = time.time(), time.perf_counter()
        person = {"id": f"p{number}", "email": f"p{number}@example.com"}  # somebody else each time, for whom nothing is gathered
        document = {"key": f"db-{number}", "title": "down", "recipients": [person]}
        headers, status = {"authorization": f"Bearer {self.key}"}, 0
        with suppress(requests.RequestException):
            status = requests.post(f"{self.url}/v1/incidents", json=document, headers=headers, timeout=_WITHIN_S).status_code
        self.answers.append(Answer(sent_at=sent_at, took_s=time.perf_counter() - began, status=status))

    def delays(self) -> list[tuple[float, float]]:
        """Return when each page was committed, in seconds since the epoch, and how long after that it left."""
        return [(at, delay) for at, delay in self.server.execute(sql.SQL(_DELAYS), self.database)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The two cells and the process that serves them."""

    cells: Mapping[str, Cell]
    web: Processes

    @contextmanager
    def paging(self, paces: Mapping[str, int]) -> Iterator[None]:
        """Submit so many incidents a second to each cell, whatever becomes of those before."""
        is_over = threading.Event()

        def submit(cell: Cell, pool: ThreadPoolExecutor, a_second: int) -> None:
            number, began = 0, time.monotonic()
            while not is_over.wait(max(0.0, began + number / a_second - time.monotonic())):
                pool.submit(cell.page, number)
                number += 1

        with ExitStack() as stack:
            for name, a_second in paces.items():
                pool = stack.enter_context(ThreadPoolExecutor(_MOST_WAITING))
                thread = threading.Thread(target=submit, args=(self.cells[name], pool, a_second))
                thread.start()
                stack.callback(thread.join)
            stack.callback(is_over.set)
            yield


@contextmanager
def scene(application: str, *, names: tuple[str, ...] = (FAILING, OTHER)) -> Iterator[Scene]:
    """Set it up; ``application`` serves the cells."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="notifyflow-bench-", dir=DISK)))
        channels.install(folder)
        redis = stack.enter_context(redis_server())
        root = f"http://127.0.0.1:{reserve_port()}"
        cells = {}
        for number, name in enumerate(names):
            server = _server(stack)
            variables = {
                "NOTIFYFLOW_DATABASE_URL": server.url(database := server.create_database()),
                "NOTIFYFLOW_BROKER_URL": redis.url.removesuffix("0") + str(number),
                "NOTIFYFLOW_PUBLIC_URL": f"{root}/{name}",
                "NOTIFYFLOW_PROVIDER_LIMITS": f"{channels.NAME}=1000000",
                "NOTIFYFLOW_API_REQUESTS_A_MINUTE": "100000",
            }
            key = _make_key(variables)
            (folder / f"{name}.env").write_text("".join(f"{each}='{value}'\n" for each, value in variables.items()))
            cells[name] = Cell(name=name, server=server, database=database, url=f"{root}/{name}", key=key)
            worker = (program("dramatiq"), "notifyflow.worker", "--processes", "1", "--threads", "10")
            _run(stack, folder, *worker, **variables, PYTHONPATH=f"{folder}:{ROOT}", PROVIDER="null")
        uvicorn = (program("uvicorn"), application, "--port", root.rpartition(":")[2], "--no-access-log")
        web = _run(stack, folder, *uvicorn, CELLS=str(folder), PYTHONPATH=f"{folder}:{ROOT / 'examples'}:{ROOT}")
        for cell in cells.values():
            _wait_until(lambda cell=cell: _is_ready(cell), folder)
        yield Scene(cells=cells, web=web)


def _server(stack: ExitStack) -> Postgres:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="notifyflow-bench-", dir=DISK, ignore_cleanup_errors=True))
    server = Postgres(Path(folder), settings=POSTGRES)
    server.initialise()
    server.start()
    stack.callback(server.stop)
    return server


def _make_key(variables: Mapping[str, str]) -> str:
    with closing(Store(variables["NOTIFYFLOW_DATABASE_URL"])) as store:
        store.upgrade()
    settings = Settings.from_variables({**variables, "NOTIFYFLOW_PROVIDER_LIMITS": ""})  # this process knows no such provider
    with NotifyFlow(settings) as flow:
        return flow.access().create("sender", [KeyScope.INGEST], valid_for=None)[1]


def _run(stack: ExitStack, folder: Path, *command: str, **variables: str) -> Processes:
    """Run a program until the scene ends."""
    environment = {"PATH": os.environ["PATH"], **variables}
    with (folder / "log").open("ab") as log:
        process: Any = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    stack.callback(_kill, process)
    return Processes(process.pid)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _is_ready(cell: Cell) -> bool:
    try:
        return requests.get(f"{cell.url}/readyz", timeout=_WITHIN_S).ok
    except requests.RequestException:
        return False


def _wait_until(is_so: Callable[[], bool], folder: Path) -> None:
    ends_at = time.monotonic() + _WITHIN_S
    while not is_so():
        assert time.monotonic() < ends_at, (folder / "log").read_text()[-4_000:]
        time.sleep(0.1)
