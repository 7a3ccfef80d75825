"""Users are changed, disabled, removed and forgotten, or named by a proxy; their sessions follow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_network

import pytest
from starlette.requests import Request

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import IDLE_FOR, Role
from notifyflow.core.delivery.model import Incident, Recipient
from notifyflow.errors import InvalidUser, LoginRefused, NotLoggedIn, UserNotFound
from notifyflow.service.accounts.users import Users
from notifyflow.settings import Settings
from notifyflow.storage.upkeep.forgetting import Forgotten
from notifyflow.web.frame.site import Site
from tests.builders import CountingIds, HandClock
from tests.dashboard import ORIGIN, PASSWORD, Visit
from tests.integration.web.delivery.test_api import SilentBell

OTHER = "another good password"


@contextmanager
def opened(url: str, **variables: str) -> Iterator[tuple[NotifyFlow, HandClock]]:
    clock = HandClock()
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": url, "NOTIFYFLOW_PUBLIC_URL": ORIGIN, **variables})
    with NotifyFlow(settings, clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield flow, clock


@pytest.fixture
def system(database_url: str) -> Iterator[tuple[NotifyFlow, HandClock]]:
    with opened(database_url) as opened_:
        yield opened_


@pytest.fixture
def users(system: tuple[NotifyFlow, HandClock]) -> Users:
    users = system[0].users()
    users.add("ada", Role.VIEWER, password=PASSWORD, recipient_id="ada-lovelace")
    users.add("grace", Role.ADMIN, password=PASSWORD)
    return users


def enter(users: Users, name: str = "ada", password: str = PASSWORD) -> str:
    return users.log_in(name, password, client="127.0.0.1").session


CHANGES: dict[str, Callable[[Users], object]] = {
    "the role": lambda users: users.change("Ada", role=Role.ADMIN),
    "the namespaces": lambda users: users.change("ada", namespaces=["team"]),
    "the recipient": lambda users: users.change("ada", recipient_id=""),
    "the password": lambda users: users.set_password("ada", OTHER),
    "disabled": lambda users: users.disable("ada"),
    "removed": lambda users: users.remove("ada"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_ends_the_sessions_of_a_user(users: Users, change: Callable[[Users], object]):
    mine, other = enter(users), enter(users, "grace")
    assert users.of_session(mine).name == "ada"
    change(users)
    with pytest.raises(NotLoggedIn):
        users.of_session(mine)
    assert users.of_session(other).name == "grace"


def test_a_changed_user_may_do_what_was_given_and_keeps_the_rest(users: Users):
    users.change("ada", role=Role.RESPONDER, namespaces=["team", ""])
    ada = users.of_session(enter(users))
    assert (ada.role, ada.namespaces, ada.by) == (Role.RESPONDER, frozenset({"team", ""}), "ada-lovelace")
    users.change("ada", namespaces=["*"], recipient_id="")
    ada = users.of_session(enter(users))
    assert (ada.role, ada.namespaces, ada.by) == (Role.RESPONDER, None, "ada")
    for wrong in ({"namespaces": ["a\nb"]}, {"recipient_id": " "}):
        with pytest.raises(InvalidUser):
            users.change("ada", **wrong)


def test_a_new_password_replaces_the_old_one(users: Users):
    users.set_password("ada", OTHER)
    with pytest.raises(LoginRefused):
        enter(users)
    assert users.of_session(enter(users, password=OTHER)).name == "ada"
    with pytest.raises(InvalidUser):
        users.set_password("ada", "short")


def test_a_password_is_the_same_however_an_accent_is_typed(users: Users):
    users.set_password("ada", "caf\u00e9 caf\u00e9 caf\u00e9")
    assert enter(users, password="cafe\u0301 cafe\u0301 cafe\u0301")


def test_a_disabled_user_is_let_in_again_when_they_are_enabled(users: Users):
    at = users.disable("ada").disabled_at
    assert users.disable("ada").disabled_at == at is not None
    with pytest.raises(LoginRefused):
        enter(users)
    users.enable("ada")
    assert users.of_session(enter(users)).name == "ada"


def test_changing_somebody_who_is_no_user_raises(users: Users):
    users.remove("ada")
    for change in CHANGES.values():
        with pytest.raises(UserNotFound):
            change(users)


def test_the_last_login_is_stored(users: Users):
    assert [user.logged_in_at for user in users.users()] == [None, None]
    enter(users)
    assert [user.logged_in_at for user in users.users()] == [users.now(), None]


def test_a_forgotten_recipient_is_no_user_any_more(system: tuple[NotifyFlow, HandClock], users: Users):
    flow, _ = system
    flow.notify(Incident(key="db-1", title="down"), [Recipient(id="ada-lovelace", email="ada@example.com")])
    flow.resolve("db-1", by="grace")
    session = enter(users)
    flow.maintenance.forget("ada-lovelace")
    with pytest.raises(NotLoggedIn):
        users.of_session(session)
    assert [user.name for user in users.users()] == ["grace"]


def test_a_user_who_was_never_paged_can_be_forgotten(system: tuple[NotifyFlow, HandClock], users: Users):
    flow, _ = system
    assert flow.maintenance.forget("ada-lovelace") == Forgotten(incidents=0, is_known=True)
    assert flow.maintenance.forget("ada-lovelace") == Forgotten(incidents=0, is_known=False)


def test_a_prune_deletes_sessions_that_are_over(system: tuple[NotifyFlow, HandClock], users: Users):
    flow, clock = system
    old = enter(users)
    clock.pass_time(IDLE_FOR)
    list(flow.maintenance.prune(timedelta(days=30)))
    clock.pass_time(-IDLE_FOR)
    with pytest.raises(NotLoggedIn):
        users.of_session(old)


def test_a_login_deletes_sessions_that_are_over(system: tuple[NotifyFlow, HandClock], users: Users):
    _, clock = system
    old = enter(users)
    clock.pass_time(IDLE_FOR)
    enter(users, "grace")
    clock.pass_time(-IDLE_FOR)
    with pytest.raises(NotLoggedIn):
        users.of_session(old)


HEADER = "X-Forwarded-User"
NETWORKS = (ip_network("10.0.0.0/8"),)
PROXIED = {"NOTIFYFLOW_TRUSTED_PROXIES": "127.0.0.1", "NOTIFYFLOW_PROXY_USER_HEADER": HEADER}


def seen_by(browser: Visit) -> str:
    """The name that the page of the first link shows to whoever opens it, or the status of its refusal."""
    response = browser.get("/setup/x")
    name = response.text.partition('<span class="name"')[2].partition(">")[2].partition("<")[0]
    return name if response.status_code == 410 else str(response.status_code)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (PROXIED, "ada"),
        ({**PROXIED, "NOTIFYFLOW_TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.1"}, "ada"),
        ({**PROXIED, "NOTIFYFLOW_TRUSTED_PROXIES": "10.0.0.1"}, ""),
        ({"NOTIFYFLOW_TRUSTED_PROXIES": "127.0.0.1"}, ""),
        ({}, ""),
    ],
)
def test_a_name_in_the_header_counts_from_a_trusted_proxy_only(sqlite_url: str, variables: dict[str, str], expected: str):
    with opened(sqlite_url, **variables) as (flow, _):
        flow.users().add("ada", Role.VIEWER, password=None)
        application = flow.asgi()
        assert seen_by(Visit(application, {HEADER: "Ada", "x-forwarded-for": "10.0.0.1"})) == expected
        assert seen_by(Visit(application)) == ""


def test_a_name_that_is_no_user_sees_nothing(sqlite_url: str):
    with opened(sqlite_url, **PROXIED) as (flow, _):
        users = flow.users()
        users.add("ada", Role.VIEWER, password=PASSWORD)
        users.add("gone", Role.ADMIN, password=PASSWORD)
        users.disable("gone")
        application = flow.asgi()
        browser = Visit(application)
        browser.log_in("ada")
        for name in ("eve", "gone", "", "é", "\u0000"):
            browser.headers = {HEADER: name.encode()}  # type: ignore[dict-item]
            for path in ("/setup/x", "/", "/login"):
                refused = browser.get(path)
                assert refused.status_code == 403
                assert "no user of notifyflow" in refused.text


def test_a_user_whom_a_proxy_names_acts_and_has_no_session_to_end(sqlite_url: str):
    with opened(sqlite_url, **PROXIED) as (flow, _):
        flow.users().add("ada", Role.VIEWER, password=None)
        browser = Visit(flow.asgi(), {HEADER: "ada"})
        page = browser.get("/setup/x")
        assert "Log out" not in page.text
        assert browser.post("/logout", headers={"origin": ORIGIN}).status_code == 403  # without the token of the page
        assert browser.get("/").headers["location"] == "incidents"


def test_of_several_names_none_counts():
    scope = {
        "type": "http",
        "client": ("10.0.0.1", 1),
        "headers": [(HEADER.lower().encode(), b"ada"), (HEADER.lower().encode(), b"eve")],
    }
    site = Site(proxies=NETWORKS, user_header=HEADER)
    assert site.name_of(Request(scope)) == ""


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "nonsense"),
        ("10.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (None, ["198.51.100.1"], ""),
    ],
)
def test_a_client_is_where_the_last_trusted_proxy_says(peer: str | None, forwarded: list[str], client: str):
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    scope = {"type": "http", "client": None if peer is None else (peer, 1), "headers": headers}
    assert Site(proxies=NETWORKS).client_of(Request(scope)) == client


@pytest.mark.parametrize(
    ("public_url", "origin", "host", "is_own"),
    [
        ("https://notify.example/nf/", "https://notify.example", "10.0.0.9", True),
        ("https://notify.example:443", "https://notify.example", "x", True),
        ("https://notify.example:8443", "https://notify.example:8443", "x", True),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443", "x", True),
        ("https://notify.example", "https://notify.example.evil.example", "x", False),
        ("https://notify.example", "http://notify.example", "x", False),
        (None, "http://127.0.0.1:8000", "127.0.0.1:8000", True),
        (None, "http://127.0.0.1:8001", "127.0.0.1:8000", False),
        (None, "http://", "", False),
    ],
)
def test_our_own_origin_is_the_public_one_or_that_of_the_host(public_url: str | None, origin: str, host: str, is_own: bool):
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    site = Site(public_url=public_url)
    assert site.is_from_own_site(Request({"type": "http", "headers": headers})) == is_own
