"""Whoever may not silence cannot, by any door; and a silence does not outlive the right of its author."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from notifyflow import Incident, Recipient, Severity
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role
from notifyflow.core.limits.silences import Silence, read_matchers
from notifyflow.core.namespaces import ALL
from notifyflow.testing import Driver
from tests.asgi import Client
from tests.dashboard import Visit, visit
from tests.silencing import GRACE, a_silence

ASKED = {"match": ["team=orders"], "duration": "2h", "reason": "upgrade"}
TYPED = {"match": "team=orders", "duration": "2h", "why": "upgrade"}
ADA = Recipient(id="ada", email="a@example.com")


@pytest.fixture
def driver() -> Iterator[Driver]:
    with Driver({"NOTIFYFLOW_PUBLIC_URL": "https://notify.example"}) as driven:
        yield driven


def key_of(driver: Driver, *scopes: KeyScope, namespace: str) -> tuple[str, dict[str, str]]:
    """Make a key; return its id, and the headers that present it."""
    key, secret = driver.flow.access().create("a", set(scopes), valid_for=timedelta(hours=1), namespace=namespace)
    return key.id, {"authorization": f"Bearer {secret}"}


def opened(driver: Driver, key: str) -> int:
    """Open an incident that the silences of these tests cover; return how many mails leave about it."""
    before = len(driver.inbox.messages(channel="email"))
    driver.flow.notify(Incident(key=key, title=key, labels={"team": "orders"}), [ADA])
    driver.advance(seconds=5)
    return len(driver.inbox.messages(channel="email")) - before


def silences(driver: Driver) -> tuple[Silence, ...]:
    return driver.flow.silences.all()


def test_a_key_silences_in_its_own_namespace_only_and_with_the_scope_operate_only(driver: Driver) -> None:
    client = Client(driver.flow.asgi())
    silence_id = a_silence(driver.flow, "team=nobody")
    for scope in KeyScope:
        if scope in (KeyScope.OPERATE, KeyScope.PING):
            continue
        _, headers = key_of(driver, scope, namespace="orders")
        assert client.request("POST", "/v1/silences", headers=headers, json=ASKED).status_code == 403
        assert client.request("POST", f"/v1/silences/{silence_id}/end", headers=headers).status_code == 403
    assert client.request("POST", "/v1/silences", json=ASKED).status_code == 401
    _, headers = key_of(driver, KeyScope.OPERATE, KeyScope.INGEST, namespace="payments")
    for namespaces in (["orders"], ["payments", "orders"], [""], [ALL], ["notifyflow"]):
        asked = ASKED | {"namespaces": namespaces}
        assert client.request("POST", "/v1/silences", headers=headers, json=asked).status_code == 422, namespaces
    assert client.request("POST", f"/v1/silences/{silence_id}/end", headers=headers).status_code == 404
    assert [each.id for each in silences(driver) if each.ended_at is None] == [silence_id]
    assert client.request("POST", "/v1/silences", headers=headers, json=ASKED).json()["namespaces"] == ["payments"]
    assert opened(driver, "db-1") == 1


def test_a_program_that_opens_incidents_neither_ends_a_silence_nor_slips_through_it_again(driver: Driver) -> None:
    _, headers = key_of(driver, KeyScope.INGEST, namespace="")
    a_silence(driver.flow, "team=orders")
    client = Client(driver.flow.asgi())
    message = {"key": "db-1", "title": "down", "recipients": [{"id": "ada", "email": "a@example.com"}]}
    for team, mails in (("orders", 0), ("mine", 1), ("orders", 1)):
        sent = client.request("POST", "/v1/incidents", headers=headers, json=message | {"labels": {"team": team}})
        assert sent.status_code in (200, 201)
        driver.advance(seconds=5)
        assert len(driver.inbox.messages(channel="email")) == mails
    assert [each.ended_at for each in silences(driver)] == [None]


@pytest.mark.parametrize(
    "changed",
    [
        {"duration": "25h"},
        {"duration": "86401s"},
        {"duration": "0s"},
        {"duration": "-1h"},
        {"match": []},
        {"match": ["severity<=ERROR"]},
        {"match": ["severity<=CRITICAL"]},
        {"match": ["team=orders", "severity<=CRITICAL"]},
        {"match": ["key=orders-*", "severity<=CRITICAL"]},
        {"match": ["key=*", "severity<=CRITICAL"]},
        {"match": ["key=orders-db", "key=a*", "severity<=CRITICAL"]},
        {"match": ["key=orders-db", "team=orders", "severity<=CRITICAL"]},
        {"reason": " \n"},
        {"namespaces": ["notifyflow"]},
        {"namespaces": ["orders\0"]},
        {"namespaces": ["x" * 300]},
        {"begins_at": "9999-12-31T23:59"},
        {"begins_at": "0001-01-01T00:00"},
    ],
)
def test_what_may_not_be_silenced_is_refused_by_the_api_and_by_the_dashboard(
    refusing: tuple[Driver, Visit], changed: dict[str, Any]
) -> None:
    driver, browser = refusing
    _, headers = key_of(driver, KeyScope.OPERATE, namespace=ALL)
    offset = {name: f"{value}Z" for name, value in changed.items() if name == "begins_at"}
    assert (
        Client(driver.flow.asgi()).request("POST", "/v1/silences", headers=headers, json=ASKED | changed | offset).status_code
        == 422
    )
    names = {"match": "match", "duration": "duration", "reason": "why", "namespaces": "namespace", "begins_at": "from"}
    typed = TYPED | {names[name]: value if isinstance(value, str) else " ".join(value) for name, value in changed.items()}
    assert browser.send("/silences", "/silences/start", **typed).status_code == 422
    assert silences(driver) == ()


@pytest.fixture(scope="module")
def refusing() -> Iterator[tuple[Driver, Visit]]:
    with Driver({"NOTIFYFLOW_PUBLIC_URL": "https://notify.example"}) as driven:
        yield driven, visit(driven.flow, Role.ADMIN)


def test_operations_is_told_of_a_silence_of_critical_incidents_and_cannot_be_silenced(driver: Driver) -> None:
    _, headers = key_of(driver, KeyScope.OPERATE, namespace=ALL)
    client = Client(driver.flow.asgi())
    for key in ("notifyflow/operations", "orders-db"):
        asked = ASKED | {"match": [f"key={key}", "severity<=CRITICAL"]}
        assert client.request("POST", "/v1/silences", headers=headers, json=asked).status_code == 201
    driver.advance(minutes=1)
    told = driver.flow.status("notifyflow/operations")
    assert told.silences == ()
    assert "CRITICAL incidents are silenced until" in (told.content.body or "")
    driver.flow.notify(Incident(key="orders-db", title="down", severity=Severity.CRITICAL), [ADA])
    driver.advance(seconds=5)
    assert driver.inbox.messages(channel="email") == ()


def test_a_login_starts_and_ends_silences_by_its_role_and_in_its_namespaces_only(driver: Driver) -> None:
    whole = driver.flow.silences.start(read_matchers(["team=nobody"]), span=timedelta(hours=1), why="upgrade", by=GRACE)
    viewer = visit(driver.flow, Role.VIEWER)
    fewer = visit(driver.flow, Role.ADMIN, name="olga", namespaces=["payments"])
    for path, fields in (("/silences/start", TYPED), (f"/silences/{whole.id}/end", {})):
        assert viewer.send("/silences", path, **fields).status_code == 403
        assert visit(driver.flow, Role.RESPONDER, name=f"r{len(fields)}").request("POST", path, data=fields).status_code == 403
        elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert fewer.send("/silences", path, headers=elsewhere, **fields).status_code == 403
        assert Visit(driver.flow.asgi()).request("GET", path).status_code in (404, 405)
    for namespace in ("", "orders", ALL, "notifyflow"):
        assert fewer.send("/silences", "/silences/start", **TYPED, namespace=namespace).status_code == 422, namespace
    assert fewer.send("/silences", f"/silences/{whole.id}/end").status_code == 404
    assert [each.until for each in silences(driver)] == [whole.ends_at]


def _revoke(driver: Driver, author_id: str) -> None:
    driver.flow.access().revoke(author_id)


def _expire(driver: Driver, author_id: str) -> None:
    del author_id
    driver.advance(minutes=61)


def _demote(driver: Driver, author_id: str) -> None:
    del author_id
    driver.flow.users().change("grace", role=Role.VIEWER)


def _narrow(driver: Driver, author_id: str) -> None:
    del author_id
    driver.flow.users().change("grace", namespaces=["payments"])


def _disable(driver: Driver, author_id: str) -> None:
    del author_id
    driver.flow.users().disable("grace")


def _remove(driver: Driver, author_id: str) -> None:
    del author_id
    driver.flow.users().remove("grace")


@pytest.mark.parametrize("take", [_revoke, _expire, _demote, _narrow, _disable, _remove])
def test_a_silence_is_void_at_once_when_its_author_loses_the_right(driver: Driver, take: Callable[[Driver, str], None]) -> None:
    if take in (_revoke, _expire):
        author_id, headers = key_of(driver, KeyScope.OPERATE, namespace="")
        made = Client(driver.flow.asgi()).request("POST", "/v1/silences", headers=headers, json=ASKED)
        assert made.status_code == 201
    else:
        author_id, browser = "", visit(driver.flow, Role.RESPONDER, name="grace")
        assert browser.send("/silences", "/silences/start", **TYPED).status_code == 303
    assert opened(driver, "before") == 0
    take(driver, author_id)
    assert opened(driver, "after") == 1
    (silence,) = silences(driver)
    assert silence.ended_by == "notifyflow, since its author may no longer operate"
    told = " ".join(each.text for each in driver.inbox.messages(channel="email"))
    assert "before" in told
    assert "after" in told
