"""What the documentation shows of the integrations and the directory is accepted."""

import json
import re
import textwrap
from pathlib import Path

import pytest

from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.intake.integrations import cloudevents, pagerduty
from notifyflow.core.intake.integrations.inbound import Action
from notifyflow.core.oncall.directory import read_directory

DOCS = Path(__file__).parents[5] / "docs"
HOW_TO = (DOCS / "how-to" / "connect-alertmanager.rst").read_text(encoding="utf-8")
REFERENCE = (DOCS / "reference" / "directory.rst").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:(?:   .*)?\n)+)", page, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


@pytest.mark.parametrize("document", [*blocks(REFERENCE, "toml"), *blocks(HOW_TO, "toml")])
def test_a_directory_that_is_shown_has_no_fault(document: str):
    assert read_directory(document, SHIPPED).default.to == ("ada",)


def test_the_events_on_the_pages_are_accepted():
    event, cloud_event = blocks(HOW_TO, "json")
    request, key = pagerduty.read(json.loads(event), new_key="")
    assert (request.action, key) == (Action.NOTIFY, "db-1/disk")
    (request,), _ = cloudevents.read({}, cloud_event.encode())
    assert (request.action, request.incident.key) == (Action.NOTIFY, "cloudevents//disks/eu/db-1")
