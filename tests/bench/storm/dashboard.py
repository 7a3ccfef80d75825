"""Measures the dashboard's pages before, in and after a storm, at a steady pace, as one reader sees them."""

import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from notifyflow import NotifyFlow, Settings
from notifyflow.core.accounts.users import Role
from tests.bench.pages import Browser, pages, served, write_directory
from tests.bench.storm.scene import Size, begin, drive, drive_all, variables, wait_until_carried, worker
from tests.bench.throughput.arena import Arena
from tests.dashboard import PASSWORD

PACE_S = 0.1
"""How long from the beginning of one request to that of the next."""

_WARM = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What was asked for in one phase.

    Attributes:
        spans_ms: How long each response to each page took.
        cpu_ms: The processor time of the web service for a response.
    """

    spans_ms: Mapping[str, Sequence[float]]
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The dashboard around one storm.

    Attributes:
        took_s: How long it took until all incidents had come.
    """

    before: Phase
    storm: Phase
    after: Phase
    took_s: float


def dashboard(arena: Arena, size: Size, *, is_bundling: bool, stormy: Arena | None = None) -> Seen:
    """Fill a database with a history, and ask for every page before a storm, in it, and when all of it is carried.

    The storm comes in ``stormy`` where that is given: another installation, which has only the machine in common.
    """
    stormy = stormy or arena
    with ExitStack() as stack:
        for each in dict.fromkeys((arena, stormy)):
            begin(each, size)
            stack.enter_context(worker(each, is_bundling=is_bundling))
        query = stack.enter_context(stormy.watching())
        browser, process = stack.enter_context(_reader(arena, is_bundling=is_bundling))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        drive(
            stormy, is_bundling=is_bundling, incidents=_WARM, people=_WARM // 10, seconds=1, channels=size.channels, prefix="warm"
        )
        wait_until_carried(query)
        asked = pages(lambda path: browser.get(path).text)
        _ask(browser, process, asked, until=threading.Event(), for_s=size.seconds / 6)  # plans, pools and imports
        before = _ask(browser, process, asked, until=threading.Event(), for_s=size.seconds / 2)
        is_over = threading.Event()
        coming = pool.submit(_come, stormy, size, is_over, is_bundling=is_bundling)
        storm = _ask(browser, process, asked, until=is_over, for_s=10 * size.seconds)
        wait_until_carried(query)
        after = _ask(browser, process, asked, until=threading.Event(), for_s=size.seconds / 2)
        return Seen(before=before, storm=storm, after=after, took_s=coming.result())


def _come(arena: Arena, size: Size, is_over: threading.Event, *, is_bundling: bool) -> float:
    try:
        return drive_all(arena, size, is_bundling=is_bundling).took_s
    finally:
        is_over.set()


@contextmanager
def _reader(arena: Arena, *, is_bundling: bool) -> Iterator[tuple[Browser, psutil.Process]]:
    """Run the web service; yield a browser that is logged in, and the service's process."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        given = arena.variables(NOTIFYFLOW_BUNDLING=variables(is_bundling=is_bundling)["NOTIFYFLOW_BUNDLING"]) | {
            "NOTIFYFLOW_DIRECTORY": str(write_directory(folder / "directory.toml")),
            "NOTIFYFLOW_METRICS_HOSTS": "127.0.0.1",
        }
        ours = {name: value for name, value in given.items() if name != "NOTIFYFLOW_PROVIDER_LIMITS"}  # of the plug-in
        with NotifyFlow(Settings.from_variables(ours)) as flow:
            flow.users().add("admin", Role.ADMIN, password=PASSWORD)
        with served(given, folder) as (port, process):
            yield Browser(port, "admin"), process


def _ask(browser: Browser, process: psutil.Process, asked: Mapping[str, str], *, until: threading.Event, for_s: float) -> Phase:
    """Ask for the pages in turn until an event, or for some time, and at least once for each."""
    spans: dict[str, list[float]] = defaultdict(list)
    paths, number, began, cpu_s = list(asked.items()), 0, time.perf_counter(), _cpu_s(process)
    while number < len(paths) or (not until.is_set() and time.perf_counter() < began + for_s):
        time.sleep(max(0.0, began + number * PACE_S - time.perf_counter()))
        page, path = paths[number % len(paths)]
        asked_at = time.perf_counter()
        response = browser.get(path)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        spans[page].append(1000 * (time.perf_counter() - asked_at))
        number += 1
    return Phase(spans_ms=dict(spans), cpu_ms=1000 * (_cpu_s(process) - cpu_s) / number)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
