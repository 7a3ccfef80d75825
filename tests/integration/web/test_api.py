"""The API in front of a real flow over both databases; every answer is held against the published document."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.facts import Outcome
from notifyflow.core.keys import Scope
from notifyflow.core.model import Evidence, Receipt, Result, Severity
from notifyflow.pipeline.claim import claim
from notifyflow.pipeline.receive import receive
from notifyflow.pipeline.record import record
from notifyflow.pipeline.sweep import sweep
from notifyflow.settings import Settings
from notifyflow.web.problems import MEDIA_TYPE
from tests.asgi import Client
from tests.builders import CountingIds, HandClock
from tests.integration.channels.benches import WEBHOOK_SECRET
from tests.published import Published

ADA = {"id": "ada", "name": "Ada", "email": "ada@example.com", "phone": "+15005550006"}
BEN = {"id": "ben", "email": "ben@example.com"}
A_MINUTE = 1000


class SilentBell:
    """Rings for nobody: what is due stays due."""

    def ring(self, channel: str, severity: Severity, notification_ids: Sequence[str]) -> None:
        del channel, severity, notification_ids


class Desk:
    """A flow that delivers nothing by itself, and a client that holds a key for everything."""

    def __init__(self, flow: NotifyFlow, clock: HandClock) -> None:
        self.flow = flow
        self.clock = clock
        _, key = flow.access().create("desk", list(Scope), valid_for=None)
        self.client = Published(flow.asgi(), key)

    def get(self, path: str, **query: Any) -> Any:
        response = self.client.get(f"{path}?{httpx.QueryParams(query)}" if query else path)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: object, status: int = 200, **headers: str) -> Any:
        response = self.client.post(path, json=body, headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    def submit(self, key: str = "db-1", *recipients: dict[str, str], status: int = 201, **said: Any) -> Any:
        return self.post("/v1/incidents", {"key": key, "title": "down", "recipients": recipients or (ADA,), **said}, status)

    def send(self, channel: str, outcome: Outcome) -> None:
        """Carry what is due on a channel, as a worker would."""
        deps = self.flow._deps
        for claimed in claim(deps, channel, (), limit=9, providers=("pigeon",), reporting=()).claimed:
            record(deps, claimed.attempt_id, claimed.token, outcome)


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    settings = Settings.from_variables(
        {
            "NOTIFYFLOW_DATABASE_URL": database_url,
            "NOTIFYFLOW_API_REQUESTS_A_MINUTE": str(A_MINUTE),
            "NOTIFYFLOW_WEBHOOKS": json.dumps({"status": {"url": "https://status.example.com", "secrets": [WEBHOOK_SECRET]}}),
        }
    )
    clock = HandClock()
    with NotifyFlow(settings, clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield Desk(flow, clock)


def test_an_incident_is_taken_and_shown_whole(desk: Desk):
    said = {"severity": "CRITICAL", "labels": {"team": "orders"}, "url": "https://grafana.example/d", "body": "Writes fail."}
    taken = desk.submit("db-1", ADA, BEN, **said)
    assert (taken["is_new"], taken["added"], taken["faults"]) == (True, ["ada", "ben"], [])
    shown = desk.get(f"/v1/incidents/{taken['incident_id']}")
    assert {name: shown[name] for name in said} == said
    assert (shown["state"], shown["is_settled"], shown["opened_at"]) == ("OPEN", False, "2026-11-25T03:00:00Z")
    assert [each["recipient"] for each in shown["escalations"]] == ["ada", "ben"]
    assert {each["state"] for each in shown["escalations"][0]["notifications"]} == {"QUEUED"}
    assert shown["log"][0] | {"at": "", "row": ""} == {
        **{"at": "", "row": "", "machine": "incident", "event": "opened"},
        **{"source": "", "target": "OPEN", "detail": {}},
    }


def test_where_it_stands_is_told(desk: Desk):
    response = desk.client.post("/v1/incidents", json={"key": "db-1", "title": "down", "recipients": [ADA]})
    assert response.headers["location"] == f"incidents/{response.json()['incident_id']}"


def test_attempts_are_shown_with_what_became_of_them(desk: Desk):
    incident_id = desk.submit()["incident_id"]
    desk.send("email", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED, provider_ref="r1"))
    (page,) = desk.get(f"/v1/incidents/{incident_id}")["escalations"][0]["notifications"]
    assert page["state"] == "SENT"
    (attempt,) = page["attempts"]
    assert (attempt["provider"], attempt["result"], attempt["evidence"], attempt["provider_ref"]) == (
        *("pigeon", "accepted"),
        *("accepted", "r1"),
    )


def test_what_a_provider_notes_is_shown_with_the_attempt_it_is_about(desk: Desk):
    path = f"/v1/incidents/{desk.submit()['incident_id']}"
    desk.send("email", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    attempt_id = desk.get(path)["escalations"][0]["notifications"][0]["attempts"][0]["id"]
    complaint = Receipt(
        provider="pigeon", event_id="e", result=None, attempt_id=attempt_id, code="complaint", reason="they complained"
    )
    receive(desk.flow._deps, complaint, raw="")
    assert desk.get(path)["notes"] == [
        {"attempt": attempt_id, "code": "complaint", "reason": "they complained", "received_at": "2026-11-25T03:00:00Z"}
    ]


def test_what_other_systems_are_told_is_shown(desk: Desk):
    path = f"/v1/incidents/{desk.submit()['incident_id']}"
    desk.send("webhook", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    (event,) = desk.get(path)["incident_events"]
    assert (event["subscriber"], event["event"], event["at"]) == ("status", "opened", "2026-11-25T03:00:00Z")
    assert (event["notification"]["kind"], event["notification"]["state"]) == ("incident_event", "SENT")


def test_the_same_key_again_is_heard_and_pages_nobody_again(desk: Desk):
    first, again = desk.submit(), desk.submit(status=200)
    assert (again["incident_id"], again["is_new"], again["repeated"]) == (first["incident_id"], False, ["ada"])


@pytest.mark.parametrize("left_out", [{}, {"body": None, "url": None, "labels": None, "source": None}])
def test_what_is_not_given_again_is_kept_and_what_is_given_empty_is_emptied(desk: Desk, left_out: dict[str, Any]):
    said = {"labels": {"team": "orders"}, "url": "https://grafana.example/d", "body": "Writes fail.", "source": "probe"}
    path = f"/v1/incidents/{desk.submit(**said)['incident_id']}"
    desk.submit(status=200, **left_out)
    assert {name: desk.get(path)[name] for name in said} == said
    desk.submit(status=200, labels={}, url="", body="", source="")
    assert {name: desk.get(path)[name] for name in said} == {"labels": {}, "url": None, "body": "", "source": ""}


def test_a_bad_recipient_silences_nobody_and_is_a_fault(desk: Desk):
    taken = desk.submit("db-1", {"id": "eve", "email": "nonsense"}, BEN)
    assert [fault["where"] for fault in taken["faults"]] == ["recipients[0].email"]
    assert "nonsense" not in json.dumps(taken)
    assert taken["added"] == ["eve", "ben"]


def test_everything_that_is_wrong_is_listed_at_once(desk: Desk):
    recipients = [{"id": "eve", "email": "nonsense"}, {"id": "ben", "sms": "1"}]
    body = {"key": "", "titel": "x", "severity": "BAD", "recipients": recipients, "policy": "nope"}
    problem = desk.post("/v1/incidents", body, 422)
    assert problem["type"] == "urn:notifyflow:problem:invalid"
    places = ["titel", "title", "severity", "recipients[1].sms", "key", "recipients[0].email", "policy"]
    assert [fault["where"] for fault in problem["faults"]] == places
    assert all(fault["what"] and fault["remedy"] for fault in problem["faults"])


def test_what_no_text_can_hold_is_a_fault_all_the_same(desk: Desk):
    headers = {"content-type": "application/json"}
    for named, status in (
        ('"\\ud800": 1', 422),
        ('"recipients": [{"id": "eve", "email": "e@example.com", "addresses": {"\\ud800": "x"}}]', 201),
    ):
        response = desk.client.post("/v1/incidents", content=f'{{"key": "db-1", "title": "down", {named}}}', headers=headers)
        assert response.status_code == status
        assert any("\ufffd" in fault["where"] for fault in response.json()["faults"])


def test_an_unknown_policy_is_told_beside_the_rest(desk: Desk):
    problem = desk.submit("db-1", {"id": "eve", "email": "nonsense"}, status=422, policy="nope")
    assert [fault["where"] for fault in problem["faults"]] == ["recipients", "recipients[0].email", "policy"]
    problem = desk.submit("db-1", BEN, {"id": "eve", "email": "nonsense"}, status=422, policy="nope")
    assert [fault["where"] for fault in problem["faults"]] == ["recipients[1].email", "policy"]


def test_strictly_one_fault_refuses_the_whole(desk: Desk):
    desk.submit("db-1", BEN, {"id": "eve", "email": "nonsense"}, status=422, strict=True)
    assert desk.get("/v1/incidents")["incidents"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_cannot_be_parsed_is_400(desk: Desk, body: bytes):
    response = desk.client.post("/v1/incidents", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (400, "urn:notifyflow:problem:unreadable")


@pytest.mark.parametrize("kind", [{}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}])
def test_what_is_not_said_to_be_json_is_415(desk: Desk, kind: dict[str, str]):
    response = desk.client.post("/v1/incidents", content=b"{}", headers=kind)
    assert (response.status_code, response.headers["accept"]) == (415, "application/json")


def test_a_body_is_capped(desk: Desk):
    headers = {"content-type": "application/json; charset=utf-8"}
    response = desk.client.post("/v1/incidents", content=b" " * (1024 * 1024 + 1), headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (413, MEDIA_TYPE)


# -- once


def test_a_request_that_comes_again_does_nothing_and_gets_the_same_response(desk: Desk):
    body = {"key": "db-1", "title": "down", "recipients": [BEN, {"id": "eve", "email": "nonsense"}]}
    first = desk.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"})
    assert desk.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"}) == first
    assert desk.get(f"/v1/incidents/{first['incident_id']}")["times_seen"] == 1
    assert desk.post("/v1/incidents", body, 200, **{"Idempotency-Key": "another"})["is_new"] is False


def test_another_request_under_its_key_is_refused(desk: Desk):
    body = {"key": "db-1", "title": "down", "recipients": [BEN]}
    desk.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"})
    problem = desk.post("/v1/incidents", body | {"title": "up"}, 422, **{"Idempotency-Key": "k"})
    assert problem["type"] == "urn:notifyflow:problem:idempotency-mismatch"


def test_a_request_that_was_refused_may_be_mended_under_its_key(desk: Desk):
    desk.post("/v1/incidents", {"key": "db-1"}, 422, **{"Idempotency-Key": "k"})
    desk.post("/v1/incidents", {"key": "db-1", "title": "down", "recipients": [BEN]}, 201, **{"Idempotency-Key": "k"})


def test_after_a_day_it_is_a_new_request(desk: Desk):
    body = {"key": "db-1", "title": "down", "recipients": [BEN]}
    desk.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"})
    desk.clock.pass_time(timedelta(hours=24))
    assert desk.post("/v1/incidents", body, 200, **{"Idempotency-Key": "k"})["repeated"] == ["ben"]


def test_each_api_key_has_idempotency_keys_of_its_own(desk: Desk):
    body = {"key": "db-1", "title": "down", "recipients": [BEN]}
    desk.post("/v1/incidents", body, 201, **{"Idempotency-Key": "k"})
    _, desk.client.key = desk.flow.access().create("other", list(Scope), valid_for=None, namespace="desk")
    desk.post("/v1/incidents", body | {"title": "up"}, 200, **{"Idempotency-Key": "k"})


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_has_a_length(desk: Desk, key: str):
    problem = desk.post("/v1/incidents", {"key": "db-1", "recipients": [BEN]}, 422, **{"Idempotency-Key": key})
    assert [fault["where"] for fault in problem["faults"]] == ["idempotency-key", "title"]  # all that is wrong, at once
    assert desk.submit("db-1", BEN, status=201)["is_new"]


# -- lists


def test_a_list_goes_on_page_by_page_and_shows_each_once(desk: Desk):
    made = [desk.submit(f"db-{number}")["incident_id"] for number in range(5)]
    seen, query = [], {"limit": 2}
    while True:
        page = desk.get("/v1/incidents", **query)
        seen += [each["id"] for each in page["incidents"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        desk.submit(f"new-{len(seen)}")
    assert seen == made[::-1]


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"a", "b", "c"}),
    ({"state": "RESOLVED"}, {"a"}),
    ({"state": ["OPEN", "RESOLVED"]}, {"a", "b", "c"}),
    ({"state": "ACKNOWLEDGED"}, set()),
    ({"severity": "CRITICAL"}, {"b"}),
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
]


@pytest.fixture
def three(desk: Desk) -> Desk:
    first = desk.submit("a", labels={"team": "orders"})
    desk.submit("b", severity="CRITICAL", labels={"x": "%_:", "team": "orders", 'q"x': 'ü"'})
    desk.submit("c", labels={"said": '"team":"orders"'})
    desk.post(f"/v1/incidents/{first['incident_id']}/resolve", {})
    return desk


def test_filters_leave_out_what_does_not_fit_exactly(three: Desk):
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
    "status=OPEN": "status",
}


def test_a_query_that_is_wrong_is_a_fault(desk: Desk):
    for query, where in BAD_QUERIES.items():
        response = desk.client.get(f"/v1/incidents?{query}")
        assert response.status_code == 422
        assert [fault["where"] for fault in response.json()["faults"]] == [where]
    assert response.json()["faults"][0]["what"] == "it is no field here"


def test_a_cursor_belongs_to_its_list(desk: Desk):
    for key in ("a", "b"):
        desk.submit(key)
    cursor = desk.get("/v1/incidents", limit=1)["next_cursor"]
    for path in (f"/v1/incidents?key=a&cursor={cursor}", f"/v1/recipients?cursor={cursor}"):
        assert desk.client.get(path).status_code == 422


# -- acts


def test_an_incident_is_acknowledged_once_by_whoever_it_is_said_to_be(desk: Desk):
    path = f"/v1/incidents/{desk.submit()['incident_id']}/acknowledge"
    done = desk.post(path, {"by": "ada"})
    assert done["has_changed"] is True
    assert {name: done["incident"][name] for name in ("state", "acknowledged_by", "acknowledged_via")} == {
        "state": "ACKNOWLEDGED",
        "acknowledged_by": "ada",
        "acknowledged_via": "api",
    }
    assert desk.post(path, {"by": "ben"})["has_changed"] is False


@pytest.mark.parametrize("act", ["acknowledge", "resolve"])
def test_what_an_act_stops_is_told_and_what_had_left_already(desk: Desk, act: str):
    path = f"/v1/incidents/{desk.submit('db-1', ADA)['incident_id']}"
    desk.send("email", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    desk.submit("db-1", BEN, status=200)
    ada, ben = (each["notifications"][0]["id"] for each in desk.get(path)["escalations"])
    done = desk.post(f"{path}/{act}", {})
    assert done["cancelled"] == [{"recipient": "ben", "channel": "email", "notification": ben}]
    assert done["on_their_way"] == [{"recipient": "ada", "channel": "email", "notification": ada}]
    again = desk.post(f"{path}/{act}", {})
    assert (again["has_changed"], again["cancelled"], again["on_their_way"]) == (False, [], [])


def test_without_a_name_it_was_the_api_key(desk: Desk):
    path = f"/v1/incidents/{desk.submit()['incident_id']}/resolve"
    response = desk.client.post(path)
    assert (response.status_code, response.json()["incident"]["resolved_by"]) == (200, "desk")
    assert desk.post(path, {})["has_changed"] is False


def test_somebody_is_paged_again_also_after_an_acknowledgement(desk: Desk):
    path = f"/v1/incidents/{desk.submit('db-1', ADA, BEN)['incident_id']}"
    desk.post(f"{path}/acknowledge", {})
    assert desk.post(f"{path}/page-again", {"recipient": "ben"})["incident"]["state"] == "OPEN"
    rounds = [(each["recipient"], each["round"]) for each in desk.get(path)["escalations"]]
    assert rounds == [("ada", 1), ("ben", 1), ("ben", 2)]


def test_nobody_is_paged_who_is_no_recipient_or_for_what_is_over(desk: Desk):
    path = f"/v1/incidents/{desk.submit()['incident_id']}"
    assert desk.post(f"{path}/page-again", {"recipient": "eve"}, 404)["type"] == "urn:notifyflow:problem:no-such-recipient"
    assert [fault["where"] for fault in desk.post(f"{path}/page-again", {"who": "eve"}, 422)["faults"]] == ["who", "recipient"]
    desk.post(f"{path}/resolve", {})
    assert desk.post(f"{path}/page-again", {"recipient": "ada"}, 409)["type"] == "urn:notifyflow:problem:incident-resolved"


def test_what_there_is_not_is_404(desk: Desk):
    for path in ("/v1/incidents/nope", "/v1/recipients/nope"):
        assert desk.client.get(path).status_code == 404
    for act in ("acknowledge", "resolve"):
        desk.post(f"/v1/incidents/nope/{act}", {}, 404)
    desk.post("/v1/incidents/nope/page-again", {"recipient": "ada"}, 404)


def test_what_comes_with_an_act_is_read_as_strictly(desk: Desk):
    path = f"/v1/incidents/{desk.submit()['incident_id']}/acknowledge"
    assert [fault["where"] for fault in desk.post(path, {"by": 3, "force": True}, 422)["faults"]] == ["force", "by"]
    assert desk.client.post(path, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert desk.client.post(path, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert desk.client.post(path, content=b" " * 20_000, headers={"content-type": "application/json"}).status_code == 413


# -- recipients


def test_a_recipient_is_shown_with_what_became_of_the_last_page_on_each_way(desk: Desk):
    desk.submit("old", ADA)
    desk.send("email", Outcome(result=Result.PERMANENT_FAILURE, code="550", reason="there is no such address"))
    desk.submit("new", ADA | {"name": "Ada Lovelace", "timezone": "Europe/London"})
    shown = desk.get("/v1/recipients/ada")
    assert (shown["id"], shown["name"], shown["timezone"]) == ("ada", "Ada Lovelace", "Europe/London")
    ways = {way["channel"]: way for way in shown["ways"]}
    assert set(ways) == {"email", "sms", "voice"}
    assert ways["email"]["last_page"]["attempts"][0]["code"] == "550"
    assert ways["sms"]["last_page"] is None
    assert {way["verdict"] for way in ways.values()} == {"fails"}  # nobody carries any channel here
    assert shown["is_reachable"] is False
    assert "ada@example.com" not in json.dumps(shown)
    assert "5550006" not in json.dumps(shown)


def test_whoever_has_said_stop_is_not_reached_by_text(sqlite_url: str):
    numbers = {"ACCOUNT_SID": "AC" + "0" * 32, "AUTH_TOKEN": "t", "SMS_FROM": "+15005550001", "VOICE_FROM": "+15005550001"}
    variables = {f"NOTIFYFLOW_TWILIO_{name}": value for name, value in numbers.items()} | {"NOTIFYFLOW_DATABASE_URL": sqlite_url}
    with NotifyFlow(Settings.from_variables(variables), bell=SilentBell()) as flow:
        desk = Desk(flow, HandClock())
        desk.submit("db-1", {"id": "ada", "phone": "+15005550006"}, {"id": "ben", "phone": "+15005550009"})
        flow._store.run(lambda ledger: ledger.opt_out("+15005550001", "+15005550006", at=desk.clock.now()))
        ways = {each["id"]: {way["channel"]: way for way in each["ways"]} for each in desk.get("/v1/recipients")["recipients"]}
        assert (ways["ada"]["sms"]["verdict"], ways["ada"]["sms"]["providers"]) == ("fails", [])
        assert (ways["ada"]["voice"]["verdict"], ways["ada"]["voice"]["providers"]) == ("untried", ["twilio"])
        assert ways["ben"]["sms"]["verdict"] == "untried"


def test_what_became_of_pages_long_ago_tells_nothing(desk: Desk):
    desk.submit("old", ADA)
    desk.send("email", Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    desk.clock.pass_time(timedelta(days=31))
    assert {way["last_page"] for way in desk.get("/v1/recipients/ada")["ways"]} == {None}


def test_recipients_are_listed_page_by_page_by_id(desk: Desk):
    desk.submit("a", ADA, BEN)
    desk.submit("b", BEN, {"id": "a/b c", "email": "c@example.com"})
    first = desk.get("/v1/recipients", limit=2)
    second = desk.get("/v1/recipients", limit=2, cursor=first["next_cursor"])
    assert [each["id"] for page in (first, second) for each in page["recipients"]] == ["a/b c", "ada", "ben"]
    assert second["next_cursor"] is None


def test_a_recipients_id_may_be_anything(desk: Desk):
    desk.submit("b", {"id": "a/b c", "email": "c@example.com"})
    assert (
        Client(desk.client.application)
        .request("GET", "/v1/recipients/a%2Fb%20c", headers={"authorization": f"Bearer {desk.client.key}"})
        .json()["id"]
        == "a/b c"
    )


# -- health


def test_it_is_ready_while_somebody_sweeps(desk: Desk):
    assert [fault["where"] for fault in desk.client.get("/readyz").json()["faults"]] == ["sweeping"]
    sweep(desk.flow._deps)
    assert desk.get("/readyz") == {"is_ready": True, "is_degraded": False, "faults": []}
    desk.clock.pass_time(timedelta(seconds=61))
    assert desk.client.get("/readyz").status_code == 503
    assert desk.get("/readyz", exclude="sweeping")["is_ready"] is True


def test_it_is_not_ready_without_its_tables(sqlite_url: str):
    with NotifyFlow(Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url}), bell=SilentBell()) as flow:
        client = Published(flow.asgi())
        sweep(flow._deps)
        for statement, where in {
            "UPDATE notifyflow_schema SET version = version + 1, oldest = version + 1": "schema",
            "UPDATE notifyflow_schema SET version = version - 2, oldest = 1": "schema",
            "UPDATE notifyflow_schema SET version = version + 1": None,
            "DROP TABLE notifyflow_outage": "database",
        }.items():
            database = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
            database.execute(statement)
            database.close()
            response = client.get("/readyz")
            assert [fault["where"] for fault in response.json()["faults"]] == ([where] if where else [])
            assert response.status_code == (503 if where else 200)
