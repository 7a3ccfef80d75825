"""The page On call: who is on duty, who is next, and the calendar."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.users import Role
from notifyflow.settings import Settings
from notifyflow.web.dashboard import oncall
from tests.builders import CountingIds, HandClock
from tests.dashboard import ORIGIN, Visit, visit
from tests.integration.web.test_api import SilentBell

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


@pytest.fixture
def system(sqlite_url: str, tmp_path: Path) -> Iterator[System]:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    variables = {
        "NOTIFYFLOW_DATABASE_URL": sqlite_url,
        "NOTIFYFLOW_DIRECTORY": str(directory),
        "NOTIFYFLOW_PUBLIC_URL": ORIGIN,
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
    monkeypatch.setattr(oncall, "_MOST_CALENDARS", 1)
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
