"""deploy/Containerfile keeps what notifyflow needs, and what it starts exists; ``scripts/image`` builds and tries it."""

import json
import re
from pathlib import Path

import pytest

from notifyflow import Settings
from tests.command_lines import check_command

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")


def lines_of(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.+)$", FILE, re.MULTILINE)


def test_the_models_of_all_aws_services_that_are_called_are_kept() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "notifyflow" / "channels").rglob("*.py"))
    called = set(re.findall(r'(?:AwsClient|super\(\).__init__)\("(\w+)", ', source))
    assert len(called) >= 4
    assert called <= set(re.findall(r"! -name ([a-z0-9-]+)", FILE))


def test_its_command_is_one_of_notifyflow_without_a_shell() -> None:
    (command,) = lines_of("CMD")
    check_command(json.loads(command))


def test_its_variables_are_settings() -> None:
    given = dict(re.findall(r"(NOTIFYFLOW_\w+)=(\S+)", FILE))
    assert Settings.from_variables(given).require_disk


def test_its_user_is_a_number_of_the_group_0() -> None:
    (user,) = lines_of("USER")
    assert re.fullmatch(r"[1-9]\d*:0", user)
    assert f'"-o", "{user.partition(":")[0]}", "-g", "0"' in FILE, "the folder belongs to it"


@pytest.mark.parametrize("source", [name for line in lines_of("COPY") if "--from" not in line for name in line.split()[:-1]])
def test_what_it_copies_is_sent_to_the_builder(source: str) -> None:
    sent = {rule[1:] for rule in (ROOT / ".containerignore").read_text().splitlines() if rule.startswith("!")}
    assert (ROOT / source).exists()
    assert sent & {source, source.partition("/")[0]}
