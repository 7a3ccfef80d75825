"""`notifyflow explain` says what a policy would do, without a database and without sending anything."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifyflow.sandbox.system import Sandbox
from notifyflow.sandbox.twilio import SMS_FROM
from tests.acceptance.commands import CommandLine

DIRECTORY = """
[recipients.ada]
name = "Ada"
email = "ada@example.com"
phone = "+15005550006"

[groups]
orders = ["ada"]

[[routes]]
match = { team = "orders" }
to = ["orders"]

[default]
to = ["ada"]
policy = "default"
"""
CHAIN = """
[recipients.ben]
email = "ben@example.com"

[[routes]]
match = { team = "shop" }
to = ["ada"]
then = [{ after = "10m", to = ["@second"] }]

[schedules.second]
timezone = "UTC"
layers = [{ who = ["ada"], from = 2026-01-01T00:00:00, every = "1d" }]
"""


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    with Sandbox() as sandbox:
        line = CommandLine(tmp_path, sandbox.settings() | {"NOTIFYFLOW_DIRECTORY": "directory.toml"})
    line.write("directory.toml", DIRECTORY)
    return line


def test_a_recipient_a_route_and_a_file_are_explained_without_a_database(line: CommandLine, tmp_path: Path):
    by_route = line.run("explain", "--label", "team=orders")
    assert by_route.code == 0, by_route
    assert by_route.out.startswith("Ada (ada): CRITICAL, policy insistent\n")
    assert "10 m after the start unless somebody acknowledges" in by_route.out
    both = line.run("explain", "ada", "--severity", "info", "--json").document["forecasts"]
    assert [each["policy"] for each in both] == ["insistent", "default"]
    (ada,) = line.run("explain", "ada", "--severity", "info", "--policy", "default", "--json").document["forecasts"]
    assert (ada["policy"], ada["severity"], list(ada["at_once"])) == ("default", "INFO", ["email"])
    assert "tier secondary is shut for INFO" in ada["warnings"]
    line.write("people.json", [{"id": "ben", "email": "ben@example.com", "phone": "nonsense"}])
    by_file = line.run("explain", "--recipients", "people.json")
    assert "ben: CRITICAL, policy default" in by_file.out
    assert "recipients[0].phone" in by_file.err
    assert not (tmp_path / "notifyflow.db").exists()


def test_an_alert_is_explained_with_the_severity_that_its_label_has(line: CommandLine):
    for word, severity in {"warning": "WARNING", "page": "CRITICAL", "odd": "ERROR"}.items():
        ended = line.run("explain", "--label", f"severity={word}", "--label", "team=orders")
        assert ended.out.startswith(f"Ada (ada): {severity}, policy insistent\n"), ended
    chosen = line.run("explain", "--label", "severity=warning", "--severity", "error")
    assert chosen.out.startswith("Ada (ada): ERROR, policy default\n")


def test_the_chain_of_a_route_is_explained_before_its_people(line: CommandLine):
    line.write("directory.toml", DIRECTORY + CHAIN)
    ended = line.run("explain", "--label", "team=shop")
    assert ended.code == 0, ended
    assert ended.out.startswith("team=shop: a chain of 2 steps, unless somebody acknowledges\n  1. at once: Ada\n  2. after 10 m")
    assert "! step 2 pages nobody, and the next one starts at once: its people are paged already" in ended.out
    taken = line.run("oncall", "take", "@second", "--who", "ben", "--until", str(datetime.now(UTC).date() + timedelta(days=2)))
    assert taken.code == 0, taken
    ended = line.run("explain", "--label", "team=shop")
    assert ": ben (@second)\n" in ended.out, ended
    assert "\nben: CRITICAL, policy insistent\n" in ended.out


def test_a_pause_and_a_stop_in_the_database_are_warned_of(line: CommandLine, tmp_path: Path):
    paused = line.run("pause", "--channel", "email", "--for", "30m", "--include-critical")
    assert paused.code == 0, paused
    with closing(sqlite3.connect(tmp_path / "notifyflow.db")) as db, db:
        values = ("+15005550006", SMS_FROM, "2026-01-01T00:00:00.000000Z")
        db.execute("INSERT INTO notifyflow_opt_out (number, our_number, at) VALUES (?, ?, ?)", values)
    (ada,) = line.run("explain", "ada", "--policy", "default", "--json").document["forecasts"]
    assert [each.split(" until")[0].split(":")[0] for each in ada["warnings"][:2]] == [
        "mail over smtp is paused",
        "text is blocked",
    ]


def test_what_cannot_be_explained_says_what_to_do(line: CommandLine):
    for arguments, words in (
        (("eva",), "'eva' is not a known recipient"),
        (("ada", "--policy", "insistant"), "Use insistent, if that was meant"),
        (("--label", "team"), "write NAME=VALUE"),
        ((), "a recipient of the directory, --label, or"),
    ):
        ended = line.run("explain", *arguments)
        assert (ended.code, ended.out) == (2, ""), ended
        assert words in ended.err
    assert "--recipients" in line.run("explain", "ada", NOTIFYFLOW_DIRECTORY="").err
