"""Keeps the figures as JSON, and renders the table and the charts for docs/explanation/performance.rst."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.throughput import charts
from tests.bench.throughput.arena import POSTGRES, REDIS, arena
from tests.bench.throughput.contestants import BULLMQ, OURS
from tests.bench.throughput.rates import RATE
from tests.bench.throughput.scenarios import HISTORY, LOADS, RETRIES, SCENARIOS
from tests.bench.throughput.series import OURS_NAME, Series, ratios, say

_FOLDER = Path(__file__).parents[3] / "docs" / "figures"
_JSON = _FOLDER / "throughput.json"
_TABLES = _FOLDER / "throughput.rst"
_ROUNDS = 3
_SLOW = ("load", "history", "retries", "critical", "sqlite")
"""These take a minute or more each, and are measured once."""


def main(wanted: Sequence[str] = ()) -> int:
    """Measure all scenarios, or those wanted, and write the figures; the others keep theirs."""
    kept = json.loads(_JSON.read_text())["series"] if wanted and _JSON.exists() else []
    found = [series for series in (Series(**each) for each in kept) if series.scenario not in wanted]
    load, _, _ = os.getloadavg()
    with arena() as field:
        for name in wanted or SCENARIOS:
            try:
                found += SCENARIOS[name].measure(name, field, 1 if name in _SLOW else _ROUNDS)
            except (AssertionError, TimeoutError) as error:
                say(f"{name} failed: {error}\n")
            _write(found, load)
    sys.stdout.write(render(found, load))
    missing = [name for name in SCENARIOS if not any(each.scenario == name and each.who.startswith(OURS_NAME) for each in found)]
    if missing:
        say(f"notifyflow has no figure in {', '.join(missing)}\n")
    return 1 if missing else 0


def _write(found: Sequence[Series], load: float) -> None:
    where = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "load": load,
        "postgres": POSTGRES,
        "redis": " ".join(REDIS),
    }
    _JSON.write_text(json.dumps({**where, "series": [asdict(each) for each in found]}, indent=1) + "\n")
    _TABLES.write_text(render(found, load), encoding="utf-8")
    for name, picture in draw(found).items():
        (_FOLDER / name).write_text(picture, encoding="utf-8")


def render(found: Sequence[Series], load: float) -> str:
    """Return a table for each scenario: medians, and the ratio of notifyflow to everybody else in the same round."""
    parts = [".. Made by scripts/bench; do not edit.\n"]
    for name, scenario in SCENARIOS.items():
        if mine := [each for each in found if each.scenario == name]:
            parts.append(f"**{scenario.title}**" + (f" (to reach: {scenario.aim})" if scenario.aim else "") + "\n")
            parts.append(_table(mine))
    where = f"two cores ({platform.machine()}, Python {platform.python_version()})"
    parts.append(
        f"Measured on {where}, everything on the same machine; its load average was {load:.1f} when the last run began.\n"
    )
    return "\n".join(parts)


def _table(mine: Sequence[Series]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 40 28 12 20 12", ""]
    rows = [("Who", "What", "Median", "Lowest … highest", "Ratio")]
    for each in sorted(mine, key=lambda one: [other.what for other in mine].index(one.what)):
        ours = next((one for one in mine if one.what == each.what and one.who.startswith(OURS_NAME)), None)
        ratio = f"{statistics.median(ratios(ours, each)):.2g}" if ours and ours is not each and ratios(ours, each) else ""
        spread = f"{_short(min(each.values))} … {_short(max(each.values))}" if len(each.values) > 1 else ""
        rows.append((each.who, each.what, _short(each.median), spread, ratio))
    for row in rows:
        lines += [f"   {'*' if number == 0 else ' '} - {cell}".rstrip() for number, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(found: Sequence[Series]) -> Mapping[str, str]:
    """Return the charts for which there are figures, by file name."""
    median = {(each.scenario, each.what, each.who): each.median for each in found}
    pictures = {}
    for scenario in ("carry", "carry-http"):
        if rates := {who: value for (name, what, who), value in median.items() if (name, what) == (scenario, RATE)}:
            pictures[f"{scenario}.svg"] = charts.bars(SCENARIOS[scenario].title, "a second", rates, ours=OURS_NAME)
    pictures |= _lines(
        "history.svg",
        "Throughput against history",
        "rows of history",
        "notifications/s",
        {OURS.name: [(rows, median.get(("history", RATE, f"{OURS.name} with {rows:,} rows of history"))) for rows in HISTORY]},
    )
    pictures |= _lines(
        "load.svg",
        "Delay against load",
        "pages a second",
        "commit → call, ms",
        {
            f"{who}, {share}": [
                (load, median.get(("load", f"commit → call: {share}, ms", f"{who} at {load} a second"))) for load in LOADS
            ]
            for who in (OURS.name, BULLMQ.name)
            for share in ("p50", "p99")
        },
        is_log=True,
    )
    return pictures | _lines(
        "retries.svg",
        "Memory against waiting retries",
        "retries that wait",
        "memory of the worker, MB",
        {
            OURS.name: [
                (waiting, median.get(("retries", "memory of the worker, MB", f"{OURS.name} with {waiting:,} retries waiting")))
                for waiting in RETRIES
            ]
        },
    )


def _lines(
    name: str,
    title: str,
    across: str,
    up: str,
    values: Mapping[str, Sequence[tuple[float, float | None]]],
    *,
    is_log: bool = False,
) -> dict[str, str]:
    measured = {who: [(x, y) for x, y in points if y is not None] for who, points in values.items()}
    measured = {who: points for who, points in measured.items() if len(points) > 1}
    return {name: charts.lines(title, across, up, measured, is_log=is_log)} if measured else {}
