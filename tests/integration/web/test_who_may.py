"""Who may: every page and action of the dashboard, found in the application's routes, with every kind of visitor."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response
from starlette.routing import BaseRoute

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import IDLE_FOR, CurrentUser, Role
from notifyflow.core.delivery.model import Incident, Recipient
from notifyflow.settings import Settings
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.web.frame.permissions import RequireRole, recognise
from tests.builders import CountingIds, HandClock
from tests.dashboard import ORIGIN, Visit, visit
from tests.integration.web.delivery.test_api import SilentBell
from tests.integration.web.test_access import KEYED, OPEN, SIGNED, VISITED, Route, role_of, routes_of
from tests.silencing import a_silence

TITLE = "the lost orders db"
SAFE = ("GET", "HEAD")
FOREIGN = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
OWN = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}


@dataclass
class System:
    """A flow with an incident, and a visitor of each role."""

    flow: NotifyFlow
    clock: HandClock
    url: str
    application: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        self.application = self.flow.asgi()
        notified = self.flow.notify(Incident(key="db-1", title=TITLE), [Recipient(id="ada", email="ada@example.com")])
        self.values = {
            "incident_id": notified.incident_id,
            "recipient_id": "ada",
            "silence_id": a_silence(self.flow),
            "name": "a",
        }
        self.visitors = {role: self.visitor(role) for role in Role}

    def visitor(self, role: Role, **user: object) -> Visit:
        return visit(self.flow, role, application=self.application, **user)

    def request(self, browser: Visit, route: Route, **headers: str) -> httpx.Response:
        """Request a route as a page of ours does, with the token of the browser's forms."""
        method, path = route
        there = path.format_map(self.values)  # a new parameter needs a value above
        if method in SAFE:
            return browser.request(method, there, headers=headers)
        return browser.request(
            method, there, data={"csrf": browser.token("/setup/x"), "recipient": "ada"}, headers={**OWN, **headers}
        )

    @property
    def trace(self) -> list[object]:
        """What an action changes."""
        db = dialect_for(self.url).connect(Deadline(600))
        try:
            tables = ("transition", "notification", "attempt", "user", "session")
            counts = [execute(db, f"SELECT COUNT(*) FROM notifyflow_{table}").fetchone() for table in tables]
            return [*counts, execute(db, "SELECT state, version FROM notifyflow_incident ORDER BY id").fetchall()]
        finally:
            db.close()


@pytest.fixture
def system(sqlite_url: str) -> Iterator[System]:
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_PUBLIC_URL": ORIGIN})
    clock = HandClock()
    with NotifyFlow(settings, clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield System(flow, clock, sqlite_url)


def pages_of(application: FastAPI) -> dict[Route, Role]:
    """Return the routes that declare a role; the logout is last, since it ends the session of all that follows."""

    def flatten(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
        for route in routes:
            router = getattr(route, "original_router", None)
            yield from flatten(router.routes) if router is not None else (route,)

    found = {
        (method, route.path.replace(":path}", "}")): role  # type: ignore[attr-defined]
        for route in flatten(application.routes)
        if (role := role_of(route)) is not None
        for method in route.methods  # type: ignore[attr-defined]
    }
    return dict(sorted(found.items(), key=lambda each: (each[0][1] == "/logout", each[0][0] not in SAFE, each[0])))


def is_admitted(response: httpx.Response) -> bool:
    is_logged_out = "max-age=0" in response.headers.get("set-cookie", "").lower()
    is_sent_away = response.status_code == 303 and re.match(r"(\.\./)*login", response.headers["location"]) and not is_logged_out
    return response.status_code < 500 and response.status_code not in (401, 403) and not is_sent_away


def violations(system: System, route: Route, role: Role) -> list[str]:
    """Return which visitors a route treats otherwise than it declares."""
    nobody = Visit(system.application)
    found = []
    sent, asked = system.request(nobody, route), system.request(nobody, route, **{"hx-request": "true"})
    if is_admitted(sent) or sent.status_code != 303:
        found.append(f"nobody: {sent.status_code}")
    if asked.status_code != 401:
        found.append(f"a script of nobody: {asked.status_code}")
    for who, browser in system.visitors.items():
        if route[0] not in SAFE and (foreign := system.request(browser, route, **FOREIGN)).status_code != 403:
            found.append(f"{who} from another site: {foreign.status_code}")
        response = system.request(browser, route)
        if is_admitted(response) != who.includes(role):
            found.append(f"{who}: {response.status_code}")
    return found


def test_every_page_admits_those_with_its_role_and_nobody_else(system: System):
    pages = pages_of(system.application)
    assert ("POST", "/logout") in pages
    before = system.trace
    for route, role in pages.items():
        assert violations(system, route, role) == [], route
        if route[0] in SAFE:
            assert system.trace == before, f"looking at {route} changes something"


def test_a_session_that_is_over_admits_nobody(system: System):
    system.clock.pass_time(IDLE_FOR)
    before = system.trace
    for route in pages_of(system.application):
        response = system.request(system.visitors[Role.ADMIN], route)
        assert not is_admitted(response), route
        assert response.status_code == 303
    assert system.trace == before


def test_another_site_acts_in_nobodys_name(system: System):
    before = system.trace
    for method, path in pages_of(system.application):
        if method not in SAFE:
            for headers in (FOREIGN, {"sec-fetch-site": "same-site"}, {"origin": "null"}):
                response = system.request(system.visitors[Role.ADMIN], (method, path), **headers)
                assert response.status_code == 403, (path, headers)
            unmarked = system.visitors[Role.ADMIN].post(path.format_map(system.values), headers=OWN)
            assert unmarked.status_code == 403, f"{path} needs no token"
    assert system.trace == before


def test_an_incident_of_another_namespace_does_not_exist(system: System):
    stranger = system.visitor(Role.ADMIN, name="stranger", namespaces=["elsewhere"])
    before = system.trace
    for route in pages_of(system.application):
        if route[1] == "/logout":
            continue
        response = system.request(stranger, route)
        if "{" in route[1]:
            assert response.status_code == 404, route
        assert TITLE not in response.text, route
        assert "ada@" not in response.text, route
    assert system.trace == before


def test_a_page_without_a_rule_is_found(system: System):
    declared = OPEN | KEYED.keys() | SIGNED.keys() | VISITED
    assert set(routes_of(system.application.routes, besides=False)) == declared
    system.application.get("/sample")(lambda: "everything")
    assert set(routes_of(system.application.routes, besides=False)) - declared == {("GET", "/sample")}


def test_a_page_that_does_not_keep_its_rule_is_found(system: System):
    class Lax(RequireRole):
        async def __call__(self, request: Request) -> CurrentUser:
            return recognise(system.application.state.context, request).user or NOBODY

    context = system.application.state.context

    @system.application.post("/sample")
    def act(visitor: Annotated[CurrentUser, Depends(Lax(context, Role.ADMIN))]) -> Response:
        return Response(visitor.name)

    assert violations(system, ("POST", "/sample"), Role.ADMIN) == [
        "nobody: 200",
        "a script of nobody: 200",
        *(line for role in Role for line in (f"{role} from another site: 200", f"{role}: 200") if line != "admin: 200"),
    ]


NOBODY = CurrentUser(name="nobody", role=Role.VIEWER, namespaces=None, recipient_id=None)
