"""Measures what a pooler costs, and what prepared statements save: processor time of ours, of PostgreSQL and of PgBouncer."""

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from tests.bench.throughput.arena import Arena, Processes, Snapshot, arena
from tests.bench.throughput.contestants import OURS
from tests.bench.throughput.rates import carried, queue
from tests.bench.throughput.series import Measured, in_turn
from tests.servers.pgbouncer import PgBouncer

ROUNDS = 3
QUEUED_INCIDENTS = 45  # to twenty people over three channels
LONE_INCIDENTS = 400
_REAPED_S = 1.0
"""How long PostgreSQL may take to count the time of processes that have ended."""
WAYS = {
    "without a pooler": (False, "on"),
    "without a pooler, prepared statements off": (False, "off"),
    "PgBouncer": (True, "on"),
    "PgBouncer, prepared statements off": (True, "off"),
}
_OURS, _SERVER, _POOLER = "ours", "PostgreSQL", "PgBouncer"
_FIGURES = Path(__file__).parents[2] / "docs" / "figures"
_HEAD = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 46 18 18 18

   * - Processor time for each, ms
     - ours
     - PostgreSQL
     - PgBouncer
"""
_FOOT = """
Medians of {rounds} rounds in turn, with the lowest and the highest, on two cores ({machine}); everything ran on the same machine.
"""


class _Bell:
    """Rings for nobody: what is accepted stays queued."""

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        del channel, severity, rings


class _Field:
    """An arena with a pooler before its server."""

    def __init__(self, field: Arena, pooler: PgBouncer) -> None:
        self._field = field
        self._pooler = pooler

    def variables(self, way: str) -> dict[str, str]:
        """Return the settings by which the database in use is reached."""
        is_pooled, prepared = WAYS[way]
        url = self._field.url
        if is_pooled:
            url = f"postgresql://postgres@127.0.0.1:{self._pooler.port}/{self._field.database}"
        return {"NOTIFYFLOW_DATABASE_URL": url, "NOTIFYFLOW_PREPARED_STATEMENTS": prepared}

    def carry(self, queued: Snapshot, way: str) -> Measured:
        """Let a worker carry what is queued."""
        self._field.begin(OURS, queued)
        with self._field.watching() as query:
            count = int(query(OURS.left))
            before = self._servers_cpu_s()
            running = self._field.worker(OURS, **self.variables(way))
            measured = carried(self._field, lambda: query(OURS.left), running)
        (of_ours,) = [value for what, value in measured.items() if "CPU" in what]
        return {_OURS: of_ours} | self._servers(before, count)

    def accept(self, way: str) -> Measured:
        """Accept incidents to one person each, one after the other."""
        self._field.begin(OURS)
        ada = [Recipient(id="ada", email="ada@example.com")]
        with NotifyFlow(Settings.from_variables(self.variables(way)), bell=_Bell()) as flow:
            for number in range(-20, LONE_INCIDENTS):
                if number == 0:
                    began, before = time.process_time(), self._servers_cpu_s()
                flow.notify(Incident(key=f"db-{number}", title="down"), ada)
            spent_s = time.process_time() - began
        return {_OURS: 1000 * spent_s / LONE_INCIDENTS} | self._servers(before, LONE_INCIDENTS)

    def _servers_cpu_s(self) -> tuple[float, float]:
        return self._field.postgres_processes.cpu_s, Processes(self._pooler.pid).cpu_s

    def _servers(self, before: tuple[float, float], count: int) -> Measured:
        time.sleep(_REAPED_S)
        after = self._servers_cpu_s()
        return {name: 1000 * (after[at] - before[at]) / count for at, name in enumerate((_SERVER, _POOLER))}


def _rows(what: str, measure: Callable[[str], Measured]) -> str:
    found = in_turn(what, ROUNDS, {way: partial(measure, way) for way in WAYS}, budget_s=1_200)
    rows = ""
    for way, (is_pooled, _) in WAYS.items():
        values = {each.what: each.values for each in found if each.who == way}
        cells = [_cell(values[_OURS]), _cell(values[_SERVER]), _cell(values[_POOLER]) if is_pooled else ""]
        rows += f"   * - {what}, {way}\n" + "".join(f"     - {cell}\n" for cell in cells)
    return rows.replace("- \n", "-\n")


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main() -> int:
    with arena() as field, tempfile.TemporaryDirectory(prefix="notifyflow-pgbouncer-") as folder:
        pooler = PgBouncer(Path(folder), field.server.port, settings={})
        pooler.start()
        try:
            ways = _Field(field, pooler)
            queued = queue(field, OURS, incidents=QUEUED_INCIDENTS)
            rows = _rows("carried", partial(ways.carry, queued)) + _rows("accepted alone", ways.accept)
        finally:
            pooler.stop()
    text = _HEAD + rows + _FOOT.format(rounds=ROUNDS, machine=f"{platform.machine()}, Python {platform.python_version()}")
    (_FIGURES / "pooler.rst").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0
