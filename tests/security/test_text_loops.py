"""Texts to our number cannot run up costs: strangers and our own texts get no response."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from notifyflow.core.delivery.model import Incident, IncidentState, Recipient, Severity
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.sandbox.twilio import SMS_FROM
from tests.security.conftest import PUBLIC_URL, TWILIO_TOKEN, Target, targeted
from tests.waiting import wait_until

ADA, STRANGER = "+15005550010", "+15005550099"
PATH = "/callbacks/twilio/sms"
DIRECTORY = f"""
[recipients.ada]
email = "ada@example.com"
phone = "{ADA}"

[default]
to = ["ada"]
"""


@pytest.fixture
def texted(tmp_path: Path) -> Iterator[Target]:
    """Ada is on a route, was texted, and may reply."""
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    more = {"DIRECTORY": str(tmp_path / "directory.toml"), "TWILIO_SMS_REPLIES": "true"}
    with targeted(tmp_path, "sms: no receipt; voice: rings", **more) as target:
        target.flow.notify(Incident(key="db-1", title="down", severity=Severity.CRITICAL), [Recipient(id="ada", phone=ADA)])
        wait_until(lambda: _texts(target))
        yield target


def _texts(target: Target) -> list[str]:
    return [message.text for message in target.sandbox.inbox.messages() if message.channel == "sms"]


def _text(target: Target, body: str, sender: str = STRANGER, *, sid: str = "SM1", **more: str) -> str:
    """Post a text as Twilio does; return the response's text, or an empty string."""
    form = {"MessageSid": sid, "From": sender, "To": SMS_FROM, "Body": body, **more}
    status, response = target.request(
        "POST",
        PATH,
        urlencode(form).encode(),
        content_type="application/x-www-form-urlencoded",
        x_twilio_signature=RequestValidator(TWILIO_TOKEN).compute_signature(PUBLIC_URL + PATH, form),
    )
    assert status == 200
    found = re.search(r"<Message>(.*)</Message>", response.decode(), re.DOTALL)
    return found[1] if found else ""


def _rows(target: Target, table: str) -> int:
    path = target.flow._settings.database_url.get_secret_value().removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT COUNT(*) FROM notifyflow_{table}").fetchone()[0])


def test_a_strangers_400_texts_get_no_response_and_leave_nothing(texted: Target):
    before = [_rows(texted, table) for table in ("receipt", "opt_out", "number")]
    bodies = ("hello", "help", "STOP", "1", "yes", "START", "12")
    responses = [_text(texted, bodies[number % len(bodies)], sid=f"SM{number}") for number in range(400)]
    assert responses == [""] * 400
    assert [_rows(texted, table) for table in ("receipt", "opt_out", "number")] == before
    assert texted.status("db-1").facts.state is IncidentState.OPEN


def test_an_auto_reply_gets_three_responses(texted: Target):
    """An auto-reply at her number replies to each of our responses with another text."""
    responses = [_text(texted, f"I am away until Monday ({number}).", ADA, sid=f"SM{number}") for number in range(50)]
    assert len(list(filter(None, responses))) == 3


def test_an_echo_of_our_response_gets_none(texted: Target):
    explained, acknowledged = _text(texted, "help", ADA, sid="SM-help"), _text(texted, "1", ADA, sid="SM-ack")
    assert "You acknowledged it" in acknowledged
    for number, text in enumerate((explained, acknowledged, f" {acknowledged}\n")):
        assert _text(texted, text, ADA, sid=f"SM{number}") == ""


def test_two_numbers_of_ours_do_not_talk_to_each_other(texted: Target):
    assert _text(texted, "help", SMS_FROM) == ""


def test_a_stop_that_is_replayed_after_a_prune_does_nothing_new(texted: Target):
    _text(texted, "STOP", ADA, sid="SM-stop")
    assert _rows(texted, "opt_out") == 1
    status = texted.status(OPERATIONS_KEY)
    assert "ada has replied STOP" in (status.content.body or "")
    _text(texted, "START", ADA, sid="SM-start")
    assert _rows(texted, "opt_out") == 0
    later = texted.flow._deps.clock.now().replace(year=2100)
    texted.flow._store.run(lambda ledger: ledger.pruning.strays(before=later, limit=1000))
    for sid in ("SM-stop", "SM-stop"):
        assert _text(texted, "STOP", ADA, sid=sid) == ""
    assert _rows(texted, "opt_out") == 0, "she wants texts"
    assert texted.status(OPERATIONS_KEY).facts.version == status.facts.version


def test_an_acknowledgement_that_is_replayed_after_a_prune_changes_nothing(texted: Target):
    assert "You acknowledged it" in _text(texted, "1", ADA, sid="SM-ack")
    texted.flow.resolve("db-1", by="ada")
    later = texted.flow._deps.clock.now().replace(year=2100)
    texted.flow._store.run(lambda ledger: ledger.pruning.strays(before=later, limit=1000))
    texted.flow.notify(Incident(key="db-2", title="down", severity=Severity.CRITICAL), [Recipient(id="ada", phone=ADA)])
    wait_until(lambda: any("/a/" in text for text in _texts(texted)[1:]))
    _text(texted, "1", ADA, sid="SM-ack")
    assert texted.status("db-2").facts.state is IncidentState.OPEN


def test_a_yes_acknowledges_the_incident_but_after_a_stop_only_opts_in(texted: Target):
    """Twilio marks a plain yes as START, whether or not the sender has opted out."""
    assert _text(texted, "STOP", ADA, sid="SM-stop", OptOutType="STOP") == ""
    assert "again" in _text(texted, "yes", ADA, sid="SM-in", OptOutType="START")
    assert _rows(texted, "opt_out") == 0
    assert texted.status("db-1").facts.state is IncidentState.OPEN
    assert "You acknowledged it" in _text(texted, " Yes ", ADA, sid="SM-yes", OptOutType="START")
    facts = texted.status("db-1").facts
    assert (facts.state, facts.acknowledged_by) == (IncidentState.ACKNOWLEDGED, "ada")


def test_a_start_keyword_of_twilio_in_another_text_acknowledges_nothing(texted: Target):
    """A keyword of the Twilio account opts in, whatever else the text would mean."""
    assert "again" in _text(texted, "ok", ADA, sid="SM-own", OptOutType="START")
    assert texted.status("db-1").facts.state is IncidentState.OPEN
