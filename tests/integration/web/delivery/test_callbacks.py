"""Twilio's callbacks against a real flow: verified, committed and acknowledged; forged ones change nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from notifyflow.app import NotifyFlow
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Evidence, Incident, IncidentState, NotificationState, Recipient, Result, Severity
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests.asgi import Client
from tests.waiting import wait_until

PUBLIC_URL = "https://notify.example/pager"
OLD_TOKEN, NEW_TOKEN = "sandbox-auth-token", "the-next-auth-token"


class System:
    """A flow with a sent text or call, and a client of its web application."""

    def __init__(self, flow: NotifyFlow) -> None:
        self.flow = flow
        self.client = Client(flow.asgi())

    @property
    def status(self) -> IncidentStatus:
        return self.flow.status("db-1")

    @property
    def page(self) -> NotificationFacts:
        return self.status.escalations[0].notifications[-1]

    def call_back(self, path: str, token: str = OLD_TOKEN, forge: Callable[[str], str] = str, **form: str) -> tuple[int, str]:
        """Post a form as Twilio does; `forge` may change its body after it was signed."""
        signature = RequestValidator(token).compute_signature(PUBLIC_URL + path, form)
        headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
        response = self.client.post(path, content=forge(urlencode(form)), headers=headers)
        return response.status_code, response.text


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with Sandbox() as sandbox:
        sandbox.script("sms: no receipt; sms to +15005550012: 21610; voice: nobody answers")
        yield Settings.from_variables(
            sandbox.settings()
            | {
                "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
                "NOTIFYFLOW_PUBLIC_URL": PUBLIC_URL,
                "NOTIFYFLOW_TWILIO_AUTH_TOKEN": f"{OLD_TOKEN},{NEW_TOKEN}",
                "NOTIFYFLOW_DRAIN_S": "0",
            }
        )


@pytest.fixture
def texted(settings: Settings) -> Iterator[System]:
    with NotifyFlow(settings) as flow:
        flow.notify(Incident(key="db-1", title="down", severity=Severity.CRITICAL), [Recipient(id="ada", phone="+15005550011")])
        system = System(flow)
        wait_until(lambda: system.page.state is NotificationState.SENT)
        yield system


@pytest.fixture
def called(settings: Settings) -> Iterator[System]:
    with NotifyFlow(settings) as flow:
        flow.notify(Incident(key="db-1", title="down", severity=Severity.CRITICAL), [Recipient(id="ben", phone="+15005550012")])
        system = System(flow)
        wait_until(lambda: system.page.channel == "voice" and bool(system.page.attempts))
        yield system


@pytest.mark.parametrize("token", [OLD_TOKEN, NEW_TOKEN])
def test_a_signed_receipt_moves_its_page_once(texted: System, token: str):
    path = f"/callbacks/twilio/sms/{texted.page.attempts[0].id}"
    for _ in range(2):
        assert texted.call_back(path, token, MessageSid="SM1", MessageStatus="delivered")[0] == 200
    assert texted.page.state is NotificationState.DELIVERED
    assert [move.event for move in texted.status.transitions].count("delivery_reported") == 1


def test_a_forged_receipt_changes_nothing(texted: System):
    path = f"/callbacks/twilio/sms/{texted.page.attempts[0].id}"
    form = {"MessageSid": "SM1", "MessageStatus": "sent"}
    assert texted.call_back(path, "another-token", **form)[0] == 403
    assert texted.call_back(path, forge=lambda body: body.replace("=sent", "=delivered"), **form)[0] == 403
    assert texted.call_back(path, forge=lambda body: body + "&MessageStatus=delivered", **form)[0] == 403
    assert texted.client.post(path, content=urlencode(form)).status_code == 403
    assert texted.client.post(path, content=b"\xff\xfe", headers={"x-twilio-signature": "ä".encode()}).status_code == 403
    assert texted.page.state is NotificationState.SENT


def test_a_pressed_key_acknowledges_and_the_caller_hears_the_state(called: System):
    path = f"/callbacks/twilio/voice/{called.page.attempts[0].id}/key"

    def press(key: str, path: str = path) -> str:
        code, twiml = called.call_back(path, CallSid="CA1", Digits=key)
        assert code == 200
        return twiml

    assert "Nobody has acknowledged it yet." in press("5")
    assert "You acknowledged it." in press("1")
    facts = called.status.facts
    assert (facts.state, facts.acknowledged_by, facts.acknowledged_via) == (IncidentState.ACKNOWLEDGED, "ben", "key")
    assert "You acknowledged it." in press("1"), "the first response may have been lost"
    called.flow.page_again("db-1", "ben", by="ops")
    assert "Nobody has acknowledged it yet." in press("1"), "a repeated event acknowledges nothing"
    called.flow.acknowledge("db-1", by="Zoë & Cy")
    assert "Zoë and Cy acknowledged it. Nothing was changed." in press("5")
    called.flow.resolve("db-1", by="ops")
    assert "It is over. Nothing was changed." in press("7")
    assert "Nothing was acknowledged." in press("1", f"/callbacks/twilio/voice/{'f' * 32}/key")
    assert "No key was pressed." in press("")


def test_a_receipt_that_cannot_be_committed_gets_503_and_can_be_repeated(texted: System, tmp_path: Path):
    path = f"/callbacks/twilio/sms/{texted.page.attempts[0].id}"
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    blocker = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    try:
        blocker.execute("BEGIN IMMEDIATE")
        assert texted.call_back(path, **form)[0] == 503
        blocker.execute("ROLLBACK")
    finally:
        blocker.close()
    assert texted.page.state is NotificationState.SENT
    assert texted.call_back(path, **form)[0] == 200
    assert texted.page.state is NotificationState.DELIVERED


def test_signatures_are_verified_for_the_public_url_and_not_for_the_host_header(texted: System):
    path = f"/callbacks/twilio/sms/{texted.page.attempts[0].id}"
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    elsewhere = "https://elsewhere.example"
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": "elsewhere.example",
        "x-forwarded-host": "elsewhere.example",
        "x-forwarded-proto": "https",
        "forwarded": "host=elsewhere.example;proto=https",
    }

    def post(url: str) -> int:
        signature = RequestValidator(OLD_TOKEN).compute_signature(url + path, form)
        return texted.client.post(path, content=urlencode(form), headers=headers | {"x-twilio-signature": signature}).status_code

    assert post(elsewhere) == 403
    assert texted.page.state is NotificationState.SENT
    assert post(PUBLIC_URL) == 200
    assert texted.page.state is NotificationState.DELIVERED


def test_a_body_in_json_is_refused_even_where_its_url_is_signed(texted: System):
    path = f"/callbacks/twilio/sms/{texted.page.attempts[0].id}"
    headers = {
        "x-twilio-signature": RequestValidator(OLD_TOKEN).compute_signature(PUBLIC_URL + path, {}),
        "content-type": "application/json",
    }
    body = b'{"MessageSid": "SM1", "MessageStatus": "delivered"}'
    assert texted.client.post(path, content=body, headers=headers).status_code == 403
    assert texted.client.post(path, content=b"", headers=headers).status_code == 403
    assert texted.page.state is NotificationState.SENT


def test_receipts_out_of_order_are_all_kept_and_the_strongest_counts(texted: System):
    path = f"/callbacks/twilio/sms/{texted.page.attempts[0].id}"
    for status in ("delivered", "sent", "queued", "sent", "delivered"):
        assert texted.call_back(path, MessageSid="SM1", MessageStatus=status)[0] == 200
    assert texted.page.state is NotificationState.DELIVERED


def test_a_call_picked_up_by_a_machine_is_not_delivered(called: System):
    attempt_id = called.page.attempts[0].id
    path = f"/callbacks/twilio/voice/{attempt_id}"
    assert called.call_back(path, CallSid="CA1", CallStatus="completed", AnsweredBy="machine_end_beep")[0] == 200
    attempt = next(each for each in called.page.attempts if each.id == attempt_id)
    assert attempt.result is not Result.DELIVERED
    assert attempt.evidence is not Evidence.HUMAN
    assert called.call_back(path + "/key", CallSid="CA1", Digits="5")[0] == 200
    attempt = next(each for each in called.page.attempts if each.id == attempt_id)
    assert (attempt.result, attempt.evidence) == (Result.DELIVERED, Evidence.HUMAN)
