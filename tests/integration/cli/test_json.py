"""What a command shows, it prints as JSON as well."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.storage.migrations import WANTED

DIRECTORY = """
recipients = { ada = { email = "ada@example.com" }, ben = {} }
default.to = ["@primary"]
[schedules.primary]
timezone = "UTC"
layers = [{ who = ["ada"], from = 2026-01-05T09:00:00, every = "1w" }]
"""
SETTINGS = {"NOTIFYFLOW_DIRECTORY": "directory.toml", "NOTIFYFLOW_BROKER_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "directory.toml").write_text(DIRECTORY)


def read(*arguments: str, code: int = 0, typed: str = "") -> Any:
    ended = CliRunner().invoke(app, [*arguments, "--json"], env=SETTINGS, input=typed)
    assert ended.exit_code == code, ended.output
    return json.loads(ended.stdout)


def test_the_schema_of_a_database_that_is_upgraded():
    assert read("db", "upgrade") == {"schema": WANTED, "applied": WANTED}
    assert read("db", "upgrade") == {"schema": WANTED, "applied": 0}


def test_what_became_of_the_incidents_of_an_adopted_database():
    read("page", "ada", "disk full")
    assert read("db", "adopt", "--yes", "--force") == {"done": "quarantined", "incidents": 1}
    assert read("db", "adopt", "--release") == {"done": "released", "incidents": 1}
    assert read("db", "adopt", "--resolve") == {"done": "resolved", "incidents": 0}


def test_whether_something_was_paused_and_what_still_is():
    read("pause", "--channel", "sms", "--for", "30m")
    read("pause", "--channel", "voice", "--for", "30m")
    left = read("resume", "--channel", "sms")
    assert (left["was_paused"], [each["name"] for each in left["pauses"]]) == (True, ["voice"])
    assert read("resume", "--channel", "sms")["was_paused"] is False


def test_the_override_that_is_cancelled():
    (made,) = read("oncall", "take", "@primary", "--until", "23:59", "--who", "ben")
    assert read("oncall", "cancel", made["id"])["id"] == made["id"]


def test_who_was_forgotten():
    key = read("page", "ada", "disk full")["incident_id"]
    read("resolve", key)
    assert read("forget", "ada") == {"recipient": "ada", "is_known": True, "incidents": 1}
    assert read("forget", "zoe", code=1)["is_known"] is False


def test_the_user_who_is_changed():
    read("users", "add", "grace", typed="correct horse battery staple\n")
    assert read("users", "change", "grace", "--role", "admin")["role"] == "admin"
