import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifyflow.core.intake.integrations.inbound import Action
from notifyflow.core.intake.validation import validate_incident
from notifyflow.errors import MissingScope, StorageUnavailable, TooManyRequests
from tests import strategies
from tests.asgi import Client
from tests.log_lines import capture_logs
from tests.unit.web.conftest import API_KEY, Backend, client_of

GROUP = {"alerts": [{"status": "firing", "labels": {"alertname": "A"}, "fingerprint": "f"}]}
EVENT = {"id": "1", "source": "s", "type": "disk.resolved", "subject": "db"}
TRIGGER = {"routing_key": API_KEY, "event_action": "trigger", "dedup_key": "d", "payload": {"summary": "down"}}
BEARER = {"authorization": f"Bearer {API_KEY}"}
INTEGRATIONS = [("/v1/alertmanager", GROUP), ("/v1/cloudevents", EVENT), ("/v2/enqueue", TRIGGER)]


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_response_to_an_alert_says_what_was_done(client: Client, backend: Backend):
    response = client.post("/v1/alertmanager", json=GROUP, headers=BEARER)
    assert (response.status_code, response.json()) == (
        202,
        {"accepted": [{"action": "notify", "key": "alertmanager/f"}], "accepted_count": 1, "faults": [], "fault_count": 0},
    )
    ((request, caller, via),) = backend.requests
    assert (request.action, request.incident.title, caller.name, via) == (Action.NOTIFY, "A", "prometheus", "alertmanager")


def test_the_response_to_a_cloud_event_says_what_was_done(client: Client, backend: Backend):
    response = client.post("/v1/cloudevents", json=EVENT, headers=BEARER)
    assert response.status_code == 202
    assert response.json()["accepted"] == [{"action": "resolve", "key": "cloudevents/s/db"}]
    assert [(caller.name, via) for _, caller, via in backend.requests] == [("prometheus", "cloudevents")]


def test_unreadable_items_are_reported_and_logged_while_the_rest_is_done(client: Client, backend: Backend):
    with capture_logs() as logs:
        response = client.post("/v1/cloudevents", json=[EVENT, {**EVENT, "id": None}], headers=BEARER)
    assert response.status_code == 202
    assert [each["key"] for each in response.json()["accepted"]] == ["cloudevents/s/db"]
    assert [fault["where"] for fault in response.json()["faults"]] == ["[1].id"]
    assert [(line["event"], line["via"], line["by"]) for line in logs] == [("web.event_unreadable", "cloudevents", "prometheus")]
    assert len(backend.requests) == 1


@pytest.mark.parametrize(("event", "key"), [(TRIGGER, "d"), ({**TRIGGER, "dedup_key": None}, "new-id")])
def test_the_response_to_a_pagerduty_event_is_pagerdutys(client: Client, backend: Backend, event: dict[str, Any], key: str):
    response = client.post("/v2/enqueue", json=event)
    assert response.status_code == 202
    assert response.json() == {"status": "success", "message": "Event processed", "dedup_key": key}
    assert [(request.incident.key, via) for request, _, via in backend.requests] == [(f"pagerduty/{key}", "pagerduty")]


def test_a_pagerduty_event_that_is_none_is_refused_as_pagerduty_does(client: Client):
    response = client.post("/v2/enqueue", json={"routing_key": API_KEY})
    assert (response.status_code, response.json()["status"]) == (400, "invalid event")
    assert response.json()["errors"] == ["event_action: it is missing or unknown. Send trigger, acknowledge or resolve."]


@pytest.mark.parametrize(
    "headers", [BEARER, {"authorization": f"bearer  {API_KEY} "}, basic("prometheus", API_KEY), basic("", API_KEY)]
)
def test_a_sender_may_say_its_key_in_two_ways(client: Client, headers: dict[str, str]):
    assert client.post("/v1/alertmanager", json=GROUP, headers=headers).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic ="},
        {"authorization": "Basic /w=="},
        basic(API_KEY, ""),
        {"authorization": API_KEY},
        {"authorization": f"Token {API_KEY}"},
        {"authorization": f"Digest {API_KEY}"},
        {"authorization": f"BearerX {API_KEY}"},
        {"authorization": f" {API_KEY}"},
    ],
)
def test_nobody_comes_in_without_a_key(client: Client, backend: Backend, headers: dict[str, str]):
    for path in ("/v1/alertmanager", "/v1/cloudevents"):
        assert client.post(path, content=b"{", headers=headers).status_code == 401
    assert backend.requests == []


@pytest.mark.parametrize("event", [{}, [], {**TRIGGER, "routing_key": "wrong"}, {**TRIGGER, "routing_key": {"a": 1}}])
def test_nobody_comes_in_without_a_routing_key(client: Client, backend: Backend, event: object):
    assert client.post("/v2/enqueue", json=event, headers=BEARER).status_code == 401
    assert backend.requests == []


@pytest.mark.parametrize(("path", "document"), INTEGRATIONS)
def test_a_key_for_something_else_does_not_open(client: Client, backend: Backend, path: str, document: object):
    backend.refusal = MissingScope("ingest")
    assert client.post(path, json=document, headers=BEARER).status_code == 403


@pytest.mark.parametrize(("path", "document"), INTEGRATIONS)
def test_a_caller_beyond_its_limit_gets_a_retry_after(client: Client, backend: Backend, path: str, document: object):
    backend.refusal = TooManyRequests(7)
    response = client.post(path, json=document, headers=BEARER)
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(("path", "document"), INTEGRATIONS)
def test_what_cannot_be_stored_is_to_be_repeated(client: Client, backend: Backend, path: str, document: object):
    backend.trouble = StorageUnavailable(5)
    assert client.post(path, json=document, headers=BEARER).status_code == 503


@pytest.mark.parametrize("path", [path for path, _ in INTEGRATIONS])
def test_what_is_no_json_is_refused(client: Client, path: str):
    assert client.post(path, content=b'{"routing_key": ', headers=BEARER).status_code == 400


def test_of_very_many_events_each_is_done_and_the_response_names_the_first(client: Client, backend: Backend):
    alerts = [{"fingerprint": "ä" * 200 + str(number)} for number in range(3_000)]
    response = client.post("/v1/alertmanager", json={"alerts": [*alerts, *[0] * 1_000]}, headers=BEARER)
    assert (response.status_code, len(backend.requests)) == (202, 3_000)
    document = response.json()
    assert (len(document["accepted"]), document["accepted_count"], len(document["faults"]), document["fault_count"]) == (
        20,
        3_000,
        2,
        1_000,
    )
    assert len(response.content) < 64 * 1024


def test_where_nothing_can_be_read_the_response_is_as_short(client: Client, backend: Backend):
    response = client.post("/v1/cloudevents", json=[{"x" * 1_000: number} for number in range(3_000)], headers=BEARER)
    assert (response.status_code, len(response.json()["faults"])) == (400, 21)
    assert response.json()["detail"] == "Nothing was done: 9,000 faults." or response.json()["faults"][-1]["what"].startswith(
        "8,980 more"
    )
    assert len(response.content) < 64 * 1024


def test_a_body_has_a_limit(client: Client):
    assert client.post("/v1/alertmanager", content=b" " * (16 * 1024 * 1024 + 1), headers=BEARER).status_code == 413
    assert client.post("/v2/enqueue", content=b" " * (512 * 1024 + 1)).status_code == 413


anything = strategies.json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100)
headers = st.dictionaries(
    st.sampled_from(("ce-id", "ce-source", "ce-type", "ce-ext", "content-type")),
    st.text('abc%"\\éÿ /+', max_size=9).map(lambda value: value.encode("latin-1")),
)


BACKEND = Backend()
ANSWERING = client_of(BACKEND)  # once: building costs more than asking


@settings(max_examples=60)
@given(anything, headers)
def test_anything_with_a_good_key_is_refused_as_unreadable_or_accepted(body: bytes, more: dict[str, bytes]):
    for path in ("/v1/alertmanager", "/v1/cloudevents"):
        BACKEND.requests.clear()
        response = ANSWERING.post(path, content=body, headers=[*more.items(), *BEARER.items()])
        is_nothing = response.json().get("accepted_count") == response.json().get("fault_count") == 0  # a batch without an event
        assert (response.status_code, bool(BACKEND.requests) or is_nothing) in ((400, False), (202, True))
        assert all(validate_incident(request.incident) == () for request, *_ in BACKEND.requests)


def test_a_dedup_key_that_no_text_can_hold_comes_back_as_it_was(client: Client):
    response = client.post("/v2/enqueue", content=json.dumps({**TRIGGER, "dedup_key": "\ud800"}).encode())
    assert (response.status_code, response.json()["dedup_key"]) == (202, "\ud800")


@settings(max_examples=60)
@given(strategies.pagerduty_events)
def test_any_event_with_a_good_key_is_refused_as_unreadable_or_accepted(event: dict[str, object]):
    BACKEND.requests.clear()
    response = ANSWERING.post("/v2/enqueue", content=json.dumps({**event, "routing_key": API_KEY}).encode())
    assert (response.status_code, bool(BACKEND.requests)) in ((400, False), (202, True))
