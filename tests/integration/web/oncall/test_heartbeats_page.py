"""The pages of watched jobs: which there are, how each is, its last pings as shapes, and what it said last."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import Role
from notifyflow.core.oncall.pings import Ping, Signal
from notifyflow.settings import Settings
from tests.builders import START, CountingIds, HandClock
from tests.dashboard import ORIGIN, visit
from tests.integration.web.delivery.test_api import SilentBell

DIRECTORY = """
recipients.ada = { email = "ada@example.com" }
default.to = ["ada"]
heartbeats.backup = { every = "1h", grace = "10m" }
heartbeats.export = { every = "1d", namespace = "team", methods = ["POST"] }
heartbeats.idle = { cron = "0 3 * * *", timezone = "Europe/Berlin" }
"""
HOSTILE = "<script>alert(1)</script>"


class Jobs:
    """A system whose jobs ping, on a clock that is moved by hand."""

    def __init__(self, flow: NotifyFlow, clock: HandClock) -> None:
        self.flow, self.clock = flow, clock
        self.watch = flow._service.watched_jobs

    def ping(self, name: str, signal: Signal = Signal.SUCCESS, output: str = "") -> None:
        self.watch.receive(name, Ping(signal=signal, at=self.clock.now(), output=output), "POST")

    def pass_time(self, **span: int) -> None:
        """Let time pass, in which the web service listens, and let the sweep judge."""
        ends_at = self.clock.now() + timedelta(**span)
        while self.clock.now() < ends_at:
            self.clock.pass_time(timedelta(seconds=15))
            self.watch.note_listening()
        self.watch.sweep()


@pytest.fixture
def jobs(sqlite_url: str, tmp_path: Path) -> Iterator[Jobs]:
    directory, clock = tmp_path / "directory.toml", HandClock(START + timedelta(days=300))
    directory.write_text(DIRECTORY)
    variables = {"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_DIRECTORY": str(directory), "NOTIFYFLOW_PUBLIC_URL": ORIGIN}
    with NotifyFlow(Settings.from_variables(variables), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        flow.overview.heartbeats()
        flow._service.rosters.read()
        yield Jobs(flow, clock)


def test_the_list_shows_how_each_job_is_and_first_those_that_are_not_well(jobs: Jobs) -> None:
    jobs.ping("export")
    jobs.ping("backup")
    page = visit(jobs.flow).get("/heartbeats").text
    assert "Not well" not in page
    assert re.findall(r'<a href="heartbeats/(\w+)">', page) == ["backup", "export", "idle"]
    assert "every 1 h, 10 m of grace" in page
    assert page.count("✓</span> up") == 2
    assert "·</span> new" in page
    jobs.pass_time(minutes=71)
    page = visit(jobs.flow, name="bob").get("/heartbeats").text
    (incident_id,) = set(re.findall(r'href="incidents/(\w+)"', page))
    assert jobs.flow.status("heartbeat/backup").facts.id == incident_id
    assert page.index("Not well") < page.index("✕</span> missed") < page.index("All heartbeats")
    assert page.count('aria-label="The last pings: 1 on time, 1 missed"') == 2


def test_each_kind_of_ping_has_a_shape_of_its_own(jobs: Jobs) -> None:
    for signal in (Signal.START, Signal.LOG, Signal.FAIL, Signal.SUCCESS, Signal.SUCCESS):
        jobs.ping("backup", signal)
    page = visit(jobs.flow).get("/heartbeats/backup").text
    assert 'aria-label="The last pings: 1 on time, 1 late, 1 started, 1 failed, 1 logged"' in page
    (drawn,) = re.findall(r'aria-label="The last.*?</svg>', page, re.DOTALL)
    shapes = dict(re.findall(r'<path class="([\w-]+)" d="M[\d.]+ ([^"]*)"', drawn))
    kinds = ("started", "logged", "failed", "late", "on-time")
    assert len({shapes[kind] for kind in kinds}) == len(kinds)
    places = [int(re.search(rf'class="{kind}" d="M(\d+)', drawn)[1]) for kind in kinds]  # type: ignore[index]
    assert places == [571, 577, 583, 589, 595], "the newest stands at the right"


def test_the_page_of_a_job_shows_what_it_said_last_as_text(jobs: Jobs) -> None:
    jobs.ping("export", Signal.FAIL, f"disk full {HOSTILE}")
    jobs.watch.sweep()
    page = visit(jobs.flow).get("/heartbeats/export").text
    assert "disk full &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert HOSTILE not in page
    for words in ("every 24 h", "POST", "team", "1 time", "✕</span> failed"):
        assert words in page


def test_a_user_sees_the_jobs_of_their_namespaces_only(jobs: Jobs) -> None:
    jobs.ping("backup", Signal.FAIL)
    jobs.ping("export", Signal.FAIL)
    jobs.watch.sweep()
    some = visit(jobs.flow, Role.VIEWER, namespaces=frozenset({"team"}))
    assert set(re.findall(r'<a href="heartbeats/(\w+)">', some.get("/heartbeats").text)) == {"export"}
    assert some.get("/heartbeats/export").status_code == 200
    assert some.get("/heartbeats/backup").status_code == 404
    assert some.get("/heartbeats/nothing").status_code == 404


def test_many_jobs_stand_on_several_pages(jobs: Jobs, tmp_path: Path) -> None:
    many = "".join(f'heartbeats.job-{number:03} = {{ every = "1h" }}\n' for number in range(120))
    (tmp_path / "directory.toml").write_text(DIRECTORY + many)
    jobs.clock.pass_time(timedelta(minutes=1))
    jobs.flow._service.rosters.read()
    browser, path, found = visit(jobs.flow), "/heartbeats", list[str]()
    for _ in range(3):
        page = browser.get(path).text
        found += re.findall(r'<a href="heartbeats/([\w-]+)">', page)
        path = "/" + ([*re.findall(r'href="(heartbeats\?after=[\w-]+)"', page), "heartbeats"][0])
    assert found == sorted(["backup", "export", "idle", *(f"job-{number:03}" for number in range(120))])
    assert path == "/heartbeats"


def test_a_damaged_row_hides_no_other_job(jobs: Jobs, sqlite_url: str) -> None:
    jobs.ping("backup")
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as database:
        database.execute("UPDATE notifyflow_watched_job SET runs = '{' WHERE name = 'export'")
    browser = visit(jobs.flow)
    page = browser.get("/heartbeats").text
    assert re.findall(r'<a href="heartbeats/(\w+)">', page) == ["backup", "idle"]
    assert 'aria-label="Damaged rows"' in page
    assert browser.get("/heartbeats/export").status_code == 404
    assert jobs.flow._service.scrape(frozenset()).heartbeats.keys() == {"backup", "idle"}


def test_without_heartbeats_the_page_says_how_to_declare_one(sqlite_url: str) -> None:
    variables = {"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_PUBLIC_URL": ORIGIN}
    with NotifyFlow(Settings.from_variables(variables), clock=HandClock(), ids=CountingIds(), bell=SilentBell()) as flow:
        assert "There is no heartbeat yet." in visit(flow).get("/heartbeats").text
