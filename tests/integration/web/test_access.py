"""Access: every route has a rule, and every rule is tested with requests that it admits and that it refuses."""

import base64
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.routing import BaseRoute, Mount
from twilio.request_validator import RequestValidator

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.model import Incident, Recipient
from notifyflow.core.messages.links import sign as sign_link
from notifyflow.core.namespaces import ALL, SHARED
from notifyflow.core.oncall.overrides import Wish
from notifyflow.settings import Settings
from notifyflow.web.frame import assets
from notifyflow.web.frame.permissions import RequireRole
from tests.asgi import Client
from tests.builders import ALL_SCOPES, START, CountingIds, HandClock
from tests.integration.web.delivery.test_api import SilentBell
from tests.integration.web.delivery.test_ways import sign as sign_press
from tests.integration.web.frame.test_api_keys import OPEN_TO_ALL, SCOPES
from tests.servers.sns import Sns, body_of, sns
from tests.silencing import a_silence

Route = tuple[str, str]
DIRECTORY = """
recipients.ben = {}
default.to = ["ben"]
heartbeats.backup = { every = "1h" }
schedules.primary = { ical = "https://calendar.example.com/oncall.ics" }
"""
URL = "https://notify.example"
KEYS = {"right": "k" * 32, "wrong": "x" * 32}
TOKENS = {"right": "t" * 32, "wrong": "x" * 32}
SECRETS = {"right": "s" * 32, "wrong": "x" * 32}
BODIES: Mapping[str, dict[str, Any]] = {
    "/v1/incidents": {"key": "new", "title": "down", "recipients": [{"id": "ben", "email": "ben@example.com"}]},
    "/v1/incidents/{incident_id}/page-again": {"recipient": "ada"},
    "/v1/oncall/{schedule}/overrides": {"people": ["ben"], "ends_at": (START + timedelta(days=300)).isoformat()},
    "/v1/silences": {"match": ["team=orders"], "duration": "2h", "reason": "upgrade"},
    "/v1/alertmanager": {"alerts": [{"status": "firing", "labels": {"alertname": "A"}, "fingerprint": "f"}]},
    "/v1/cloudevents": {"id": "1", "source": "s", "type": "disk.full", "subject": "db"},
    "/v2/enqueue": {"event_action": "trigger", "dedup_key": "d", "payload": {"summary": "down"}},
}


@dataclass
class System:
    """A flow with every integration and callback configured, and one incident."""

    flow: NotifyFlow
    client: Client
    clock: HandClock
    database: Path
    incident_id: str
    override_id: str
    silence_id: str
    amazon: Sns

    def request(self, method: str, path: str, **values: Any) -> httpx.Response:
        if method == "POST" and "content" not in values:
            values.setdefault("json", BODIES.get(path, {}))
        there = path.format(
            incident_id=self.incident_id,
            recipient_id="ada",
            provider="twilio",
            channel="sms",
            attempt_id="a1",
            schedule="primary",
            override_id=self.override_id,
            silence_id=self.silence_id,
        )
        return self.client.request(method, there, **values)

    def key(self, scope: KeyScope, credential: str) -> str:
        """Make a key: a valid one, or one with the named fault."""
        if credential == "none":
            return ""
        scopes = ALL_SCOPES - {scope} if credential == "wrong scope" else {scope}
        key, presented = self.flow.access().create(
            "a",
            scopes,
            valid_for=timedelta(hours=1) if credential == "expired" else None,
            namespace=ALL if scopes <= {KeyScope.OPERATE, KeyScope.READ} else SHARED,
        )
        if credential == "revoked":
            self.flow.access().revoke(key.id)
        if credential == "expired":
            self.clock.pass_time(timedelta(hours=1))
        return presented[:-1] if credential == "wrong" else presented

    @property
    def trace(self) -> list[int]:
        """Count the rows that an admitted request adds."""
        tables = ("incident", "transition", "receipt", "opt_out")
        connection = sqlite3.connect(self.database)
        try:
            return [connection.execute(f"SELECT COUNT(*) FROM notifyflow_{table}").fetchone()[0] for table in tables]
        finally:
            connection.close()


@contextmanager
def opened(template: Path, folder: Path) -> Iterator[System]:
    """Configure every integration and callback, on a copy of an empty database."""
    database = shutil.copy(template, folder / "notifyflow.db")
    (folder / "directory.toml").write_text(DIRECTORY)
    with sns(folder) as amazon:
        variables = {
            "NOTIFYFLOW_DIRECTORY": str(folder / "directory.toml"),
            **amazon.settings,
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{database}",
            "NOTIFYFLOW_PUBLIC_URL": URL,
            "NOTIFYFLOW_SECRET_KEY": KEYS["right"],
            "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "NOTIFYFLOW_TWILIO_AUTH_TOKEN": TOKENS["right"],
            "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
            "NOTIFYFLOW_TWILIO_VOICE_FROM": "+15005550006",
            "NOTIFYFLOW_TWILIO_SMS_REPLIES": "true",
            "NOTIFYFLOW_SLACK_BOT_TOKEN": "xoxb-1",
            "NOTIFYFLOW_SLACK_SIGNING_SECRET": SECRETS["right"],
        }
        clock = HandClock()
        with NotifyFlow(Settings.from_variables(variables), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
            done = flow.notify(Incident(key="db-1", title="the lost orders db"), [Recipient(id="ada", email="ada@example.com")])
            wish = Wish(people=("ben",), ends_at=clock.now() + timedelta(days=300), by="ben")
            (made,) = flow.oncall.change(wish)
            yield System(flow, Client(flow.asgi()), clock, database, done.incident_id, made.id, a_silence(flow), amazon)


@pytest.fixture(scope="module")
def system(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with opened(_sqlite_template, tmp_path_factory.mktemp("access")) as system:
        yield system


Present = Callable[[str, str], dict[str, Any]]


def as_bearer(_path: str, key: str) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {key}"} if key else {}}


def as_password(_path: str, key: str) -> dict[str, Any]:
    return {"headers": {"authorization": "Basic " + base64.b64encode(f"a:{key}".encode()).decode()} if key else {}}


def as_routing_key(path: str, key: str) -> dict[str, Any]:
    return {"json": BODIES[path] | ({"routing_key": key} if key else {})}


KEYED: Mapping[Route, tuple[KeyScope, Iterable[Present]]] = {
    **{(method.upper(), path): (scope, (as_bearer,)) for (method, path), scope in SCOPES.items()},
    ("POST", "/v1/alertmanager"): (KeyScope.INGEST, (as_bearer, as_password)),
    ("POST", "/v1/cloudevents"): (KeyScope.INGEST, (as_bearer, as_password)),
    ("POST", "/v2/enqueue"): (KeyScope.INGEST, (as_routing_key,)),
    ("GET", "/metrics"): (KeyScope.METRICS, (as_bearer,)),
}


def with_link(system: System, method: str, path: str, credential: str) -> int:
    who = "eve" if credential == "of somebody else" else "ada"
    until = system.clock.now() + timedelta(days=-1 if credential == "expired" else 1)
    token = sign_link((KEYS["wrong" if credential == "wrong" else "right"],), system.incident_id, who, until)
    return system.request(method, path.format(token="" if credential == "none" else token)).status_code


def with_form(system: System, method: str, path: str, credential: str) -> int:
    """Send a callback as Twilio does."""
    form = {"MessageSid": "SM1", "MessageStatus": "delivered", "Body": "stop", "From": "+15005550011", "To": "+15005550006"}
    there = path.format(provider="twilio", channel="sms", attempt_id="a2" if credential == "of somebody else" else "a1")
    signed = URL + there + ("x" if credential == "of somebody else" else "")
    signature = RequestValidator(TOKENS["wrong" if credential == "wrong" else "right"]).compute_signature(signed, form)
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
    del headers["x-twilio-signature" if credential == "none" else "content-type"]
    return system.request(method, there, content=urlencode(form), headers=headers).status_code


def with_press(system: System, method: str, path: str, credential: str) -> int:
    """Send a callback as Slack does, which also signs the time."""
    token = sign_link((KEYS["right"],), system.incident_id, "ada", system.clock.now() + timedelta(days=1))
    press = f'{{"type": "block_actions", "actions": [{{"action_id": "acknowledge", "value": "{token}"}}]}}'
    body = urlencode({"payload": press})
    at = time.time() - (600 if credential == "expired" else 0)
    signature = sign_press(body, secret=SECRETS["wrong" if credential == "wrong" else "right"], at=at)
    sent = body + "&x=1" if credential == "of somebody else" else body
    return system.request(method, path, content=sent, headers={} if credential == "none" else signature).status_code


def with_ping(system: System, method: str, path: str, credential: str) -> int:
    """Ping as a job does, with its key in the path."""
    system.flow.oncall.roster()
    heartbeat = "other" if credential == "of somebody else" else "backup"
    key = system.flow.access().create("cron", {KeyScope.PING}, valid_for=None, heartbeat=heartbeat)[1]
    rest = "backup" if credential == "none" else f"{key}{'x' if credential == 'wrong' else ''}/backup"
    return system.request(method, path.format(rest=rest)).status_code


def with_address(system: System, method: str, path: str, credential: str) -> int:
    """Read a feed under its secret address, as a calendar program does."""
    feeds = system.flow.feeds()
    feed, token = feeds.make(schedule="primary", by="a")
    if credential == "revoked":
        feeds.revoke(feed.id)
    presented = {"none": "", "wrong": token[:-1]}.get(credential, token)
    return system.request(method, path.format(token=presented)).status_code


def with_message(system: System, method: str, path: str, credential: str) -> int:
    """Send a message as SNS does."""
    message = dict(
        system.amazon.message("{}", **({"TopicArn": "arn:aws:sns:eu-central-1:1:x"} if credential == "of somebody else" else {}))
    )
    if credential == "none":
        del message["Signature"]
    return system.request(
        method, path, content=body_of(message | ({"Message": "x"} if credential == "wrong" else {}))
    ).status_code


Send = Callable[[System, str, str, str], int]
SIGNED: Mapping[Route, tuple[Send, Mapping[str, int]]] = {
    **{
        (method, "/a/{token}"): (
            with_link,
            {"none": 404, "wrong": 404, "expired": 410, "of somebody else": 404, "right": 303 if method == "POST" else 200},
        )
        for method in ("GET", "HEAD", "POST")
    },
    **{
        ("POST", f"/callbacks/{{provider}}/{{channel}}{more}"): (
            with_form,
            {"none": 403, "wrong": 403, "of somebody else": 403, "right": 200},
        )
        for more in ("", "/{attempt_id}", "/{attempt_id}/key")
    },
    **{
        (method, "/oncall/feeds/{token}.ics"): (with_address, {"none": 404, "wrong": 404, "revoked": 404, "right": 200})
        for method in ("GET", "HEAD")
    },
    ("POST", "/callbacks/slack/actions"): (
        with_press,
        {"none": 401, "wrong": 401, "expired": 401, "of somebody else": 401, "right": 200},
    ),
    **{
        (method, "/v1/heartbeats/{rest}"): (with_ping, {"none": 401, "wrong": 401, "of somebody else": 403, "right": 200})
        for method in ("GET", "HEAD", "POST")
    },
    ("POST", "/callbacks/sns"): (with_message, {"none": 403, "wrong": 403, "of somebody else": 403, "right": 200}),
}
VISITED: set[Route] = {(method, path) for path in ("/login", "/setup/{token}") for method in ("GET", "HEAD", "POST")}
"""Pages for people who are not logged in yet: ``test_who_may.py`` and ``test_login.py`` test them."""
OPEN: set[Route] = {(method.upper(), path) for method, path in OPEN_TO_ALL} | {
    ("GET", "/v1/openapi.json"),
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/assets/{name}"),
}


def role_of(route: BaseRoute) -> Role | None:
    """Return the role that a route of the dashboard declares; None if it declares none."""
    dependencies = getattr(getattr(route, "dependant", None), "dependencies", ())
    return next((each.call.role for each in dependencies if isinstance(each.call, RequireRole)), None)


def routes_of(routes: Iterable[BaseRoute], *, besides: bool = True) -> Iterator[Route]:
    """Yield every route with each of its methods; fail for anything that is neither a route nor a router.

    Those of the dashboard whose visitors need a role (``test_who_may.py``) are left out with ``besides=False``.
    """
    for route in routes:
        router = getattr(route, "original_router", None)  # newer releases of FastAPI keep routers whole
        if router is not None:
            yield from routes_of(router.routes, besides=besides)
        else:
            assert not isinstance(route, Mount), f"{route.path} is mounted, and has no rule"
            path = route.path.replace(":path}", "}")  # type: ignore[attr-defined]
            if besides or role_of(route) is None:
                yield from ((method, path) for method in route.methods)  # type: ignore[attr-defined]


def test_every_route_has_a_rule(system: System):
    application = system.flow.asgi()
    assert set(routes_of(application.routes, besides=False)) == OPEN | KEYED.keys() | SIGNED.keys() | VISITED
    application.get("/v1/secrets")(lambda: "all of them")
    found = set(routes_of(application.routes, besides=False))
    assert found - OPEN - KEYED.keys() - SIGNED.keys() - VISITED == {("GET", "/v1/secrets")}
    application.mount("/everything", system.client.application)
    with pytest.raises(AssertionError, match="/everything is mounted"):
        list(routes_of(application.routes))


def test_a_request_without_a_valid_key_is_refused_and_stores_nothing(system: System):
    before = system.trace
    for credential, status in {"none": 401, "wrong": 401, "revoked": 401, "expired": 401, "wrong scope": 403}.items():
        keys = {scope: system.key(scope, credential) for scope in ALL_SCOPES}
        for (method, path), (scope, ways) in KEYED.items():
            for present in ways:
                response = system.request(method, path, **present(path, keys[scope]))
                assert response.status_code == status, (method, path, present, credential)
    assert system.trace == before
    keys = {scope: system.key(scope, "right") for scope in ALL_SCOPES}
    for (method, path), (scope, ways) in KEYED.items():
        for present in ways:
            response = system.request(method, path, **present(path, keys[scope]))
            assert response.status_code in (200, 201, 202, 409), (method, path, present, response.text)


def test_a_wrong_or_old_signature_is_refused_and_stores_nothing(system: System):
    before = system.trace
    for (method, path), (send, expected) in SIGNED.items():
        for credential in expected.keys() - {"right"}:
            assert send(system, method, path, credential) == expected[credential], (method, path, credential)
    assert system.trace == before
    for (method, path), (send, expected) in SIGNED.items():
        assert send(system, method, path, "right") == expected["right"], (method, path)
    assert system.trace != before


def test_public_routes_disclose_nothing_private(system: System):
    secrets = {system.incident_id, KEYS["right"], TOKENS["right"], SECRETS["right"], "the lost orders db", "xoxb"}
    for method, path in OPEN:
        path = path.replace("{name}", assets.address("dashboard.js").removeprefix("assets/"))
        response = system.request(method, path, params={"exclude": "sweeping"} if path == "/readyz" else {})
        assert response.status_code == 200
        assert [secret for secret in secrets if secret in response.text] == []
