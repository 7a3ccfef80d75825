"""`notifyflow explain` says what a policy would do, without a database and without sending anything."""

from pathlib import Path

import pytest

from notifyflow.sandbox.system import Sandbox
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
    (ada,) = line.run("explain", "ada", "--severity", "info", "--json").document["forecasts"]
    assert (ada["policy"], ada["severity"], list(ada["at_once"])) == ("default", "INFO", ["email"])
    assert "tier secondary is shut for INFO" in ada["warnings"]
    line.write("people.json", [{"id": "ben", "email": "ben@example.com", "phone": "nonsense"}])
    by_file = line.run("explain", "--recipients", "people.json")
    assert "ben: CRITICAL, policy default" in by_file.out
    assert "recipients[0].phone" in by_file.err
    assert not (tmp_path / "notifyflow.db").exists()


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
