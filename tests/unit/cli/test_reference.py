"""The reference leaves out no command, no option and no exit code."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from notifyflow.cli.commands import app
from notifyflow.cli.frame.exits import Exit
from notifyflow.core.upkeep.audit import Rule

REFERENCE = (Path(__file__).parents[3] / "docs/reference/cli.rst").read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, list[Any]]]:
    def walk(command, path: str) -> Iterator[tuple[str, list[Any]]]:
        below = getattr(command, "commands", None)
        if below is None or command.invoke_without_command:
            yield path, command.params
        if below is None:
            return
        for name, each in below.items():
            yield from walk(each, f"{path} {name}")

    yield from walk(typer.main.get_command(app), "notifyflow")


@pytest.mark.parametrize(("name", "parameters"), list(commands()))
def test_a_command_has_its_section_and_every_option_its_line(name: str, parameters: list[Any]):
    options = [option for each in parameters for option in each.opts if option.startswith("--")]
    heading = f"\n{name}\n{'~' * len(name)}\n"
    assert heading in REFERENCE
    section = REFERENCE.split(heading)[1].split("\n~~~")[0]
    assert [each for each in options if f"``{each}" not in section and each != "--help"] == []


@pytest.mark.parametrize(("name", "parameters"), list(commands()))
def test_a_flag_is_shown_without_a_type_and_has_no_opposite(name: str, parameters: list[Any]):
    flags = [each for each in parameters if getattr(each, "is_flag", False)]
    assert [(each.opts, each.metavar, each.secondary_opts) for each in flags] == [(each.opts, "", []) for each in flags], name


@pytest.mark.parametrize("code", Exit)
def test_an_exit_code_has_its_row(code: Exit):
    assert f"   * - {code}\n     - {code.meaning}\n" in REFERENCE


@pytest.mark.parametrize("rule", Rule)
def test_a_rule_of_the_checker_has_its_row(rule: Rule):
    assert f"   * - {rule}\n     - {rule.meaning}\n" in REFERENCE


def test_the_commands_are_these():
    alone = "send list log status ack resolve page page-again explain drill test-page pause resume demo up web sandbox diagram"
    alone += " silence heartbeats code check prune forget deploy setup"
    grouped = "directory check|keys create|keys rotate|keys list|keys revoke|db upgrade|db adopt|config check|sandbox script"
    of_users = ("add", "list", "change", "password", "disable", "enable", "remove")
    grouped += "".join(f"|users {name}" for name in of_users)
    grouped += "".join(f"|oncall {name}" for name in ("show", "next", "take", "cover", "swap", "cancel"))
    grouped += "".join(f"|oncall feed {name}" for name in ("add", "list", "revoke"))
    assert {name.removeprefix("notifyflow ") for name, _ in commands()} == {*alone.split(), *grouped.split("|")}
