"""Any value in any parameter of any route is answered with something else than an error of ours."""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.model import Incident, Recipient
from notifyflow.core.namespaces import ALL, SHARED
from notifyflow.core.oncall.overrides import Wish
from notifyflow.settings import Settings
from notifyflow.web.frame import cursors
from tests.builders import CountingIds, HandClock
from tests.columns import sources
from tests.dashboard import ORIGIN, Visit, visit
from tests.integration.web.delivery.test_api import SilentBell
from tests.integration.web.test_access import BODIES, DIRECTORY
from tests.silencing import a_silence

Names = Mapping[str, str]

DEEP = 985
"""So deep that JSON can still be parsed, and hardly anything else be done with it: the interpreter's limit is 1,000."""
HOSTILE = (
    b"\0",
    b"\xed\xa0\x80",  # a lone surrogate
    b"9" * 30,
    "²".encode(),  # a digit, and no number
    b"../../etc/passwd",
    b"0001-01-01T00:00:00+14:00",
    b"9999-12-31T23:59:59.999999-14:00",
    b"Mars/Phobos",
    b"[" * DEEP,
)
PLACES = (
    b'["x"]',
    b'["\\u0000"]',
    b'["\\ud800"]',
    b'["0001-01-01T00:00:00+14:00", "", ""]',
    b"[{}]",
    b"OPEN",
    b"PENDING x",
)
"""What comes near to the place that a cursor names."""
ODD: tuple[Any, ...] = (
    None,
    -1,
    10**30,
    "\0",
    "\ud800",
    {"": None},
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-14:00"),
)
_NO_FORMS = ("/v1/", "/v2/", "/callbacks/", "/a/", "/login", "/setup", "/logout")
READ_BY_HAND = {
    "/incidents": ("state", "severity", "label", "recipient", "since", "until", "text", "cursor", "everybody"),
    "/incidents/{incident_id}": ("everybody",),
}
"""What pages read from a query without declaring it."""


def routes_of(routes: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            yield from routes_of(router.routes)
        elif isinstance(route, APIRoute):
            yield route


def queried(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for each in dependant.dependencies:
        yield from queried(each)


def parameters_of(route: APIRoute) -> list[str]:
    """Return the names of what a route reads from its query."""
    names = set(READ_BY_HAND.get(route.path, ()))
    for parameter in queried(route.dependant):
        model = parameter.field_info.annotation
        is_model = isinstance(model, type) and issubclass(model, BaseModel)
        names |= {each.alias or name for name, each in model.model_fields.items()} if is_model else {parameter.alias}
    return sorted(names)


@dataclass
class System:
    """A flow with some rows of each kind, and a visitor and keys that may do everything."""

    flow: NotifyFlow
    values: Names
    browser: Visit
    key: str
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = self.browser.token("/setup/x")

    @property
    def routes(self) -> list[APIRoute]:
        return list(routes_of(self.browser.application.routes))

    def send(self, method: str, path: str, query: str = "", **values: Any) -> httpx.Response:
        """Send a request with all that lets it in; a form carries the token of ours."""
        headers = {"authorization": f"Bearer {self.key}", "origin": ORIGIN, "sec-fetch-site": "same-origin"}
        headers |= values.pop("headers", {})
        if method == "POST" and not values:
            values["data"] = {"csrf": self.token}
        return self.browser.request(method, f"{path}?{query}" if query else path, headers=headers, **values)

    def path(self, route: APIRoute, **values: str) -> str:
        names = re.findall(r"{(\w+)", route.path)
        return re.sub(r"{(\w+)(:path)?}", r"{\1}", route.path).format_map(dict.fromkeys(names, "x") | dict(self.values) | values)


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Iterator[System]:
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    settings = {
        "NOTIFYFLOW_DATABASE_URL": database_url,
        "NOTIFYFLOW_PUBLIC_URL": ORIGIN,
        "NOTIFYFLOW_DIRECTORY": str(tmp_path / "directory.toml"),
        "NOTIFYFLOW_API_REQUESTS_A_MINUTE": "1000000",
        "NOTIFYFLOW_SECRET_KEY": "k" * 32,
        "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "NOTIFYFLOW_TWILIO_AUTH_TOKEN": "t" * 32,
        "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
    }
    clock = HandClock()
    with NotifyFlow(Settings.from_variables(settings), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        people = [Recipient(id=name, email=f"{name}@example.com") for name in ("ada", "ben", "cyd")]
        done = [flow.notify(Incident(key=f"db-{number}", title="the lost orders db"), people) for number in range(3)]
        (made,) = flow.oncall.change(Wish(people=("ben",), ends_at=clock.now() + timedelta(days=300), by="ben"))
        known = {"incident_id": done[0].incident_id, "recipient_id": "ada", "schedule": "primary", "override_id": made.id}
        known["silence_id"] = a_silence(flow)
        _, key = flow.access().create("a", {KeyScope.READ, KeyScope.OPERATE}, valid_for=None, namespace=ALL)
        yield System(flow, known, visit(flow, Role.ADMIN), key)


def faults(sent: Iterator[tuple[str, httpx.Response]]) -> list[str]:
    return [f"{what}: {response.status_code}" for what, response in sent if response.status_code >= 500 and "/readyz" not in what]


def test_any_value_of_any_parameter_is_taken_or_refused(system: System) -> None:
    def sent() -> Iterator[tuple[str, httpx.Response]]:
        for route in system.routes:
            if "GET" in route.methods:
                for name in parameters_of(route):
                    for value in HOSTILE:
                        query = f"{name}={quote_from_bytes(value)}"
                        yield f"{route.path} {query[:80]}", system.send("GET", system.path(route), query)

    assert faults(sent()) == []


def test_any_value_in_any_path_is_taken_or_refused(system: System) -> None:
    def sent() -> Iterator[tuple[str, httpx.Response]]:
        for route in system.routes:
            for method in sorted(route.methods - {"HEAD"}):
                for name in re.findall(r"{(\w+)", route.path):
                    for value in HOSTILE:
                        path = system.path(route, **{name: quote_from_bytes(value, safe="")})
                        yield f"{method} {path[:80]}", system.send(method, path)

    assert faults(sent()) == []


def test_any_field_of_any_form_is_taken_or_refused(system: System) -> None:
    source = "".join(path.read_text() for path in sources("web"))
    names = sorted(set(re.findall(r'form(?:_of\(request\))?(?:\.get\(|\[)"(\w+)"', source)) - {"csrf"})
    assert len(names) > 5

    def sent() -> Iterator[tuple[str, httpx.Response]]:
        for route in system.routes:
            if "POST" in route.methods and not route.path.startswith(_NO_FORMS):
                for value in HOSTILE[::3]:
                    given = value.decode("utf-8", "replace")
                    for name in names:
                        yield (
                            f"{route.path} {name}={given[:40]!r}",
                            system.send("POST", system.path(route), data={"csrf": system.token, "recipient": "ada", name: given}),
                        )

    assert faults(sent()) == []


def test_a_forged_cursor_is_taken_or_refused(system: System) -> None:
    """A cursor is no secret: whoever has a real one knows how to make others for the same list."""

    def sent() -> Iterator[tuple[str, httpx.Response]]:
        marks = {"/incidents": cursors.write("", ""), "/messages": cursors.write({}, "")}
        for path in ("/v1/incidents", "/v1/messages", "/v1/recipients"):
            marks[path] = system.send("GET", path, "limit=1").json()["next_cursor"]
        for path, real in marks.items():
            mark = base64.urlsafe_b64decode(real + "=" * (-len(real) % 4))[:8]
            for value in (*HOSTILE, *PLACES):
                forged = base64.urlsafe_b64encode(mark + value).decode().rstrip("=")
                query = f"cursor={forged}" if path in ("/incidents", "/messages") else f"limit=1&cursor={forged}"
                yield f"{path} {value[:40]!r}", system.send("GET", path, query)

    assert faults(sent()) == []


def test_any_cookie_and_header_is_taken_or_ignored(system: System) -> None:
    page, names = (
        f"/incidents/{system.values['incident_id']}",
        ["notifyflow_zone", "__Host-notifyflow_zone", *system.browser.cookies],
    )

    def sent() -> Iterator[tuple[str, httpx.Response]]:
        for value in (*HOSTILE, b"America", b"..", b"UTC/", b"posixrules", b"Mars/Phobos\\0"):
            for name in names:
                cookies = {**system.browser.cookies, name: value.replace(b"\0", b"\\000").decode("latin-1")}
                cookie = "; ".join(f"{each}={said}" for each, said in cookies.items())
                found = Visit(system.browser.application).request("GET", page, headers={"cookie": cookie.encode("latin-1")})
                yield f"{name}={value[:40]!r}", found
        for value in HOSTILE[::2]:
            for header in ("if-none-match", "accept-language", "hx-request", "x-forwarded-for", "idempotency-key", "range"):
                yield f"{header}={value[:40]!r}", system.send("GET", page, headers={header: value.replace(b"\0", b"")})

    assert faults(sent()) == []


def changed(body: Any, odd: Any) -> Iterator[Any]:
    """Yield a document with each of its values replaced in turn, and as the value of a new field."""
    yield odd
    match body:
        case dict():
            for name, value in body.items():
                yield from ({**body, name: each} for each in changed(value, odd))
            yield {**body, "labels": {"deep": odd}, "links": odd, "details": odd, "time": odd}
        case list():
            for place, value in enumerate(body):
                yield from ([*body[:place], each, *body[place + 1 :]] for each in changed(value, odd))


def test_any_document_is_taken_or_refused(system: System) -> None:
    _, ingest = system.flow.access().create("b", {KeyScope.INGEST}, valid_for=None, namespace=SHARED)
    nested = ["[" * depth + "]" * depth for depth in (300, *range(900, 1_000, 15), 5_000)]

    def sent() -> Iterator[tuple[str, httpx.Response]]:
        for path, body in BODIES.items():
            there = path.format_map(dict(system.values))
            full = {**body, "routing_key": ingest} if path == "/v2/enqueue" else body
            headers = {"authorization": f"Bearer {system.key if '{' in path else ingest}", "content-type": "application/json"}
            documents = [json.dumps(each) for odd in ODD for each in changed(full, odd)]
            *_, inside = changed(full, "@")
            documents += [json.dumps(each).replace('"@"', deep) for each in ("@", inside) for deep in nested]
            for document in documents:
                yield f"{path} {document[:300]}", system.send("POST", there, content=document.encode(), headers=headers)

    assert faults(sent()) == []
