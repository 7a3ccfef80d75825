"""Measures what 10,000 watched jobs cost one process, and how many pings it commits beside the simplest receiver.

It writes docs/figures/heartbeats.rst. A job's first ping in an hour also notes the use of its key; both are measured.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg

from notifyflow.core.accounts import keys
from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.storage.store import Store
from tests.bench.load import CONNECTIONS, Post
from tests.bench.receipts import PROGRAM, Round, Scene, measure_round, median_of, say
from tests.bench.throughput.arena import DISK, POSTGRES
from tests.servers.postgres import Postgres
from tests.waiting import wait_until

JOBS, ROUNDS, PINGS = 10_000, 7, 1_000
WANTED = 0.5
_IDLE_S = 30.0
_PEOPLE = 'default.to = ["ada"]\nrecipients.ada = { email = "ada@example.com" }\n'
_SECRET = "s" * 43
_PAGE = Path(__file__).parents[2] / "docs" / "figures" / "heartbeats.rst"
_RESET = "SELECT count(pg_stat_statements_reset(0, oid)) FROM pg_database WHERE datname = current_database()"
_CALLS = """
    SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query !~* '^(BEGIN|COMMIT|ROLLBACK)'
"""
_TEXT = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 52 16 16 16

   * - One process, {connections} connections
     - a second
     - p50
     - p95
   * - ``notifyflow up``: pings, each the first of its key within an hour
     - {first.a_second:.0f}
     - {first.p50_ms:.0f} ms
     - {first.p95_ms:.0f} ms
   * - ``notifyflow up``: pings of the same jobs again
     - {again.a_second:.0f}
     - {again.p50_ms:.0f} ms
     - {again.p95_ms:.0f} ms
   * - FastAPI and psycopg: one row each that is updated and committed
     - {bare.a_second:,.0f}
     - {bare.p50_ms:.0f} ms
     - {bare.p95_ms:.0f} ms

Medians of {rounds} rounds of {pings:,} pings in turn, each by another of {jobs:,} jobs. The ratio is {ratio_first:.2f}
({lowest_first:.2f} to {highest_first:.2f}) for the first pings, and {ratio_again:.2f} ({lowest_again:.2f} to
{highest_again:.2f}) for the others.

.. list-table::
   :header-rows: 1
   :widths: 52 24 24

   * - The same process with nothing to do
     - statements a second
     - of a core
   * - no heartbeat declared
     - {none.statements:.1f}
     - {none.core:.2f} %
   * - {jobs:,} heartbeats declared
     - {many.statements:.1f}
     - {many.core:.2f} %

Measured on two cores ({machine}), with a load of {load:.1f} before and {load_after:.1f} after. PostgreSQL and the
clients ran on the same cores.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """What an idle process does: statements a second, and per cent of a core."""

    statements: float
    core: float


def main() -> int:
    """Measure, write the figures, and return whether pings are half as fast as the simplest receiver."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _server() as server:
        none = _idle(_scene(server, Path(folder), jobs=0), jobs=0)
        say(f"idle without heartbeats: {none}\n")
        scene = _scene(server, Path(folder), jobs=JOBS)
        many = _idle(scene, jobs=JOBS)
        say(f"idle with {JOBS:,}: {many}\n")
        receiver = scene.run(sys.executable, "-m", "tests.bench.bare", scene.url)
        with scene.run(PROGRAM, "up", "--port", "0") as ours, receiver as bare:
            rounds = [_rounds(scene, ours, bare, number) for number in range(1 + ROUNDS)][1:]
    firsts, agains = ([each[kind].a_second / each[2].a_second for each in rounds] for kind in (0, 1))
    text = _TEXT.format(
        connections=CONNECTIONS,
        first=median_of([each[0] for each in rounds]),
        again=median_of([each[1] for each in rounds]),
        bare=median_of([each[2] for each in rounds]),
        rounds=ROUNDS,
        pings=PINGS,
        jobs=JOBS,
        ratio_first=statistics.median(firsts),
        lowest_first=min(firsts),
        highest_first=max(firsts),
        ratio_again=statistics.median(agains),
        lowest_again=min(agains),
        highest_again=max(agains),
        none=none,
        many=many,
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        load=load,
        load_after=os.getloadavg()[0],
    )
    _PAGE.write_text(text, encoding="utf-8")
    say(text)
    return int(min(statistics.median(firsts), statistics.median(agains)) < WANTED)


@contextmanager
def _server() -> Iterator[Postgres]:
    """Run a PostgreSQL on a disk, with durable commits, which counts statements."""
    with tempfile.TemporaryDirectory(prefix="notifyflow-postgres-", dir=DISK, ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder), settings=POSTGRES | {"pg_stat_statements.track": "top"})
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.end()


def _scene(server: Postgres, folder: Path, *, jobs: int) -> Scene:
    """Return a database with as many jobs, each with its key."""
    directory = folder / f"directory-{jobs}.toml"
    directory.write_text(_PEOPLE + "".join(f'heartbeats.{_name(number)} = {{ every = "1d" }}\n' for number in range(jobs)))
    scene = Scene(server, folder, {"NOTIFYFLOW_DIRECTORY": str(directory)})
    with closing(Store(scene.url)) as store:
        store.upgrade()
        digest, now = keys.digest(_SECRET), datetime.now(UTC)
        made = [
            ApiKey(
                id=f"k{number}",
                name=_name(number),
                scopes=frozenset({KeyScope.PING}),
                heartbeat=_name(number),
                digest=digest,
                created_at=now,
            )
            for number in range(jobs)
        ]
        store.run(lambda ledger: [ledger.keys.add(key) for key in made])
    return scene


def _idle(scene: Scene, *, jobs: int) -> Idle:
    """Let a process do nothing, and count its statements and its processor time."""
    with scene.run(PROGRAM, "up", "--port", "0"), psycopg.connect(scene.url, autocommit=True) as connection:
        connection.execute("SET pg_stat_statements.track = 'none'")
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        wait_until(lambda: scene.query("SELECT count(*) FROM notifyflow_watched_job") == [(jobs,)], within_s=60)
        time.sleep(10)
        process = psutil.Process(scene.pid)
        connection.execute(_RESET)
        before = process.cpu_times()
        time.sleep(_IDLE_S)
        (calls,) = connection.execute(_CALLS).fetchone() or (0,)
        after = process.cpu_times()
    spent_s = after.user + after.system - before.user - before.system
    return Idle(statements=float(calls) / _IDLE_S, core=100 * spent_s / _IDLE_S)


def _rounds(scene: Scene, ours: int, bare: int, number: int) -> tuple[Round, Round, Round]:
    """Let some jobs ping twice, and then the simplest receiver of their pings."""
    jobs = range(number * PINGS, (number + 1) * PINGS)
    posts = [Post(path=f"/v1/heartbeats/{keys.spell(f'k{each}', _SECRET)}/{_name(each)}", body="") for each in jobs]
    pinged = "SELECT coalesce(sum(version), 0) FROM notifyflow_watched_job"
    found = (
        measure_round(scene, ours, posts, pinged),
        measure_round(scene, ours, posts, pinged),
        measure_round(scene, bare, posts, "SELECT coalesce(sum(pings), 0) FROM bare_job"),
    )
    say("{:.0f} and {:.0f} beside {:.0f} a second\n".format(*(each.a_second for each in found)))
    return found


def _name(number: int) -> str:
    return f"job-{number:05}"
