"""Calendars are fetched from a real server; one that is away, broken or empty changes nobody's duty."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.channels.calendars import LIMIT_BYTES, CalendarClient, Fetched
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.model import Incident, Via
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.engine.calendar_poller import CalendarPoller
from notifyflow.pipeline.oncall.calendars import claim_next
from notifyflow.settings import Settings
from notifyflow.testing.scripted_http import CUT, DRIP_HEADERS, HttpServer, http_server
from tests.builders import START, CountingIds, HandClock
from tests.integration.web.delivery.test_api import SilentBell
from tests.log_lines import capture_logs
from tests.waiting import wait_until

SIX_MINUTES = timedelta(minutes=6)
DIRECTORY = """
recipients = {{ ada = {{ email = "ada@example.com" }}, ben = {{ email = "ben@example.com" }} }}
default.to = ["@legacy"]
schedules.legacy = {{ ical = "{url}/secret.ics" }}
"""
EMPTY = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nEND:VCALENDAR\r\n"


def ics(who: str) -> bytes:
    """Return a calendar in which somebody is on duty all the time."""
    begin, end = START - timedelta(days=9), START + timedelta(days=99)
    event = f"BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:{begin:%Y%m%dT%H%M%SZ}\r\nDTSTART:{begin:%Y%m%dT%H%M%SZ}\r\n"
    event += f"DTEND:{end:%Y%m%dT%H%M%SZ}\r\nSUMMARY:{who}\r\nEND:VEVENT\r\n"
    return EMPTY.replace(b"END:VCALENDAR", event.encode() + b"END:VCALENDAR")


class Machines:
    """Processes over one database and one clock, of which one has the directory's file."""

    def __init__(self, database_url: str, folder: Path, server: HttpServer) -> None:
        self.server = server
        self.clock = HandClock()
        self.open = ExitStack()
        self._url = database_url
        self._path = folder / "directory.toml"
        self.write(DIRECTORY.format(url=server.url))
        self.flow = self.start(NOTIFYFLOW_DIRECTORY=str(self._path))
        self.poller = self.poll_in(self.flow)

    def write(self, document: str) -> None:
        self._path.write_text(document)
        at = self.clock.now().timestamp() - 2
        os.utime(self._path, (at, at))

    def settings(self, **variables: str) -> Settings:
        more = {"NOTIFYFLOW_DATABASE_URL": self._url, "NOTIFYFLOW_TRUSTED_ENDPOINTS": self.server.endpoint}
        return Settings.from_variables(more | variables)

    def start(self, **variables: str) -> NotifyFlow:
        flow = NotifyFlow(self.settings(**variables), clock=self.clock, ids=CountingIds(), bell=SilentBell())
        return self.open.enter_context(flow)

    def poll_in(self, flow: NotifyFlow, **given: Any) -> CalendarPoller:
        client = CalendarClient(self.settings())
        self.open.callback(client.close)
        return CalendarPoller(client, flow._service._use_cases, flow._service.rosters, **given)

    def answer(self, status: int, body: bytes = b"", **given: Any) -> list[dict[str, Any]]:
        """Let the server answer so, and fetch once the calendar is due; return what was logged."""
        self.server.respond(status, body, **given)
        self.clock.pass_time(SIX_MINUTES)
        with capture_logs() as logs:
            self.poller.poll()
        fetches = [line for line in logs if line["event"].startswith("engine.calendar")]
        return [{name: line.get(name) for name in ("event", "code")} for line in fetches]

    def on_duty(self, flow: NotifyFlow | None = None, *, schedule: str = "legacy") -> list[str]:
        oncall = (flow or self.flow)._service.oncall
        found = oncall.duty(schedule, oncall.now())
        return list(found.on_duty.people) if found else []

    def told(self) -> str:
        found = self.flow.find("notifyflow/operations")
        return "" if found is None else f"{found.content.title}\n{found.content.body}"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as opened:
        yield opened


@pytest.fixture
def machines(sqlite_url: str, tmp_path: Path, server: HttpServer) -> Iterator[Machines]:
    machines = Machines(sqlite_url, tmp_path, server)
    yield machines
    machines.open.close()


def test_a_calendar_that_is_away_broken_or_empty_changes_nobodys_duty(machines: Machines) -> None:
    assert machines.answer(200, ics("ada")) == [{"event": "engine.calendar_read", "code": None}]
    whole = ics("ben")
    answers: list[tuple[int, bytes, dict[str, Any], str]] = [
        (404, b"", {}, "404"),
        (500, b"", {}, "500"),
        (200, b"", {}, "incomplete"),
        (200, whole[: len(whole) // 2], {}, "incomplete"),
        (200, b"<html>Log in</html>", {}, "incomplete"),
        (200, EMPTY, {}, "unusable"),
        (200, whole.replace(b"DTSTART:2", b"DTSTART:x"), {}, "unusable"),
        (200, ics("somebody unknown"), {}, "unusable"),
        (200, b" " * LIMIT_BYTES + whole, {}, "too_large"),
        (302, whole, {"headers": {"Location": f"{machines.server.url}/login"}}, "302"),
        (304, b"", {}, "304"),
        (200, whole, {"act": CUT}, "connection_lost"),
    ]
    for status, body, given, code in answers:
        assert machines.answer(status, body, **given) == [{"event": "engine.calendar_not_read", "code": code}]
        assert machines.on_duty() == ["ada"], code
    assert machines.told() == ""
    machines.answer(200, whole)
    assert machines.on_duty() == ["ben"]


def test_operations_is_told_once_a_day_of_a_calendar_that_cannot_be_read(machines: Machines) -> None:
    machines.answer(200, ics("ada"))
    machines.clock.pass_time(timedelta(hours=23))
    machines.answer(404)
    assert machines.told() == ""
    machines.clock.pass_time(timedelta(hours=1))
    machines.answer(404)
    assert "the calendar of @legacy" in machines.told()
    seen = machines.flow.status("notifyflow/operations").facts.times_seen
    machines.answer(404)
    assert machines.flow.status("notifyflow/operations").facts.times_seen == seen
    assert machines.on_duty() == ["ada"]


def test_operations_is_told_at_once_of_a_calendar_that_could_never_be_read(machines: Machines) -> None:
    machines.answer(404)
    assert "the calendar of @legacy" in machines.told()
    assert machines.on_duty() == []


def test_operations_is_told_of_people_whom_the_directory_does_not_know(machines: Machines) -> None:
    other = ics("ada").replace(b"END:VCALENDAR", ics("zoe").partition(b"BEGIN:VEVENT")[2].join((b"BEGIN:VEVENT", b"")))
    machines.answer(200, other.replace(b"UID:1", b"UID:2", 1))
    assert "names people whom the directory does not know" in machines.told()
    assert "zoe" not in machines.told()


def test_a_calendar_is_fetched_every_five_minutes_by_one_process(machines: Machines) -> None:
    other = machines.poll_in(machines.start())
    machines.server.respond(200, ics("ada"), {"ETag": '"1"'})
    for poller in (machines.poller, other, machines.poller, other):
        poller.poll()
    assert len(machines.server.requests) == 1
    machines.clock.pass_time(SIX_MINUTES)
    machines.server.respond(304)
    other.poll()
    machines.poller.poll()
    (request,) = machines.server.requests
    assert request.headers["If-None-Match"] == '"1"'
    assert machines.on_duty() == ["ada"]
    assert machines.flow._service.rosters.read().calendars["legacy"].fetched_at == machines.clock.now()


def test_a_calendar_that_never_changes_is_read_once_a_day(machines: Machines) -> None:
    daily = b"DTSTART:20261101T000000Z\r\nDTEND:20261102T000000Z\r\nRRULE:FREQ=DAILY\r\nSUMMARY:ada\r\n"
    repeated = EMPTY.replace(b"END:VCALENDAR", b"BEGIN:VEVENT\r\nUID:1\r\n" + daily + b"END:VEVENT\r\nEND:VCALENDAR")
    machines.answer(200, repeated, headers={"ETag": '"1"'})
    for _ in range(3):
        machines.clock.pass_time(timedelta(days=30))
        machines.answer(200, repeated, headers={"ETag": '"1"'})
        (request,) = machines.server.requests
        assert "If-None-Match" not in request.headers
        assert machines.on_duty() == ["ada"]


@pytest.mark.parametrize("damage", ["shifts = '{'", "fetched_at = '-infinity'", "tried_at = '-infinity'"])
def test_a_damaged_calendar_is_read_anew(machines: Machines, sqlite_url: str, damage: str) -> None:
    machines.answer(200, ics("ada"), headers={"ETag": '"1"'})
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as database:
        database.execute(f"UPDATE notifyflow_calendar SET {damage}")
        database.execute("UPDATE notifyflow_roster SET digest = 'y'")  # as for a process that has not read it before
    other = machines.start()
    assert machines.answer(200, ics("ben"), headers={"ETag": '"1"'}) == [{"event": "engine.calendar_read", "code": None}]
    (request,) = machines.server.requests
    assert "If-None-Match" not in request.headers
    assert machines.on_duty(other) == ["ben"]


def test_another_url_is_fetched_at_once_and_what_was_read_before_stays_until_then(machines: Machines) -> None:
    machines.answer(200, ics("ada"), headers={"ETag": '"1"', "Last-Modified": "x" * 501})
    machines.write(DIRECTORY.format(url=f"{machines.server.url}/other"))
    machines.server.respond(404)
    machines.poller.poll()
    (request,) = machines.server.requests
    assert request.path == "/other/secret.ics"
    assert {"If-None-Match", "If-Modified-Since"}.isdisjoint(request.headers)
    assert machines.on_duty() == ["ada"]


def test_a_calendar_is_forgotten_with_its_schedule(machines: Machines) -> None:
    machines.answer(200, ics("ada"))
    machines.clock.pass_time(SIX_MINUTES)
    machines.write('recipients.ada = {}\ndefault.to = ["ada"]\n')
    machines.poller.poll()
    assert machines.flow._service.rosters.read().calendars == {}


def test_the_url_of_a_calendar_is_a_secret(machines: Machines) -> None:
    with capture_logs() as logs:
        for status in (200, 404):
            machines.answer(status, ics("ada"))
    assert "secret.ics" not in repr(logs) + machines.told()


def test_a_calendar_at_an_address_that_is_not_public_is_not_fetched(machines: Machines) -> None:
    machines.write(DIRECTORY.format(url="https://127.0.0.1"))
    assert machines.answer(200, ics("ada")) == [{"event": "engine.calendar_not_read", "code": "address"}]
    assert machines.server.requests == []


def test_a_process_without_the_file_pages_who_is_on_duty(machines: Machines) -> None:
    machines.answer(200, ics("ben"))
    without = machines.start()
    caller, _ = without.access().create("monitor", [KeyScope.INGEST], valid_for=None)
    request = InboundRequest(action=Action.NOTIFY, incident=Incident(key="db-1", title="down"), labels={})
    without._service.handle_inbound([request], caller, Via.API)
    assert [each.facts.recipient_id for each in without.status("db-1").escalations] == ["ben"]


def test_a_damaged_row_does_not_end_the_thread(machines: Machines, sqlite_url: str) -> None:
    machines.answer(200, ics("ada"))
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database, database:
        database.execute("UPDATE notifyflow_roster SET document = 'x', digest = 'y'")
    machines.clock.pass_time(SIX_MINUTES)
    poller = machines.poll_in(machines.start(), every=timedelta(milliseconds=1))
    with capture_logs() as logs:
        poller.start()
        wait_until(lambda: len(logs) > 1)
        poller.stop()
    assert {line["event"] for line in logs} == {"engine.watch_loop_broke"}


def test_a_process_that_delivers_reads_the_file_and_fetches_by_itself(
    sqlite_url: str, tmp_path: Path, server: HttpServer
) -> None:
    server.respond(200, ics("ada"))
    path = tmp_path / "directory.toml"
    path.write_text(DIRECTORY.format(url=server.url))
    variables = {"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_TRUSTED_ENDPOINTS": server.endpoint}
    flow = NotifyFlow(Settings.from_variables(variables | {"NOTIFYFLOW_DIRECTORY": str(path)}))
    with flow:
        flow.start()
        wait_until(lambda: bool(server.requests))


THREE = DIRECTORY + 'schedules.odd = {{ ical = "{url}/odd.ics" }}\nschedules.zoo = {{ ical = "{url}/zoo.ics" }}\n'


class Odd(CalendarClient):
    """Raises what no client should at the calendar of this path."""

    raises_at = "odd.ics"

    def fetch(self, url: str, **given: Any) -> Fetched | None:
        if self.raises_at in url:
            raise IsADirectoryError("secret.ics")
        return super().fetch(url, **given)


@pytest.mark.parametrize("bad", ["legacy", "odd", "zoo"])
def test_a_calendar_that_raises_anything_at_all_leaves_its_neighbours_alone(machines: Machines, bad: str) -> None:
    machines.write(THREE.format(url=machines.server.url))
    client = Odd(machines.settings())
    client.raises_at = {"legacy": "secret.ics"}.get(bad, f"{bad}.ics")
    machines.poller = CalendarPoller(client, machines.flow._service._use_cases, machines.flow._service.rosters)
    found = machines.answer(200, ics("ada"))
    client.close()
    assert sorted((line["event"], line["code"]) for line in found) == [
        ("engine.calendar_broke", None),
        ("engine.calendar_not_read", "broken"),
        ("engine.calendar_read", None),
        ("engine.calendar_read", None),
    ]
    assert f"the calendar of @{bad}" in machines.told()
    assert "secret.ics" not in machines.told()
    for name in {"legacy", "odd", "zoo"} - {bad}:
        assert machines.on_duty(schedule=name) == ["ada"]


@pytest.mark.parametrize("bad", ["Europe", "x" * 300, "Atlantis"])
def test_a_calendar_with_an_odd_time_zone_leaves_its_neighbours_alone(machines: Machines, bad: str) -> None:
    machines.write(THREE.format(url=machines.server.url))
    odd = ics("ada").replace(b"DTSTART:", f"DTSTART;TZID={bad}:".encode()).replace(b"Z\r\nDTEND", b"\r\nDTEND")
    machines.server.bodies = {"/secret.ics": odd}
    assert [line["event"] for line in machines.answer(200, ics("ben"))].count("engine.calendar_read") == 2
    assert machines.on_duty(schedule="zoo") == ["ben"]
    assert "the calendar of @legacy" in machines.told()


def test_no_calendar_is_always_the_last(machines: Machines) -> None:
    """A process that is killed in the middle of a fetch each time still reads all of them in the end."""
    machines.write(THREE.format(url=machines.server.url))
    names = []
    for _ in range(4):
        roster = machines.flow._service.rosters.current()
        due = claim_next(machines.flow._service._use_cases.deps, list(roster.directory.schedules.values()))
        names.append(None if due is None else due[0].name)
        machines.clock.pass_time(timedelta(seconds=100))
    assert names == ["legacy", "odd", "zoo", "legacy"]


def test_a_server_that_drips_holds_up_no_other_calendar(sqlite_url: str, tmp_path: Path, server: HttpServer) -> None:
    with http_server() as slow:
        slow.respond(200, act=DRIP_HEADERS)
        path = tmp_path / "directory.toml"
        path.write_text(THREE.format(url=server.url).replace(f"{server.url}/secret.ics", f"{slow.url}/secret.ics"))
        server.respond(200, ics("ada"))
        variables = {
            "NOTIFYFLOW_DATABASE_URL": sqlite_url,
            "NOTIFYFLOW_TRUSTED_ENDPOINTS": f"{server.endpoint},{slow.endpoint}",
            "NOTIFYFLOW_READ_TIMEOUT_S": "0.2",
        }
        flow = NotifyFlow(Settings.from_variables(variables | {"NOTIFYFLOW_DIRECTORY": str(path)}))
        with capture_logs() as logs, flow:
            flow.start()
            wait_until(lambda: len([line for line in logs if line["event"] == "engine.calendar_read"]) == 2)
            wait_until(lambda: any(line["event"] == "engine.calendar_not_read" and line["code"] == "timeout" for line in logs))
