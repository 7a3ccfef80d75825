"""Namespaces: every caller with every verb, while all namespaces use the same incident keys."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.model import Incident, Recipient
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.namespaces import ALL, OPERATIONS, SHARED
from notifyflow.errors import AmbiguousKey, NotFound
from notifyflow.pipeline.delivery.operations import add_notice
from notifyflow.settings import Settings
from tests.asgi import Client
from tests.builders import CountingIds, HandClock
from tests.integration.web.delivery.test_api import SilentBell
from tests.notifying import notify

ADA = {"id": "ada", "email": "ada@example.com"}
DIRECTORY = """
[recipients.ada]
email = "ada@example.com"

[default]
to = ["ada"]
"""
STORED = (SHARED, "prometheus", "staging")
CALLERS = (*STORED, "newcomer")
KEYS = {"incidents": "db-1", "alertmanager": "alertmanager/f", "pagerduty": "pagerduty/d", "cloudevents": "cloudevents/s/db"}

State = Mapping[tuple[str, str], IncidentStatus | None]


class System:
    """A flow with an unresolved incident of each key in each namespace, and API keys for each caller."""

    def __init__(self, flow: NotifyFlow) -> None:
        self.flow = flow
        self.client = Client(flow.asgi())
        self.ids: dict[tuple[str, str], str] = {}
        for namespace in STORED:
            for key in KEYS.values():
                self.open(key, namespace)
        self.secrets: dict[tuple[KeyScope, str], str] = {}

    def open(self, key: str, namespace: str) -> str:
        ada = Recipient(id="ada", email="ada@example.com")
        opened = notify(self.flow._deps, Incident(key=key, title="down"), [ada], policy=DEFAULT, namespace=namespace)
        self.ids[key, namespace] = opened.value.incident_id
        return opened.value.incident_id

    def request(self, scope: KeyScope, caller: str, method: str, path: str, **values: Any) -> httpx.Response:
        """Send a request with a key of one scope in the caller's namespace."""
        if (scope, caller) not in self.secrets:
            _, self.secrets[scope, caller] = self.flow.access().create(
                f"{scope} {caller}", [scope], valid_for=None, namespace=caller
            )
        headers = {"authorization": f"Bearer {self.secrets[scope, caller]}"}
        return self.client.request(method, path, headers=headers, **values)

    def send(self, presented: str, verb: "Verb") -> httpx.Response:
        """Send the request of a verb, as its senders do."""
        kind = "application/cloudevents+json" if verb.integration == "cloudevents" else "application/json"
        body = verb.body | ({"routing_key": presented} if verb.integration == "pagerduty" else {})
        headers = {"authorization": f"Bearer {presented}", "content-type": kind}
        return self.client.post(verb.path, content=json.dumps(body), headers=headers)

    def state(self) -> State:
        """Return every incident by its key and namespace."""
        return {(key, each): self.flow.find(key, namespace=each) for key in KEYS.values() for each in CALLERS}


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Iterator[System]:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    variables = {
        "NOTIFYFLOW_DATABASE_URL": database_url,
        "NOTIFYFLOW_DIRECTORY": str(directory),
        "NOTIFYFLOW_API_REQUESTS_A_MINUTE": "1000",
    }
    with NotifyFlow(Settings.from_variables(variables), clock=HandClock(), ids=CountingIds(), bell=SilentBell()) as flow:
        yield System(flow)


def changed(before: State, after: State) -> set[tuple[str, str]]:
    return {place for place in before if before[place] != after[place]}


@dataclass(frozen=True)
class Verb:
    integration: str
    path: str
    body: Mapping[str, Any]
    opens: bool = False


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "s", "subject": "db", "type": kind, **fields}


BY_KEY: Mapping[str, Verb] = {
    "open or repeat": Verb(
        "incidents", "/v1/incidents", {"key": "db-1", "title": "mine now", "recipients": [{"id": "eve", **ADA}]}, opens=True
    ),
    "fire an alert": Verb(
        "alertmanager", "/v1/alertmanager", {"alerts": [{"fingerprint": "f", "labels": {"alertname": "A"}}]}, opens=True
    ),
    "resolve an alert": Verb("alertmanager", "/v1/alertmanager", {"alerts": [{"status": "resolved", "fingerprint": "f"}]}),
    "trigger": Verb(
        "pagerduty", "/v2/enqueue", {"event_action": "trigger", "dedup_key": "d", "payload": {"summary": "x"}}, opens=True
    ),
    "acknowledge an event": Verb("pagerduty", "/v2/enqueue", {"event_action": "acknowledge", "dedup_key": "d"}),
    "resolve an event": Verb("pagerduty", "/v2/enqueue", {"event_action": "resolve", "dedup_key": "d"}),
    "cloud event": Verb("cloudevents", "/v1/cloudevents", _event("disk.full"), opens=True),
    "cloud event acknowledged": Verb("cloudevents", "/v1/cloudevents", _event("disk.full.acknowledged")),
    "cloud event resolved": Verb("cloudevents", "/v1/cloudevents", _event("disk.full.resolved")),
}


@pytest.mark.parametrize("caller", CALLERS)
def test_an_ingest_key_changes_incidents_of_its_namespace_only(system: System, caller: str):
    before = system.state()
    for name, verb in BY_KEY.items():
        response = system.send(_ingest(system, caller), verb)
        assert response.status_code in (200, 201, 202), (name, response.text)
        assert (response.status_code == 201) is (verb.path == "/v1/incidents" and caller not in STORED)
        after = system.state()
        assert changed(before, after) == {(KEYS[verb.integration], caller)}, name
        before = after


def test_a_key_whose_namespace_has_no_such_incident_ends_nothing(system: System):
    before = system.state()
    for verb in BY_KEY.values():
        if not verb.opens:
            assert system.send(_ingest(system, "newcomer"), verb).status_code == 202
    assert changed(before, system.state()) == set()


def _ingest(system: System, caller: str) -> str:
    _, presented = system.flow.access().create("sender", [KeyScope.INGEST], valid_for=None, namespace=caller)
    return presented


BY_ID: Mapping[str, tuple[KeyScope, str, str, dict[str, Any]]] = {
    "show": (KeyScope.READ, "GET", "", {}),
    "acknowledge": (KeyScope.OPERATE, "POST", "/acknowledge", {"json": {"by": "ada"}}),
    "page again": (KeyScope.OPERATE, "POST", "/page-again", {"json": {"recipient": "ada"}}),
    "resolve": (KeyScope.OPERATE, "POST", "/resolve", {"json": {"by": "ada"}}),
}


@pytest.mark.parametrize("caller", [*CALLERS, ALL])
def test_an_id_is_found_only_with_a_key_that_reaches_its_namespace(system: System, caller: str):
    before = system.state()
    for namespace in STORED:
        reaches, incident_id = caller in (namespace, ALL), system.ids["db-1", namespace]
        for scope, method, path, values in BY_ID.values():
            response = system.request(scope, caller, method, f"/v1/incidents/{incident_id}{path}", **values)
            assert response.status_code == (200 if reaches else 404), response.text
            after = system.state()
            assert changed(before, after) == ({("db-1", namespace)} if reaches and method == "POST" else set())
            before = after
            if not reaches:  # the response is that to an unknown id
                assert system.request(scope, caller, method, f"/v1/incidents/nowhere{path}", **values).json() == response.json()


def test_only_a_key_for_all_namespaces_reaches_the_operations_incident(system: System):
    add_notice(system.flow._deps, "it is ill", "a provider")
    status = system.flow.status("notifyflow/operations")
    place = f"/v1/incidents/{status.facts.id}"
    for caller in CALLERS:
        for scope, method, path, values in BY_ID.values():
            assert system.request(scope, caller, method, f"{place}{path}", **values).status_code == 404
    assert system.flow.status("notifyflow/operations") == status
    assert system.request(KeyScope.READ, ALL, "GET", place).json()["namespace"] == OPERATIONS
    assert system.request(KeyScope.OPERATE, ALL, "POST", f"{place}/acknowledge").json()["has_changed"]


@pytest.mark.parametrize("caller", [*CALLERS, ALL])
def test_a_list_shows_the_incidents_that_the_key_reaches(system: System, caller: str):
    reached = set(STORED) if caller == ALL else {caller} & set(STORED)
    listed = system.request(KeyScope.READ, caller, "GET", "/v1/incidents?key=db-1").json()["incidents"]
    assert {each["namespace"] for each in listed} == reached
    assert len(listed) == len(reached)
    for wanted in CALLERS:
        listed = system.request(KeyScope.READ, caller, "GET", f"/v1/incidents?namespace={wanted}").json()["incidents"]
        assert len(listed) == (len(KEYS) if wanted in reached else 0)
        assert {each["namespace"] for each in listed} == {wanted} & reached


@pytest.mark.parametrize("caller", [*STORED, ALL])
def test_recipients_are_shown_as_known_in_the_namespace(system: System, caller: str):
    flow = system.flow
    for namespace, mail in ((SHARED, "eve@shared.example"), ("prometheus", "eve@prometheus.example")):
        eve = Recipient(id=f"eve{namespace}", name=namespace, email=mail)
        ada = Recipient(id="ada", name=f"Ada of {namespace!r}", email="ada@example.com")
        notify(flow._deps, Incident(key="db-2", title="down"), [eve, ada], policy=DEFAULT, namespace=namespace)
    listed = system.request(KeyScope.READ, caller, "GET", "/v1/recipients").json()["recipients"]
    all_known = {SHARED: {"ada", "eve"}, "prometheus": {"ada", "eveprometheus"}, "staging": {"ada"}}
    known = set().union(*all_known.values()) if caller == ALL else all_known[caller]
    assert {each["id"] for each in listed} == known
    for who in ("ada", "eve", "eveprometheus"):
        response = system.request(KeyScope.READ, caller, "GET", f"/v1/recipients/{who}")
        assert response.status_code == (200 if who in known else 404)
    shown = system.request(KeyScope.READ, caller, "GET", "/v1/recipients/ada").json()["name"]
    assert shown == {SHARED: "Ada of ''", "staging": "ada"}.get(caller, "Ada of 'prometheus'")
    for wanted, names in all_known.items():
        reached = caller in (wanted, ALL)
        listed = system.request(KeyScope.READ, caller, "GET", f"/v1/recipients?namespace={wanted}").json()["recipients"]
        assert {each["id"] for each in listed} == (names if reached else set())
        response = system.request(KeyScope.READ, caller, "GET", f"/v1/recipients/ada?namespace={wanted}")
        assert response.status_code == (200 if reached else 404)
        assert not reached or response.json()["name"] == {"staging": "ada"}.get(wanted, f"Ada of {wanted!r}")


Act = Callable[..., object]
LIBRARY: Mapping[str, Act] = {
    "status": lambda flow, **given: flow.status("db-1", **given),
    "wait": lambda flow, **given: flow.wait("db-1", timeout_s=0, **given),
    "acknowledge": lambda flow, **given: flow.acknowledge("db-1", by="ada", **given),
    "page again": lambda flow, **given: flow.page_again("db-1", "ada", by="ada", **given),
    "resolve": lambda flow, **given: flow.resolve("db-1", by="ada", **given),
}


def test_the_library_changes_nothing_if_several_namespaces_have_the_key(system: System):
    before = system.state()
    for act in LIBRARY.values():
        with pytest.raises(AmbiguousKey) as caught:
            act(system.flow)
        assert {namespace for namespace, _ in caught.value.incidents} == set(STORED)
    assert changed(before, system.state()) == set()


def test_the_library_reaches_the_incident_of_a_named_namespace(system: System):
    before = system.state()
    for namespace in STORED:
        for name, act in LIBRARY.items():
            act(system.flow, namespace=namespace)
            after = system.state()
            assert changed(before, after) == (set() if name in ("status", "wait") else {("db-1", namespace)})
            before = after


def test_the_library_reaches_an_incident_by_its_id(system: System):
    flow = system.flow
    for namespace in STORED:
        before, incident_id = system.state(), system.ids["db-1", namespace]
        assert flow.acknowledge(incident_id, by="ada")
        assert changed(before, system.state()) == {("db-1", namespace)}
        flow.page_again(incident_id, "ada", by="ada")
        assert flow.resolve(incident_id, by="ada")
        assert changed(before, system.state()) == {("db-1", namespace)}
        assert flow.status(incident_id).facts.id == incident_id


def test_the_library_finds_nothing_in_a_namespace_without_the_key(system: System):
    before = system.state()
    assert system.flow.find("db-1", namespace="newcomer") is None
    for act in LIBRARY.values():
        with pytest.raises(NotFound):
            act(system.flow, namespace="newcomer")
    assert changed(before, system.state()) == set()


def test_the_library_opens_and_repeats_in_the_empty_namespace(system: System):
    before = system.state()
    notified = system.flow.notify(Incident(key="db-1", title="again"), [Recipient(id="ada", email="ada@example.com")])
    assert (notified.is_new, notified.incident_id) == (False, system.ids["db-1", SHARED])
    assert changed(before, system.state()) == {("db-1", SHARED)}


def test_a_rotated_key_keeps_its_namespace(system: System):
    access = system.flow.access()
    old, presented = access.create("sender", [KeyScope.INGEST], valid_for=timedelta(days=90), namespace="prometheus")
    new, rotated = access.rotate(old.id)
    assert (new.name, new.namespace, new.scopes) == (old.name, "prometheus", old.scopes)
    assert new.expires_at == old.expires_at
    assert _submit(system, presented).status_code == 401
    response = _submit(system, rotated)
    assert (response.status_code, response.json()["incident_id"]) == (200, system.ids["db-1", "prometheus"])


def test_keys_that_share_a_namespace_share_its_incidents(system: System):
    for _ in range(2):
        _, presented = system.flow.access().create("one of a pair", [KeyScope.INGEST], valid_for=None, namespace="prometheus")
        assert _submit(system, presented).json()["incident_id"] == system.ids["db-1", "prometheus"]


def test_an_idempotency_key_does_not_reach_another_namespace(system: System):
    responses = {}
    for namespace in CALLERS:
        presented = _ingest(system, namespace)
        responses[namespace] = [_submit(system, presented, **{"idempotency-key": "k"}).json() for _ in range(2)]
    assert all(first == again for first, again in responses.values())
    assert len({first["incident_id"] for first, _ in responses.values()}) == len(CALLERS)


def _submit(system: System, presented: str, **headers: str) -> httpx.Response:
    body = {"key": "db-1", "title": "again", "recipients": [ADA]}
    return system.client.post("/v1/incidents", json=body, headers={"authorization": f"Bearer {presented}", **headers})
