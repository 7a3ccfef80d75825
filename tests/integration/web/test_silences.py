"""Silences over the API and on the dashboard: who may start one, what a reader sees, and that nobody else's is touched."""

import html
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifyflow import Incident, NotifyFlow, Recipient
from notifyflow.core.accounts import keys
from notifyflow.core.accounts.keys import KeyScope, authorise
from notifyflow.core.accounts.users import Role
from notifyflow.core.limits.silences import read_matchers
from notifyflow.service import silences as service
from notifyflow.settings import Settings
from tests.asgi import Client
from tests.builders import START, CountingIds, HandClock
from tests.dashboard import visit
from tests.integration.web.delivery.test_api import SilentBell
from tests.silencing import GRACE

SILENCE = {"match": ["team=orders", "severity<=ERROR"], "duration": "2h", "reason": "upgrade"}


class Api:
    def __init__(self, flow: NotifyFlow) -> None:
        self.flow = flow
        self.client = Client(flow.asgi())
        self.keys: dict[tuple[str, KeyScope], str] = {}

    def ask(self, method: str, path: str, *, scope: KeyScope, namespace: str = "orders", **values: Any) -> tuple[int, Any]:
        if (namespace, scope) not in self.keys:
            made = self.flow.access().create(
                f"{namespace}-{scope}".replace("*", "all"), [scope], valid_for=None, namespace=namespace
            )
            self.keys[namespace, scope] = made[1]
        headers = {"authorization": f"Bearer {self.keys[namespace, scope]}"}
        response = self.client.request(method, f"/v1/silences{path}", headers=headers, **values)
        return response.status_code, response.json()

    def operate(self, path: str = "", *, namespace: str = "orders", **body: Any) -> tuple[int, Any]:
        return self.ask("POST", path, scope=KeyScope.OPERATE, namespace=namespace, json=body)

    def listed(self, namespace: str = "orders") -> list[dict[str, Any]]:
        return self.ask("GET", "", scope=KeyScope.READ, namespace=namespace)[1]["silences"]


@pytest.fixture
def api(sqlite_url: str) -> Iterator[Api]:
    variables = {"NOTIFYFLOW_DATABASE_URL": sqlite_url}
    with NotifyFlow(Settings.from_variables(variables), clock=HandClock(), ids=CountingIds(), bell=SilentBell()) as flow:
        yield Api(flow)


def test_a_key_silences_its_namespace_and_ends_it(api: Api) -> None:
    status, made = api.operate(**SILENCE)
    assert (status, made["match"], made["namespaces"]) == (201, "team=orders severity<=ERROR", ["orders"])
    assert (made["author"], made["author_kind"], made["reason"]) == ("orders-operate", "key", "upgrade")
    assert made["warnings"] == ["no route, recent incident or watched job has the label 'team'"]
    assert made["ends_at"] == "2026-11-25T05:00:00Z"
    assert api.listed() == [made]
    assert api.listed("payments") == []
    status, ended = api.operate(f"/{made['id']}/end")
    assert (status, ended["ended_at"], ended["ended_by"]) == (200, "2026-11-25T03:00:00Z", "orders-operate")


@pytest.mark.parametrize("scope", [KeyScope.INGEST, KeyScope.READ, KeyScope.METRICS])
def test_a_key_without_the_scope_operate_silences_nothing_and_ends_nothing(api: Api, scope: KeyScope) -> None:
    made = api.operate(**SILENCE)[1]
    assert api.ask("POST", "", scope=scope, json=SILENCE)[0] == 403
    assert api.ask("POST", f"/{made['id']}/end", scope=scope)[0] == 403
    assert api.listed() == [made]


def test_a_key_of_another_namespace_touches_neither_incidents_nor_silences(api: Api) -> None:
    made = api.operate(**SILENCE)[1]
    assert api.operate(f"/{made['id']}/end", namespace="payments")[0] == 404
    status, refused = api.operate(namespace="payments", **SILENCE, namespaces=["orders"])
    assert (status, refused["faults"][0]["what"]) == (422, "you may not operate in orders")
    whole = api.operate(namespace="*", **SILENCE)[1]
    assert whole["namespaces"] is None
    assert api.operate(f"/{whole['id']}/end")[0] == 404
    assert api.operate("/none/end")[0] == 404


def attack(api: Api) -> list[str]:
    """Attack a silence with keys that may not operate there; return what of the silences has changed."""
    made = api.operate(**SILENCE)[1]
    api.ask("POST", "", scope=KeyScope.INGEST, json=SILENCE)
    api.ask("POST", f"/{made['id']}/end", scope=KeyScope.INGEST)
    api.operate(namespace="payments", **SILENCE, namespaces=["orders"])
    api.operate(f"/{made['id']}/end", namespace="payments")
    return [each["id"] for each in api.listed() if each != made]


def test_a_hostile_key_changes_no_silence(api: Api) -> None:
    assert attack(api) == []


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        (keys, "authorise", lambda key, secret, scope, *, now: authorise(key, secret, min(key.scopes), now=now)),
        (service, "may_act", lambda namespaces, allowed: True),
    ],
    ids=["scopes are ignored", "namespaces are ignored"],
)
def test_a_product_that_lets_a_hostile_key_silence_is_caught(
    api: Api, owner: object, name: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    assert attack(api)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"match": ["team"]}, "match"),
        ({"match": ["severity<=WARNING"]}, "match"),
        ({"match": ["*=*"]}, "match"),
        ({"match": ["key=*"]}, "match"),
        ({"match": []}, "match"),
        ({"match": ["team=orders", "severity<=CRITICAL"]}, "match"),
        ({"duration": "25h"}, "for"),
        ({"reason": " "}, "why"),
        ({"by": " "}, "by"),
        ({"begins_at": "2026-11-25T03:14:00"}, "begins_at"),
        ({"begins_at": "2026-11-25T01:00:00Z"}, "at"),
        ({"namespaces": ["notifyflow"]}, "namespace"),
    ],
)
def test_what_may_not_be_silenced_is_refused(api: Api, changed: dict[str, Any], where: str) -> None:
    status, refused = api.operate(namespace="*", **(SILENCE | changed))
    assert (status, [each["where"] for each in refused["faults"]]) == (422, [where])
    assert api.listed("*") == []


def test_the_service_says_who_may_not(api: Api) -> None:
    started = api.flow.silences.start(read_matchers(["team=orders"]), span=timedelta(hours=1), why="upgrade", by=GRACE)
    assert [each.id for each in api.flow.silences.in_force()] == [started.id]
    assert api.flow.silences.now() == START
    assert api.flow.silences.end(started.id, by=GRACE)
    assert not api.flow.silences.end(started.id, by=GRACE)
    assert api.flow.silences.in_force() == ()


def test_the_openapi_document_names_its_example(api: Api) -> None:
    document = api.client.get("/v1/openapi.json").json()
    (example,) = document["components"]["schemas"]["NewSilenceRequest"]["examples"]
    assert api.operate(**example)[0] == 201
    assert re.search("Scope: `operate`", document["paths"]["/v1/silences"]["post"]["description"])


def test_the_request_that_the_documentation_shows_is_accepted(api: Api) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "silence-on-purpose.rst"
    (body,) = re.findall(r"-d '(\{.*?\})'", page.read_text(), re.DOTALL)
    status, made = api.operate(**json.loads(body))
    assert (status, made["author"], made["match"]) == (201, "deploy", "team=orders severity<=ERROR")


def opened(api: Api, key: str = "db-1", **incident: Any) -> str:
    values = {"key": key, "title": "down", "labels": {"team": "orders", "free text": "a b"}} | incident
    return api.flow.notify(Incident(**values), [Recipient(id="ada", email="ada@example.com")]).incident_id


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", re.sub("</?time[^>]*>", "", page))).split())


def test_a_responder_silences_what_looks_like_an_incident_and_ends_it(api: Api) -> None:
    browser = visit(api.flow, Role.RESPONDER, name="grace")
    page = f"/incidents/{opened(api)}"
    like = "'free text=a b' team=orders severity<=ERROR"
    assert f">{like}</textarea>" in html.unescape(browser.get(page).text)
    sent = browser.send(page, "/silences/start", match=like, duration="2h", why="upgrade", namespace="")
    assert (sent.status_code, sent.headers["location"]) == (303, "../silences")
    (silence,) = api.flow.silences.all()
    assert (silence.author, silence.author_kind, silence.namespaces) == ("grace", "user", frozenset({""}))
    shown = words(browser.get("/silences").text)
    assert f"in force {like} Until Wed 25 Nov 05:00:00, by grace: upgrade It holds 1 incident." in shown
    assert "Silenced by grace until 05:00:00: upgrade." in words(browser.get(page).text)
    listed = words(browser.get("/incidents").text)
    assert f"{like} is silenced until Wed 25 Nov 05:00:00 by grace: upgrade." in listed
    assert "silenced by grace until Wed 25 Nov 05:00:00: upgrade" in listed
    assert f"Silences {like} until Wed 25 Nov 05:00:00, by grace: upgrade" in words(browser.get("/health").text)
    assert browser.send("/silences", f"/silences/{silence.id}/end").status_code == 303
    assert "Silences Nothing is silenced." in words(browser.get("/health").text)
    shown = words(browser.get("/silences").text)
    assert "Nothing is silenced." in shown
    assert f"ended {like} Until Wed 25 Nov 03:00:00, by grace: upgrade; ended by grace" in shown


def test_maintenance_is_planned_in_the_zone_of_the_browser_and_cancelled(api: Api) -> None:
    browser = visit(api.flow, Role.RESPONDER)
    browser.cookies["notifyflow_zone"] = "Europe/Berlin"
    fields = {"match": "team=orders", "duration": "1h", "why": "upgrade"}
    assert "From, in Europe/Berlin" in browser.get("/silences").text
    assert browser.send("/silences", "/silences/start", **fields, **{"from": "2026-11-26T22:00"}).status_code == 303
    (silence,) = api.flow.silences.all()
    assert silence.begins_at == START + timedelta(hours=42)
    shown = words(browser.get("/silences").text)
    assert "planned team=orders severity<=ERROR From Thu 26 Nov 22:00:00 until Thu 26 Nov 23:00:00" in shown
    assert "Cancel this silence? It will not begin." in shown
    assert browser.send("/silences", f"/silences/{silence.id}/end").status_code == 303
    assert "planned" not in words(browser.get("/silences").text)


def test_a_label_that_nothing_has_is_warned_of_with_the_nearest_one(api: Api) -> None:
    opened(api)
    assert api.operate(namespace="", **(SILENCE | {"match": ["taem=orders"]}))[1]["warnings"] == [
        "no route, recent incident or watched job has the label 'taem'; the nearest is 'team'"
    ]
    assert api.operate(namespace="", **SILENCE)[1]["warnings"] == []
    assert api.operate(**SILENCE)[1]["warnings"] == ["no route, recent incident or watched job has the label 'team'"]
    shown = words(visit(api.flow, Role.RESPONDER).get("/silences").text)
    assert shown.count("! no route, recent incident or watched job has the label 'taem'; the nearest is 'team'") == 1
    assert "'team';" not in shown


def test_a_form_with_faults_keeps_what_was_typed(api: Api) -> None:
    browser = visit(api.flow, Role.RESPONDER)
    fields = {"match": "team=orders severity<=CRITICAL", "duration": "4h", "why": "upgrade", "namespace": "orders"}
    sent = browser.send("/silences", "/silences/start", **fields)
    assert (sent.status_code, api.flow.silences.all()) == (422, ())
    assert "CRITICAL incidents are only silenced by their keys" in sent.text
    assert ">team=orders severity&lt;=CRITICAL</textarea>" in sent.text
    assert "<option selected>4h</option>" in sent.text
    assert 'name="namespace" value="orders"' in sent.text
    assert 'value="upgrade"' in sent.text
    refused = browser.send("/silences", "/silences/start", **fields | {"match": "team='orders"}, **{"from": "soon"})
    assert (refused.status_code, "a quotation mark has no other" in refused.text) == (422, True)
    assert browser.send("/silences", "/silences/start", match="team=orders", **{"from": "soon"}).status_code == 422


def test_each_user_sees_what_they_may_end_and_how_many_of_their_incidents_are_held(api: Api) -> None:
    opened(api)
    api.flow.silences.start(read_matchers(["team=*"]), span=timedelta(hours=1), why="upgrade", by=GRACE)
    for role, namespaces, sees, may_end in (
        (Role.VIEWER, None, True, False),
        (Role.RESPONDER, None, True, True),
        (Role.ADMIN, ["payments"], False, False),
    ):
        page = words(visit(api.flow, role, namespaces=namespaces).get("/silences").text)
        assert "in force team=* severity<=ERROR" in page
        assert ("It holds 1 incident." in page, "End this silence?" in page) == (sees, may_end)


def test_a_viewer_and_a_user_of_another_namespace_silence_nothing(api: Api) -> None:
    viewer = visit(api.flow, Role.VIEWER)
    assert "Silence what looks like this" not in viewer.get(f"/incidents/{opened(api)}").text
    assert viewer.send("/silences", "/silences/start", match="team=orders", duration="2h", why="upgrade").status_code == 403
    other = visit(api.flow, Role.RESPONDER, name="olga", namespaces=["payments"])
    fields = {"match": "team=orders", "duration": "2h", "why": "upgrade"}
    refused = other.send("/silences", "/silences/start", **fields, namespace="")
    assert (refused.status_code, api.flow.silences.all()) == (422, ())
    assert other.send("/silences", "/silences/start", **fields).status_code == 303
    assert [each.namespaces for each in api.flow.silences.all()] == [frozenset({"payments"})]
    mine = api.flow.silences.start(read_matchers(["key=a"]), span=timedelta(hours=1), why="upgrade", by=GRACE)
    assert other.send("/silences", f"/silences/{mine.id}/end").status_code == 404
    assert other.send("/silences", "/silences/start", match="x", duration="soon", why="").status_code == 422


@pytest.mark.parametrize(("column", "others_see_it"), [("matchers", False), ("namespaces", True)])
def test_a_silence_that_cannot_be_read_is_named_and_ended_by_whoever_may(
    api: Api, sqlite_url: str, column: str, others_see_it: bool
) -> None:
    opened(api)
    silence = api.flow.silences.start(
        read_matchers(["team=orders"]), span=timedelta(hours=1), why="upgrade", by=GRACE, namespaces=[""]
    )
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as db:
        db.execute(f"UPDATE notifyflow_silence SET {column} = '{{'")
        db.commit()
    named = f"The silence {silence.id} cannot be read: it covers nothing new, and still holds 1 incident"
    browser = visit(api.flow, Role.RESPONDER)
    shown = words(browser.get("/silences").text)
    assert (named in shown, "Nothing is silenced." in shown) == (True, False)
    damaged = api.ask("GET", "", scope=KeyScope.READ, namespace="payments")[1]["damaged"]
    assert damaged == ([silence.id] if others_see_it else [])
    assert api.operate(f"/{silence.id}/end", namespace="payments")[0] == 404
    assert browser.send("/silences", f"/silences/{silence.id}/end").status_code == 303
    assert "Nothing is silenced." in words(browser.get("/silences").text)
