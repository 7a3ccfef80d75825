"""What one process for small users needs: memory is no timing, so it is measured here."""

import os
import subprocess
from pathlib import Path

import psutil

from tests.acceptance.commands import PROGRAM

LIMIT_BYTES = 100 * 2**20


def test_everything_in_one_process_stays_below_100_mib(tmp_path: Path) -> None:
    for name in ("greenlet", "attr"):  # structlog and rich use them where they are, as beside the tests
        (tmp_path / f"{name}.py").write_text("raise ImportError")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}  # COVERAGE_* would take memory
    up = subprocess.Popen([PROGRAM, "up", "--port", "0"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    with up:
        assert up.stdout is not None
        try:
            assert "Listening on" in up.stdout.readline()
            assert psutil.Process(up.pid).memory_info().rss < LIMIT_BYTES
        finally:
            up.terminate()
