"""`notifyflow drill` rehearses the directory's routes while providers fail, and its exit code is for continuous integration."""

from dataclasses import replace
from pathlib import Path

import pytest

from notifyflow.sandbox.system import Sandbox
from tests.acceptance.commands import CommandLine
from tests.acceptance.test_explain import DIRECTORY


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    with Sandbox() as sandbox:
        line = CommandLine(tmp_path, sandbox.settings() | {"NOTIFYFLOW_DIRECTORY": "directory.toml"})
    line.write("directory.toml", DIRECTORY)
    return line


def test_a_drill_passes_while_somebody_is_reached_and_fails_when_nobody_knows(line: CommandLine, tmp_path: Path):
    passed = line.run("drill", "--fail", "smtp", "--at", "2026-12-24 03:00+01:00")
    assert (passed.code, passed.err) == (0, ""), passed
    assert passed.out.startswith("team=orders: CRITICAL, policy insistent, at Thu 24 Dec 2026 02:00 UTC\n")
    assert "\nany other alert: CRITICAL, policy default, at Thu 24 Dec 2026 02:00 UTC\n" in passed.out
    assert passed.out.endswith("Passed while smtp failed: 2 of 2 recipients.\n")
    failed = line.run("drill", "ada", "--policy", "default", "--fail", "smtp, twilio", "--severity", "error", "--json")
    assert (failed.code, failed.document["is_passed"], failed.document["failing"]) == (1, False, ["smtp", "twilio"]), failed
    (incident,) = failed.document["incidents"]
    assert [(each["recipient"], each["is_passed"]) for each in incident["recipients"]] == [("ada", False)]
    assert not (tmp_path / "notifyflow.db").exists()


def test_a_route_is_drilled_with_the_highest_severity_of_its_alerts(line: CommandLine):
    warnings = '[[routes]]\nmatch = { severity = ["warning", "inf*"] }\nto = ["ada"]\n'
    line.write("directory.toml", DIRECTORY.replace("[default]", f"{warnings}[default]"))
    drilled = line.run("drill", "--json").document["incidents"]
    assert [each["severity"] for each in drilled] == ["CRITICAL", "WARNING", "CRITICAL"]
    assert [each["severity"] for each in line.run("drill", "--severity", "error", "--json").document["incidents"]] == [
        "ERROR"
    ] * 3
    assert [each["policy"] for each in line.run("drill", "ada", "--json").document["incidents"]] == ["insistent", "default"]


def test_a_storm_is_drilled_in_words_and_as_json(line: CommandLine):
    line = replace(line, variables={**line.variables, "NOTIFYFLOW_PUBLIC_URL": "https://pager.example.com"})
    said = line.run("drill", "ada", "--policy", "default", "--storm", "40", "--fail", "smtp")
    assert (said.code, said.err) == (0, ""), said
    assert said.out.startswith(
        "ada: CRITICAL, policy default, 40 incidents at once; below, the one of which somebody was told last\n"
    )
    assert "text about 1 incident: its code or the link acknowledges it\n" in said.out
    assert " of them named: ALL with its code or the link acknowledges all " in said.out
    assert "; told of 40 of 40, of the first after " in said.out
    (incident,) = line.run("drill", "ada", "--policy", "default", "--storm", "40", "--json").document["incidents"]
    (ada,) = incident["storm"]["recipients"]
    assert (incident["storm"]["incidents"], ada["told"], ada["messages"]) == (40, 40, {"email": 3})
    failed = line.run("drill", "ada", "--policy", "default", "--storm", "3", "--fail", "smtp,twilio")
    assert (failed.code, "Ada gets no message; told of 0 of 3\n" in failed.out) == (1, True), failed


def test_what_cannot_be_drilled_says_what_to_do(line: CommandLine):
    for arguments, words in (
        (("--fail", "twillio"), "Use twilio, if that was meant"),
        (("--at", "night"), "--at: it is not a time"),
        (("--storm", "51"), "--storm': Input should be less than or equal to 50"),
        (("ada", "--label", "team=orders"), "a recipient of the directory, --label, or"),
    ):
        ended = line.run("drill", *arguments)
        assert (ended.code, ended.out) == (2, ""), ended
        assert words in " ".join(ended.err.replace("│", " ").split()), ended
