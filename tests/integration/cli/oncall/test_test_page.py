"""``notifyflow test-page``: a person is paged as a test, once a minute."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.cli.frame.exits import Exit, code_of
from notifyflow.errors import NotifyflowError, RecipientUnknown, TooManyTests


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "directory.toml").write_text('recipients.ada.email = "ada@example.com"\ndefault.to = ["ada"]\n')


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NOTIFYFLOW_DIRECTORY": "directory.toml"})


def test_a_person_of_the_directory_is_paged_as_a_test():
    paged = run("test-page", "ada", "--by", "Ben")
    assert "ada is paged until they acknowledge the test " in paged.output
    incident_id = paged.output.split()[-1].rstrip(".")
    shown = json.loads(run("status", incident_id, "--json").stdout)
    assert (shown["key"], shown["severity"], shown["title"]) == ("test-ada", "INFO", "Test for ada, sent by Ben")
    again = run("test-page", "ada", "--json")
    assert isinstance(again.exception, TooManyTests)
    assert code_of(again.exception) is Exit.BAD_INPUT


def test_other_policies_of_the_routes_to_a_person_are_named(tmp_path: Path):
    route = '[[routes]]\nmatch = { team = "a" }\nto = ["ada"]\npolicy = "default"\n'
    with (tmp_path / "directory.toml").open("a") as file:
        file.write(route)
    assert "Other routes page them by insistent, which --policy tests" in run("test-page", "ada").stderr


def test_somebody_unknown_is_not_paged():
    refused = run("test-page", "ada2").exception
    assert isinstance(refused, RecipientUnknown)
    assert isinstance(refused, NotifyflowError)
    assert code_of(refused) is Exit.BAD_INPUT


def test_the_result_is_printed_as_json():
    paged = json.loads(run("test-page", "ada", "--policy", "default", "--json").stdout)
    assert (paged["is_new"], paged["added"]) == (True, ["ada"])
