"""What all pages of the dashboard have in common: headers, assets, relative links, and no body where nothing has changed."""

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request, Response

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.errors import Fault, InvalidRequest
from notifyflow.settings import Settings
from notifyflow.web.frame import assets, respond
from notifyflow.web.frame.permissions import RequireRole, form_of
from tests.asgi import Client
from tests.builders import CountingIds, HandClock
from tests.dashboard import ORIGIN, Visit, visit
from tests.integration.web.delivery.test_api import SilentBell

SHOWN = {"headline": "<b>one</b>", "detail": "two"}
STATE = {"etag": "1", "shown": "a"}


@pytest.fixture
def flow(sqlite_url: str) -> Iterator[NotifyFlow]:
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_PUBLIC_URL": ORIGIN})
    with NotifyFlow(settings, clock=HandClock(), ids=CountingIds(), bell=SilentBell()) as flow:
        yield flow


@pytest.fixture
def application(flow: NotifyFlow) -> FastAPI:
    """An application with a page, a page that knows its etag, and an action."""
    application = flow.asgi()
    context = application.state.context
    viewer, admin = Depends(RequireRole(context, Role.VIEWER)), Depends(RequireRole(context, Role.ADMIN))

    @application.get("/sample/{name}")
    def show(user: Annotated[CurrentUser, viewer], request: Request, name: str) -> Response:
        if name == "wrong":
            raise InvalidRequest((Fault("state", "it is unknown", "Choose another"),))
        return respond.page(request, user, "refusal.html", {**SHOWN, "detail": name})

    @application.get("/stamped")
    def show_stamped(user: Annotated[CurrentUser, viewer], request: Request, number: int = 0) -> Response:
        etag = STATE["etag"]
        same = respond.unchanged(request, user, etag)
        return same or respond.page(request, user, "refusal.html", {**SHOWN, "detail": STATE["shown"]}, etag=etag)

    @application.post("/sample/{name}")
    def act(user: Annotated[CurrentUser, admin], request: Request, name: str) -> Response:
        return respond.redirect(f"{name}?{form_of(request)['word']}&{user.name}")

    return application


@pytest.fixture
def admin(flow: NotifyFlow, application: FastAPI) -> Visit:
    return visit(flow, application=application)


def test_a_page_loads_its_own_files_alone_and_is_kept_by_its_reader_alone(admin: Visit):
    page = admin.get("/sample/a")
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; style-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert page.headers["cache-control"] == "private, no-cache"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<style|<script>|\sstyle=|\son\w+=|url\(", page.text)
    assert "&lt;b&gt;one&lt;/b&gt;" in page.text
    assert '"allowEval":false,"includeIndicatorStyles":false' in page.text
    for address in re.findall(r'(?:src|href)="(../assets/[^"]+)"', page.text):
        asset = admin.get(address.removeprefix(".."))
        assert (asset.status_code, asset.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")


def test_a_page_that_has_not_changed_is_not_sent_again(admin: Visit):
    page = admin.get("/sample/a")
    again = admin.request("GET", "/sample/a", headers={"if-none-match": f'"x", W/{page.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "private, no-cache"
    assert admin.request("GET", "/sample/b", headers={"if-none-match": page.headers["etag"]}).status_code == 200


def test_a_page_with_a_stamp_is_made_again_when_that_changes_and_sent_again_when_the_page_does(
    flow: NotifyFlow, application: FastAPI, admin: Visit, monkeypatch: pytest.MonkeyPatch
):
    def ask(user: Visit = admin, path: str = "/stamped", **state: str) -> int:
        for name, value in state.items():
            monkeypatch.setitem(STATE, name, value)
        response = user.request("GET", path, headers={"if-none-match": f'"x", W/{known["etag"]}'})
        if user is admin:
            known.update(response.headers)
        return response.status_code

    known = dict(admin.get("/stamped").headers)
    assert ask(shown="not made") == 304
    assert ask(shown="a", etag="2") == 304
    assert ask(shown="not made") == 304  # the browser has been told the new etag
    assert ask(etag="3") == 200
    assert ask(path="/stamped?number=1", shown="b") == 200
    assert ask(visit(flow, Role.VIEWER, application=application)) == 200


def test_somebody_who_is_not_logged_in_is_sent_to_the_login_and_back(flow: NotifyFlow, application: FastAPI):
    browser = Visit(application)
    response = browser.get("/sample/a%2Fb")
    assert response.status_code == 404  # a slash in a name is none of the path
    response = browser.get("/sample/a?x=1&y=2")
    assert (response.status_code, response.headers["location"]) == (303, "../login?next=sample%2Fa%3Fx%3D1%26y%3D2")
    assert browser.request("GET", "/sample/a", headers={"hx-request": "true"}).status_code == 401
    response = browser.request("POST", "/sample/a", headers={"origin": ORIGIN})
    assert (response.status_code, response.headers["location"]) == (303, "../login")
    flow.users().add("ada", Role.VIEWER, password="correct horse battery")
    login = "/login?next=sample%2Fa%3Fx%3D1%26y%3D2"
    assert 'value="sample/a?x=1&amp;y=2"' in browser.get(login).text
    entered = browser.send(login, "/login", name="ada", password="correct horse battery", next="sample/a?x=1&y=2")
    assert entered.headers["location"] == "sample/a?x=1&y=2"


def test_links_are_relative_so_that_a_proxy_may_add_a_prefix(application: FastAPI, admin: Visit):
    for prefix, address, root in (("", "/sample/a", "../"), ("", "/stamped", ""), ("/nf", "/nf/sample/a", "../")):
        page = Client.request(_below(admin, prefix), "GET", address, headers={"cookie": _cookies(admin)})
        assert f'href="{root}incidents"' in page.text
        assert f'action="{root}logout"' in page.text
        assert not re.search(r'(?:href|src|action)="/', page.text)


def _below(browser: Visit, prefix: str) -> Client:
    import httpx

    client = Client(browser.application)
    client._transport = httpx.ASGITransport(browser.application, root_path=prefix)
    return client


def _cookies(browser: Visit) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def test_a_visitor_without_the_role_gets_a_page_that_says_which(flow: NotifyFlow, application: FastAPI):
    browser = visit(flow, Role.RESPONDER, application=application)
    response = browser.send("/sample/a", word="x")
    assert response.status_code == 403
    assert "You are logged in as responder, a responder; this needs the role admin." in response.text
    assert "Log out" in response.text


def test_an_action_reads_its_form(admin: Visit):
    response = admin.send("/sample/a", word="x", other="y")
    assert (response.status_code, response.headers["location"]) == (303, "a?x&admin")


def test_an_error_is_a_page_with_the_way_back(admin: Visit):
    for address, status, text in (
        ("/sample/wrong", 422, "state: it is unknown. Choose another."),
        ("/stamped?number=x", 422, "has a value that this page does not know"),
    ):
        response = admin.get(address)
        assert response.status_code == status
        assert text in response.text
        assert "Log out" in response.text


def test_htmx_is_the_file_of_its_package_unchanged():
    folder = files("notifyflow.web").joinpath("assets")
    digest, _, name = folder.joinpath("htmx.min.js.sha256").read_text().split(" ")
    assert name.strip() == "htmx.min.js"
    assert hashlib.sha256(folder.joinpath("htmx.min.js").read_bytes()).hexdigest() == digest
    assert 'version:"2.0.' in folder.joinpath("htmx.min.js").read_text()
    assert "Permission to use" in folder.joinpath("htmx.LICENSE").read_text()


def test_an_asset_has_another_address_when_it_changes_and_an_unknown_one_is_not_found(admin: Visit):
    assert re.fullmatch(r"assets/dashboard-[0-9a-f]{12}\.css", assets.address("dashboard.css"))
    for name in ("dashboard.css", "dashboard-000000000000.css", "..%2Fpages.py"):
        assert admin.get(f"/assets/{name}").status_code == 404
