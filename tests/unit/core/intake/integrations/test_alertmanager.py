import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.intake.integrations import alertmanager
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.core.intake.validation import validate_incident
from notifyflow.errors import UnreadableIncident
from tests import strategies

# As Alertmanager 0.28 sends it.
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "ProbeFailure", "instance": "db.example.org", "severity": "critical"},
    "annotations": {
        "description": "It has been down for over 5m.",
        "summary": "Probe failure: db.example.org",
        "runbook_url": "https://runbooks.example.org/probe",
    },
    "startsAt": "2023-02-06T13:08:45.828Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example.org:9090/graph?g0.expr=probe_success+%3D%3D+0&g0.tab=1",
    "fingerprint": "1a30ba71cca2921f",
}
GROUP: dict[str, Any] = {
    "receiver": "notifyflow",
    "status": "firing",
    "alerts": [ALERT],
    "externalURL": "http://alertmanager.example.org:9093",
    "version": "4",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
}


def read(group: dict[str, Any]) -> tuple[InboundRequest, ...]:
    requests, faults = alertmanager.read(group)
    assert faults == ()
    return requests


def test_a_firing_alert_is_an_incident():
    (request,) = read(GROUP)
    assert request.action is Action.NOTIFY
    assert request.incident == Incident(
        key="alertmanager/1a30ba71cca2921f",
        title="Probe failure: db.example.org",
        body="It has been down for over 5m.",
        severity=Severity.CRITICAL,
        source="http://alertmanager.example.org:9093",
        url="http://prometheus.example.org:9090/graph?g0.expr=probe_success+%3D%3D+0&g0.tab=1",
        labels={
            "alertname": "ProbeFailure",
            "instance": "db.example.org",
            "severity": "critical",
            "runbook_url": "https://runbooks.example.org/probe",
        },
        occurred_at=datetime(2023, 2, 6, 13, 8, 45, 828_000, UTC),
    )


def test_each_alert_of_a_group_is_a_request_of_its_own():
    over = {**ALERT, "status": "resolved", "fingerprint": "b"}
    requests = read({**GROUP, "alerts": [ALERT, over]})
    assert [(each.action, each.incident.key) for each in requests] == [
        (Action.NOTIFY, "alertmanager/1a30ba71cca2921f"),
        (Action.RESOLVE, "alertmanager/b"),
    ]


def test_a_label_for_which_an_incident_has_no_room_is_known_for_routing():
    labels = {f"label-{number}": "x" for number in range(60)} | {"team": "orders"}
    (request,) = read({"alerts": [{**ALERT, "labels": labels}]})
    assert "team" not in request.incident.labels
    assert request.labels == labels


def test_an_alert_without_a_fingerprint_is_known_by_its_labels():
    bare = {"labels": {"a": "1", "b": "2"}}
    first, again, other = read({"status": "resolved", "alerts": [bare, {"labels": {"b": "2", "a": "1"}}, {"labels": {"a": "1"}}]})
    assert first.incident.key == again.incident.key != other.incident.key
    assert first.action is Action.RESOLVE  # the group's own status


@pytest.mark.parametrize(
    ("alert", "title"),
    [
        ({"annotations": {"summary": " ", "message": "from the rule"}, "labels": {"alertname": "A"}}, "from the rule"),
        ({"labels": {"alertname": "A", "instance": "i"}}, "A on i"),
        ({"labels": {"alertname": "A"}}, "A"),
        ({}, "An alert without a title"),
    ],
)
def test_an_alert_has_a_title_whatever_it_says(alert: dict[str, Any], title: str):
    (request,) = read({"alerts": [alert]})
    assert request.incident.title == title


def test_annotations_and_links_that_are_web_addresses_are_labels_so_that_messages_show_links():
    links = {"panelURL": "https://g.example/p", "dashboardURL": "https://g.example/d", "generatorURL": "https://g.example/g"}
    notes = {
        "dashboard": "https://d.example",
        "note": "see https://n.example",
        "team": "https://not.example",
        "long": "https://l.example/" + "x" * 1000,
    }
    (request,) = read({"alerts": [{"annotations": notes, "labels": {"team": "orders"}, **links}]})
    assert request.incident.url == "https://g.example/p"
    assert request.incident.labels == {
        "team": "orders",
        "dashboard": "https://d.example",
        "dashboardURL": "https://g.example/d",
        "generatorURL": "https://g.example/g",
    }
    assert request.incident.body == f"note: see https://n.example\nteam: https://not.example\nlong: {notes['long']}"


def test_alerts_that_the_sender_left_out_are_spoken_of():
    (request,) = read({"alerts": [{}], "truncatedAlerts": 7})
    assert request.incident.body == "(7 more alerts of its group were left out: max_alerts is set.)"


@pytest.mark.parametrize("document", [None, 5, "x", [], {}, {"alerts": []}, {"alerts": {}}, {"alerts": [5]}])
def test_what_holds_no_alerts_is_refused(document: object):
    with pytest.raises(UnreadableIncident):
        alertmanager.read(document)


def test_what_is_no_alert_silences_none_that_came_with_it():
    requests, faults = alertmanager.read({"alerts": [5, ALERT]})
    assert [each.incident.key for each in requests] == ["alertmanager/1a30ba71cca2921f"]
    assert [str(fault) for fault in faults] == [
        "alerts[0]: it is not an alert. Send what Alertmanager's webhook sends, version 4."
    ]


@settings(max_examples=60)
@given(strategies.alert_groups)
def test_no_alert_is_turned_away_for_its_content(group: dict[str, Any]):
    requests = read(group)
    assert sum(each.times for each in requests) == len(group["alerts"])
    assert all(validate_incident(each.incident) == () for each in requests)


@pytest.mark.parametrize(
    ("alert", "body", "labels"),
    [
        ({}, None, None),
        ({"annotations": {"summary": "s"}, "labels": {}}, None, {}),
        ({"annotations": {"description": ""}, "labels": {"a": "b"}}, "", {"a": "b"}),
        ({"annotations": {"runbook_url": "r"}}, "runbook_url: r", None),
        ({"annotations": {"runbook_url": "https://r.example"}}, "runbook_url: https://r.example", None),
    ],
)
def test_a_missing_field_of_an_alert_differs_from_an_empty_one(
    alert: dict[str, Any], body: str | None, labels: dict[str, str] | None
):
    (request,) = read({"alerts": [alert]})
    assert (request.incident.body, request.incident.labels, request.incident.url) == (body, labels, None)


@given(st.dictionaries(strategies.any_text, strategies.json_values))
@example({"b": 'a "quoted" one', "a": 7})
@example({"a": True})
def test_the_key_of_an_alert_without_a_fingerprint_is_made_of_its_labels_as_sorted_json(labels: dict[str, Any]) -> None:
    (request,) = read({"alerts": [{"labels": labels}]})
    canonical = json.dumps(labels, sort_keys=True).encode()
    assert request.incident.key == f"alertmanager/sha256:{hashlib.sha256(canonical).hexdigest()}"


def test_labels_in_another_order_are_the_same_alert_whatever_their_values_are() -> None:
    def key(labels: dict[str, Any]) -> str:
        (request,) = read({"alerts": [{"labels": labels}]})
        return request.incident.key

    assert key({"a": "x", "b": 7}) == key({"b": 7, "a": "x"})
    assert key({"a": "x", "b": [7]}) == key({"b": [7], "a": "x"})
    assert len({key({"a": each}) for each in (1, "1", True, [1], None)}) == 5
