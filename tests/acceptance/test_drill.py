"""`notifyflow drill` rehearses the directory's routes while providers fail, and its exit code is for continuous integration."""

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


def test_what_cannot_be_drilled_says_what_to_do(line: CommandLine):
    for arguments, words in (
        (("--fail", "twillio"), "Use twilio, if that was meant"),
        (("--at", "night"), "--at: it is not a time"),
        (("ada", "--label", "team=orders"), "a recipient of the directory, --label, or"),
    ):
        ended = line.run("drill", *arguments)
        assert (ended.code, ended.out) == (2, ""), ended
        assert words in " ".join(ended.err.replace("│", " ").split()), ended
