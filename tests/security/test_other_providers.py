"""A provider that calls back can say nothing about what another provider was asked to send."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from notifyflow.core.delivery.model import Incident, IncidentState, NotificationState, Recipient, Severity
from tests.security.conftest import PUBLIC_URL, TWILIO_TOKEN, Target, targeted
from tests.waiting import wait_until

OTHER_TOKEN = "token-of-the-second-account"
SECOND_ACCOUNT = {
    "TWILIO_B_ACCOUNT_SID": "AC0000000000000000000000000000000b",
    "TWILIO_B_AUTH_TOKEN": OTHER_TOKEN,
    "TWILIO_B_SMS_FROM": "+15005550007",
    "TWILIO_B_VOICE_FROM": "+15005550008",
}


@pytest.fixture
def called(tmp_path: Path) -> Iterator[Target]:
    """Ada was texted and called over the first account; whoever has the second one's token signs with it."""
    with targeted(tmp_path, "sms: no receipt; voice: rings", **SECOND_ACCOUNT) as target:
        ada = Recipient(id="ada", phone="+15005550010")
        target.flow.notify(Incident(key="db-1", title="down", severity=Severity.CRITICAL), [ada])
        wait_until(lambda: _attempt(target, "sms"))
        yield target


def _read(target: Target, query: str, *values: str) -> list[tuple[str, ...]]:
    path = target.flow._settings.database_url.get_secret_value().removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()


def _attempt(target: Target, channel: str) -> str:
    query = (
        "SELECT a.id FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id"
        " WHERE n.channel = ? AND a.state = 'RECORDED' AND a.provider = 'twilio'"
    )
    return next((row[0] for row in _read(target, query, channel)), "")


def _call_back(target: Target, provider: str, token: str, path: str, **form: str) -> tuple[int, bytes]:
    path = f"/callbacks/{provider}/{path}"
    return target.request(
        "POST",
        path,
        urlencode(form).encode(),
        content_type="application/x-www-form-urlencoded",
        x_twilio_signature=RequestValidator(token).compute_signature(PUBLIC_URL + path, form),
    )


def _state(target: Target) -> NotificationState:
    (escalation,) = target.status("db-1").escalations
    return next(each.state for each in escalation.notifications if each.channel == "sms")


@pytest.mark.parametrize("status", ["delivered", "undelivered", "failed"])
def test_a_receipt_that_names_an_attempt_of_another_provider_moves_nothing(called: Target, status: str) -> None:
    attempt, form = _attempt(called, "sms"), {"MessageSid": "SM1", "MessageStatus": status}
    before = called.status("db-1").facts.version
    assert _call_back(called, "twilio-b", OTHER_TOKEN, f"sms/{attempt}", **form)[0] == 200
    assert (_state(called), called.status("db-1").facts.version) == (NotificationState.SENT, before)
    assert _read(called, "SELECT state FROM notifyflow_receipt WHERE event_id LIKE 'SM1%'") == [("foreign",)]


def test_its_own_provider_is_still_believed(called: Target) -> None:
    attempt = _attempt(called, "sms")
    _call_back(called, "twilio-b", OTHER_TOKEN, f"sms/{attempt}", MessageSid="SM1", MessageStatus="failed")
    _call_back(called, "twilio", TWILIO_TOKEN, f"sms/{attempt}", MessageSid="SM1", MessageStatus="delivered")
    assert _state(called) is NotificationState.DELIVERED


def test_a_key_that_another_provider_reports_acknowledges_nothing_and_names_nothing(called: Target) -> None:
    attempt = _attempt(called, "sms")
    code, response = _call_back(called, "twilio-b", OTHER_TOKEN, f"voice/{attempt}/key", CallSid="CA1", Digits="1")
    assert code == 200
    assert b"down" not in response
    assert called.status("db-1").facts.state is IncidentState.OPEN
