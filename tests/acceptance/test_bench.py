"""The benchmark runs, compares and draws; the figures of its smallest form mean nothing."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.database.page import compared, read_whole
from tests.bench.database.plans import Plan
from tests.bench.throughput.arena import arena
from tests.bench.throughput.contestants import program
from tests.bench.throughput.history import Original
from tests.bench.throughput.page import draw, render
from tests.bench.throughput.quick import Figure, table
from tests.bench.throughput.rates import RATE
from tests.bench.throughput.scenarios import LOADS
from tests.bench.throughput.series import Series

ROOT = Path(__file__).parents[2]
WHATS = (
    "accept 1 × 5 × 3: notifications/s",
    "accept singles: notifications/s",
    "carry: notifications/s",
    "carry: ms of CPU for each",
    "alone: notify(): p99, ms",
    "alone: commit → call: p50, ms",
    "alone: response → commit: p50, ms",
    "carry: statements for each",
)


@pytest.mark.slow
def test_the_quick_benchmark_saves_its_figures_and_compares_them(tmp_path: Path) -> None:
    saved = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.bench", "--quick", "--smallest", "--save", saved]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = {each["what"]: Figure(**each) for each in json.loads(saved.read_text())}
    compared = table(list(figures.values()), list(figures.values()))
    for what in WHATS:
        may_be_none = what.endswith("ms of CPU for each")  # a short window may have no tick of 10 ms
        assert all(value > 0 or may_be_none for value in figures[what].values), figures[what]
        assert any(line.startswith(what) for line in done.stdout.splitlines())
        assert any(line.startswith(what) and line.endswith(" +0 %") for line in compared.splitlines())


@pytest.mark.slow
def test_a_small_storm_is_measured_and_no_figures_are_written() -> None:
    kept = (ROOT / "docs" / "figures" / "storm.json").read_bytes()
    command = [sys.executable, "-m", "tests.bench", "--quick", "--smallest", "storm"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for what in ("incidents", "one person", "storm: worker, ms of CPU a row", "lone call: statements a page"):
        assert f"   * - {what}\n" in done.stdout
    assert (ROOT / "docs" / "figures" / "storm.json").read_bytes() == kept


@pytest.mark.slow
def test_a_history_made_of_copies_is_as_consistent_as_the_one_that_was_copied() -> None:
    with arena() as field:
        past = Original(field, "history", is_resolved=True)
        one = past.multiply(range(1, 2))
        assert past.multiply(range(2, 12)) == 10 * one
        assert "13 incidents checked; no findings" in field.run(program("notifyflow"), "check")


def test_the_tables_and_charts_show_the_medians_and_the_ratios() -> None:
    found = [
        Series(scenario="carry", what=RATE, who="notifyflow", values=[100.0, 300.0, 200.0]),
        Series(scenario="carry", what=RATE, who="BullMQ + pg", values=[200.0, 200.0, 200.0]),
        *(
            Series(scenario="load", what="commit → call: p50, ms", who=f"notifyflow at {load} a second", values=[load / 10])
            for load in LOADS
        ),
    ]
    assert "   * - BullMQ + pg\n     - notifications/s\n     - 200\n     - 200 … 200\n     - 1\n" in render(found, 0.5)
    pictures = draw(found)
    assert set(pictures) == {"carry.svg", "load.svg"}
    for picture in pictures.values():
        ElementTree.fromstring(picture)


def test_statements_are_named_that_read_ever_more_or_a_large_table_whole() -> None:
    def ran(text: str, blocks: int, *whole: str) -> Plan:
        return Plan(text=text, took_ms=1.0, blocks=blocks, rows=1.0, read_whole=whole, tree="")

    few = [ran("reads ever more", 100), ran("reads a table", 900), ran("ran once", 1)]
    many = [ran("reads ever more", 1_000), ran("reads a table", 990, "notifyflow_attempt", "notifyflow_policy")]
    assert [(each.text, each.has_grown) for each in compared(few, many)] == [("reads ever more", True), ("reads a table", False)]
    assert read_whole(many, {"notifyflow_attempt"}) == {"reads a table": ["notifyflow_attempt"]}
