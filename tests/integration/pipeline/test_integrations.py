"""What comes through the integrations is stored, in both databases, whatever it says and wherever it leads."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.delivery.model import EscalationState, Incident, Severity
from notifyflow.core.intake.integrations import alertmanager
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.integrations import Integrations
from notifyflow.storage.store import Store
from tests import strategies
from tests.builders import a_contact
from tests.driver import Driver
from tests.facts import NOW
from tests.routing import integrations_of

DIRECTORY = """
[recipients.ada]
email = "ada@example.com"

[recipients.ben]
phone = "bad"

[recipients.cy]
slack = "bad"

[[routes]]
match = { team = "orders" }
to = ["ben", "cy"]

[[routes]]
match = { team = "payments" }
to = ["ada"]
then = [{ after = "10m", to = ["ben"] }, { after = "5m", to = ["operations"] }]
over_after = "2m"

[default]
to = ["ada"]
"""

CALLER = ApiKey(id="1", name="prometheus", scopes=frozenset((KeyScope.INGEST,)), digest="", created_at=NOW)


@pytest.fixture
def integrations(driver: Driver, tmp_path: Path) -> Integrations:
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    return integrations_of(driver.store, UseCases(driver.deps, lambda follow_ups: None), tmp_path / "directory.toml")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.alert_groups)
def test_whatever_an_alert_says_it_is_stored(integrations: Integrations, driver: Driver, group: dict[str, Any]):
    for request in alertmanager.read(group)[0]:
        integrations.handle([request], CALLER, "alertmanager")
        if request.action is Action.NOTIFY:
            status = driver.store.read(lambda reads, key=request.incident.key: reads.status(key))
            assert status is not None
            assert status.escalations


def test_a_route_on_which_nobody_can_be_reached_is_exhausted_from_the_start_and_operations_is_paged(store: Store, tmp_path: Path):
    driver = Driver(store, operations=[a_contact("ops", "email")])
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    integrations = integrations_of(store, UseCases(driver.deps, lambda follow_ups: None), tmp_path / "directory.toml")
    incident = Incident(key="alertmanager/f", title="down", severity=Severity.CRITICAL)  # had no room for its label
    integrations.handle(
        [InboundRequest(action=Action.NOTIFY, incident=incident, labels={"team": "orders"})], CALLER, "alertmanager"
    )
    status = driver.store.read(lambda reads: reads.status("alertmanager/f"))
    assert status is not None
    assert [(each.facts.recipient_id, each.facts.state) for each in status.escalations] == [
        ("ben", EscalationState.EXHAUSTED),
        ("cy", EscalationState.EXHAUSTED),
    ]
    operations = driver.store.read(lambda reads: reads.status("notifyflow/operations"))
    assert operations is not None
    assert [each.facts.recipient_id for each in operations.escalations] == ["ops"]


def test_a_route_says_who_is_next(integrations: Integrations, driver: Driver):
    incident = Incident(key="alertmanager/g", title="down")
    request = InboundRequest(action=Action.NOTIFY, incident=incident, labels={"team": "payments"})
    integrations.handle([request], CALLER, "alertmanager")
    status = driver.status("alertmanager/g")
    assert [(step.to, step.after) for step in status.steps] == [
        (("ada",), timedelta()),
        (("ben",), timedelta(minutes=10)),
        (("operations",), timedelta(minutes=5)),
        ((), timedelta(minutes=2)),
    ]
    assert [each.facts.recipient_id for each in status.escalations] == ["ada"]
