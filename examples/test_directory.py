"""Tests of a directory: its watched jobs, hand-overs, calendars and maintenance, on a clock that the tests move.

pytest examples/test_directory.py
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifyflow import Author, Incident, Recipient, read_matchers
from notifyflow.testing import Driver
from notifyflow.testing.scripted_http import http_server

DIRECTORY = """
recipients.ada = { email = "ada@example.com" }
recipients.ben = { email = "ben@example.com" }
recipients.dba = { email = "dba@example.com" }
schedules.primary = { timezone = "UTC", handover = true, layers = [
  { who = ["ada", "ben"], from = 2030-01-07T06:00:00, every = "1d" }] }
schedules.office = { timezone = "UTC", ical = "URL/office.ics" }
heartbeats.nightly-backup = { cron = "0 3 * * *", grace = "10m", labels = { team = "database" } }
routes = [{ match = { team = "database" }, to = ["dba"] }]
default.to = ["@primary"]
"""
OFFICE = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//example//office//EN\r
BEGIN:VEVENT\r
UID:1\r
SUMMARY:ben\r
DTSTAMP:20300107T000000Z\r
DTSTART:20300108T000000Z\r
DTEND:20300109T000000Z\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.fixture
def notifyflow_settings(tmp_path: Path):
    directory = tmp_path / "directory.toml"
    with http_server() as calendars:
        calendars.respond(200, OFFICE.encode())
        directory.write_text(DIRECTORY.replace("URL", calendars.url))
        yield {"NOTIFYFLOW_DIRECTORY": str(directory), "NOTIFYFLOW_TRUSTED_ENDPOINTS": calendars.endpoint}


def on_tuesday(hour: int, minute: int = 0) -> datetime:
    return datetime(2030, 1, 8, hour, minute, tzinfo=UTC)


@pytest.fixture
def notifyflow_start_at() -> datetime:
    return on_tuesday(2, 55)


def mails(driver: Driver, words: str) -> list[str]:
    return [message.to for message in driver.inbox.messages(channel="email") if words in message.text]


def test_a_nightly_backup_that_does_not_report_pages_the_database_team_at_ten_past_three(notifyflow_driver: Driver) -> None:
    notifyflow_driver.advance_to(on_tuesday(3, 10))
    assert mails(notifyflow_driver, "nightly-backup") == []
    notifyflow_driver.advance(seconds=10)  # a ping may be on its way
    assert mails(notifyflow_driver, "nightly-backup") == ["dba@example.com"]


def test_who_goes_and_who_comes_are_told_of_a_hand_over(notifyflow_driver: Driver) -> None:
    notifyflow_driver.advance_to(on_tuesday(6))
    assert mails(notifyflow_driver, "Since Tue") == []
    notifyflow_driver.advance(minutes=3)  # changes in two minutes are one hand-over
    assert set(mails(notifyflow_driver, "primary")) == {"ada@example.com", "ben@example.com"}


def test_who_stands_in_the_calendar_is_on_duty(notifyflow_driver: Driver) -> None:
    notifyflow_driver.advance(minutes=1)
    duty = notifyflow_driver.flow.oncall.duty("office", on_tuesday(12))
    assert duty is not None
    assert list(duty.on_duty.people) == ["ben"]


def test_maintenance_holds_pages_until_it_ends(notifyflow_driver: Driver) -> None:
    silences, begins_at = notifyflow_driver.flow.silences, on_tuesday(3, 30)
    silences.start(
        read_matchers(["team=database"]), span=timedelta(minutes=30), why="upgrade", by=Author(name="Ada"), begins_at=begins_at
    )
    notifyflow_driver.advance_to(on_tuesday(3, 45))
    incident = Incident(key="db-1", title="orders db is down", labels={"team": "database"})
    notifyflow_driver.flow.notify(incident, [Recipient(id="dba", email="dba@example.com")])
    notifyflow_driver.advance_to(on_tuesday(3, 59))
    assert mails(notifyflow_driver, "orders db is down") == []
    notifyflow_driver.advance(minutes=2)
    assert mails(notifyflow_driver, "orders db is down") == ["dba@example.com"]
