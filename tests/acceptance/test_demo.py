import time
from pathlib import Path

from tests.acceptance.commands import CommandLine


def test_the_demo_passes_all_checks_and_ends(tmp_path: Path):
    began = time.monotonic()
    ended = CommandLine(tmp_path, {}).run("demo")
    assert ended.code == 0, ended
    for who in ("Ada", "Ben", "Chloe", "Dan", "Eve"):
        assert who in ended.out
    assert "✕ " not in ended.out.replace("✕ FAILED", "")
    assert "All 27 checks passed" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 120
    assert not {"email", "sms", "voice"}.intersection(ended.out.split())
    assert ended.err == ""
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - began < 60
