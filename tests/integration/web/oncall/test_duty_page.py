"""The page On call: who is on duty, who is next, and the calendar."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import Role
from notifyflow.settings import Settings
from notifyflow.web.oncall import duty_page
from tests.builders import CountingIds, HandClock
from tests.dashboard import ORIGIN, Visit, visit
from tests.integration.web.delivery.test_api import SilentBell
from tests.waiting import wait_until

PEOPLE = """
[recipients.ada]
name = "Ada <b>"
email = "ada@example.com"
[recipients.ben]
name = "Ben"
email = "ben@example.com"
[recipients.cy]
"""
DIRECTORY = f"""{PEOPLE}
[schedules.primary]
timezone = "Europe/Berlin"
[[schedules.primary.layers]]
who = ["ada", "ben"]
from = 2026-11-02T09:00:00
every = "1w"

[schedules.office]
timezone = "America/New_York"
[[schedules.office.layers]]
who = [["ada", "cy"]]
from = 2026-11-02T09:00:00
every = "1d"
only = "Mon-Fri 09:00-17:00"

[default]
to = ["@primary"]
"""


MAIL = {"NOTIFYFLOW_SMTP_URL": "smtp://127.0.0.1:1", "NOTIFYFLOW_MAIL_FROM": "notifyflow@example.com"}


class System:
    """A flow with a directory, and its pages; it is Wednesday, 25 November 2026, 03:00 UTC."""

    def __init__(self, flow: NotifyFlow, clock: HandClock, directory: Path) -> None:
        self.flow = flow
        self.clock = clock
        self.directory = directory
        self.application = flow.asgi()

    def visit(self, role: Role = Role.RESPONDER, **user: Any) -> Visit:
        return visit(self.flow, role, application=self.application, **user)

    def write(self, directory: str) -> None:
        self.directory.write_text(directory)
        self.clock.pass_time(timedelta(seconds=5))
        self.flow._service.rosters.current()
        self.clock.pass_time(timedelta(seconds=5))


@pytest.fixture(params=[{}])
def system(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[System]:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    variables = {
        "NOTIFYFLOW_DATABASE_URL": sqlite_url,
        "NOTIFYFLOW_DIRECTORY": str(directory),
        "NOTIFYFLOW_PUBLIC_URL": ORIGIN,
        **request.param,
    }
    clock = HandClock()
    with NotifyFlow(Settings.from_variables(variables), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield System(flow, clock, directory)


def words(html: str) -> str:
    """Return the visible text of a page in one line."""
    return " ".join(re.sub("<[^>]+>", " ", html.partition("<main")[2]).split())


def test_the_page_says_who_is_on_duty_until_when_and_who_is_next(system: System) -> None:
    page = system.visit(Role.VIEWER).get("/oncall").text
    said = words(page)
    assert "@primary Europe/Berlin Ben until Mon 30 Nov 09:00 CET (08:00 UTC) Ada &lt;b&gt; from Mon 30 Nov 09:00 CET" in said
    assert "@office America/New_York ✕ NOBODY until Wed 25 Nov 09:00 EST (14:00 UTC) Ada &lt;b&gt; , cy from Wed 25 Nov" in said
    assert 'aria-current="page">On call' in page
    assert "style=" not in page


def test_what_will_go_wrong_stands_on_top_and_on_the_page_health(system: System) -> None:
    browser = system.visit(Role.VIEWER)
    said = words(browser.get("/oncall").text)
    assert "! schedules.office nobody is on duty from Tue 24 Nov 22:00 EST to Wed 25 Nov 09:00 EST, and" in said
    assert "✕ schedules.primary ben cannot be reached, and is on duty from" in said
    assert said.index("schedules.office") < said.index("@primary")
    health = words(browser.get("/health").text)
    assert "✕ Duty" in health


@pytest.mark.parametrize("system", [MAIL], indirect=True)
def test_what_the_rehearsal_of_the_policies_finds_stands_on_the_page_health(system: System) -> None:
    browser = system.visit(Role.VIEWER)
    wait_until(lambda: "being rehearsed" not in browser.get("/health").text)
    health = words(browser.get("/health").text)
    assert "✕ Policies" in health
    assert "nobody is told, nor is operations, if the mail is refused for good" in health


def test_a_gap_that_is_meant_is_nothing_that_goes_wrong(system: System) -> None:
    rest = DIRECTORY.partition("[schedules.office]\n")[2].replace('"cy"', '"ben"')
    system.write(f"{PEOPLE}[schedules.office]\nmay_have_gaps = true\n{rest}".replace("@primary", "ada"))
    browser = system.visit(Role.VIEWER)
    said = words(browser.get("/oncall").text)
    assert "@office America/New_York – nobody until Wed 25 Nov 09:00 EST" in said
    assert "today – nobody 09:00 Ada &lt;b&gt; and Ben 17:00 – nobody" in said
    assert "schedules.office nobody is on duty" not in said


def test_the_calendar_has_the_days_of_its_own_zone(system: System) -> None:
    page = system.visit().get("/oncall?schedule=office").text
    assert "days and times in America/New_York" in page
    assert "days and times in Europe/Berlin" not in page
    today = words("<main" + page.partition('aria-current="date"')[2].partition("</td>")[0])
    assert today.endswith("Tue 24 Nov, today ✕ nobody 09:00 Ada &lt;b&gt; and cy 17:00 ✕ nobody")
    assert page.count("<td") == 3 * 2 + 5 * 7


def test_an_open_page_asks_whether_anything_has_changed(system: System) -> None:
    browser = system.visit()
    first = browser.get("/oncall")
    headers = {"if-none-match": first.headers["etag"]}
    assert browser.request("GET", "/oncall", headers=headers).status_code == 304
    system.clock.pass_time(timedelta(days=6))
    assert browser.request("GET", "/oncall", headers=headers).status_code == 200


def test_a_schedule_that_does_not_exist_has_no_page(system: System) -> None:
    assert system.visit().get("/oncall?schedule=nobody").status_code == 404


def test_many_schedules_show_the_first_calendars_only(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duty_page, "_MOST_CALENDARS", 1)
    page = system.visit().get("/oncall").text
    assert page.count('class="calendar"') == 1
    assert "Other calendars are left out" in page
    assert "@primary" in page


def test_without_a_schedule_the_page_says_how_to_make_one(system: System) -> None:
    system.write(PEOPLE + '[default]\nto = ["ada"]\n')
    assert "There is no schedule yet." in system.visit().get("/oncall").text


def test_who_sees_some_namespaces_only_does_not_see_the_directory(system: System) -> None:
    page = system.visit(namespaces=frozenset({"web"})).get("/oncall").text
    assert "shown to those who see all namespaces" in page
    assert "Ben" not in page


def overrides(system: System) -> list[tuple[str, tuple[str, ...], str, str]]:
    found = system.flow.oncall.roster().overrides
    return [(each.schedule, each.people, each.instead_of, each.made_by) for each in found]


def test_a_responder_takes_the_duty_until_a_time_in_the_zone_of_the_schedule(system: System) -> None:
    browser = system.visit(name="grace", recipient_id="ada")
    assert 'name="who" value="ada"' in browser.get("/oncall").text
    sent = browser.send("/oncall", schedule="primary", who="ada", until="2026-11-25T18:00")
    assert (sent.status_code, sent.headers["location"]) == (303, "oncall")
    assert overrides(system) == [("primary", ("ada",), "", "ada")]
    page = browser.get("/oncall").text
    said = words(page)
    assert "Ada &lt;b&gt; until Wed 25 Nov 18:00 CET (17:00 UTC), by an override" in said
    assert "Ada &lt;b&gt; instead of all on duty, from Wed 25 Nov 04:00 CET" in said
    assert "⇄ override" in said


def test_a_responder_covers_for_somebody_and_stays_with_the_schedule(system: System) -> None:
    browser = system.visit()
    form = {"schedule": "primary", "who": "cy", "instead_of": "ben", "from": "2026-11-26T09:00", "until": "2026-11-27T09:00"}
    sent = browser.send("/oncall?schedule=primary", **form)
    assert sent.headers["location"] == "oncall?schedule=primary"
    assert overrides(system) == [("primary", ("cy",), "ben", "responder")]
    assert "Ben until Thu 26 Nov 09:00 CET (08:00 UTC)" in words(browser.get("/oncall").text)


def test_a_responder_lets_two_shifts_change_places(system: System) -> None:
    browser = system.visit()
    chosen = browser.get("/oncall").text.partition('id="swap-first-2"')[2].partition("</select>")[0]
    choices = re.findall(r'<option value="([^"]+)"(?: selected)?>([^<]+)', chosen)
    assert [name for _, name in choices[:2]] == ["Ben from Mon 23 Nov 09:00 CET", "Ada &lt;b&gt; from Mon 30 Nov 09:00 CET"]
    same = browser.send("/oncall", schedule="primary", first=choices[0][0], second=choices[0][0])
    assert (same.status_code, "ben is on duty in both" in same.text) == (422, True)
    assert 'id="swap-2" open' in same.text
    assert browser.send("/oncall", schedule="primary", first=choices[0][0], second=choices[1][0]).status_code == 303
    assert overrides(system) == [("primary", ("ada",), "", "responder"), ("primary", ("ben",), "", "responder")]
    said = words(browser.get("/oncall").text)
    assert "Ada &lt;b&gt; until Mon 30 Nov 09:00 CET (08:00 UTC), by an override Ben from Mon 30 Nov 09:00 CET" in said


def test_an_override_is_cancelled_once(system: System) -> None:
    browser = system.visit()
    browser.send("/oncall", schedule="primary", who="ada", until="2026-11-25T18:00")
    (override,) = re.findall(r'name="cancel" value="(\w+)"', browser.get("/oncall").text)
    assert browser.send("/oncall", cancel=override).status_code == 303
    assert overrides(system) == []
    again = browser.send("/oncall", cancel=override)
    assert again.status_code == 409
    assert "it has ended, or was cancelled before" in again.text


REFUSED: list[tuple[dict[str, str], str]] = [
    ({"schedule": "primary", "who": "<b>eve", "until": "2026-11-25T18:00"}, "&lt;b&gt;eve"),
    ({"schedule": "primary", "who": "", "until": "2026-11-25T18:00"}, "it is empty"),
    ({"schedule": "primary", "who": "ada", "until": "2026-11-25T03:00"}, "it has passed"),
    ({"schedule": "primary", "who": "ada", "until": "tomorrow"}, "it is not a time"),
    ({"schedule": "primary", "who": "ada", "from": "now", "until": "2026-11-25T18:00"}, "it is not a time"),
    ({"schedule": "primary", "who": "ada", "instead_of": "ada", "until": "2026-11-25T18:00"}, "their own substitute"),
    ({"schedule": "primary", "first": "2026-11-25T03:00"}, "it is not a time"),
    ({"schedule": "none", "who": "ada", "until": "2026-11-25T18:00"}, "none"),
    ({}, "schedule"),
]


def test_what_cannot_be_done_is_said_beside_what_was_typed(system: System) -> None:
    browser = system.visit()
    for form, said in REFUSED:
        refused = browser.send("/oncall", **form)
        assert refused.status_code == 422, form
        assert said in refused.text, form
        assert '<div role="alert"><ul class="fault">' in refused.text
        assert "<b>" not in refused.text
        assert ("open>" in refused.text) == (form.get("schedule") == "primary"), form
        assert 'id="live"' not in refused.text
    assert overrides(system) == []


def test_a_viewer_only_looks(system: System) -> None:
    system.visit().send("/oncall", schedule="primary", who="ada", until="2026-11-25T18:00")
    viewer = system.visit(Role.VIEWER)
    page = viewer.get("/oncall").text
    assert "instead of all on duty" in words(page)
    assert "<form" not in page.partition("<main")[2]
    assert viewer.send("/oncall", schedule="primary", who="ben", until="2026-11-25T18:00").status_code == 403


def test_who_sees_some_namespaces_only_changes_no_duty(system: System) -> None:
    browser = system.visit(namespaces=frozenset({"web"}))
    refused = browser.send("/oncall", schedule="primary", who="ada", until="2026-11-25T18:00")
    assert refused.status_code == 403
    assert overrides(system) == []
