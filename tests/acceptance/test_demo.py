import time
from pathlib import Path

from tests.acceptance.commands import CommandLine


def test_all_checks_of_the_demo_pass_and_it_ends_by_itself(tmp_path: Path):
    began = time.monotonic()
    ended = CommandLine(tmp_path, {}).run("demo")
    assert ended.code == 0, ended
    for who in ("Ada", "Ben", "Chloe", "Dan", "Eve"):
        assert who in ended.out
    assert "✘ " not in ended.out.replace("✘ FAILED", "")
    assert "All 27 checks passed" in ended.out
    assert ended.err == ""
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - began < 60
