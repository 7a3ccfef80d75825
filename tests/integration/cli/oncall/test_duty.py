"""``notifyflow oncall``: who is on duty, and changes of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.errors import FeedNotFound, InvalidOverride, InvalidRequest, OverrideNotFound

DIRECTORY = """
recipients = { ada = { timezone = "Asia/Tokyo" }, ben = {}, cy = {} }
default.to = ["@primary"]
[schedules.primary]
timezone = "Europe/Berlin"
layers = [{ who = ["ada", "ben"], from = 2026-01-05T09:00:00, every = "1w" }]
[schedules.secondary]
timezone = "UTC"
layers = [{ who = ["cy"], from = 2026-01-05T09:00:00, every = "1w" }]
"""
MONDAY = "2027-01-04 10:00"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "directory.toml").write_text(DIRECTORY)


def run(*arguments: str, directory: str = "directory.toml") -> Result:
    variables = {"NOTIFYFLOW_DIRECTORY": directory} if directory else {}
    return CliRunner().invoke(app, ["oncall", *arguments], env={"COLUMNS": "200"} | variables)


def read(*arguments: str) -> Any:
    ended = run(*arguments, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_the_duty_of_all_schedules_is_shown_and_the_weeks_of_one():
    every = run("show", "--at", f"{MONDAY}").output
    assert "@primary    ada" in every
    assert "Mon 11 Jan 2027 09:00 CET  ben" in every
    assert "@secondary  cy" in every
    (one,) = read("show", "@primary", "--at", MONDAY)
    assert [each["people"] for each in one["shifts"]] == [["ada"], ["ben"], ["ada"], ["ben"], ["ada"]]
    assert one["shifts"][1]["begins_at"] == "2027-01-11T08:00:00Z"
    assert run("show", "@primary", "--at", MONDAY, "--weeks", "2").output.count("09:00 CET") == 6
    assert run("next").output.splitlines()[2].split() == ["@secondary", "nobody", "else"]
    assert len(read("next")) == 2


def test_the_shifts_of_several_schedules_stand_under_their_names():
    lines = run("show", "--at", MONDAY, "--weeks", "1").output.splitlines()
    headings = [index for index, line in enumerate(lines) if line.startswith("@") and line.endswith(":")]
    assert [lines[each] for each in headings] == ["@primary, in Europe/Berlin:", "@secondary, in UTC:"]
    assert [lines[each + 1].split()[0] for each in headings] == ["From", "From"]
    assert "@primary, in Europe/Berlin:" in run("show", "@primary", "--at", MONDAY).output


def test_a_file_that_was_refused_is_named_beside_the_duty_that_holds_all_the_same(tmp_path: Path):
    assert "NOTIFYFLOW_DIRECTORY" not in run("show").stderr
    (tmp_path / "directory.toml").write_text("[recipients")
    for command in ("show", "next"):
        shown = run(command)
        assert shown.exit_code == 0
        assert "@primary" in shown.stdout
        assert "The file of NOTIFYFLOW_DIRECTORY cannot be used; what is shown is what the database has" in shown.stderr
        assert "notifyflow directory check" in shown.stderr


def test_a_file_that_is_older_than_what_is_stored_is_named_as_well(tmp_path: Path):
    run("show")
    path = tmp_path / "directory.toml"
    path.write_text(DIRECTORY.replace("cy", "dan"))
    os.utime(path, (0, 0))
    assert "The file of NOTIFYFLOW_DIRECTORY is older than the one in force, and is not used" in run("show").stderr


def test_a_duty_is_taken_shown_and_given_back_by_processes_without_the_file():
    (made,) = read("take", "@primary", "--until", "18:00", "--who", "cy", "--by", "dan")
    assert (made["people"], made["made_by"], made["instead_of"]) == (["cy"], "dan", None)
    shown = run("show", directory="").output
    assert f"by dan ({made['id']})" in shown
    assert "@primary    cy" in shown
    assert "is as before" in run("cancel", made["id"], "--by", "ben", directory="").output
    assert made["id"] not in run("show").output
    assert isinstance(run("cancel", made["id"]).exception, OverrideNotFound)


def test_somebody_is_covered_for_by_dates_in_their_own_zone():
    covered = run("cover", "ada", "--with", "cy", "--from", "2027-01-05", "--until", "2027-01-05", "--by", "dan")
    assert "@primary: cy for ada, from Tue 5 Jan 2027 00:00 JST until Wed 6 Jan 2027 00:00 JST" in covered.output
    assert len(covered.output.splitlines()) == 2
    (only,) = read("cover", "ada", "--with", "cy", "--until", "18:00", "--schedule", "@secondary")
    assert only["schedule"] == "secondary"


def test_overrides_that_ended_long_ago_are_pruned_with_what_was_resolved_long_ago():
    read("take", "@primary", "--until", "18:00", "--who", "cy")
    assert CliRunner().invoke(app, ["prune", "--older-than", "1d"]).exit_code == 0
    assert len(read("show", "@primary")[0]["overrides"]) == 1


def test_two_shifts_are_swapped():
    made = read("swap", "@primary", "2027-01-04 10:00", "2027-01-11 10:00")
    assert [each["people"] for each in made] == [["ben"], ["ada"]]
    assert read("show", "@primary", "--at", MONDAY, "--weeks", "0")[0]["on_duty"]["people"] == ["ben"]


@pytest.mark.parametrize(
    ("arguments", "error", "where"),
    [
        (("show", "@none"), InvalidOverride, "schedule"),
        (("show", "--at", "soon"), InvalidRequest, "--at"),
        (("take", "@primary", "--until", "soon", "--who", "cy"), InvalidRequest, "--until"),
        (("take", "@primary", "--until", "2026-01-05", "--who", "cy"), InvalidOverride, "--until"),
        (("take", "@primary", "--until", "18:00", "--who", "zoe"), InvalidOverride, "people"),
        (("take", "@none", "--until", "18:00"), InvalidOverride, "schedule"),
        (("cover", "zoe", "--with", "cy", "--until", "18:00"), InvalidOverride, "instead_of"),
        (("swap", "@primary", "2027-01-04", "soon"), InvalidRequest, "second"),
    ],
)
def test_what_cannot_be_done_is_an_error(arguments: tuple[str, ...], error: type[InvalidOverride], where: str):
    found = run(*arguments).exception
    assert isinstance(found, error)
    assert [each.where for each in found.faults] == [where]


def test_without_a_directory_there_are_no_schedules():
    assert run("show", directory="").output == "The directory has no schedules.\n"


def test_a_feed_is_made_listed_and_revoked():
    made = read("feed", "add", "@primary", "--by", "grace")
    assert (made["schedule"], made["recipient"], made["made_by"]) == ("primary", None, "grace")
    address = run("feed", "add", "ada").stdout.strip()
    assert address.startswith("/oncall/feeds/")
    assert address.endswith(".ics")
    listed = run("feed", "list").output
    assert "@primary" in listed
    assert "ada" in listed
    assert made["address"] not in listed
    assert run("feed", "revoke", made["id"]).output == "The feed is revoked.\n"
    assert [each["recipient"] for each in read("feed", "list")] == ["ada"]
    assert isinstance(run("feed", "revoke", made["id"]).exception, FeedNotFound)
    assert isinstance(run("feed", "add", "@gone").exception, InvalidRequest)


def test_there_may_be_no_feeds():
    assert run("feed", "list").output == "There are no feeds.\n"
