"""TAB completes keys, schedules and people; where the database is away it says nothing, and soon."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from notifyflow.cli.commands import app

DIRECTORY = """
recipients = { ada = { email = "ada@example.com" }, ben = {}, cy = {} }
default.to = ["@primary"]
[schedules.primary]
timezone = "UTC"
layers = [{ who = ["ada"], from = 2026-01-05T09:00:00, every = "1w" }]
"""
AWAY = "postgresql://ada:sesame@127.0.0.1:1/nowhere?connect_timeout=1"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "directory.toml").write_text(DIRECTORY)


def offered(typed: str, **settings: str) -> list[str]:
    """Return what fish is offered where this was typed."""
    asked = {"_NOTIFYFLOW_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": typed}
    ended = CliRunner().invoke(app, [], prog_name="notifyflow", env={**asked, **settings})
    assert ended.stderr == ""
    return [line.split("\t")[0] for line in ended.stdout.splitlines() if line]


def send(key: str, who: str) -> None:
    incident = {"key": key, "title": "x", "severity": "INFO", "recipients": [{"id": who, "email": "x@example.com"}]}
    env = {"NOTIFYFLOW_BROKER_URL": "redis://127.0.0.1:1/0", "NOTIFYFLOW_DIRECTORY": "directory.toml"}
    assert CliRunner().invoke(app, ["send", "-"], input=json.dumps(incident), env=env).exit_code == 0
    assert CliRunner().invoke(app, ["oncall", "show"], env=env).exit_code == 0  # it stores the directory


def test_keys_of_incidents_are_completed():
    send("db-1", "ada")
    send("db-2", "ada")
    send("web", "ada")
    for command in ("status", "ack", "resolve", "page-again", "log --key"):
        assert offered(f"notifyflow {command} db") == ["db-2", "db-1"]
    assert offered("notifyflow status nope") == []


def test_schedules_and_people_are_completed_of_the_directory_that_is_stored():
    send("db-1", "dan")
    assert offered("notifyflow oncall show ") == ["@primary"]
    assert offered("notifyflow oncall take @p") == ["@primary"]
    assert offered("notifyflow oncall cover ") == ["ada", "ben", "cy", "dan"]
    assert offered("notifyflow oncall feed add ") == ["@primary", "ada", "ben", "cy", "dan"]
    for command in ("page", "test-page", "forget", "explain", "drill", "list --recipient", "oncall take @primary --who"):
        assert offered(f"notifyflow {command} b") == ["ben"]


def test_without_a_database_the_names_of_the_file_are_completed_and_no_database_is_made(tmp_path: Path):
    assert offered("notifyflow status ") == []
    assert offered("notifyflow page ", NOTIFYFLOW_DIRECTORY="directory.toml") == ["ada", "ben", "cy"]
    assert offered("notifyflow oncall show ", NOTIFYFLOW_DIRECTORY="directory.toml") == ["@primary"]
    assert list(tmp_path.glob("*.db*")) == []


@pytest.mark.parametrize("directory", ["directory.toml", "nowhere.toml", "broken.toml"])
def test_nothing_is_said_where_database_and_directory_cannot_be_read(tmp_path: Path, directory: str):
    (tmp_path / "broken.toml").write_text("[recipients")
    known = ["ada", "ben", "cy"] if directory == "directory.toml" else []
    assert offered("notifyflow page ", NOTIFYFLOW_DATABASE_URL=AWAY, NOTIFYFLOW_DIRECTORY=directory) == known
    assert offered("notifyflow status ", NOTIFYFLOW_DATABASE_URL=AWAY) == []
    assert offered("notifyflow status ", NOTIFYFLOW_DATABASE_URL="nonsense") == []
    (tmp_path / "notifyflow.db").write_text("no database")
    assert offered("notifyflow status ") == []


def test_a_shell_is_answered_soon_and_in_silence_although_the_server_never_answers(tmp_path: Path):
    (tmp_path / "run.py").write_text("from notifyflow.cli import main\nmain()\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = {"_RUN.PY_COMPLETE": "complete_bash", "COMP_WORDS": "run.py status d", "COMP_CWORD": "2"}
        url = f"postgresql://ada:sesame@127.0.0.1:{silent.getsockname()[1]}/nowhere"
        env = {**os.environ, **asked, "NOTIFYFLOW_DATABASE_URL": url}
        done = subprocess.run([sys.executable, "run.py"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
