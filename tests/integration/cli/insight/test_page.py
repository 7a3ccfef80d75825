"""``notifyflow page`` and ``page-again``: somebody pages a person by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.cli.frame.exits import Exit, code_of
from notifyflow.errors import IncidentResolved, InvalidInput, NotifyflowError, RecipientNotFound, RecipientUnknown

DIRECTORY = """
recipients.ada = { email = "ada@example.com", timezone = "Asia/Tokyo" }
recipients.ben = { email = "ben@example.com" }
recipients.cy = {}
default.to = ["ada"]
[[routes]]
match = { team = "b" }
to = ["ben"]
policy = "default"
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "directory.toml").write_text(DIRECTORY)


def run(*arguments: str) -> Result:
    """Run a command beside a broker that nobody answers at: it stores, and delivers nothing itself."""
    settings = {"NOTIFYFLOW_DIRECTORY": "directory.toml", "NOTIFYFLOW_BROKER_URL": "redis://127.0.0.1:1/0"}
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"} | settings)


def read(*arguments: str) -> Any:
    ended = run(*arguments, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def paged(*arguments: str) -> Any:
    """Page somebody, and return the incident."""
    return read("status", read("page", *arguments)["incident_id"])


def test_a_person_of_the_directory_is_paged_as_the_first_route_to_them_says():
    incident = paged("ada", "disk full", "--severity", "critical", "--body", "97 %", "--by", "Grace")
    assert (incident["title"], incident["severity"], incident["source"]) == ("disk full", "CRITICAL", "Grace")
    assert (incident["body"], incident["policy"]) == ("97 %", "insistent")
    (escalation,) = incident["escalations"]
    assert (escalation["recipient"], escalation["round"]) == ("ada", 1)
    assert paged("ben", "disk full")["policy"] == "default"
    assert paged("ben", "disk full", "--policy", "insistent")["policy"] == "insistent"


def test_each_page_is_an_incident_of_its_own_so_that_the_second_is_sent_too():
    first, second = paged("ada", "disk full"), paged("ada", "disk still full")
    assert first["id"] != second["id"]
    assert first["key"].startswith("page-ada-")
    assert f"See `notifyflow status {first['key'][:9]}" in run("page", "ada", "x").output


def test_somebody_who_was_paged_before_is_paged_without_a_directory():
    read("page", "ada", "disk full")
    ended = CliRunner().invoke(app, ["page", "ada", "again", "--json"], env={"NOTIFYFLOW_BROKER_URL": "redis://127.0.0.1:1/0"})
    assert json.loads(ended.stdout)["added"] == ["ada"]


@pytest.mark.parametrize("person", ["zoe", "cy"])
def test_who_is_unknown_or_has_no_address_is_not_paged(person: str):
    refused = run("page", person, "disk full").exception
    assert isinstance(refused, RecipientUnknown)
    assert code_of(refused) is Exit.BAD_INPUT
    assert read("list")["incidents"] == []


def test_what_is_wrong_with_a_page_is_said_by_the_names_that_were_typed():
    refused = run("page", "ada", "disk full", "--policy", "none", "--url", "nowhere").exception
    assert isinstance(refused, InvalidInput)
    assert {fault.where for fault in refused.faults} == {"--policy", "--url"}


def rounds(incident: Any) -> list[tuple[str, int]]:
    return sorted((each["recipient"], each["round"]) for each in incident["escalations"])


@pytest.fixture
def both(tmp_path: Path) -> str:
    """Page two people for one incident, and return its key."""
    people = [{"id": who, "email": f"{who}@example.com"} for who in ("ada", "ben")]
    (tmp_path / "incident.json").write_text(json.dumps({"key": "db-1", "title": "x", "severity": "ERROR", "recipients": people}))
    read("send", "incident.json")
    return "db-1"


def test_an_incident_pages_all_its_people_again_or_those_who_are_named(both: str):
    assert rounds(read("page-again", both)) == [("ada", 1), ("ada", 2), ("ben", 1), ("ben", 2)]
    assert rounds(read("page-again", both, "ben")) == [("ada", 1), ("ada", 2), ("ben", 1), ("ben", 2), ("ben", 3)]


def test_an_acknowledged_incident_is_open_again_and_a_resolved_one_is_not(both: str):
    read("ack", both)
    assert read("page-again", both, "ada")["state"] == "OPEN"
    read("resolve", both)
    assert isinstance(run("page-again", both).exception, IncidentResolved)


def test_nobody_is_paged_again_if_one_name_is_wrong(both: str):
    refused = run("page-again", both, "ada", "zoe").exception
    assert isinstance(refused, RecipientNotFound)
    assert isinstance(refused, NotifyflowError)
    assert rounds(read("status", both)) == [("ada", 1), ("ben", 1)]
