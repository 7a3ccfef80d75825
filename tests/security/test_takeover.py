"""An ingest key cannot take over another sender's incident, even when its key and recipients are known."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.model import IncidentState, NotificationState
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.sandbox.inbox import Message
from tests.security.conftest import Target, targeted
from tests.waiting import wait_until

ADA, ADAS_MAIL, EVE, EVES_MAIL = "+15005550010", "ada@example.com", "+15005550066", "eve@evil.example"
FINGERPRINT = "63dbce60e6f22853"
KEY = f"alertmanager/{FINGERPRINT}"
ALERT = {
    "status": "firing",
    "fingerprint": FINGERPRINT,
    "labels": {"alertname": "OrdersDbDown", "severity": "critical"},
    "annotations": {"summary": "orders db is down", "runbook": "https://wiki.example/orders"},
}
DIRECTORY = f"""
[recipients.ada]
email = "{ADAS_MAIL}"
phone = "{ADA}"

[default]
to = ["ada"]
policy = "insistent"
"""


class Victim:
    """Alertmanager has paged ada for an alert with its own key; the attacker has another ingest key."""

    def __init__(self, target: Target) -> None:
        self.target = target
        _, self.key = target.flow.access().create("prometheus", [KeyScope.INGEST], valid_for=None)
        assert self.post("/v1/alertmanager", {"alerts": [ALERT]}, self.key) == 202
        wait_until(lambda: bool(self.messages(ADAS_MAIL)))
        self.before = self.status

    @property
    def status(self) -> IncidentStatus:
        return self.target.flow.status(KEY, namespace="prometheus")

    def post(self, path: str, body: object, key: str | None = None) -> int:
        """Send a request, by default with the attacker's key."""
        headers = {"authorization": f"Bearer {key or self.target.key}", "content_type": "application/json"}
        return self.target.request("POST", path, json.dumps(body).encode(), **headers)[0]

    def steal(self, *recipients: dict[str, str], **fields: Any) -> int:
        """Post the victim's key with recipients of the attacker's."""
        body = {"key": KEY, "title": "all is well", "body": "", "labels": {}, "recipients": recipients, **fields}
        return self.post("/v1/incidents", body)

    def messages(self, to: str) -> list[Message]:
        return [each for each in self.target.sandbox.inbox.messages() if each.to == to]

    def assert_untouched(self) -> None:
        """Require that the alert is unchanged and open, with ada at her own addresses as its only recipient."""
        now, before = self.status, self.before
        assert now.facts == before.facts
        assert now.content == before.content
        assert now.facts.state is IncidentState.OPEN
        assert [each.contact for each in now.escalations] == [each.contact for each in before.escalations]
        assert not any(row.state is NotificationState.CANCELLED for each in now.escalations for row in each.notifications)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    with targeted(tmp_path, "sms: no receipt; voice: rings", DIRECTORY=str(tmp_path / "directory.toml")) as target:
        yield Victim(target)


def test_no_integration_lets_a_sender_take_over_an_incident_by_its_key(victim: Victim):
    """The attack: replace the title, add a recipient who gets a link, and acknowledge, so that paging stops."""
    assert victim.steal({"id": "eve", "email": EVES_MAIL}, severity="CRITICAL") == 201  # it is a new incident, the attacker's
    wait_until(lambda: bool(victim.messages(EVES_MAIL)))
    (mail,) = victim.messages(EVES_MAIL)
    link = re.search(r"https://notify\.example(/a/[\w.~-]+)", mail.text)
    assert link is not None
    assert victim.target.request("POST", link[1])[0] == 303
    mine = victim.target.flow.status(KEY, namespace="attacker")
    assert mine.facts.state is IncidentState.ACKNOWLEDGED
    victim.assert_untouched()


@pytest.mark.parametrize(
    "forged", [{"status": "resolved"}, {"labels": {"alertname": "x", "severity": "info"}, "annotations": {}}]
)
def test_an_alert_is_not_changed_or_resolved_with_another_senders_key(victim: Victim, forged: dict[str, Any]):
    assert victim.post("/v1/alertmanager", {"alerts": [ALERT | forged]}) == 202
    victim.assert_untouched()


@pytest.mark.parametrize("action", ["trigger", "acknowledge", "resolve"])
@pytest.mark.parametrize("dedup_key", [KEY, f"../{KEY}", FINGERPRINT])
def test_no_event_reaches_another_senders_incident(victim: Victim, action: str, dedup_key: str):
    event = {"routing_key": victim.target.key, "event_action": action, "dedup_key": dedup_key, "payload": {"summary": "x"}}
    assert victim.target.request("POST", "/v2/enqueue", json.dumps(event).encode())[0] == 202
    victim.assert_untouched()


def test_a_second_phone_under_a_known_recipients_id_turns_no_page_away(victim: Victim):
    """The next round, and the call after an overdue text, must ring ada's phone and not the attacker's."""
    assert victim.steal({"id": "ada", "phone": EVE, "email": EVES_MAIL}) == 201
    victim.assert_untouched()
    rounds = len(victim.messages(ADAS_MAIL))
    victim.target.flow.page_again(KEY, "ada", by="ops", namespace="prometheus")
    wait_until(lambda: len(victim.messages(ADAS_MAIL)) > rounds)
    contacts = {each.contact.recipient_id: dict(each.contact.addresses) for each in victim.status.escalations}
    assert contacts == {"ada": {"email": ADAS_MAIL, "sms": ADA, "voice": ADA}}
    texts = {row.incident_id for each in victim.status.escalations for row in each.notifications}
    assert texts == {victim.status.facts.id}


@pytest.mark.parametrize("namespace", [{"namespace": "prometheus"}, {"namespace": ""}])
def test_a_request_cannot_choose_its_namespace(victim: Victim, namespace: dict[str, str]):
    assert victim.steal({"id": "eve", "email": EVES_MAIL}, **namespace) == 422
    victim.assert_untouched()


def test_a_key_for_ingest_shows_nothing_even_of_an_incident_whose_id_is_known(victim: Victim):
    place = f"/v1/incidents/{victim.status.facts.id}"
    headers = {"authorization": f"Bearer {victim.target.key}", "content_type": "application/json"}
    for method, path in (
        ("GET", place),
        ("POST", f"{place}/acknowledge"),
        ("POST", f"{place}/resolve"),
        ("GET", "/v1/incidents"),
    ):
        assert victim.target.request(method, path, b"{}" if method == "POST" else b"", **headers)[0] == 403
    victim.assert_untouched()


def test_a_key_to_operate_elsewhere_finds_no_incident_by_an_id_that_it_knows(victim: Victim):
    _, key = victim.target.flow.access().create("attacker", [KeyScope.READ, KeyScope.OPERATE], valid_for=None)
    headers = {"authorization": f"Bearer {key}", "content_type": "application/json"}
    place = f"/v1/incidents/{victim.status.facts.id}"
    for verb, body in (("acknowledge", b"{}"), ("resolve", b"{}"), ("page-again", b'{"recipient": "ada"}')):
        assert victim.target.request("POST", f"{place}/{verb}", body, **headers)[0] == 404
    assert victim.target.request("GET", place, **headers)[0] == 404
    status, listed = victim.target.request("GET", "/v1/incidents?namespace=prometheus", **headers)
    assert (status, json.loads(listed)["incidents"]) == (200, [])
    status, listed = victim.target.request("GET", "/v1/recipients", **headers)
    assert (status, json.loads(listed)["recipients"]) == (200, [])
    victim.assert_untouched()


def test_the_operations_incident_is_out_of_reach(victim: Victim):
    """An attacker who could acknowledge or amend it would hide from operations that people are not reached."""
    body = {"key": "notifyflow/operations", "title": "all is well", "recipients": [{"id": "eve", "email": EVES_MAIL}]}
    assert victim.post("/v1/incidents", body) == 422
    for action in ("trigger", "acknowledge", "resolve"):
        event = {"routing_key": victim.target.key, "event_action": action, "dedup_key": "notifyflow/operations"}
        victim.target.request("POST", "/v2/enqueue", json.dumps(event | {"payload": {"summary": "x"}}).encode())
    assert victim.target.flow.find("notifyflow/operations", namespace="notifyflow") is None
    victim.assert_untouched()
