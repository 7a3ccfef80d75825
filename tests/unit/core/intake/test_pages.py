"""The reference of policies and incident files is true and complete."""

import json
import re
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from notifyflow.core.delivery.model import Incident, Recipient, Step
from notifyflow.core.delivery.policy import SHIPPED, Policy, Repeat, Retries, RetrySchedule, Tier
from notifyflow.core.intake.chains import check_chain
from notifyflow.core.intake.documents import read_policies, read_recipients
from notifyflow.core.intake.requests import read_incident
from notifyflow.core.intake.validation import check_incident, check_recipients
from tests import strategies

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"
POLICIES = (REFERENCE / "policies.rst").read_text()
INCIDENT_FILES = (REFERENCE / "incident-files.rst").read_text()


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:(?:   .*)?\n)+)", page, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


@pytest.mark.parametrize("block", blocks(POLICIES, "toml"))
def test_every_policy_of_the_page_is_accepted(block: str) -> None:
    for name, policy in read_policies(block, strategies.CHANNELS).items():
        if name in SHIPPED:
            assert policy == SHIPPED[name]
        if name == "explicit":
            assert policy.retries == Retries()


def test_the_shipped_policies_are_written_out() -> None:
    written = {name for block in blocks(POLICIES, "toml") for name in read_policies(block)}
    assert written.issuperset(SHIPPED)


@pytest.mark.parametrize("kind", [Policy, Tier, Retries, RetrySchedule, Repeat])
def test_every_key_of_a_policy_is_explained(kind: type[Policy]) -> None:
    for field in fields(kind):
        assert f"``{field.name}``" in POLICIES, field.name


@pytest.mark.parametrize("kind", [Incident, Recipient, Step])
def test_every_field_of_an_incident_file_is_explained(kind: type[Incident]) -> None:
    for field in fields(kind):
        assert f"* - ``{field.name}``" in INCIDENT_FILES, field.name


def test_the_files_of_the_page_are_accepted() -> None:
    whole, recipients, chained = blocks(INCIDENT_FILES, "json")
    submission = read_incident(whole)
    assert submission.unread == ()
    assert (
        check_incident(submission.incident, submission.recipients, lambda _, address: address, strategies.CHANNELS).faults == ()
    )
    assert set(json.loads(whole)) == {field.name for field in fields(Incident)} | {"recipients"}
    assert check_recipients(read_recipients(recipients), lambda _, address: address, strategies.CHANNELS)[1] == ()
    next_ones = read_incident(chained)
    assert next_ones.unread == ()
    checked = check_chain(next_ones.then, next_ones.recipients, lambda _, address: address, strategies.CHANNELS)
    assert (checked.refusals, checked.faults) == ((), ())
