"""Subscribers, and the incident events that they are sent."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given

from notifyflow.core.delivery.incident_events import EVENTS, IncidentEvent, Subscriber, key_of, read_subscribers
from notifyflow.core.delivery.model import IncidentState, Severity
from notifyflow.core.intake.documents import dump, load
from tests.strategies import incident_events

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
STATUS = {"url": "https://status.example.com/hook", "secrets": [SECRET]}


def document(**more: object) -> str:
    return json.dumps({"status": {**STATUS, **more}})


def test_a_subscriber_gets_all_events_unless_it_chooses() -> None:
    (everything,) = read_subscribers(document())
    assert everything == Subscriber(name="status", url=STATUS["url"], secrets=(SECRET,))
    assert all(everything.wants(event) for event in EVENTS)
    (few,) = read_subscribers(document(events=["resolved", "acknowledged"]))
    assert [event for event in EVENTS if few.wants(event)] == ["acknowledged", "resolved"]


def test_neither_a_url_nor_a_secret_is_shown_by_accident() -> None:
    assert repr(read_subscribers(document())[0]) == "Subscriber(name='status', events=frozenset())"


@pytest.mark.parametrize(
    ("given_document", "wanted"),
    [
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('["https://a-secret-url"]', "is not a table of webhooks by their names"),
        ('{"status": "https://a-secret-url"}', "'status' is not a table of url, secrets, events"),
        (json.dumps({"": STATUS}), "'' needs a name of 1 to 100 characters in one line"),
        (json.dumps({"a\nb": STATUS}), "needs a name of 1 to 100 characters in one line"),
        (json.dumps({"n" * 101: STATUS}), "needs a name of 1 to 100 characters in one line"),
        (document(url=1), "'status' has no url"),
        (document(secret=SECRET), "'status' has a field 'secret', and may have url, secrets, events"),
        (document(secrets=SECRET), "'status' has no list of secrets"),
        (document(secrets=[]), "'status' has no list of secrets"),
        (document(secrets=[SECRET, 7]), "has a secret, number 2, that is not whsec_ and 24 to 64 bytes in base64"),
        (document(secrets=["whsec_c2hvcnQ="]), "number 1, that is not whsec_ and 24 to 64 bytes"),
        (document(secrets=[SECRET.removeprefix("whsec_")]), "number 1, that is not whsec_"),
        (document(secrets=["whsec_€"]), "number 1, that is not whsec_"),
        (document(events="resolved"), "'status' has events that are no list"),
        (document(events=["solved", "opened", 3]), "names 'solved', 3 among its events, and may name opened, amended"),
    ],
)
def test_an_invalid_subscriber_is_refused_with_its_reason_and_without_its_secrets(given_document: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_subscribers(given_document)
    assert wanted in str(refused.value)
    assert "a-secret-url" not in str(refused.value)
    assert "c2hvcnQ" not in str(refused.value)


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(ValueError, match=r"'a' has no url; 'a' has no list of secrets; 'b' is not a table"):
        read_subscribers('{"a": {}, "b": 1}')


def test_a_key_is_what_its_base64_stands_for() -> None:
    assert key_of(SECRET) == b"k" * 24


@given(incident_events())
def test_an_event_is_read_back_as_it_was_written(event: IncidentEvent) -> None:
    assert load(IncidentEvent, dump(event)) == event


def test_an_incident_event_is_written_in_plain_words() -> None:
    event = IncidentEvent(
        subscriber="status",
        event="opened",
        incident_id="i1",
        at=datetime(2026, 11, 25, 3, tzinfo=UTC),
        state=IncidentState.OPEN,
        severity=Severity.ERROR,
        version=1,
    )
    assert json.loads(dump(event))["at"] == "2026-11-25T03:00:00+00:00"
