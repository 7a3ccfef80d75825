import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.intake.integrations import cloudevents
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.core.intake.validation import validate_incident
from notifyflow.errors import Fault, UnreadableIncident
from tests import strategies

STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "com.example.disk.full",
    "source": "https://disks.example.com/eu",
    "id": "A234-1234-1234",
    "subject": "db-1",
    "time": "2018-04-05T17:31:00Z",
    "datacontenttype": "application/json",
    "team": "orders",
    "data": {
        "title": "The disk is full",
        "body": "Nothing can be written.",
        "severity": "critical",
        "url": "https://grafana.example.com/d/1",
        "labels": {"mount": "/var"},
        "free_bytes": 0,
    },
}


def read(headers: dict[str, str], document: object) -> tuple[InboundRequest, ...]:
    requests, faults = read_all(headers, document)
    assert faults == ()
    return requests


def read_all(headers: dict[str, str], document: object) -> tuple[tuple[InboundRequest, ...], tuple[Fault, ...]]:
    return cloudevents.read(headers, document if isinstance(document, bytes) else json.dumps(document).encode())


def test_a_structured_event_is_an_incident():
    (request,) = read(STRUCTURED, EVENT)
    assert request.action is Action.NOTIFY
    assert request.incident == Incident(
        key="cloudevents/https://disks.example.com/eu/db-1",
        title="The disk is full",
        body="Nothing can be written.\n\nfree_bytes: 0",
        severity=Severity.CRITICAL,
        source="https://disks.example.com/eu",
        url="https://grafana.example.com/d/1",
        labels={
            "mount": "/var",
            "type": "com.example.disk.full",
            "source": "https://disks.example.com/eu",
            "subject": "db-1",
            "team": "orders",
        },
        occurred_at=datetime(2018, 4, 5, 17, 31, tzinfo=UTC),
    )


def test_an_attribute_for_which_an_incident_has_no_room_is_known_for_routing():
    (request,) = read(STRUCTURED, {**EVENT, "data": {"labels": {f"label-{number}": "x" for number in range(60)}}})
    assert (request.labels["type"], request.labels["team"]) == ("com.example.disk.full", "orders")


def test_a_binary_event_says_the_same():
    headers = {f"ce-{name}": str(value) for name, value in EVENT.items() if name not in ("data", "datacontenttype")}
    (request,) = read({**headers, "content-type": "application/json"}, EVENT["data"])
    assert (request,) == read(STRUCTURED, EVENT)


@pytest.mark.parametrize("content_type", [{}, {"content-type": ""}])
def test_a_binary_event_that_does_not_say_what_its_data_is_may_be_json(content_type: dict[str, str]):
    headers = {f"ce-{name}": str(value) for name, value in EVENT.items() if name not in ("data", "datacontenttype")}
    (request,) = read({**headers, **content_type}, EVENT["data"])
    assert (request,) == read(STRUCTURED, EVENT)
    for text in (b"{ the disk is full", b"5 disks are full", b'"quoted"', b"7", b"\xff"):
        (request,) = read({**headers, **content_type}, text)
        assert request.incident.body == text.decode("utf-8", "replace")
    (request,) = read({**headers, "content-type": "text/plain"}, EVENT["data"])
    assert request.incident.severity is Severity.ERROR  # what says that it is text is text


def test_a_batch_is_read_event_by_event():
    over = {**EVENT, "type": "com.example.disk.Resolved", "subject": "db-2"}
    acknowledged = {**EVENT, "type": "com.example.disk.acknowledged"}
    requests = read(BATCH, [EVENT, over, acknowledged])
    assert [(each.action, each.incident.key.rpartition("/")[2]) for each in requests] == [
        (Action.NOTIFY, "db-1"),
        (Action.RESOLVE, "db-2"),
        (Action.ACKNOWLEDGE, "db-1"),
    ]


def test_json_without_the_media_type_is_read_all_the_same():
    assert read({"content-type": "application/json"}, EVENT) == read(STRUCTURED, EVENT) == read({}, [EVENT])


def test_an_event_without_a_subject_is_known_by_its_id():
    (request,) = read(STRUCTURED, {"id": "1", "source": "s", "type": "t", "subject": None})  # null is absent
    assert request.incident == Incident(
        key="cloudevents/s/1", title="t: 1", source="s", labels={"source": "s", "type": "t"}, severity=Severity.ERROR
    )


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),  # the binding's own example
        ('"a \\"quoted\\" text"', 'a "quoted" text'),
        ("plain", "plain"),
    ],
)
def test_header_values_are_unescaped(raw: str, text: str):
    (request,) = read({"ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-ext": raw}, b"text")
    assert request.incident.labels["ext"] == text
    assert request.incident.body == "text"


def test_a_header_that_is_no_utf_8_is_refused():
    with pytest.raises(UnreadableIncident, match="ce-ext"):
        read({"ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-ext": "%C0%A0"}, b"")


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({"data_base64": base64.b64encode(b'{"a": 1}').decode()}, "a: 1"),
        ({"data_base64": base64.b64encode(b"text").decode(), "datacontenttype": "text/plain"}, "text"),
        ({"data_base64": base64.b64encode(b"{").decode()}, "{"),
        ({"data_base64": "é"}, "é"),
        ({"data": ["a", 1]}, '["a", 1]'),
        ({"data": None}, None),
        ({"data": {"title": "t"}}, None),
        ({"data": {"title": "t", "body": "", "description": ""}}, ""),
    ],
)
def test_data_of_any_shape_becomes_the_body(given: dict[str, object], body: str | None):
    (request,) = read(STRUCTURED, {"id": "1", "source": "s", "type": "t", **given})
    assert request.incident.body == body


def test_all_missing_attributes_are_listed_at_once():
    with pytest.raises(UnreadableIncident) as refused:
        read(BATCH, [{"id": "1"}])
    assert [fault.where for fault in refused.value.faults] == ["[0].source", "[0].type"]


def test_what_is_no_event_silences_none_that_came_with_it():
    requests, faults = read_all(BATCH, [EVENT, 5, {"id": "1", "source": "s"}])
    assert [each.incident.title for each in requests] == ["The disk is full"]
    assert [fault.where for fault in faults] == ["[1].id", "[1].source", "[1].type", "[2].type"]


def test_an_empty_batch_has_no_requests():
    assert read(BATCH, []) == ()  # "JSON Event Format", section 4.3: valid in a request, too


@pytest.mark.parametrize("document", [b"", b"{", b"\xff", b"[" * 100_000, 5, {}, [5]])
def test_what_is_no_event_is_refused(document: object):
    with pytest.raises(UnreadableIncident):
        read(STRUCTURED, document)


@settings(max_examples=60)
@given(st.lists(strategies.cloud_events, min_size=1, max_size=3))
def test_no_event_is_turned_away_for_its_content(events: list[dict[str, Any]]):
    requests = read(BATCH, events)
    assert sum(each.times for each in requests) == len(events)
    assert all(validate_incident(each.incident) == () for each in requests)
