"""What the command line prints where nobody reads it, and where the terminal has not all characters."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LATIN = {"PYTHONIOENCODING": "latin-1"}


def run(folder: Path, *arguments: str, stdout: int = subprocess.PIPE, env: Mapping[str, str] = {}) -> tuple[int, bytes, str]:
    done = subprocess.run(
        [sys.executable, "-m", "notifyflow", *arguments],
        cwd=folder,
        env={**os.environ, **env},
        stdout=stdout,
        stderr=subprocess.PIPE,
    )
    return done.returncode, done.stdout or b"", done.stderr.decode("latin-1")


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["status", "--help"], ["list"], ["list", "--json"], ["diagram"], ["code", "30006"]]
)
def test_a_command_whose_output_nobody_reads_ends_well_and_in_silence(tmp_path: Path, arguments: list[str]):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run(tmp_path, *arguments, stdout=writing) == (0, b"", "")
    finally:
        os.close(writing)


def test_an_error_stays_one_when_nobody_reads_the_output(tmp_path: Path):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code, _, err = run(tmp_path, "status", "db-1", stdout=writing)
    finally:
        os.close(writing)
    assert code == 2
    assert "no incident has the key or id 'db-1'" in err


SENT = {"key": "db-1", "title": "база данных ✓", "severity": "INFO", "recipients": [{"id": "zoë", "email": "zoe@example.com"}]}


@pytest.mark.parametrize("env", [ASCII, LATIN], ids=["ascii", "latin-1"])
def test_a_terminal_that_has_not_all_characters_shows_others_instead(tmp_path: Path, env: Mapping[str, str]):
    (tmp_path / "incident.json").write_text(json.dumps(SENT))
    code, out, err = run(tmp_path, "send", "incident.json", env=env)
    assert (code, "Traceback" in err) == (1, False), err
    assert b"incident opened ? OPEN" in out
    code, out, err = run(tmp_path, "status", "db-1", env=env)
    assert (code, err) == (0, "")
    assert b"???? ?????? ?" in out
    code, out, err = run(tmp_path, "status", "nope", env=env)
    assert code == 2
    assert err.startswith("? no incident has the key or id 'nope'")


@pytest.mark.parametrize("env", [ASCII, LATIN], ids=["ascii", "latin-1"])
def test_json_is_whole_on_every_terminal(tmp_path: Path, env: Mapping[str, str]):
    (tmp_path / "incident.json").write_text(json.dumps(SENT))
    run(tmp_path, "send", "incident.json")
    code, out, _ = run(tmp_path, "status", "db-1", "--json", env=env)
    assert code == 0
    assert json.loads(out)["title"] == SENT["title"]
