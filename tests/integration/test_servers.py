"""The servers of the tests start on any machine."""

import subprocess
from pathlib import Path

import pytest

from tests.servers.postgres import copy_installation


@pytest.mark.parametrize("program", ["initdb", "postgres"])
def test_a_copy_of_postgresql_runs_where_the_wheel_may_not_be_read(tmp_path: Path, program: str) -> None:
    copy = copy_installation(tmp_path)
    output = subprocess.run([copy / "bin" / program, "--version"], check=True, capture_output=True, text=True).stdout
    assert "PostgreSQL" in output
