"""The page of an operations incident: it names who was not reached, and links to the failed incident."""

import re
from pathlib import Path

from notifyflow.app import NotifyFlow
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Incident, IncidentState, Recipient, Result, Severity
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.core.messages.links import sign
from notifyflow.pipeline.limits.claim import claim
from notifyflow.settings import Settings
from tests.asgi import Client
from tests.builders import CountingIds, HandClock
from tests.integration.web.delivery.test_api import SilentBell
from tests.leases import record_one

KEY = "a key that nobody knows"
URL = "https://notify.example"


def test_the_page_of_an_operations_incident_leads_to_the_failed_incident(tmp_path: Path):
    settings = Settings.from_variables(
        {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'notifyflow.db'}",
            "NOTIFYFLOW_PUBLIC_URL": URL,
            "NOTIFYFLOW_SECRET_KEY": KEY,
            "NOTIFYFLOW_OPS_RECIPIENTS": '[{"id": "ops", "name": "Olga", "email": "ops@example.com"}]',
        }
    )
    clock = HandClock()
    with NotifyFlow(settings, clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        incident = Incident(key="db-1", title="orders db is down", severity=Severity.CRITICAL, url="https://grafana.example/d")
        flow.notify(incident, [Recipient(id="u-4711", name="Ada", email="ada@example.com")])
        (claimed,) = claim(flow._deps, "email", (), limit=9, providers=["pigeon"], reporting=()).claimed
        record_one(flow._deps, claimed, Outcome(result=Result.PERMANENT_FAILURE, reason="there is no such mailbox"))
        alert = flow.status(OPERATIONS_KEY)
        assert alert.content.title == 'Ada was not reached about "orders db is down" (CRITICAL)'
        client = Client(flow.asgi())
        page = client.get(f"/a/{sign([KEY], alert.facts.id, 'ops', clock.now().replace(year=2027))}").text
        for expected in ("Ada was not reached", "there is no such mailbox", "https://grafana.example/d", "db-1"):
            assert expected in page
        (link,) = set(re.findall(rf"{URL}(/a/[\w-]+)", page))
        assert "orders db is down" in client.get(link).text
        assert client.post(link).status_code == 303
        failed = flow.status("db-1")
        assert (failed.facts.state, failed.facts.acknowledged_by) == (IncidentState.ACKNOWLEDGED, "ops")
