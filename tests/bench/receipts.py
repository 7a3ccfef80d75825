"""Measures how many receipts a web process commits, beside the simplest receiver, and writes docs/figures/receipts.rst.

Then a thousand texts are reported ten thousand times, in disorder, and the resulting states are compared with the reports.
"""

import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from psycopg import sql

from notifyflow.storage.store import Store
from tests.bench.load import CONNECTIONS, Post, post
from tests.bench.texts import PUBLIC_URL, TOKEN, Texts, as_they_come, in_disorder, states
from tests.servers.postgres import Postgres, postgres
from tests.servers.redis import redis_server

ROUNDS, TEXTS = 7, 400
ALL, OF_TEXTS, SEED = 10_000, 1_000, 1
_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "figures" / "receipts.rst"
PROGRAM = Path(sys.executable).with_name("notifyflow")
_SETTINGS = {
    "NOTIFYFLOW_PUBLIC_URL": PUBLIC_URL,
    "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0",
    "NOTIFYFLOW_TWILIO_AUTH_TOKEN": TOKEN,
    "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
}
_DURABLE = ("fsync", "full_page_writes")  # as PostgreSQL comes; for tests they are off
_TEXT = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 52 16 16 16

   * - One process, {connections} connections
     - a second
     - p50
     - p95
   * - ``notifyflow web``: receipts that are verified, moved and committed
     - {ours.a_second:.0f}
     - {ours.p50_ms:.0f} ms
     - {ours.p95_ms:.0f} ms
   * - FastAPI and psycopg: rows that are inserted and committed
     - {bare.a_second:,.0f}
     - {bare.p50_ms:.0f} ms
     - {bare.p95_ms:.0f} ms

Medians of {rounds} rounds in turn. The ratio is {ratio:.2f} ({lowest:.2f} to {highest:.2f}).

.. list-table::
   :widths: 84 16

   * - Callbacks about {texts:,} texts, in disorder, {took_s:.0f} s long
     - {callbacks:,}
   * - Events among them; all the others are repetitions
     - {events:,}
   * - Events that are not in the inbox, or not with their attempt
     - {lost}
   * - Texts that are not in the state of the strongest result about them
     - {wrong}
   * - Callbacks that were answered with anything but 200
     - {refused}

Measured on two cores ({machine}); PostgreSQL, and whoever calls back, on the same ones.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The throughput of one process in one round."""

    a_second: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of receipts in disorder."""

    callbacks: int
    texts: int
    events: int
    lost: int
    wrong: int
    refused: int
    took_s: float


class Scene:
    """A database with durable commits, and the processes that use it.

    Attributes:
        pid: The id of the process that was started last.
    """

    pid: int

    def __init__(self, server: Postgres, folder: Path, settings: Mapping[str, str]) -> None:
        for name in _DURABLE:
            server.execute(sql.SQL("ALTER SYSTEM SET {} = on").format(sql.Identifier(name)))
        server.execute(sql.SQL("SELECT pg_reload_conf()"))
        self._server, self._log = server, folder / "log"
        self._name = server.create_database()
        self.url = server.url(self._name)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFYFLOW_")}
        self._variables = kept | {"NOTIFYFLOW_DATABASE_URL": self.url, **settings}

    def query(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        return self._server.execute(sql.SQL(query), self._name)

    @contextmanager
    def run(self, *command: str | Path) -> Iterator[int]:
        """Run a process that prints its port; yield the port."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, env=self._variables, cwd=_ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        self.pid = process.pid
        with process:
            try:
                assert process.stdout is not None
                port = re.search(r":(\d+)$", process.stdout.readline().strip())
                assert port, self._log.read_text()
                yield int(port[1])
            finally:
                process.terminate()

    def check(self) -> None:
        """Check the invariants of all stored incidents."""
        subprocess.run([PROGRAM, "check"], env=self._variables, check=True)


def measure(scene: Scene, texts: Texts, ours: int, bare: int) -> list[tuple[Round, Round]]:
    """Send both the same callbacks, in turn; the first round only warms them up."""
    found = []
    for _ in range(1 + ROUNDS):
        posts = [each.signed() for each in as_they_come(texts.send(TEXTS))]
        found.append(
            (
                measure_round(scene, ours, posts, "SELECT count(*) FROM notifyflow_receipt WHERE state = 'matched'"),
                measure_round(scene, bare, posts, "SELECT count(*) FROM bare"),
            )
        )
        say("{:.0f} beside {:.0f} a second\n".format(*(each.a_second for each in found[-1])))
    return found[1:]


def measure_round(scene: Scene, port: int, posts: Sequence[Post], count: str) -> Round:
    """Send some requests; what counts are those that have changed a number in the database."""
    ((before,),) = scene.query(count)
    responses = post(port, posts)
    ((after,),) = scene.query(count)
    spans = sorted(responses.spans_s)
    return Round(
        a_second=float(after - before) / responses.took_s,
        p50_ms=spans[len(spans) // 2] * 1000,
        p95_ms=spans[int(len(spans) * 0.95)] * 1000,
    )


def disorder(scene: Scene, texts: Texts, port: int) -> Verdict:
    """Send receipts repeatedly and in any order; return the result."""
    callbacks = in_disorder(texts.send(OF_TEXTS), number=ALL, seed=SEED)
    responses = post(port, [each.signed() for each in callbacks])
    joined = "notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id"
    found = dict(scene.query(f"SELECT a.id, n.state FROM {joined}"))
    inbox = set(scene.query("SELECT event_id, matched_attempt_id FROM notifyflow_receipt"))
    events = {(each.event_id, each.attempt_id) for each in callbacks}
    wanted = states(callbacks)
    scene.check()
    return Verdict(
        callbacks=len(callbacks),
        texts=len(wanted),
        events=len(events),
        lost=len(events - inbox),
        wrong=sum(found[attempt_id] != state for attempt_id, state in wanted.items()),
        refused=sum(times for status, times in responses.statuses.items() if status != "200"),
        took_s=responses.took_s,
    )


def _text(rounds: Sequence[tuple[Round, Round]], verdict: Verdict) -> str:
    ratios = [ours.a_second / bare.a_second for ours, bare in rounds]
    return _TEXT.format(
        connections=CONNECTIONS,
        rounds=len(rounds),
        ours=median_of([ours for ours, _ in rounds]),
        bare=median_of([bare for _, bare in rounds]),
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        **asdict(verdict),
    )


def median_of(rounds: Sequence[Round]) -> Round:
    """Return the median of each figure."""
    return Round(**{name: statistics.median(getattr(each, name) for each in rounds) for name in Round.__dataclass_fields__})


def say(text: str) -> None:
    """Print a text at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> int:
    """Measure, write the figures, and return whether every text ended in its one right state."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, postgres() as server, redis_server() as queue:
        scene = Scene(server, Path(folder), _SETTINGS | {"NOTIFYFLOW_BROKER_URL": queue.url})
        with closing(Store(scene.url)) as store:
            store.upgrade()
            texts = Texts(store)
            with scene.run(PROGRAM, "web", "--port", "0") as ours:
                with scene.run(sys.executable, "-m", "tests.bench.bare", scene.url) as bare:
                    rounds = measure(scene, texts, ours, bare)
                verdict = disorder(scene, texts, ours)
    text = _text(rounds, verdict)
    _PAGE.write_text(text, encoding="utf-8")
    say(text)
    return 1 if verdict.lost or verdict.wrong or verdict.refused else 0
