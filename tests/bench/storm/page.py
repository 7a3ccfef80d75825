"""Measures a storm, and writes docs/figures/storm.rst and its JSON."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tests.bench.storm import cost
from tests.bench.storm.dashboard import PACE_S, Phase, Seen, dashboard
from tests.bench.storm.scene import Size
from tests.bench.throughput.arena import Arena, arena
from tests.bench.throughput.series import Measured, Series, in_turn, percentile, ratios, say

MOST_PAGES, MOST_ROW, MOST_LONE = 1.2, 1.0, 1.1
TOGETHER, ALONE, ELSEWHERE = "bundled", "each by itself", "elsewhere"
LONE = {"lone mail": "email", "lone call": "voice"}
_BUDGET_S = 600.0
_FIGURES = Path(__file__).parents[3] / "docs" / "figures" / "storm"
_TEXT = """.. Made by scripts/bench; do not edit.

{incidents:,} incidents to {people} people in {seconds:.0f} s, by text and mail, over {history:,} notifications of history. All
had come after {took_s:.0f} s.

.. list-table::
   :header-rows: 1
   :widths: 28 12 12 12 10 13 13

   * - Page
     - before, p50
     - in the storm
     - after
     - ratio
     - if each incident leaves by itself
     - if the storm is in another installation
{pages}
   * - all together
     - {before:.0f} ms
     - {storm:.0f} ms
     - {after:.0f} ms
     - {ratio:.2f}
     - {alone:.2f}
     - {elsewhere:.2f}
   * - all together, p95
     - {before_p95:.0f} ms
     - {storm_p95:.0f} ms
     - {after_p95:.0f} ms
     - {ratio_p95:.2f}
     - {alone_p95:.2f}
     - {elsewhere_p95:.2f}
   * - processor time of the web service for a response
     - {before_cpu:.1f} ms
     - {storm_cpu:.1f} ms
     - {after_cpu:.1f} ms
     - {ratio_cpu:.2f}
     - {alone_cpu:.2f}
     - {elsewhere_cpu:.2f}

The ratio is the storm's figure by the mean of before and after. The last columns are the ratios of the same storm without
bundling, and of one in another database of the machine, with a worker, a broker and a sender of its own: what the machine alone
costs. One page every {pace_ms:.0f} ms.

.. list-table::
   :header-rows: 1
   :widths: 52 16 16 16

   * - In turn
     - bundled
     - each by itself
     - ratio
{costs}

Medians, and the median of the ratios of each round. Measured on two cores ({machine}), everything on the same ones; the load
average was {load:.1f} when the run began.
"""
_PHASES = ("before", "storm", "after")
_PAGE = """   * - {page}
     - {before:.0f} ms
     - {storm:.0f} ms
     - {after:.0f} ms
     - {ratio:.2f}
     - {alone:.2f}
     - {elsewhere:.2f}"""
_COST = """   * - {what}
     - {together:.3g}
     - {alone:.3g}
     - {ratio:.2f}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure with bundling, the same without, and the median of the ratios of each round."""

    what: str
    together: float
    alone: float
    ratio: float


def measure(field: Arena, size: Size) -> tuple[Mapping[str, Seen], list[Compared]]:
    """Measure the dashboard around a storm, and the costs, with bundling and without."""
    rows = partial(cost.rows_of_a_storm, field, size)
    series = in_turn("storm", size.rounds, _both(rows), budget_s=_BUDGET_S)
    for name, channel in LONE.items():
        series += in_turn(name, size.lone_rounds, _both(partial(cost.lone_pages, field, size, channel)), budget_s=_BUDGET_S)
    seen = {who: dashboard(field, size, is_bundling=who == TOGETHER) for who in (TOGETHER, ALONE)}
    with arena() as other:
        seen[ELSEWHERE] = dashboard(field, size, is_bundling=True, stormy=other)
    return seen, _compared(series)


def main(size: Size = Size(), *, is_kept: bool = True) -> int:  # noqa: B008 - it is frozen
    """Measure; write the figures if they are kept, and return whether a promise is broken then."""
    load, _, _ = os.getloadavg()
    with arena() as field:
        seen, costs = measure(field, size)
    text = _text(size, seen, costs, load)
    if is_kept:
        document = {
            "machine": _machine(),
            "load": load,
            "size": asdict(size),
            "dashboard": {who: asdict(each) for who, each in seen.items()},
            "costs": [asdict(each) for each in costs],
        }
        _FIGURES.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        _FIGURES.with_suffix(".rst").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    broken = [each for each in costs if each.ratio > _most(each.what)]
    for each in broken:
        say(f"{each.what}: {each.ratio:.2f} times as dear as alone\n")
    pages = _ratio([_together(each, 0.5) for each in _phases(seen[TOGETHER])])
    return int(is_kept and (bool(broken) or pages > MOST_PAGES))


def _both(measure: Callable[..., Measured]) -> Mapping[str, Callable[[], Measured]]:
    return {TOGETHER: partial(measure, is_bundling=True), ALONE: partial(measure, is_bundling=False)}


def _compared(series: Sequence[Series]) -> list[Compared]:
    found = {(each.scenario, each.what, each.who): each for each in series}
    return [
        Compared(
            what=f"{scenario}: {what}",
            together=one.median,
            alone=found[scenario, what, ALONE].median,
            ratio=statistics.median(ratios(one, found[scenario, what, ALONE]) or [1.0]),
        )
        for (scenario, what, who), one in found.items()
        if who == TOGETHER and (scenario, what, ALONE) in found
    ]


def _most(what: str) -> float:
    """Return the highest ratio that a figure may have."""
    if what.endswith(cost.WORKER):
        return MOST_ROW
    return MOST_LONE if what.endswith(cost.DELAY) else float("inf")


def _together(phase: Phase, share: float) -> float:
    """Return a quantile of each page, summed up."""
    return sum(percentile(spans, share) for spans in phase.spans_ms.values())


def _ratio(values: Sequence[float]) -> float:
    before, storm, after = values
    return storm / statistics.mean((before, after))


def _text(size: Size, seen: Mapping[str, Seen], costs: Sequence[Compared], load: float) -> str:
    lines = []
    for page in seen[TOGETHER].storm.spans_ms:
        each = _shown(seen, lambda phase, page=page: percentile(phase.spans_ms[page], 0.5))  # type: ignore[misc]
        lines.append(_PAGE.format(page=page, **each))
    given: dict[str, float] = {}
    for suffix, figure in (
        ("", lambda phase: _together(phase, 0.5)),
        ("_p95", lambda phase: _together(phase, 0.95)),
        ("_cpu", lambda phase: phase.cpu_ms),
    ):
        given |= {f"{name}{suffix}": value for name, value in _shown(seen, figure).items()}
    return _TEXT.format(
        **asdict(size),
        **given,
        took_s=seen[TOGETHER].took_s,
        pages="\n".join(lines),
        costs="\n".join(_COST.format(**asdict(each)) for each in costs),
        pace_ms=1000 * PACE_S,
        machine=_machine(),
        load=load,
    )


def _shown(seen: Mapping[str, Seen], figure: Callable[[Phase], float]) -> Mapping[str, float]:
    """Return a figure before, in and after the storm, its ratio, and those of the other storms."""
    values = {who: [figure(phase) for phase in _phases(each)] for who, each in seen.items()}
    others = {"alone": _ratio(values[ALONE]), "elsewhere": _ratio(values[ELSEWHERE])}
    return dict(zip(_PHASES, values[TOGETHER], strict=True)) | {"ratio": _ratio(values[TOGETHER])} | others


def _phases(seen: Seen) -> tuple[Phase, Phase, Phase]:
    return seen.before, seen.storm, seen.after


def _machine() -> str:
    return f"{platform.machine()}, Python {platform.python_version()}"
