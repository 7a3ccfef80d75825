"""Logging in and out of the dashboard: who gets a session, for how long, and what an attacker gets."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import IDLE_FOR, VALID_FOR, Role
from notifyflow.errors import InvalidUser, UserExists
from notifyflow.settings import Settings
from tests.builders import CountingIds, HandClock
from tests.dashboard import ORIGIN, PASSWORD, Visit, visit
from tests.integration.web.delivery.test_api import SilentBell


@dataclass
class System:
    flow: NotifyFlow
    clock: HandClock

    def __post_init__(self) -> None:
        self.application = self.flow.asgi()

    def browser(self) -> Visit:
        return Visit(self.application)

    def logged_in(self, role: Role = Role.VIEWER, **user: Any) -> Visit:
        return visit(self.flow, role, application=self.application, **user)


@pytest.fixture
def system(database_url: str) -> Iterator[System]:
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": database_url, "NOTIFYFLOW_PUBLIC_URL": ORIGIN})
    clock = HandClock()
    with NotifyFlow(settings, clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield System(flow, clock)


def is_logged_in(browser: Visit) -> bool:
    """The login sends on whoever is logged in."""
    return browser.get("/login").status_code == 303


def test_a_user_logs_in_and_is_sent_where_they_wanted_to_go(system: System):
    system.flow.users().add("ada", Role.VIEWER, password=PASSWORD)
    browser = system.browser()
    response = browser.send("/login", name="ADA ", password=PASSWORD, next="incidents?state=OPEN")
    assert (response.status_code, response.headers["location"]) == (303, "incidents?state=OPEN")
    assert is_logged_in(browser)
    assert not is_logged_in(system.browser())


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "incidents/../../x", "a//b", "\nx", ""],
)
def test_nobody_is_sent_elsewhere_after_a_login(system: System, address: str):
    system.flow.users().add("ada", Role.VIEWER, password=PASSWORD)
    assert system.browser().send("/login", name="ada", password=PASSWORD, next=address).headers["location"] == "incidents"


def test_the_cookies_are_for_this_host_over_https_and_no_script(system: System):
    system.flow.users().add("ada", Role.VIEWER, password=PASSWORD)
    browser = system.browser()
    lines = [*browser.get("/login").headers.get_list("set-cookie"), *browser.log_in("ada").headers.get_list("set-cookie")]
    names = {line.partition("=")[0].rpartition("-")[0] for line in lines}
    assert names == {f"__Host-notifyflow-{kind}" for kind in ("session", "form", "device")}
    for line in lines:
        assert {"HttpOnly", "SameSite=lax", "Path=/", "Secure"} <= {each.strip() for each in line.split(";")}
        assert "Domain" not in line


def test_a_wrong_name_and_a_wrong_password_get_the_same_response(system: System):
    users = system.flow.users()
    users.add("ada", Role.ADMIN, password=PASSWORD)
    users.add("proxied", Role.ADMIN, password=None)
    seen = set()
    for name in ("ada", "nobody", "proxied"):
        response = system.browser().log_in(name, "a wrong password")
        seen.add((response.status_code, re.sub(r"\w{64}", "", response.text).replace(f'value="{name}"', "")))
        assert "notifyflow-session" not in response.headers.get("set-cookie", "")
    assert [status for status, _ in seen] == [401]


def test_the_log_names_ids_and_holds_no_secret_and_nothing_typed(system: System, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG", logger="notifyflow")
    token = system.flow.users().offer_setup()
    browser = system.browser()
    browser.send(f"/setup/{token}", name="ada", password=PASSWORD)
    browser.send("/setup/x", "/logout")
    browser.log_in("ada")
    system.browser().log_in("typed by mistake", "a wrong password")
    system.flow.users().set_password("ada", f"{PASSWORD}!")
    (ada,) = system.flow.users().users()
    lines = [record for record in caplog.records if record.name.startswith("notifyflow.")]
    events = [vars(record)["event"] for record in lines]
    named = ("app.user_added", "app.logged_out", "app.logged_in", "app.login_refused", "app.user_changed")
    assert [event for event in events if event in named] == list(named)
    shown = "\n".join(record.getMessage() for record in lines)
    assert f"app.logged_in user_id={ada.id}" in shown
    for secret in (PASSWORD, "wrong password", "typed by mistake", token, "argon2", *browser.cookies.values()):
        assert secret not in shown


def test_what_is_typed_as_a_name_stays_text(system: System):
    response = system.browser().log_in('"><script>alert(1)</script>')
    assert "<script>alert" not in response.text


def test_a_logout_ends_the_session_also_for_a_copy_of_the_cookie(system: System):
    browser = system.logged_in()
    copy = Visit(system.application)
    copy.cookies = dict(browser.cookies)
    response = browser.send("/setup/x", "/logout")
    assert (response.status_code, response.headers["location"]) == (303, "login")
    assert not any("session" in name for name in browser.cookies)
    assert not is_logged_in(copy)


def test_a_session_ends_when_it_is_idle_or_old(system: System):
    idle, busy = system.logged_in(), system.logged_in(Role.ADMIN)
    for _ in range(int(VALID_FOR / (IDLE_FOR / 2))):
        system.clock.pass_time(IDLE_FOR / 2)
        assert is_logged_in(busy)
    assert not is_logged_in(idle)
    system.clock.pass_time(IDLE_FOR / 2)
    assert not is_logged_in(busy)


@pytest.mark.parametrize("cookie", ["", "x", "é", "x" * 5000])
def test_a_cookie_that_is_no_session_is_nobody(system: System, cookie: str):
    browser = system.logged_in()
    (name,) = (each for each in browser.cookies if "session" in each)
    browser.cookies = {}
    browser.headers = {"cookie": f"{name}={cookie}".encode()}  # type: ignore[dict-item]
    assert not is_logged_in(browser)


def test_services_at_two_ports_of_a_host_keep_their_logins_apart(system: System):
    browser = system.logged_in()
    names = set(browser.cookies)
    assert browser.request("GET", "/login", headers={"host": "notify.example:8001"}).status_code == 200
    assert {name.rpartition("-")[0] for name in set(browser.cookies) - names} == {"__Host-notifyflow-form"}
    assert is_logged_in(browser)


def test_too_many_attempts_for_a_name_have_to_wait_and_its_owners_browser_does_not(system: System):
    known = system.logged_in(name="ada")
    known.send("/setup/x", "/logout")
    system.clock.pass_time(timedelta(minutes=1))
    statuses = [system.browser().log_in("ada", "a wrong password").status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    refused = system.browser().log_in("ada")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")
    assert known.log_in("ada").status_code == 303
    system.clock.pass_time(timedelta(seconds=6))
    assert system.browser().log_in("ada").status_code == 303


def test_too_many_attempts_from_a_client_have_to_wait_whatever_the_name(system: System):
    statuses = [system.browser().log_in(f"user{number}").status_code for number in range(21)]
    assert statuses == [401] * 20 + [429]


def use_up_the_attempts_of_the_address(system: System) -> None:
    statuses = [system.browser().log_in(f"nobody{number}").status_code for number in range(21)]
    assert statuses[-1] == 429


def test_a_known_browser_is_let_in_at_an_address_that_a_stranger_has_used_up(system: System):
    known = system.logged_in(name="ada")
    known.send("/setup/x", "/logout")
    use_up_the_attempts_of_the_address(system)
    assert known.log_in("ada").status_code == 303
    known.send("/setup/x", "/logout")
    assert [known.log_in("ada", "a wrong password").status_code for _ in range(11)] == [401] * 10 + [429], "it has a limit, too"
    assert system.browser().log_in("ada").status_code == 429


def test_a_browser_is_known_for_its_own_user_alone(system: System):
    known = system.logged_in(name="ada")
    system.flow.users().add("ben", Role.VIEWER, password=PASSWORD)
    use_up_the_attempts_of_the_address(system)
    assert known.send("/setup/x", "/login", name="ben", password=PASSWORD).status_code == 429


def test_a_second_login_in_a_browser_ends_its_first_session(system: System):
    browser = system.logged_in(name="ada")
    system.flow.users().add("ben", Role.VIEWER, password=PASSWORD)
    first = Visit(system.application)
    first.cookies = dict(browser.cookies)
    assert browser.send("/setup/x", "/login", name="ben", password="a wrong password").status_code == 401
    assert is_logged_in(first), "a login that is refused ends nothing"
    assert browser.send("/setup/x", "/login", name="ben", password=PASSWORD).status_code == 303
    assert is_logged_in(browser)
    assert not is_logged_in(first)


@pytest.mark.parametrize(("page", "fewest"), [("/login", 20), ("/setup", 1)])
def test_a_login_or_a_setup_that_finds_no_thread_is_told_when_to_come_again(system: System, page: str, fewest: int):
    """Two passwords are hashed at a time, and 20 wait; once one has set up, the others need no thread."""
    path = f"/setup/{system.flow.users().offer_setup()}" if page == "/setup" else page
    browser = system.browser()
    form = {"csrf": browser.token(path), "name": "ada", "password": PASSWORD}

    async def flood() -> list[httpx.Response]:
        transport = httpx.ASGITransport(system.application)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=browser.cookies, timeout=60) as client:
            return await asyncio.gather(*(client.post(path, data=form, headers={"origin": ORIGIN}) for _ in range(80)))

    responses = asyncio.run(flood())
    assert {each.status_code for each in responses} <= {303, 401, 410, 429}
    refused = [each for each in responses if each.status_code == 429]
    assert len(refused) >= fewest
    assert all(int(each.headers["retry-after"]) >= 1 and "Try again in" in each.text for each in refused)


def test_nothing_long_is_kept_of_an_attempt_to_log_in(system: System):
    users = system.application.state.context.users
    for number in range(3):
        system.browser().log_in(f"{number}" + "x" * 3_000)
    kept = [name for limit in (users._by_name, users._by_client, users._by_device) for name in limit._earliest_at]
    assert kept
    assert max(map(len, kept)) <= 64


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
    ],
)
def test_another_site_can_neither_log_in_nor_out(system: System, headers: dict[str, str]):
    browser = system.logged_in()
    assert browser.send("/setup/x", "/logout", headers=headers).status_code == 403
    assert browser.send("/setup/x", "/login", headers=headers, name="ada", password=PASSWORD).status_code == 403
    assert is_logged_in(browser)


def test_a_form_needs_the_token_of_its_own_browser(system: System):
    browser, other = system.logged_in(), system.browser()
    token = other.token("/login")
    headers = {"origin": ORIGIN}
    for fields in ({}, {"csrf": ""}, {"csrf": token}):
        assert browser.post("/logout", data=fields, headers=headers).status_code == 403
    assert browser.post("/logout", data={}).status_code == 403  # no browser leaves out both headers
    assert is_logged_in(browser)
    own = browser.token("/setup/x")
    assert browser.post("/logout", headers={**headers, "x-csrf-token": own}).status_code == 303


def test_a_form_has_an_end(system: System):
    assert system.browser().send("/login", name="x" * 100_000).status_code == 413


def test_the_first_link_makes_an_admin_once_within_an_hour(system: System):
    users = system.flow.users()
    token = users.offer_setup()
    browser = system.browser()
    assert "The first user" in browser.get(f"/setup/{token}").text
    refused = browser.send(f"/setup/{token}", name="ada", password="short")
    assert refused.status_code == 422
    assert "fewer than 12 characters" in refused.text
    entered = browser.send(f"/setup/{token}", name="Ada", password=PASSWORD)
    assert (entered.status_code, entered.headers["location"]) == (303, "../incidents")
    assert is_logged_in(browser)
    assert [(user.name, user.role) for user in users.users()] == [("ada", Role.ADMIN)]
    for there in (f"/setup/{token}", "/setup/other"):
        assert system.browser().get(there).status_code == 410
    assert users.offer_setup() is None


def test_the_first_link_is_void_after_an_hour_or_with_a_user(system: System):
    users = system.flow.users()
    old, other = users.offer_setup(), users.offer_setup()
    system.clock.pass_time(timedelta(hours=1))
    assert system.browser().get(f"/setup/{old}").status_code == 410
    fresh = users.offer_setup()
    assert fresh not in (old, other)
    page = system.browser()
    form = page.token(f"/setup/{fresh}")
    users.add("ada", Role.VIEWER, password=PASSWORD)
    taken = page.post(f"/setup/{fresh}", data={"csrf": form, "name": "eve", "password": PASSWORD}, headers={"origin": ORIGIN})
    assert taken.status_code == 410
    assert [user.name for user in users.users()] == ["ada"]


def test_a_user_is_valid_and_has_a_name_of_their_own(system: System):
    users = system.flow.users()
    users.add("ada", Role.VIEWER, password=PASSWORD, namespaces=["team"], recipient_id="ada-lovelace")
    (ada,) = users.users()
    assert (ada.namespaces, ada.recipient_id, ada.created_at) == (frozenset({"team"}), "ada-lovelace", system.clock.now())
    with pytest.raises(UserExists):
        users.add("ADA", Role.VIEWER, password=PASSWORD)
    with pytest.raises(InvalidUser):
        users.add("", Role.VIEWER, password="x")
    assert len(users.users()) == 1
