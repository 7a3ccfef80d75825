"""Measures the dashboard's pages over a million notifications, and writes docs/figures/pages.rst with the slowest statements.

``notifyflow web`` runs as a process of its own; its responses are measured one after the other, as one reader sees them.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import peewee
import psutil
import requests
from psycopg import sql

from notifyflow import NotifyFlow, Settings
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.text import cut
from notifyflow.storage.store import Store
from notifyflow.storage.tables.policies import snapshot
from tests.bench.fill import PEOPLE, fill
from tests.dashboard import PASSWORD, Visit
from tests.servers.postgres import Postgres, postgres
from tests.servers.redis import redis_server

NOTIFICATIONS = 1_000_000
FEWER = 300_000
"""A history for which PostgreSQL chooses between an index and the whole table in another way than for the long one."""
TIMES = 40
MOST_MS, MOST_UNCHANGED_MS, MOST_SCRAPE_MS, MOST_GROWTH_MB = 100.0, 10.0, 50.0, 30.0
SLOWEST = 3
_WIDEST, _LONGEST = 120, 24
_ROOT = Path(__file__).parents[2]
_SCHEDULES = 12
_FIGURES = _ROOT / "docs" / "figures" / "pages"
_PROGRAM = Path(sys.executable).with_name("notifyflow")
_URL = "http://127.0.0.1"
_TEXT = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 38 9 13 10 10 20

   * - Page, {notifications:,} notifications
     - kB
     - processor
     - p50
     - p95
     - p95, unchanged (304)
{rows}

The export of the whole log has {export.rows:,} rows and {export.megabytes:.0f} MB. It took {export.took_s:.0f} s, and the memory
of the service grew by {export.growth_mb:.0f} MB meanwhile.

Measured on two cores ({machine}) at a load of {load:.1f}: PostgreSQL, the browser and whatever else ran used the same ones.
{times} requests a page, one after the other; *processor* is the time that the web service itself computes for one. The slowest
statements:

{plans}
"""
_ROW = """   * - {each.page}
     - {each.kilobytes:.0f}
     - {each.cpu_ms:.0f} ms
     - {each.p50_ms:.0f} ms
     - {each.p95_ms:.0f} ms
     - {unchanged}"""
_PLAN = """{page}, {took_ms:.0f} ms:

.. code-block:: text

{plan}
"""
_ID = re.compile(r'href="(?:\.\./)*incidents/(\w+)"')
_OLDER = re.compile(r'href="(messages\?[^"]+)" rel="next"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """How long a page takes, in milliseconds, and how long the processor works on it in the web service alone."""

    page: str
    kilobytes: float
    cpu_ms: float
    p50_ms: float
    p95_ms: float
    unchanged_p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export of the whole log."""

    rows: int
    took_s: float
    megabytes: float
    growth_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """One of the slowest statements, as PostgreSQL explains it."""

    page: str
    took_ms: float
    statement: str
    plan: str


class Browser:
    """A browser that is logged in to a running web service."""

    def __init__(self, port: int, name: str) -> None:
        self._root = f"{_URL}:{port}"
        self._session = requests.Session()
        self._session.headers["Origin"] = self._root
        form = self._session.get(f"{self._root}/login", timeout=60).text
        (token,) = set(re.findall(r'name="csrf" value="(\w+)"', form))
        fields = {"csrf": token, "name": name, "password": PASSWORD}
        assert self._session.post(f"{self._root}/login", data=fields, timeout=60, allow_redirects=False).status_code == 303

    def get(self, path: str, **headers: str) -> requests.Response:
        return self._session.get(f"{self._root}/{path}", headers=headers, timeout=600)

    def stream(self, path: str) -> Iterator[bytes]:
        with self._session.get(f"{self._root}/{path}", stream=True, timeout=600) as response:
            yield from response.iter_content(64 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running web service, its database, and a browser that is logged in to it."""

    url: str
    flow: NotifyFlow
    browser: Browser
    process: psutil.Process


def pages(get: Callable[[str], str]) -> Mapping[str, str]:
    """Return the pages to measure, by name."""
    incident = _ID.search(get("incidents"))
    older = _OLDER.search(get("messages"))
    assert incident is not None, "no incident is listed"
    assert older is not None, "no message is older"
    half = (datetime.now(UTC) - timedelta(days=15)).strftime("%Y-%m-%dT%H:%M")
    return {
        "incidents": "incidents",
        "one incident": f"incidents/{incident[1]}",
        "incidents by text, none found": "incidents?text=nowhere",
        "incidents by label": "incidents?label=team:7",
        "messages": "messages",
        "messages, older": older[1].replace("&amp;", "&"),
        "messages before a time": f"messages?until={half}",
        "messages by state": "messages?state=FAILED",
        "messages that are queued": "messages?state=QUEUED",
        "messages by evidence, none found": "messages?evidence=human",
        "messages by reason, none found": "messages?reason=nowhere",
        "messages of a recipient": "messages?recipient=p7",
        "messages of a reference": "messages?ref=unknown",
        "people": "people",
        "one person": "people/p7",
        "on call": "oncall",
        "health": "health",
        "health, a month": "health?window=month",
        "metrics": "metrics",
    }


def measure(browser: Browser, process: psutil.Process, name: str, path: str) -> Timed:
    """Ask for a page again and again, and then with what the browser has."""
    spans, unchanged = [], list[float]()
    first = browser.get(path)
    assert first.status_code == 200, f"{path}: {first.status_code}"
    before = process.cpu_times()
    for _ in range(TIMES):
        spans.append(_timed(lambda: browser.get(path), 200))
    after = process.cpu_times()
    if "etag" in first.headers:
        unchanged = [_timed_unchanged(browser, path) for _ in range(TIMES)]
    return Timed(
        page=name,
        kilobytes=len(first.content) / 1024,
        cpu_ms=1000 * (after.user + after.system - before.user - before.system) / TIMES,
        p50_ms=statistics.median(spans),
        p95_ms=_p95(spans),
        unchanged_p95_ms=_p95(unchanged) if unchanged else None,
    )


def export(browser: Browser, process: psutil.Process) -> Export:
    """Export the whole log, and watch the memory of the service."""
    began, rows, size, before = time.perf_counter(), -1, 0, None
    most = 0
    for chunk in browser.stream("messages.csv"):
        rows, size = rows + chunk.count(b"\n"), size + len(chunk)
        most = process.memory_info().rss
        before = before or most
    growth = max(0, most - (before or most))
    return Export(rows=rows, took_s=time.perf_counter() - began, megabytes=size / 2**20, growth_mb=growth / 2**20)


def slowest(url: str, application: Any, found: Mapping[str, str]) -> list[Slow]:
    """Return the slowest statements of all pages, each with its plan."""
    visitor, seen = Visit(application), {}
    visitor.log_in("admin")
    run = peewee.PostgresqlDatabase.execute_sql

    def timed(db: Any, statement: str, params: Any = None, *rest: Any) -> Any:
        began = time.perf_counter()
        cursor = run(db, statement, params, *rest)
        took_ms = 1000 * (time.perf_counter() - began)
        if statement.lstrip("(").startswith(("SELECT", "WITH")) and took_ms > seen.get(statement, (0.0,))[0]:
            seen[statement] = (took_ms, page, params)
        return cursor

    peewee.PostgresqlDatabase.execute_sql = timed
    try:
        for page, path in found.items():  # noqa: B007 - ``timed`` reads the name
            visitor.get(f"/{path}")
    finally:
        peewee.PostgresqlDatabase.execute_sql = run
    with closing(Store(url)) as store:
        worst = sorted(seen.items(), key=lambda each: -each[1][0])[:SLOWEST]
        return [_explained(store, statement, *about) for statement, about in worst]


def _explained(store: Store, statement: str, took_ms: float, page: str, params: Any) -> Slow:
    def explain(reads: Any) -> str:
        cursor = reads.messages._source.db.execute_sql(f"EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF) {statement}", params)
        return "\n".join(row[0] for row in cursor.fetchall())

    return Slow(page=page, took_ms=took_ms, statement=statement, plan=store.read(explain))


@contextmanager
def served(variables: Mapping[str, str], folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run the web service; yield its port and process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFYFLOW_")}
    with (folder / "log").open("ab") as log:
        command = [_PROGRAM, "web", "--port", "0"]
        process = subprocess.Popen(command, env=kept | variables, cwd=_ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        try:
            assert process.stdout is not None
            port = next((found for line in process.stdout if (found := re.search(r":(\d+)", line))), None)
            assert port, (folder / "log").read_text()
            yield int(port[1]), psutil.Process(process.pid)
        finally:
            process.terminate()


def write_directory(path: Path) -> Path:
    """Write a directory with all people, and with schedules that hand over every day, week, or month."""
    people = [f'[recipients.p{number}]\nname = "Person {number}"\nemail = "p@example.com"' for number in range(PEOPLE)]
    rotas = [
        f'[schedules.rota{number}]\ntimezone = "Europe/Berlin"\n[[schedules.rota{number}.layers]]\n'
        f'who = ["p{number}", "p{number + 12}", "p{number + 24}"]\nfrom = 2026-01-05T09:00:00\n'
        f'every = "{("1d", "1w", "1mo")[number % 3]}"'
        for number in range(_SCHEDULES)
    ]
    path.write_text("\n".join((*people, *rotas, "[default]", 'to = ["@rota0"]', "")), encoding="utf-8")
    return path


def _variables(url: str, broker_url: str, directory: Path) -> dict[str, str]:
    return {
        "NOTIFYFLOW_DIRECTORY": str(directory),
        "NOTIFYFLOW_DATABASE_URL": url,
        "NOTIFYFLOW_BROKER_URL": broker_url,
        "NOTIFYFLOW_METRICS_HOSTS": "127.0.0.1",
        "NOTIFYFLOW_SMTP_URL": "smtp://mail.example.com",
        "NOTIFYFLOW_MAIL_FROM": "page@example.com",
        "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0",
        "NOTIFYFLOW_TWILIO_AUTH_TOKEN": "token",
        "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
        "NOTIFYFLOW_TWILIO_VOICE_FROM": "+15005550006",
    }


def store_policy(server: Postgres, name: str) -> str:
    """Store a policy for rows that are filled in; return its digest."""
    stored = snapshot(DEFAULT)
    insert = sql.SQL("INSERT INTO notifyflow_policy (digest, document, created_at) VALUES ({}, {}, now())")
    server.execute(insert.format(sql.Literal(stored.digest), sql.Literal(stored.document)), name)
    return stored.digest


def _end_autovacuum(server: Postgres, name: str) -> None:
    """Let PostgreSQL do nothing by itself, since what it writes changes the snapshot that says that nothing was written."""
    server.execute(sql.SQL("ALTER SYSTEM SET autovacuum = off"), name)
    server.execute(sql.SQL("SELECT pg_reload_conf()"), name)


def _timed(ask: Callable[[], requests.Response], status: int) -> float:
    began = time.perf_counter()
    response = ask()
    assert response.status_code == status, response.status_code
    return 1000 * (time.perf_counter() - began)


def _timed_unchanged(browser: Browser, path: str) -> float:
    """Time a response to a browser that has the page; one that shows ages changes now and then, and is asked for again."""
    for _ in range(3):
        tag = browser.get(path).headers["etag"]
        began = time.perf_counter()
        response = browser.get(path, **{"If-None-Match": tag})
        if response.status_code == 304:
            return 1000 * (time.perf_counter() - began)
    raise AssertionError(f"{path} changes all the time: {response.status_code}")


def _p95(spans: Sequence[float]) -> float:
    return sorted(spans)[int(len(spans) * 0.95)]


def _write(timed: Sequence[Timed], exported: Export, slow: Sequence[Slow]) -> str:
    machine, load = f"{platform.machine()}, Python {platform.python_version()}", os.getloadavg()[1]
    document = {
        "notifications": NOTIFICATIONS,
        "machine": machine,
        "load": round(load, 1),
        "pages": [asdict(each) for each in timed],
        "export": asdict(exported),
        "slowest": [asdict(each) for each in slow],
    }
    _FIGURES.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    plans = "\n".join(_PLAN.format(page=each.page, took_ms=each.took_ms, plan=_indented(each.plan)) for each in slow)
    rows = "\n".join(_ROW.format(each=each, unchanged=_unchanged(each)) for each in timed)
    text = _TEXT.format(
        notifications=NOTIFICATIONS, rows=rows, export=exported, machine=machine, load=load, times=TIMES, plans=plans
    )
    _FIGURES.with_suffix(".rst").write_text(text, encoding="utf-8")
    return text


def _unchanged(timed: Timed) -> str:
    return "" if timed.unchanged_p95_ms is None else f"{timed.unchanged_p95_ms:.0f} ms"


def _indented(plan: str) -> str:
    """Return the beginning of a plan, for the documentation; the whole one stands in the JSON."""
    lines = [cut(line, _WIDEST) for line in plan.splitlines() if "Buffers:" not in line and "Index Searches:" not in line]
    return "\n".join(f"   {line}" for line in [*lines[:_LONGEST], *(["…"] if len(lines) > _LONGEST else [])])


@contextmanager
def _running(server: Postgres, queue_url: str, folder: Path, notifications: int) -> Iterator[Running]:
    """Run the web service over a new database with so many notifications."""
    name = server.create_database()
    url = server.url(name)
    with closing(Store(url)) as store:
        store.upgrade()
    fill(server, name, notifications=notifications, policy=store_policy(server, name))
    _end_autovacuum(server, name)
    variables = _variables(url, queue_url, write_directory(folder / "directory.toml"))
    with NotifyFlow(Settings.from_variables(variables)) as flow:
        flow.users().add("admin", Role.ADMIN, password=PASSWORD)
        with served(variables, folder) as (port, process):
            yield Running(url=url, flow=flow, browser=Browser(port, "admin"), process=process)


def main() -> int:
    """Measure, write the figures, and return whether a page was slow or an export grew."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, postgres() as server, redis_server() as queue:
        with _running(server, queue.url, Path(folder), FEWER) as run:
            fewer = measure(run.browser, run.process, f"people, {FEWER:,} notifications", "people")
        with _running(server, queue.url, Path(folder), NOTIFICATIONS) as run:
            found = pages(lambda path: run.browser.get(path).text)
            timed = [measure(run.browser, run.process, page, path) for page, path in found.items()]
            exported = export(run.browser, run.process)
            slow = slowest(run.url, run.flow.asgi(), found)
    timed.append(fewer)
    sys.stdout.write(_write(timed, exported, slow))
    most = {"metrics": MOST_SCRAPE_MS}
    is_slow = any(
        each.p95_ms > most.get(each.page, MOST_MS) or (each.unchanged_p95_ms or 0) > MOST_UNCHANGED_MS for each in timed
    )
    return 1 if is_slow or exported.growth_mb > MOST_GROWTH_MB else 0
