"""Measures what a replica takes off the primary: a minute in which open lists ask whether they have changed."""

import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from psycopg import sql

from notifyflow import NotifyFlow, Settings
from notifyflow.storage.store import Store
from tests.bench.fill import fill
from tests.bench.pages import store_policy
from tests.bench.throughput.arena import Processes
from tests.bench.throughput.series import Measured, in_turn
from tests.dashboard import Visit, visit
from tests.servers.postgres import Postgres, postgres
from tests.servers.standby import Standby, standby_of

ROUNDS = 3
NOTIFICATIONS = 200_000
READERS = 4
SWEEPS = 12
"""A minute, of a sweep every five seconds."""
POLLS = 2
"""How often a list asks between two sweeps; the second time, nothing has changed."""
LISTS = ("/incidents", "/messages", "/incidents?label=team:7")
_REAPED_S = 1.0
"""How long PostgreSQL may take to count the time of processes that have ended."""
_PRIMARY, _REPLICA, _OURS, _TRANSACTIONS = "primary, s", "replica, s", "web service, s", "transactions of the primary"
_NOTE_SWEEP = sql.SQL("""
    WITH noted AS (UPDATE notifyflow_outage SET began_at = {} WHERE NOT is_over RETURNING 1)
    INSERT INTO notifyflow_outage (began_at, is_over) SELECT {}, false WHERE NOT EXISTS (SELECT 1 FROM noted)
""")
_FIGURES = Path(__file__).parents[2] / "docs" / "figures"
_HEAD = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 28 18 18 18 18

   * - A minute of {lists} open lists
     - processor time of the primary, s
     - of the replica, s
     - of the web service, s
     - transactions of the primary
"""
_FOOT = """
Medians of {rounds} rounds in turn, with the lowest and the highest, over {notifications:,} notifications, on two cores
({machine}). Both servers and the web service ran on the same machine, without waiting between the requests of the minute.
"""


@dataclass(slots=True)
class _Reader:
    """A browser with an open list, which asks for it with what it has."""

    visitor: Visit
    path: str
    etags: list[str] = field(default_factory=lambda: [""])

    def poll(self) -> None:
        response = self.visitor.request("GET", self.path, headers={"if-none-match": self.etags[-1]})
        assert response.status_code in (200, 304), response.text
        self.etags.append(response.headers["etag"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A primary with a long history, and its standby."""

    primary: Postgres
    standby: Standby
    database: str

    def minute(self, *, is_replicated: bool) -> Measured:
        """Let the lists of a minute be read."""
        variables = {"NOTIFYFLOW_DATABASE_URL": self.primary.url(self.database)}
        if is_replicated:
            variables["NOTIFYFLOW_READ_URL"] = self.standby.direct_url(self.database)
        with NotifyFlow(Settings.from_variables(variables)) as flow:
            application = flow.asgi()
            visitor = visit(flow, name=f"reader-{time.monotonic_ns()}", application=application)
            for name in [each for each in visitor.cookies if "notifyflow-changed" in each]:
                del visitor.cookies[name]
            readers = [_Reader(visitor, path) for path in LISTS for _ in range(READERS)]
            self._settle(flow)
            for reader in readers[::READERS]:
                reader.poll()
            before = self._spent()
            for _ in range(SWEEPS):
                self._settle(flow)
                for _ in range(POLLS):
                    for reader in readers:
                        reader.poll()
            after = self._spent()
        return {name: after[name] - before[name] for name in after}

    def _settle(self, flow: NotifyFlow) -> None:
        """Note a sweep, as a worker does."""
        at = sql.Literal(flow._deps.clock.now())
        self.primary.execute(_NOTE_SWEEP.format(at, at), self.database)
        self.standby.catch_up()

    def _spent(self) -> Mapping[str, float]:
        time.sleep(_REAPED_S)
        query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = {}"
        ((transactions,),) = self.primary.execute(sql.SQL(query).format(self.database))
        return {
            _PRIMARY: Processes(self.primary.pid).cpu_s,
            _REPLICA: Processes(self.standby.pid).cpu_s,
            _OURS: time.process_time(),
            _TRANSACTIONS: transactions,
        }


def _cell(values: Sequence[float], form: str) -> str:
    low, middle, high = (format(each, form) for each in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low}–{high})"


def main() -> int:
    with postgres() as primary:
        database = primary.create_database()
        store = Store(primary.url(database))
        store.upgrade()
        store.close()
        fill(primary, database, notifications=NOTIFICATIONS, policy=store_policy(primary, database))
        with standby_of(primary) as standby:
            pair = _Pair(primary=primary, standby=standby, database=database)
            ways = {"the primary alone": False, "with a replica": True}
            found = in_turn(
                "lists", ROUNDS, {way: partial(pair.minute, is_replicated=it) for way, it in ways.items()}, budget_s=1_200
            )
    text = _HEAD.format(lists=len(LISTS) * READERS)
    for way in ways:
        values = {each.what: each.values for each in found if each.who == way}
        cells = [_cell(values[name], ".2f") for name in (_PRIMARY, _REPLICA, _OURS)]
        text += f"   * - {way}\n" + "".join(f"     - {cell}\n" for cell in (*cells, _cell(values[_TRANSACTIONS], ",.0f")))
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    text += _FOOT.format(rounds=ROUNDS, notifications=NOTIFICATIONS, machine=machine)
    (_FIGURES / "replica.rst").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0
