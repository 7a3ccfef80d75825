"""The quick benchmark runs and compares; the figures of its smallest form mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.throughput.quick import Figure, table

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
        assert all(value > 0 for value in figures[what].values)
        assert any(line.startswith(what) for line in done.stdout.splitlines())
        assert any(line.startswith(what) and line.endswith(" +0 %") for line in compared.splitlines())
