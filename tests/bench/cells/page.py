"""Measures a cell before, while and after the database of its neighbour is killed and hangs.

Writes docs/figures/cells.rst and docs/figures/cells.svg.
"""

import os
import platform
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cells.scene import FAILING, ONE_LOOP, OTHER, OWN_LOOPS, Answer, Cell, scene
from tests.bench.throughput.charts import Points, lines
from tests.bench.throughput.series import percentile, say

PHASE_S, WARM_S = 20.0, 10.0
PACES = {FAILING: 10, OTHER: 5}
"""How many incidents a second come to each cell."""
_BIN_S = 10
_FIGURES = Path(__file__).parents[3] / "docs" / "figures" / "cells"
_TABLE = """.. list-table::
   :header-rows: 1
   :widths: 32 17 13 12 14 12

   * - The database of ``{failing}``
     - accepted by ``{name}``
     - response, p50
     - slowest
     - page leaves after, p50
     - latest
{rows}"""
_TEXT = """.. Made by scripts/bench; do not edit.

``{other}``, to which {paces[south]} incidents come in a second:

{table}

``{failing}`` itself, to which {paces[north]} incidents come in a second:

{failing_table}

The web process computed {own.cpu_ms:.1f} ms for a request of the first phase, and held {own.megabytes:.0f} MB at the end. With
both cells on one event loop it was {one.cpu_ms:.1f} ms, and while one database hung, ``{other}`` accepted {hung.accepted} of
{hung.sent} incidents: the median response took {hung.p50_ms:,.0f} ms and the slowest {hung.slowest_ms:,.0f} ms.

Each phase is {phase_s:.0f} s long, and the third one longer by the time in which PostgreSQL starts. Two cores
({machine}) at a load of {load:.1f}, on which two PostgreSQL, two workers, Redis, the web process and the senders ran.
"""
_ROW = """   * - {seen.phase}
     - {seen.accepted} of {seen.sent}
     - {seen.p50_ms:,.0f} ms
     - {seen.slowest_ms:,.0f} ms
     - {delay}
     - {latest}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A cell in one phase: its responses, and how long after their commit its pages left."""

    phase: str
    sent: int
    accepted: int
    p50_ms: float
    slowest_ms: float
    delays_ms: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was measured.

    Attributes:
        seen: Both cells in each phase.
        points: The slowest response of each cell to what was sent in some seconds, in ms, over the time.
        hangs_after_s: When the database began to hang.
        cpu_ms: The processor time of the web process for a request of the first phase.
        megabytes: Its memory at the end.
    """

    seen: Mapping[str, Sequence[Seen]]
    points: Mapping[str, Points]
    hangs_after_s: float
    cpu_ms: float
    megabytes: float


def main() -> int:
    """Measure, write the figures, and return whether the other cell refused anything."""
    own, one = run(OWN_LOOPS), run(ONE_LOOP)
    (hung,) = (each for each in one.seen[OTHER] if each.phase == "hangs")
    table, failing_table = (
        _TABLE.format(failing=FAILING, name=name, rows="\n".join(map(_row, own.seen[name]))) for name in (OTHER, FAILING)
    )
    text = _TEXT.format(
        other=OTHER,
        failing=FAILING,
        paces=PACES,
        table=table,
        failing_table=failing_table,
        own=own,
        one=one,
        hung=hung,
        phase_s=PHASE_S,
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        load=os.getloadavg()[1],
    )
    _FIGURES.with_suffix(".rst").write_text(text, encoding="utf-8")
    named = {f"{FAILING}, which fails": own.points[FAILING], OTHER: own.points[OTHER]}
    title = f"The database of north is killed at {PHASE_S:.0f} s and hangs at {own.hangs_after_s:.0f} s"
    chart = lines(title, "seconds", "slowest response, ms", named)
    _FIGURES.with_suffix(".svg").write_text(chart, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if all(each.accepted == each.sent for each in own.seen[OTHER]) else 1


def run(application: str) -> Run:
    """Page in both cells, and let one lose its database, twice."""
    with scene(application) as found, found.paging(PACES):
        time.sleep(WARM_S)
        failing, times = found.cells[FAILING].server, [time.time()]
        cpu_s = found.web.cpu_s
        _last(times)
        cpu_ms = 1000 * (found.web.cpu_s - cpu_s) / PHASE_S / sum(PACES.values())
        failing.stop(signal.SIGQUIT)
        _last(times)
        failing.start()
        _last(times)
        with failing.hanging():
            _last(times)
        _last(times)
        megabytes = found.web.memory_mb
        time.sleep(WARM_S)
        seen = {name: _seen(cell, times) for name, cell in found.cells.items()}
        points = {name: _points(cell.answers, times) for name, cell in found.cells.items()}
        say("".join(f"{application}: {each.phase}: {each.p50_ms:.0f} ms, {each.slowest_ms:.0f} ms\n" for each in seen[OTHER]))
    return Run(seen=seen, points=points, hangs_after_s=times[3] - times[0], cpu_ms=cpu_ms, megabytes=megabytes)


_PHASES = ("is well", "is killed", "is back", "hangs", "goes on")


def _last(times: list[float]) -> None:
    """Let a phase last, and note its end."""
    time.sleep(PHASE_S)
    times.append(time.time())


def _seen(cell: Cell, times: Sequence[float]) -> list[Seen]:
    left, found = cell.delays(), []
    for phase, begins_at, ends_at in zip(_PHASES, times, times[1:], strict=False):
        answers = [each for each in cell.answers if begins_at <= each.sent_at < ends_at]
        spans = [1000 * each.took_s for each in answers]
        found.append(
            Seen(
                phase=phase,
                sent=len(answers),
                accepted=sum(each.status == 201 for each in answers),
                p50_ms=percentile(spans, 0.5),
                slowest_ms=max(spans),
                delays_ms=[1000 * delay for at, delay in left if begins_at <= at < ends_at],
            )
        )
    return found


def _points(answers: Sequence[Answer], times: Sequence[float]) -> Points:
    slowest: dict[int, float] = defaultdict(float)
    for each in answers:
        if times[0] <= each.sent_at < times[-1]:
            number = int((each.sent_at - times[0]) / _BIN_S)
            slowest[number] = max(slowest[number], 1000 * each.took_s)
    return [(float(number * _BIN_S), most) for number, most in sorted(slowest.items())]


def _row(seen: Seen) -> str:
    delays = seen.delays_ms
    shown = (f"{percentile(delays, 0.5):,.0f} ms", f"{max(delays):,.0f} ms") if delays else ("", "")
    return _ROW.format(seen=seen, delay=shown[0], latest=shown[1]).replace("- \n", "-\n").rstrip()
