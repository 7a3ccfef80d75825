"""``notifyflow users``: passwords come from standard input and are shown nowhere."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.errors import InvalidUser, UserExists, UserNotFound

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, password: str = "") -> Result:
    ended = CliRunner().invoke(app, ["users", *arguments], input=password + "\n", env={})
    assert PASSWORD not in ended.output
    return ended


def test_users_are_added_listed_changed_and_removed():
    added = run("add", "Ada", "--role", "responder", "--namespace", "team", "--recipient", "ada-lovelace", password=PASSWORD)
    assert "ada is a user, a responder who sees the incidents of team, and acts as the recipient ada-lovelace." in added.output
    made = json.loads(run("add", "bot", "--no-password", "--json").stdout)
    assert {name: made[name] for name in ("name", "role", "namespaces", "recipient", "disabled_at", "logged_in_at")} == {
        **{"name": "bot", "role": "viewer", "namespaces": None},
        **{"recipient": None, "disabled_at": None, "logged_in_at": None},
    }
    listed = run("list").output
    assert "with a password" in listed
    assert "through a proxy" in listed
    assert "an admin who sees the incidents of all namespaces" in run(
        "change", "ada", "--role", "admin", "--namespace", "*", "--recipient", ""
    ).output.replace("\n", " ")
    assert run("password", "bot", password=PASSWORD).exit_code == 0
    assert run("disable", "bot").exit_code == 0
    assert "disabled " in run("list").output
    assert run("enable", "bot").exit_code == 0
    assert run("remove", "bot").exit_code == 0
    (ada,) = json.loads(run("list", "--json").stdout)
    assert (ada["name"], ada["role"], ada["namespaces"], ada["recipient"]) == ("ada", "admin", None, None)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("add", "ada"), UserExists),
        (("add", "\x1b[31m"), InvalidUser),
        (("password", "eve"), UserNotFound),
        (("change", "eve", "--role", "admin"), UserNotFound),
        (("remove", "eve"), UserNotFound),
        (("disable", "eve"), UserNotFound),
    ],
)
def test_what_cannot_be_done_is_an_error(arguments: tuple[str, ...], error: type[Exception]):
    run("add", "ada", password=PASSWORD)
    assert isinstance(run(*arguments, password=PASSWORD).exception, error)


def test_a_short_password_and_a_change_of_nothing_are_refused():
    assert isinstance(run("add", "ada", password="short").exception, InvalidUser)
    assert isinstance(run("add", "ada", password="").exception, InvalidUser)
    run("add", "ada", password=PASSWORD)
    assert run("change", "ada").exit_code == 2
    assert run("change", "ada", "--role", "king").exit_code == 2
