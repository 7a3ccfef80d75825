"""The integrations in front of a real flow: events are stored, and routed to recipients or to operations."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests.asgi import Client
from tests.waiting import wait_until

DIRECTORY = """
[recipients.ada]
email = "ada@example.com"

[recipients.ben]
email = "ben@example.com"

[groups]
void = []

[[routes]]
match = { team = "orders" }
to = ["ben"]

[[routes]]
match = { team = "void" }
to = ["void"]

[default]
to = ["ada"]
"""
OPERATIONS = "notifyflow/operations"
FUTURE = 4_000_000_000
"""A time at which a file is changed after all that are read, in seconds; it counts as now."""


class System:
    """A flow with a directory, and a key that may use its integrations."""

    def __init__(self, flow: NotifyFlow, directory: Path) -> None:
        self.flow = flow
        self.directory = directory
        self.client = Client(flow.asgi())
        _, self.key = flow.access().create("prometheus", [KeyScope.INGEST], valid_for=None)

    def alert(self, *, status: str = "firing", fingerprint: str = "f", **fields: Any) -> httpx.Response:
        group = {"alerts": [{"status": status, "fingerprint": fingerprint, **fields}]}
        return self.client.post("/v1/alertmanager", json=group, headers={"authorization": f"Bearer {self.key}"})

    def event(self, **fields: Any) -> httpx.Response:
        return self.client.post("/v2/enqueue", json={"routing_key": self.key, "dedup_key": "d", **fields})

    def status(self, key: str) -> IncidentStatus:
        return self.flow.status(key)

    def who(self, key: str) -> list[str]:
        return [each.facts.recipient_id for each in self.status(key).escalations]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    with Sandbox() as sandbox:
        variables = {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
            "NOTIFYFLOW_DIRECTORY": str(directory),
            "NOTIFYFLOW_OPS_RECIPIENTS": json.dumps([{"id": "ops", "email": "ops@example.com"}]),
            "NOTIFYFLOW_DRAIN_S": "0",
        }
        with NotifyFlow(Settings.from_variables(sandbox.settings() | variables)) as flow:
            yield System(flow, directory)


def test_a_route_without_a_policy_pages_until_an_acknowledgement(system: System) -> None:
    assert system.alert(labels={"alertname": "OrdersDown", "severity": "critical"}).status_code == 202
    (escalation,) = system.status("alertmanager/f").escalations
    assert escalation.facts.policy.name == "insistent"
    assert escalation.facts.policy.is_insistent


def test_an_alert_pages_the_recipients_of_its_route_and_resolves(system: System):
    assert system.alert(labels={"team": "orders", "severity": "critical"}).status_code == 202
    wait_until(lambda: system.status("alertmanager/f").escalations[0].notifications[0].state is NotificationState.SENT)
    assert system.who("alertmanager/f") == ["ben"]
    assert system.alert(labels={"team": "orders", "severity": "critical"}).status_code == 202
    assert system.status("alertmanager/f").facts.times_seen == 2
    assert system.alert(status="resolved").status_code == 202
    facts = system.status("alertmanager/f").facts
    assert (facts.state, facts.resolved_by) == (IncidentState.RESOLVED, "prometheus")


def test_an_alert_that_matches_no_route_takes_the_default(system: System):
    system.alert(labels={"team": "another"})
    assert system.who("alertmanager/f") == ["ada"]


def test_each_alert_of_a_group_is_an_incident(system: System):
    alerts = [{"fingerprint": each, "status": "firing"} for each in ("a", "b", "c")]
    response = system.client.post("/v1/alertmanager", json={"alerts": alerts}, headers={"authorization": f"Bearer {system.key}"})
    assert [each["key"] for each in response.json()["accepted"]] == ["alertmanager/a", "alertmanager/b", "alertmanager/c"]
    assert all(system.who(f"alertmanager/{each}") == ["ada"] for each in ("a", "b", "c"))


def test_an_alert_without_reachable_recipients_is_stored_and_pages_operations(system: System):
    assert system.alert(labels={"team": "void"}).status_code == 202
    status = system.status("alertmanager/f")
    (escalation,) = status.escalations
    assert (escalation.facts.recipient_id, escalation.facts.state) == ("void", EscalationState.EXHAUSTED)
    assert status.operations_key == OPERATIONS
    assert system.who(OPERATIONS) == ["ops"]


def test_an_event_is_triggered_acknowledged_and_resolved(system: System):
    response = system.event(event_action="trigger", payload={"summary": "down", "severity": "warning", "source": "db"})
    assert (response.status_code, response.json()["dedup_key"]) == (202, "d")
    assert system.event(event_action="acknowledge").status_code == 202
    facts = system.status("pagerduty/d").facts
    assert (facts.state, facts.acknowledged_by, facts.acknowledged_via) == (IncidentState.ACKNOWLEDGED, "prometheus", "pagerduty")
    assert system.event(event_action="resolve").status_code == 202
    assert system.status("pagerduty/d").facts.state is IncidentState.RESOLVED


def test_resolving_a_resolved_or_unknown_incident_is_accepted(system: System):
    assert system.event(event_action="resolve").status_code == 202
    assert system.event(event_action="acknowledge").status_code == 202
    assert system.alert(status="resolved").status_code == 202
    assert system.flow.find("pagerduty/d") is None


def test_no_integration_reaches_the_operations_incident(system: System):
    system.alert(labels={"team": "void"})
    assert system.event(dedup_key=OPERATIONS, event_action="resolve").status_code == 202
    assert system.status(OPERATIONS).facts.state is not IncidentState.RESOLVED


def test_a_broken_directory_is_not_used_and_pages_operations(system: System):
    system.alert(fingerprint="before")
    system.directory.write_text("[default")
    os.utime(system.directory, (FUTURE, FUTURE))
    system.alert(fingerprint="after")
    assert system.who("alertmanager/after") == ["ada"]
    assert "the directory: its file was changed" in system.status(OPERATIONS).content.title
    system.directory.write_text(DIRECTORY.replace('to = ["ada"]', 'to = ["ben"]'))
    os.utime(system.directory, (FUTURE + 1, FUTURE + 1))
    system.alert(fingerprint="mended")
    assert system.who("alertmanager/mended") == ["ben"]


def test_an_event_that_cannot_be_stored_gets_503_and_can_be_repeated(system: System, tmp_path: Path):
    blocker = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    try:
        blocker.execute("BEGIN IMMEDIATE")
        assert system.alert().status_code == 503
        blocker.execute("ROLLBACK")
    finally:
        blocker.close()
    assert system.flow.find("alertmanager/f") is None
    assert system.alert().status_code == 202
    assert system.who("alertmanager/f") == ["ada"]
