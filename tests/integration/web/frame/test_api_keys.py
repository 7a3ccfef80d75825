"""Access: every operation of the published document, with every kind of key."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import KeyScope, read
from notifyflow.errors import ApiKeyNotFound, ApiKeyRevoked
from notifyflow.settings import Settings
from tests.asgi import Client
from tests.builders import CountingIds, HandClock
from tests.integration.web.delivery.test_api import SilentBell
from tests.published import Published, published_by

A_MINUTE = 60
OPEN_TO_ALL = {("get", "/livez"), ("get", "/readyz")}
REFERENCE = (Path(__file__).parents[4] / "docs" / "reference" / "rest-api.rst").read_text(encoding="utf-8")
SCOPES = {
    (method.lower(), path): KeyScope(scope)
    for method, path, scope in re.findall(r"^   \* - ``([A-Z]+) (/\S+)``\n     - ``(\w+)``$", REFERENCE, re.MULTILINE)
}


class Api:
    def __init__(self, flow: NotifyFlow, clock: HandClock) -> None:
        self.access = flow.access()
        self.clock = clock
        self.client = Published(flow.asgi())

    def make(self, *scopes: KeyScope, valid_for: timedelta | None = None) -> tuple[str, str]:
        """Make a key: its id and its text."""
        key, presented = self.access.create("a", scopes, valid_for=valid_for)
        return key.id, presented

    def request(self, operation: tuple[str, str], presented: str | None) -> tuple[int, str]:
        """Send a request with a key; return the status and the WWW-Authenticate header."""
        method, path = operation
        headers = {} if presented is None else {"authorization": f"Bearer {presented}".encode("latin-1")}
        response = self.client.request(method.upper(), path.replace("{", "").replace("}", ""), headers=headers)
        return response.status_code, response.headers.get("www-authenticate", "")


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    variables = {"NOTIFYFLOW_DATABASE_URL": database_url, "NOTIFYFLOW_API_REQUESTS_A_MINUTE": str(A_MINUTE)}
    clock = HandClock()
    with NotifyFlow(Settings.from_variables(variables), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield Api(flow, clock)


def test_every_operation_is_in_the_reference_and_names_its_scope(api: Api):
    paths = published_by(api.client.application).document["paths"]
    operations = {(method, path): described for path, methods in paths.items() for method, described in methods.items()}
    assert set(operations) == SCOPES.keys() | OPEN_TO_ALL
    for operation, described in operations.items():
        if operation in OPEN_TO_ALL:
            assert "security" not in described
        else:
            assert described["security"] == [{"apiKey": []}]
            assert f"Scope: `{SCOPES[operation]}`." in described["description"]


def test_only_a_valid_key_with_the_scope_is_admitted(api: Api):
    all_scopes = set(KeyScope) - {KeyScope.PING}  # which stands alone
    expired = api.make(*all_scopes, valid_for=timedelta(hours=1))[1]
    revoked_id, revoked = api.make(*all_scopes)
    api.access.revoke(revoked_id)
    api.clock.pass_time(timedelta(hours=1))
    for operation, scope in SCOPES.items():
        good = api.make(scope)[1]
        assert api.request(operation, None) == (401, "Bearer")
        for bad in ("x", "nf_", "nf_1_2", good + "x", good[:-1], "nf_" + revoked_id + good[35:], "ä", expired, revoked):
            assert api.request(operation, bad) == (401, 'Bearer error="invalid_token"'), bad
        wrong = api.make(*(all_scopes - {scope}))[1]
        assert api.request(operation, wrong) == (403, f'Bearer error="insufficient_scope", scope="{scope}"')
        assert api.request(operation, good)[0] in (200, 400, 404), operation


@pytest.mark.parametrize("given", ["Basic eDp5", "Bearer", "Bearer ", "bearer", "nf_x", "\u00e4"])
def test_other_credentials_than_a_bearer_token_are_refused(api: Api, given: str):
    assert api.client.request("GET", "/v1/incidents", headers={"authorization": given.encode("latin-1")}).status_code == 401


def test_the_body_of_a_request_without_a_key_is_not_read(api: Api):
    response = api.client.post("/v1/incidents", content=b"x" * 2_000_000)
    assert response.status_code == 401


def test_without_keys_every_request_is_refused(api: Api):
    assert api.access.keys() == ()
    assert api.request(("get", "/v1/incidents"), "nf__")[0] == 401


def test_a_revoked_key_is_refused_at_once_and_can_be_revoked_again(api: Api):
    key_id, key = api.make(KeyScope.READ)
    assert api.request(("get", "/v1/incidents"), key)[0] == 200
    for _ in range(2):
        api.access.revoke(key_id)
        assert api.request(("get", "/v1/incidents"), key)[0] == 401


def test_revoking_an_unknown_key_raises(api: Api):
    with pytest.raises(ApiKeyNotFound):
        api.access.revoke("nope")


def test_a_rotated_key_ends_at_once_or_after_the_overlap(api: Api):
    there = ("get", "/v1/incidents")
    first_id, first = api.make(KeyScope.READ)
    second, presented = api.access.rotate(first_id)
    assert (api.request(there, first)[0], api.request(there, presented)[0]) == (401, 200)
    third, rotated = api.access.rotate(second.id, overlap=timedelta(hours=1), valid_for=timedelta(days=1))
    assert third.expires_at == api.clock.now() + timedelta(days=1)
    assert (api.request(there, presented)[0], api.request(there, rotated)[0]) == (200, 200)
    api.clock.pass_time(timedelta(hours=1))
    assert (api.request(there, presented)[0], api.request(there, rotated)[0]) == (401, 200)


def test_an_overlap_does_not_extend_the_old_key(api: Api):
    old_id, old = api.make(KeyScope.READ, valid_for=timedelta(minutes=30))
    api.access.rotate(old_id, overlap=timedelta(hours=1))
    api.clock.pass_time(timedelta(minutes=30))
    assert api.request(("get", "/v1/incidents"), old)[0] == 401


def test_a_revoked_key_cannot_be_rotated(api: Api):
    key_id, _ = api.make(KeyScope.READ)
    api.access.revoke(key_id)
    before = api.access.keys()
    with pytest.raises(ApiKeyRevoked):
        api.access.rotate(key_id)
    with pytest.raises(ApiKeyNotFound):
        api.access.rotate("nope")
    assert api.access.keys() == before


def test_each_key_has_its_own_rate_limit_and_gets_retry_after(api: Api):
    busy, calm = api.make(KeyScope.READ)[1], api.make(KeyScope.READ)[1]
    assert {api.request(("get", "/v1/recipients"), busy)[0] for _ in range(A_MINUTE)} == {200}
    response = api.client.request("GET", "/v1/recipients", headers={"authorization": f"Bearer {busy}"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    assert api.request(("get", "/v1/recipients"), calm)[0] == 200
    api.clock.pass_time(timedelta(seconds=1))
    assert [api.request(("get", "/v1/recipients"), busy)[0] for _ in range(2)] == [200, 429]


def test_the_last_use_of_a_key_is_recorded_once_an_hour(api: Api):
    _, key = api.make(KeyScope.READ)

    def use() -> object:
        api.request(("get", "/v1/recipients"), key)
        return api.access.keys()[0].last_used_at

    first = use()
    assert first == api.clock.now()
    api.clock.pass_time(timedelta(minutes=59))
    assert use() == first
    api.clock.pass_time(timedelta(minutes=1))
    assert use() == api.clock.now()


def test_a_secret_is_stored_nowhere(api: Api):
    _, key = api.make(KeyScope.READ)
    assert read(key)[1] not in repr(api.access.keys())
    assert (
        Client(api.client.application).request("GET", "/v1/incidents", headers={"authorization": f"Bearer {key}x"}).text.find(key)
        < 0
    )
