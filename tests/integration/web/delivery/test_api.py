"""The API in front of a real flow over both databases; every response is validated against the published document."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Contact, Evidence, Receipt, Result, Severity
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.limits.claim import claim
from notifyflow.settings import Settings
from notifyflow.web.frame.problems import MEDIA_TYPE
from tests.asgi import Client
from tests.builders import ALL_SCOPES, CountingIds, HandClock
from tests.integration.channels.benches import WEBHOOK_SECRET
from tests.leases import record_one
from tests.published import Published

ADA = {"id": "ada", "name": "Ada", "email": "ada@example.com", "phone": "+15005550006"}
BEN = {"id": "ben", "email": "ben@example.com"}
A_MINUTE = 1000


class SilentBell:
    """Rings for no one, so that due notifications stay due."""

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        del channel, severity, rings


class Api:
    """A flow that delivers nothing by itself, and a client whose key has every scope."""

    def __init__(self, flow: NotifyFlow, clock: HandClock) -> None:
        self.flow = flow
        self.clock = clock
        _, key = flow.access().create("api", ALL_SCOPES, valid_for=None)
        self.client = Published(flow.asgi(), key)

    def get(self, path: str, **query: Any) -> Any:
        response = self.client.get(f"{path}?{httpx.QueryParams(query)}" if query else path)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: object, status: int = 200, **headers: str) -> Any:
        response = self.client.post(path, json=body, headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    def submit(self, key: str = "db-1", *recipients: dict[str, str], status: int = 201, **fields: Any) -> Any:
        return self.post("/v1/incidents", {"key": key, "title": "down", "recipients": recipients or (ADA,), **fields}, status)

    def send(self, channel: str, outcome: Outcome) -> None:
        """Send the due notifications of a channel, as a worker would."""
        deps = self.flow._deps
        for claimed in claim(deps, channel, (), limit=9, providers=("pigeon",), reporting=()).claimed:
            record_one(deps, claimed, outcome)


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    settings = Settings.from_variables(
        {
            "NOTIFYFLOW_DATABASE_URL": database_url,
            "NOTIFYFLOW_API_REQUESTS_A_MINUTE": str(A_MINUTE),
            "NOTIFYFLOW_WEBHOOKS": json.dumps({"status": {"url": "https://status.example.com", "secrets": [WEBHOOK_SECRET]}}),
        }
    )
    clock = HandClock()
    with NotifyFlow(settings, clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield Api(flow, clock)


def test_an_incident_is_stored_and_shown_whole(api: Api):
    fields = {"severity": "CRITICAL", "labels": {"team": "orders"}, "url": "https://grafana.example/d", "body": "Writes fail."}
    submitted = api.submit("db-1", ADA, BEN, **fields)
    assert (submitted["is_new"], submitted["added"], submitted["faults"]) == (True, ["ada", "ben"], [])
    shown = api.get(f"/v1/incidents/{submitted['incident_id']}")
    assert {name: shown[name] for name in fields} == fields
    assert (shown["state"], shown["is_settled"], shown["opened_at"]) == ("OPEN", False, "2026-11-25T03:00:00Z")
    assert [each["recipient"] for each in shown["escalations"]] == ["ada", "ben"]
    assert {each["state"] for each in shown["escalations"][0]["notifications"]} == {"QUEUED"}
    assert shown["transitions"][0] | {"at": "", "row": ""} == {
        **{"at": "", "row": "", "machine": "incident", "event": "opened"},
        **{"source": None, "target": "OPEN", "detail": {}},
    }


def test_the_state_of_an_incident_is_shown(api: Api):
    response = api.client.post("/v1/incidents", json={"key": "db-1", "title": "down", "recipients": [ADA]})
    assert response.headers["location"] == f"incidents/{response.json()['incident_id']}"


def test_attempts_are_shown_with_their_results(api: Api):
    incident_id = api.submit()["incident_id"]
    api.send("email", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED, provider_ref="r1"))
    (page,) = api.get(f"/v1/incidents/{incident_id}")["escalations"][0]["notifications"]
    assert page["state"] == "SENT"
    (attempt,) = page["attempts"]
    assert (attempt["provider"], attempt["result"], attempt["evidence"], attempt["provider_ref"]) == (
        *("pigeon", "accepted"),
        *("accepted", "r1"),
    )


def test_a_providers_note_is_shown_with_its_attempt(api: Api):
    path = f"/v1/incidents/{api.submit()['incident_id']}"
    api.send("email", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    attempt_id = api.get(path)["escalations"][0]["notifications"][0]["attempts"][0]["id"]
    complaint = Receipt(
        provider="pigeon", event_id="e", result=None, attempt_id=attempt_id, code="complaint", reason="they complained"
    )
    receive(api.flow._deps, complaint, raw="")
    assert api.get(path)["notes"] == [
        {"attempt": attempt_id, "code": "complaint", "reason": "they complained", "received_at": "2026-11-25T03:00:00Z"}
    ]


def test_incident_events_to_other_systems_are_shown(api: Api):
    path = f"/v1/incidents/{api.submit()['incident_id']}"
    api.send("webhook", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    (event,) = api.get(path)["incident_events"]
    assert (event["subscriber"], event["event"], event["at"]) == ("status", "opened", "2026-11-25T03:00:00Z")
    assert (event["notification"]["kind"], event["notification"]["state"]) == ("incident_event", "SENT")


def test_a_repeated_key_is_counted_and_pages_nobody_again(api: Api):
    first, again = api.submit(), api.submit(status=200)
    assert (again["incident_id"], again["is_new"], again["repeated"]) == (first["incident_id"], False, ["ada"])


@pytest.mark.parametrize("left_out", [{}, {"body": None, "url": None, "labels": None, "source": None}])
def test_a_field_left_out_keeps_its_value_and_an_empty_one_is_emptied(api: Api, left_out: dict[str, Any]):
    fields = {"labels": {"team": "orders"}, "url": "https://grafana.example/d", "body": "Writes fail.", "source": "probe"}
    path = f"/v1/incidents/{api.submit(**fields)['incident_id']}"
    api.submit(status=200, **left_out)
    assert {name: api.get(path)[name] for name in fields} == fields
    api.submit(status=200, labels={}, url="", body="", source="")
    assert {name: api.get(path)[name] for name in fields} == {"labels": {}, "url": None, "body": None, "source": None}


@pytest.mark.parametrize("left_out", [{}, {"timezone": None, "quiet": None, "channels": None, "phone": None}])
def test_what_is_left_out_of_a_recipient_stays_and_what_is_empty_is_removed(api: Api, left_out: dict[str, Any]):
    def ada(status: int = 200, **fields: Any) -> Contact:
        api.submit("db-1", {"id": "ada", "email": "ada@example.com", **fields}, status=status)
        (escalation,) = api.flow.status("db-1").escalations
        return escalation.contact

    full = ada(201, timezone="Asia/Tokyo", quiet="22:00-07:00", channels={"ERROR": ["email"]}, phone="+15005550006")
    assert (full.timezone, full.quiet, full.channels) == ("Asia/Tokyo", "22:00-07:00", {"ERROR": ("email",)})
    assert ada(**left_out) == full
    assert ada(timezone="", quiet="", channels={}, phone="") == Contact(
        recipient_id="ada", name="ada", addresses={"email": "ada@example.com"}
    )


def test_an_invalid_recipient_is_a_fault_and_the_others_are_paged(api: Api):
    submitted = api.submit("db-1", {"id": "eve", "email": "nonsense"}, BEN)
    assert [fault["where"] for fault in submitted["faults"]] == ["recipients[0].email"]
    assert "nonsense" not in json.dumps(submitted)
    assert submitted["added"] == ["eve", "ben"]


def test_all_faults_are_listed_at_once(api: Api):
    recipients = [{"id": "eve", "email": "nonsense"}, {"id": "ben", "sms": "1"}]
    body = {"key": "", "titel": "x", "severity": "BAD", "recipients": recipients, "policy": "nope"}
    problem = api.post("/v1/incidents", body, 422)
    assert problem["type"] == "urn:notifyflow:problem:invalid"
    places = ["titel", "title", "severity", "recipients[1].sms", "key", "recipients[0].email", "policy"]
    assert [fault["where"] for fault in problem["faults"]] == places
    assert all(fault["what"] and fault["remedy"] for fault in problem["faults"])


def test_text_that_cannot_be_encoded_is_a_fault(api: Api):
    headers = {"content-type": "application/json"}
    for named, status in (
        ('"\\ud800": 1', 422),
        ('"recipients": [{"id": "eve", "email": "e@example.com", "addresses": {"\\ud800": "x"}}]', 201),
    ):
        response = api.client.post("/v1/incidents", content=f'{{"key": "db-1", "title": "down", {named}}}', headers=headers)
        assert response.status_code == status
        assert any("\ufffd" in fault["where"] for fault in response.json()["faults"])


def test_an_unknown_policy_is_listed_with_the_other_faults(api: Api):
    problem = api.submit("db-1", {"id": "eve", "email": "nonsense"}, status=422, policy="nope")
    assert [fault["where"] for fault in problem["faults"]] == ["recipients", "recipients[0].email", "policy"]
    problem = api.submit("db-1", BEN, {"id": "eve", "email": "nonsense"}, status=422, policy="nope")
    assert [fault["where"] for fault in problem["faults"]] == ["recipients[1].email", "policy"]


def test_a_strict_request_is_refused_for_one_fault(api: Api):
    api.submit("db-1", BEN, {"id": "eve", "email": "nonsense"}, status=422, strict=True)
    assert api.get("/v1/incidents")["incidents"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_cannot_be_parsed_is_400(api: Api, body: bytes):
    response = api.client.post("/v1/incidents", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (400, "urn:notifyflow:problem:unreadable")


@pytest.mark.parametrize("kind", [{}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}])
def test_a_body_without_the_json_content_type_is_415(api: Api, kind: dict[str, str]):
    response = api.client.post("/v1/incidents", content=b"{}", headers=kind)
    assert (response.status_code, response.headers["accept"]) == (415, "application/json")


def test_a_large_body_is_refused(api: Api):
    headers = {"content-type": "application/json; charset=utf-8"}
    response = api.client.post("/v1/incidents", content=b" " * (1024 * 1024 + 1), headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (413, MEDIA_TYPE)


def test_a_repeated_request_does_nothing_and_gets_the_same_response(api: Api):
    body = {"key": "db-1", "title": "down", "recipients": [BEN, {"id": "eve", "email": "nonsense"}]}
    first = api.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"})
    assert api.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"}) == first
    assert api.get(f"/v1/incidents/{first['incident_id']}")["times_seen"] == 1
    assert api.post("/v1/incidents", body, 200, **{"Idempotency-Key": "another"})["is_new"] is False


def test_another_request_under_the_same_idempotency_key_is_refused(api: Api):
    body = {"key": "db-1", "title": "down", "recipients": [BEN]}
    api.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"})
    problem = api.post("/v1/incidents", body | {"title": "up"}, 422, **{"Idempotency-Key": "k"})
    assert problem["type"] == "urn:notifyflow:problem:idempotency-mismatch"


def test_a_refused_request_can_be_corrected_under_its_idempotency_key(api: Api):
    api.post("/v1/incidents", {"key": "db-1"}, 422, **{"Idempotency-Key": "k"})
    api.post("/v1/incidents", {"key": "db-1", "title": "down", "recipients": [BEN]}, 201, **{"Idempotency-Key": "k"})


def test_an_idempotency_key_expires_after_a_day(api: Api):
    body = {"key": "db-1", "title": "down", "recipients": [BEN]}
    api.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"})
    api.clock.pass_time(timedelta(hours=24))
    assert api.post("/v1/incidents", body, 200, **{"Idempotency-Key": "k"})["repeated"] == ["ben"]


def test_idempotency_keys_belong_to_an_api_key(api: Api):
    body = {"key": "db-1", "title": "down", "recipients": [BEN]}
    api.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"})
    _, api.client.key = api.flow.access().create("other", ALL_SCOPES, valid_for=None, namespace="api")
    api.post("/v1/incidents", body | {"title": "up"}, 200, **{"Idempotency-Key": "k"})


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_has_a_length_limit(api: Api, key: str):
    problem = api.post("/v1/incidents", {"key": "db-1", "recipients": [BEN]}, 422, **{"Idempotency-Key": key})
    assert [fault["where"] for fault in problem["faults"]] == ["idempotency-key", "title"]  # all faults at once
    assert api.submit("db-1", BEN, status=201)["is_new"]


def test_pages_of_a_list_show_each_incident_once(api: Api):
    made = [api.submit(f"db-{number}")["incident_id"] for number in range(5)]
    seen, query = [], {"limit": 2}
    while True:
        page = api.get("/v1/incidents", **query)
        seen += [each["id"] for each in page["incidents"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        api.submit(f"new-{len(seen)}")
    assert seen == made[::-1]


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"a", "b", "c"}),
    ({"state": "RESOLVED"}, {"a"}),
    ({"state": ["OPEN", "RESOLVED"]}, {"a", "b", "c"}),
    ({"state": "ACKNOWLEDGED"}, set()),
    ({"severity": "CRITICAL"}, {"b"}),
    ({"severity": "critical"}, {"b"}),
    ({"severity": "CRITICAL", "state": "RESOLVED"}, set()),
    ({"key": "c"}, {"c"}),
    ({"key": "A"}, set()),
    ({"label": "team:orders"}, {"a", "b"}),
    ({"label": "team:Orders"}, set()),
    ({"label": "team:order"}, set()),
    ({"label": "am:orders"}, set()),
    ({"label": ["team:orders", "x:%_:"]}, {"b"}),
    ({"label": 'q"x:ü"'}, {"b"}),
    ({"label": 'x":ü"'}, set()),
    ({"label": 'said:"team":"orders"'}, {"c"}),
    ({"recipient": "ada"}, {"a", "b", "c"}),
    ({"recipient": "nobody"}, set()),
    ({"text": "B"}, {"b"}),
    ({"text": "nothing"}, set()),
    ({"since": "1970-01-01T00:00:00Z", "until": "2026-11-25T04:00:00+01:00"}, set()),
    ({"until": "2026-11-25T03:00:01Z"}, {"a", "b", "c"}),
]


@pytest.fixture
def three(api: Api) -> Api:
    first = api.submit("a", labels={"team": "orders"})
    api.submit("b", severity="CRITICAL", labels={"x": "%_:", "team": "orders", 'q"x': 'ü"'})
    api.submit("c", labels={"said": '"team":"orders"'})
    api.post(f"/v1/incidents/{first['incident_id']}/resolve", {})
    return api


def test_filters_match_exactly(three: Api):
    for query, expected in FILTERS:
        found = {each["key"] for each in three.get("/v1/incidents", **query)["incidents"]}
        assert found == expected, query


BAD_QUERIES = {
    "state=open": "state[0]",
    "severity=LOW": "severity[0]",
    "label=team": "label[0]",
    "limit=0": "limit",
    "limit=201": "limit",
    "limit=x": "limit",
    "cursor=x": "cursor",
    "since=2026-11-25T03:00:00": "since",
    "status=OPEN": "status",
}


def test_the_message_log_is_read_page_by_page_within_the_namespace_of_the_key(api: Api):
    incident_id = api.submit("a", ADA, BEN)["incident_id"]
    api.submit("b")
    api.send("email", Outcome(result=Result.PERMANENT_FAILURE, code="550", reason="there is no such mailbox"))
    failed = api.get("/v1/messages", state="FAILED", key="a", text="mailbox")["messages"]
    assert {(each["recipient"], each["incident_id"], each["attempts"][0]["code"]) for each in failed} == {
        ("ada", incident_id, "550"),
        ("ben", incident_id, "550"),
    }
    assert all("@" not in each["address"] for each in failed)
    seen, query = [], {"limit": 1, "channel": "email"}
    while True:
        page = api.get("/v1/messages", **query)
        seen += [(each["key"], each["recipient"]) for each in page["messages"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(seen) == [("a", "ada"), ("a", "ben"), ("b", "ada")]
    assert page["searched_to"] is None
    assert api.client.get(f"/v1/messages?channel=sms&cursor={query['cursor']}").status_code == 422
    assert api.get("/v1/messages", namespace="another")["messages"] == []
    for empty in ({"provider": "none"}, {"evidence": "human"}, {"provider_ref": "none"}, {"since": "2026-11-25T04:00:00Z"}):
        assert api.get("/v1/messages", **empty)["messages"] == [], empty


def test_an_invalid_query_is_a_fault(api: Api):
    for query, where in BAD_QUERIES.items():
        response = api.client.get(f"/v1/incidents?{query}")
        assert response.status_code == 422
        assert [fault["where"] for fault in response.json()["faults"]] == [where]
    assert response.json()["faults"][0]["what"] == "it is not a known field"


def test_a_cursor_belongs_to_its_list(api: Api):
    for key in ("a", "b"):
        api.submit(key)
    cursor = api.get("/v1/incidents", limit=1)["next_cursor"]
    for path in (f"/v1/incidents?key=a&cursor={cursor}", f"/v1/recipients?cursor={cursor}"):
        assert api.client.get(path).status_code == 422


def test_an_incident_is_acknowledged_once_under_the_given_name(api: Api):
    path = f"/v1/incidents/{api.submit()['incident_id']}/acknowledge"
    done = api.post(path, {"by": "ada"})
    assert done["has_changed"] is True
    assert {name: done["incident"][name] for name in ("state", "acknowledged_by", "acknowledged_via")} == {
        "state": "ACKNOWLEDGED",
        "acknowledged_by": "ada",
        "acknowledged_via": "api",
    }
    assert api.post(path, {"by": "ben"})["has_changed"] is False


@pytest.mark.parametrize("act", ["acknowledge", "resolve"])
def test_an_act_lists_cancelled_and_sent_pages(api: Api, act: str):
    path = f"/v1/incidents/{api.submit('db-1', ADA)['incident_id']}"
    api.send("email", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    api.submit("db-1", BEN, status=200)
    ada, ben = (each["notifications"][0]["id"] for each in api.get(path)["escalations"])
    done = api.post(f"{path}/{act}", {})
    assert done["cancelled"] == [{"recipient": "ben", "channel": "email", "notification": ben}]
    assert done["on_their_way"] == [{"recipient": "ada", "channel": "email", "notification": ada}]
    again = api.post(f"{path}/{act}", {})
    assert (again["has_changed"], again["cancelled"], again["on_their_way"]) == (False, [], [])


def test_an_act_without_a_name_is_recorded_under_the_api_keys_name(api: Api):
    path = f"/v1/incidents/{api.submit()['incident_id']}/resolve"
    response = api.client.post(path)
    assert (response.status_code, response.json()["incident"]["resolved_by"]) == (200, "api")
    assert api.post(path, {})["has_changed"] is False


def test_a_recipient_can_be_paged_again_after_an_acknowledgement(api: Api):
    path = f"/v1/incidents/{api.submit('db-1', ADA, BEN)['incident_id']}"
    api.post(f"{path}/acknowledge", {})
    assert api.post(f"{path}/page-again", {"recipient": "ben"})["incident"]["state"] == "OPEN"
    rounds = [(each["recipient"], each["round"]) for each in api.get(path)["escalations"]]
    assert rounds == [("ada", 1), ("ben", 1), ("ben", 2)]


def test_paging_again_needs_a_recipient_and_an_unresolved_incident(api: Api):
    path = f"/v1/incidents/{api.submit()['incident_id']}"
    assert api.post(f"{path}/page-again", {"recipient": "eve"}, 404)["type"] == "urn:notifyflow:problem:no-such-recipient"
    assert [fault["where"] for fault in api.post(f"{path}/page-again", {"who": "eve"}, 422)["faults"]] == ["who", "recipient"]
    api.post(f"{path}/resolve", {})
    assert api.post(f"{path}/page-again", {"recipient": "ada"}, 409)["type"] == "urn:notifyflow:problem:incident-resolved"


def test_an_unknown_id_is_404(api: Api):
    for path in ("/v1/incidents/nope", "/v1/recipients/nope"):
        assert api.client.get(path).status_code == 404
    for act in ("acknowledge", "resolve"):
        api.post(f"/v1/incidents/nope/{act}", {}, 404)
    api.post("/v1/incidents/nope/page-again", {"recipient": "ada"}, 404)


def test_the_body_of_an_act_is_validated(api: Api):
    path = f"/v1/incidents/{api.submit()['incident_id']}/acknowledge"
    assert [fault["where"] for fault in api.post(path, {"by": 3, "force": True}, 422)["faults"]] == ["force", "by"]
    assert api.client.post(path, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert api.client.post(path, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert api.client.post(path, content=b" " * 20_000, headers={"content-type": "application/json"}).status_code == 413


def test_a_recipient_is_shown_with_the_last_page_over_each_channel(api: Api):
    api.submit("old", ADA)
    api.send("email", Outcome(result=Result.PERMANENT_FAILURE, code="550", reason="there is no such address"))
    wishes = {"timezone": "Europe/London", "channels": {"WARNING": ["sms", "email"]}}
    api.submit("new", ADA | {"name": "Ada Lovelace", **wishes})
    shown = api.get("/v1/recipients/ada")
    assert (shown["quiet"], shown["channels"]) == (None, wishes["channels"])
    assert (shown["id"], shown["name"], shown["timezone"]) == ("ada", "Ada Lovelace", "Europe/London")
    ways = {way["channel"]: way for way in shown["ways"]}
    assert set(ways) == {"email", "sms", "voice"}
    assert ways["email"]["last_page"]["attempts"][0]["code"] == "550"
    assert ways["sms"]["last_page"] is None
    assert {way["verdict"] for way in ways.values()} == {"fails"}  # no channel has a provider here
    assert shown["is_reachable"] is False
    assert "ada@example.com" not in json.dumps(shown)
    assert "5550006" not in json.dumps(shown)


def test_a_recipient_who_texted_stop_cannot_be_reached_by_text(sqlite_url: str):
    numbers = {"ACCOUNT_SID": "AC" + "0" * 32, "AUTH_TOKEN": "t", "SMS_FROM": "+15005550001", "VOICE_FROM": "+15005550001"}
    variables = {f"NOTIFYFLOW_TWILIO_{name}": value for name, value in numbers.items()} | {"NOTIFYFLOW_DATABASE_URL": sqlite_url}
    with NotifyFlow(Settings.from_variables(variables), bell=SilentBell()) as flow:
        api = Api(flow, HandClock())
        api.submit("db-1", {"id": "ada", "phone": "+15005550006"}, {"id": "ben", "phone": "+15005550009"})
        flow._store.run(lambda ledger: ledger.replies.opt_out("+15005550001", "+15005550006", at=api.clock.now()))
        ways = {each["id"]: {way["channel"]: way for way in each["ways"]} for each in api.get("/v1/recipients")["recipients"]}
        assert (ways["ada"]["sms"]["verdict"], ways["ada"]["sms"]["providers"]) == ("fails", [])
        assert (ways["ada"]["voice"]["verdict"], ways["ada"]["voice"]["providers"]) == ("untried", ["twilio"])
        assert ways["ben"]["sms"]["verdict"] == "untried"


def test_old_pages_do_not_count_for_reachability(api: Api):
    api.submit("old", ADA)
    api.send("email", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    api.clock.pass_time(timedelta(days=31))
    assert {way["last_page"] for way in api.get("/v1/recipients/ada")["ways"]} == {None}


def test_recipients_are_listed_page_by_page_by_id(api: Api):
    api.submit("a", ADA, BEN)
    api.submit("b", BEN, {"id": "a/b c", "email": "c@example.com"})
    first = api.get("/v1/recipients", limit=2)
    second = api.get("/v1/recipients", limit=2, cursor=first["next_cursor"])
    assert [each["id"] for page in (first, second) for each in page["recipients"]] == ["a/b c", "ada", "ben"]
    assert second["next_cursor"] is None


def test_a_recipients_id_may_have_any_characters(api: Api):
    api.submit("b", {"id": "a/b c", "email": "c@example.com"})
    assert (
        Client(api.client.application)
        .request("GET", "/v1/recipients/a%2Fb%20c", headers={"authorization": f"Bearer {api.client.key}"})
        .json()["id"]
        == "a/b c"
    )


def test_it_is_ready_while_a_process_sweeps(api: Api):
    assert [fault["where"] for fault in api.client.get("/readyz").json()["faults"]] == ["sweeping"]
    sweep(api.flow._deps)
    assert api.get("/readyz") == {"is_ready": True, "is_degraded": False, "faults": []}
    api.clock.pass_time(timedelta(seconds=61))
    assert api.client.get("/readyz").status_code == 503
    assert api.get("/readyz", exclude="sweeping")["is_ready"] is True


def test_it_is_not_ready_without_its_tables(sqlite_url: str):
    with NotifyFlow(Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url}), bell=SilentBell()) as flow:
        client = Published(flow.asgi())
        sweep(flow._deps)
        for statement, where in {
            "UPDATE notifyflow_migration SET version = version + 1, oldest = version + 1": "schema",
            "UPDATE notifyflow_migration SET version = version - 2, oldest = 1": "schema",
            "UPDATE notifyflow_migration SET version = version + 1": None,
            "DROP TABLE notifyflow_outage": "database",
        }.items():
            database = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
            database.execute(statement)
            database.close()
            response = client.get("/readyz")
            assert [fault["where"] for fault in response.json()["faults"]] == ([where] if where else [])
            assert response.status_code == (503 if where else 200)


def test_a_request_names_who_is_next(api: Api) -> None:
    then = [{"after": "10m", "to": [BEN]}, {"to": ["operations"]}]
    response = api.submit(then=then)
    steps = api.flow.status("db-1").steps
    assert [(step.to, step.after) for step in steps] == [
        (("ada",), timedelta()),
        (("ben",), timedelta(minutes=10)),
        (("operations",), timedelta(minutes=15)),
        ((), timedelta(minutes=15)),
    ]
    assert response["added"] == ["ada"]
    api.submit(key="db-2", then=then, over_after="30m")
    assert [step.after for step in api.flow.status("db-2").steps][-1] == timedelta(minutes=30)
    problem = api.submit(key="db-3", over_after="30m", status=422)
    assert [each["where"] for each in problem["faults"]] == ["over_after"]


def test_every_fault_of_a_chain_is_named_with_the_others(api: Api) -> None:
    then = [{"after": "0s", "to": []}, {"after": "soon", "to": ["@primary"]}]
    problem = api.submit(then=then, title="", status=422)
    assert [each["where"] for each in problem["faults"]] == [
        "then[1].after",
        "title",
        "then[0].after",
        "then[0].to",
        "then[1].to[0]",
    ]
