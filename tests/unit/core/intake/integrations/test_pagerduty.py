from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings

from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.intake.integrations import pagerduty
from notifyflow.core.intake.integrations.inbound import Action
from notifyflow.core.intake.validation import validate_incident
from notifyflow.errors import UnreadableIncident
from tests import strategies

# PagerDuty developer documentation, "Send an Alert Event", example request payload.
TRIGGER: dict[str, Any] = {
    "payload": {
        "summary": "Example alert on host1.example.com",
        "timestamp": "2015-07-17T08:42:58.315+0000",
        "source": "monitoringtool:cluster/api-stats-prod-003",
        "severity": "info",
        "component": "postgres",
        "group": "prod-datapipe",
        "class": "deploy",
        "custom_details": {"ping time": "1500ms", "load avg": 0.75},
    },
    "routing_key": "samplekeyhere",
    "dedup_key": "samplededup",
    "images": [{"src": "https://www.pagerduty.com/logo.png"}],
    "links": [{"href": "https://example.com/", "text": "Link text"}, 5],
    "event_action": "trigger",
    "client": "Sample Monitoring Service",
    "client_url": "https://monitoring.example.com",
}


def read(**event: object) -> tuple[Action, Incident, str]:
    request, key = pagerduty.read(event, new_key="new")
    return request.action, request.incident, key


def test_a_trigger_is_an_incident():
    action, incident, key = read(**TRIGGER)
    assert (action, key) == (Action.NOTIFY, "samplededup")
    assert incident == Incident(
        key="pagerduty/samplededup",
        title="Example alert on host1.example.com",
        body="ping time: 1500ms\nload avg: 0.75",
        severity=Severity.INFO,
        source="monitoringtool:cluster/api-stats-prod-003",
        url="https://monitoring.example.com",
        labels={
            "source": "monitoringtool:cluster/api-stats-prod-003",
            "component": "postgres",
            "group": "prod-datapipe",
            "class": "deploy",
            "severity": "info",
            "client": "Sample Monitoring Service",
            "Link text": "https://example.com/",
        },
        occurred_at=datetime(2015, 7, 17, 8, 42, 58, 315_000, UTC),
    )


def test_routes_go_by_the_facts_of_the_payload_the_client_and_what_else_the_sender_says_in_short():
    request, _ = pagerduty.read(TRIGGER, new_key="new")
    assert request.labels == {**request.incident.labels, "ping time": "1500ms", "load avg": "0.75"}


def test_a_detail_is_a_label_where_it_is_no_object_and_has_no_name_of_the_payloads():
    details = {"team": "billing", "severity": "low", "is_paid": True, "firing": {"a": 1}, "hosts": ["a"], "nothing": None}
    payload = {"summary": "s", "severity": "critical", "custom_details": details}
    request, _ = pagerduty.read({"event_action": "trigger", "payload": payload}, new_key="new")
    assert request.labels == {"severity": "critical", "team": "billing", "is_paid": "true"}
    assert request.incident.labels == {"severity": "critical"}  # the body has the details


@pytest.mark.parametrize("word", ["acknowledge", "resolve"])
def test_what_was_triggered_can_be_acknowledged_and_resolved(word: str):
    action, incident, _ = read(event_action=word, dedup_key="d")
    assert (action, incident.key) == (Action(word), "pagerduty/d")


def test_a_trigger_without_a_key_is_always_new():
    _, incident, key = read(event_action="trigger", payload={"summary": "s", "custom_details": "free text"})
    assert (key, incident.key, incident.body) == ("new", "pagerduty/new", "free text")


def test_an_unknown_action_with_a_summary_is_a_notification():
    assert read(event_action="explode", payload={"summary": "s"})[0] is Action.NOTIFY


@pytest.mark.parametrize(
    "event",
    [None, [], {}, {"event_action": "explode"}, {"event_action": "acknowledge"}, {"event_action": "resolve", "dedup_key": ""}],
)
def test_an_event_without_a_request_is_refused(event: object):
    with pytest.raises(UnreadableIncident):
        pagerduty.read(event, new_key="new")


def test_the_routing_key_is_the_senders_key():
    assert pagerduty.routing_key(TRIGGER) == "samplekeyhere"
    assert pagerduty.routing_key([]) == pagerduty.routing_key({}) == ""


@settings(max_examples=60)
@given(strategies.pagerduty_events)
def test_no_trigger_is_turned_away_for_its_content(event: dict[str, Any]):
    request, key = pagerduty.read({**event, "event_action": "trigger"}, new_key="new")
    assert request.action is Action.NOTIFY
    assert validate_incident(request.incident) == ()
    assert key


@pytest.mark.parametrize(
    ("event", "body", "url"),
    [
        ({}, None, None),
        ({"payload": {"summary": "s", "custom_details": {}}, "client_url": ""}, "", ""),
        ({"links": []}, "", None),
        ({"payload": {"summary": "s", "custom_details": "more"}}, "more", None),
    ],
)
def test_a_missing_field_of_an_event_differs_from_an_empty_one(event: dict[str, Any], body: str | None, url: str | None):
    _, incident, _ = read(**{"event_action": "trigger", "payload": {"summary": "s"}, "dedup_key": "k", **event})
    assert (incident.body, incident.url, incident.labels) == (body, url, None)
