"""The driver: the real pipeline over the sandbox, step by step on a virtual clock."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifyflow import (
    EscalationState,
    Incident,
    IncidentState,
    InvalidSettings,
    NotificationState,
    NotifyFlow,
    Recipient,
    Result,
    Severity,
)
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.limits.silences import Author, read_matchers
from notifyflow.sandbox.inbox import Message
from notifyflow.settings import Settings
from notifyflow.testing import PUBLIC_URL, Driver
from notifyflow.testing.clock import START
from notifyflow.testing.scripted_http import http_server

ADA = Recipient(id="ada", name="Ada", email="ada@example.com", phone="+4930901820")
BEN = Recipient(id="ben", name="Ben", email="ben@example.com", phone="+4930901821")


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with Driver(folder=tmp_path) as driver:
        yield driver


def page(driver: Driver, *recipients: Recipient, policy: str = "default", severity: Severity = Severity.ERROR) -> None:
    incident = Incident(key="db-1", title="orders db is down", severity=severity)
    driver.flow.notify(incident, recipients or [ADA], policy=policy)


def arrivals(driver: Driver) -> list[tuple[str, float]]:
    """Return the channel of each message, and after how many seconds it arrived."""
    return [(message.channel, message.after_s) for message in driver.inbox.messages()]


def row(driver: Driver, channel: str) -> NotificationFacts:
    (escalation,) = driver.flow.status("db-1").escalations
    return next(each for each in escalation.notifications if each.channel == channel)


def last(driver: Driver, channel: str) -> Message:
    return driver.inbox.messages(channel=channel)[-1]


def test_a_page_that_nobody_acknowledges_becomes_a_text_and_then_a_call_at_the_minute_of_the_policy(driver: Driver) -> None:
    page(driver, policy="insistent")
    driver.advance(minutes=4, seconds=59)
    assert arrivals(driver) == [("email", 0)]
    driver.advance(seconds=1)
    assert arrivals(driver) == [("email", 0), ("sms", 300)]
    driver.advance(minutes=5)
    assert arrivals(driver) == [("email", 0), ("sms", 300), ("voice", 600)]


def test_nothing_is_sent_before_the_driver_is_asked_to(driver: Driver) -> None:
    page(driver)
    assert arrivals(driver) == []
    driver.deliver()
    assert arrivals(driver) == [("email", 0)]


def test_a_scripted_fault_opens_the_next_tier_at_once(driver: Driver) -> None:
    driver.sandbox.script("email: 550")
    page(driver)
    driver.run_until_settled()
    assert row(driver, "email").state is NotificationState.FAILED
    assert row(driver, "sms").state is NotificationState.DELIVERED
    assert driver.clock.now() - START < timedelta(seconds=5)


def test_retries_wait_exactly_as_long_as_the_policy_says(driver: Driver) -> None:
    driver.sandbox.script("email: 451 twice, then ok")
    page(driver)
    driver.run_until_settled()
    assert arrivals(driver) == [("email", 0), ("email", 30), ("email", 90)]


def test_receipts_come_over_the_web_application_as_time_passes(driver: Driver) -> None:
    driver.sandbox.script("email: 550")
    page(driver)
    driver.deliver()
    assert row(driver, "sms").state is NotificationState.SENT
    driver.advance(seconds=1)
    assert row(driver, "sms").state is NotificationState.DELIVERED


def test_a_text_reported_undelivered_becomes_a_call_and_a_pressed_key_acknowledges(driver: Driver) -> None:
    driver.sandbox.script("email: 550\nsms: undelivered 30003\ncall: nobody answers, then key 1")
    page(driver)
    driver.run_until(lambda: driver.flow.status("db-1").facts.state is IncidentState.ACKNOWLEDGED)
    assert row(driver, "sms").state is NotificationState.FAILED
    assert [each.result for each in row(driver, "voice").attempts] == [Result.TEMPORARY_FAILURE, Result.DELIVERED]


def test_a_call_rings_for_a_while_before_nobody_has_answered(driver: Driver) -> None:
    driver.sandbox.script("email: 550\nsms: 30006\ncall: nobody answers")
    page(driver)
    driver.run_until(lambda: bool(driver.inbox.messages(channel="voice")))
    driver.advance(seconds=20)
    assert last(driver, "voice").status == "ringing"
    driver.flow.acknowledge("db-1", by="ben")
    driver.advance(seconds=10)
    assert last(driver, "voice").status in ("canceled", "no-answer")
    assert driver.flow.status("db-1").facts.state is IncidentState.ACKNOWLEDGED


def test_an_acknowledgement_by_link_stops_the_pages(driver: Driver) -> None:
    page(driver, policy="insistent")
    driver.deliver()
    assert driver.acknowledge(last(driver, "email")).status < 400
    driver.advance(hours=1)
    assert arrivals(driver) == [("email", 0)]
    assert driver.flow.status("db-1").facts.state is IncidentState.ACKNOWLEDGED


def test_the_button_of_a_message_about_several_incidents_acknowledges_all_of_them(driver: Driver) -> None:
    keys = [f"db-{number}" for number in range(5)]
    for key in keys:
        driver.flow.notify(Incident(key=key, title=f"{key} is down", severity=Severity.CRITICAL), [ADA], policy="insistent")
    driver.deliver()
    assert driver.acknowledge(last(driver, "email")).status < 400
    assert [driver.flow.status(key).state for key in keys] == [IncidentState.ACKNOWLEDGED] * 5


def test_a_message_without_a_link_cannot_be_acknowledged_by_one(driver: Driver) -> None:
    page(driver, policy="insistent")
    driver.advance(minutes=10, seconds=30)
    with pytest.raises(LookupError):
        driver.acknowledge(last(driver, "voice"))


def test_a_text_in_reply_acknowledges_and_ends_the_call_that_rings(driver: Driver) -> None:
    driver.sandbox.script("call: rings")
    page(driver, policy="insistent")
    driver.advance(minutes=10, seconds=5)
    assert last(driver, "voice").status == "ringing"
    (response,) = driver.sandbox.reply("+4930901820", "ack")
    assert "You acknowledged it" in response
    driver.deliver()
    assert last(driver, "voice").status == "canceled"
    assert driver.flow.status("db-1").facts.state is IncidentState.ACKNOWLEDGED


def test_a_text_that_the_script_answers_acknowledges_as_soon_as_it_is_delivered(driver: Driver) -> None:
    driver.sandbox.script("sms: reply ack")
    page(driver, policy="insistent")
    driver.run_until(lambda: driver.flow.status("db-1").facts.state is IncidentState.ACKNOWLEDGED)
    assert START + timedelta(minutes=5) < driver.clock.now() < START + timedelta(minutes=5, seconds=5)


def test_a_provider_that_hangs_takes_virtual_time_and_leaves_a_doubt(driver: Driver) -> None:
    driver.sandbox.script("email: hang once, then ok")
    page(driver)
    driver.deliver()
    assert driver.clock.now() == START + timedelta(seconds=10)
    assert row(driver, "email").attempts[0].result is Result.IN_DOUBT
    driver.run_until_settled()
    assert row(driver, "email").state is NotificationState.SENT


def test_a_slow_response_takes_virtual_time_and_one_that_is_too_slow_does_not_arrive(driver: Driver) -> None:
    driver.sandbox.script("email to ada: slow 3 s\nemail to ben: slow 20 s")
    page(driver, ADA, BEN)
    driver.deliver()
    rows = [each for escalation in driver.flow.status("db-1").escalations for each in escalation.notifications]
    assert [each.attempts[0].result for each in rows] == [Result.ACCEPTED, Result.IN_DOUBT]
    assert driver.clock.now() == START + timedelta(seconds=13)


def test_twice_the_same_is_the_same_to_the_last_transition(tmp_path: Path) -> None:
    def run(name: str) -> object:
        (tmp_path / name).mkdir()
        with Driver(folder=tmp_path / name) as driver:
            driver.sandbox.script("email: 451\nsms: hang once, then undelivered, then ok\ncall: busy, then hangs up, then key 1")
            page(driver, ADA, BEN, policy="insistent", severity=Severity.CRITICAL)
            driver.advance(minutes=16)
            return driver.flow.status("db-1").transitions, [
                (each.channel, each.to, each.after_s, each.date, each.reaction) for each in driver.inbox.messages()
            ]

    assert run("once") == run("again")


def test_a_long_calm_is_no_outage(driver: Driver) -> None:
    page(driver, policy="insistent")
    driver.advance(hours=1)
    (escalation,) = {each.facts.state for each in driver.flow.status("db-1").escalations} - {EscalationState.CANCELLED}
    assert escalation is EscalationState.REACHED
    assert [at for channel, at in arrivals(driver) if channel == "email"] == [0, 900, 1800]


def test_waiting_for_the_flow_drives_and_starting_and_closing_it_change_nothing(driver: Driver) -> None:
    with driver.flow as flow:
        flow.start()
        page(driver)
        assert flow.wait("db-1", timeout_s=60)
        page(driver, BEN)
        driver.sandbox.script("email: 451")
        assert not flow.wait("db-1", timeout_s=10)
        assert driver.clock.now() == START + timedelta(seconds=10)
    assert driver.flow.wait("db-1")


def test_a_coroutine_may_await_the_flow(driver: Driver) -> None:
    async def fail() -> bool:
        async with driver.flow as flow:
            await flow.astart()
            await flow.anotify(Incident(key="db-1", title="orders db is down"), [ADA])
            return await flow.await_settled("db-1")

    assert asyncio.run(fail())
    assert arrivals(driver) == [("email", 0)]


def test_waiting_for_what_does_not_happen_ends_after_virtual_time(driver: Driver) -> None:
    page(driver, policy="insistent")
    with pytest.raises(TimeoutError, match="5:00 of virtual time"):
        driver.run_until_settled(limit=timedelta(minutes=5))
    assert driver.clock.now() == START + timedelta(minutes=5)


def test_the_clock_goes_to_an_instant_and_never_back(tmp_path: Path) -> None:
    night = datetime(2031, 3, 1, 2, 30, tzinfo=UTC)
    with Driver(start_at=night) as driver:
        driver.advance_to(night - timedelta(hours=1))
        assert driver.clock.now() == night
        driver.advance_to(night + timedelta(hours=1))
        assert driver.clock.now() == night + timedelta(hours=1)


def test_the_web_application_answers(driver: Driver) -> None:
    assert driver.request("GET", "/livez").status == 200
    assert driver.request("POST", "/callbacks/twilio/sms/1", body="MessageStatus=sent").status == 403


def test_wrong_settings_are_said_and_nothing_stays_open(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings):
        Driver({"NOTIFYFLOW_POLICIES": str(tmp_path / "nowhere.toml")})


def test_a_button_that_is_pressed_in_slack_acknowledges(driver: Driver) -> None:
    page(driver, Recipient(id="ada", slack="U00000001"))
    driver.deliver()
    assert driver.sandbox.press(last(driver, "slack"), f"{PUBLIC_URL}/callbacks/slack/actions") == 200
    assert driver.flow.status("db-1").facts.state is IncidentState.ACKNOWLEDGED


DIRECTORY = """
[recipients.ada]
email = "ada@example.com"

[recipients.ben]
email = "ben@example.com"

[recipients.dba]
email = "dba@example.com"

[schedules.primary]
timezone = "UTC"
handover = true
[[schedules.primary.layers]]
who = ["ada", "ben"]
from = 2030-01-07T09:00:00
every = "1d"

[heartbeats.nightly-backup]
cron = "0 3 * * *"
grace = "10m"
labels = { team = "database" }

[[routes]]
match = { team = "database" }
to = ["dba"]

[default]
to = ["@primary"]
"""
EVENING, NIGHT = datetime(2030, 1, 7, 18, 0, tzinfo=UTC), datetime(2030, 1, 8, 3, 0, tzinfo=UTC)


@pytest.fixture
def driver_of_directory(tmp_path: Path) -> Iterator[Driver]:
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    with Driver({"NOTIFYFLOW_DIRECTORY": str(tmp_path / "directory.toml")}, folder=tmp_path, start_at=EVENING) as driver:
        yield driver


def test_a_nightly_backup_that_does_not_report_pages_the_database_team(driver_of_directory: Driver) -> None:
    driver = driver_of_directory
    key = driver.flow.access().create("backup", {KeyScope.PING}, valid_for=None, heartbeat="nightly-backup")[1]
    driver.advance_to(NIGHT + timedelta(minutes=5))
    assert driver.request("POST", f"/v1/heartbeats/{key}").status == 200
    driver.advance_to(NIGHT + timedelta(days=1, minutes=10) - timedelta(seconds=1))
    assert [each.to for each in driver.inbox.messages() if "nightly-backup" in each.text] == []
    driver.advance(seconds=10)
    (page,) = (each for each in driver.inbox.messages() if "nightly-backup" in each.text)
    assert page.to == "dba@example.com"
    assert driver.request("POST", f"/v1/heartbeats/{key}").status == 200
    driver.advance(seconds=10)
    assert not driver.flow.overview.unresolved()


def test_the_next_person_is_told_of_a_hand_over_and_is_paged(driver_of_directory: Driver) -> None:
    driver = driver_of_directory
    driver.advance_to(datetime(2030, 1, 8, 9, 0, tzinfo=UTC))
    known = len(driver.inbox.messages())
    driver.advance(minutes=3)
    told = {each.to for each in driver.inbox.messages()[known:] if "Hand-over of primary" in each.text}
    assert told == {"ada@example.com", "ben@example.com"}, "who goes and who comes"
    key = driver.flow.access().create("alerts", {KeyScope.INGEST}, valid_for=None)[1]
    alert = {"alerts": [{"status": "firing", "fingerprint": "f", "labels": {"alertname": "disk full"}}]}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    assert driver.request("POST", "/v1/alertmanager", body=json.dumps(alert), headers=headers).status == 202
    driver.deliver()
    assert last(driver, "email").to == "ben@example.com"


def test_a_calendar_is_read_and_its_person_is_on_duty(tmp_path: Path) -> None:
    lines = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//y//EN", "BEGIN:VEVENT", "UID:1", "DTSTAMP:20300107T180000Z")
    event = ("SUMMARY:ben", "DTSTART:20300107T180000Z", "DTEND:20300109T180000Z", "END:VEVENT", "END:VCALENDAR", "")
    with http_server() as server:
        server.respond(200, "\r\n".join((*lines, *event)).encode())
        office = f'[schedules.office]\ntimezone = "UTC"\nical = "{server.url}/office.ics"\n\n[heartbeats'
        (tmp_path / "directory.toml").write_text(DIRECTORY.replace("[heartbeats", office))
        settings = {"NOTIFYFLOW_DIRECTORY": str(tmp_path / "directory.toml"), "NOTIFYFLOW_TRUSTED_ENDPOINTS": server.endpoint}
        with Driver(settings, folder=tmp_path, start_at=EVENING) as driver:
            driver.deliver()
            (shift,) = driver.flow.oncall.roster().calendars["office"].shifts
    assert shift.people == ("ben",)


def test_maintenance_begins_and_ends_at_its_instants(driver: Driver) -> None:
    span, begins_at = timedelta(minutes=7), driver.clock.now() + timedelta(minutes=5)
    driver.flow.silences.start(read_matchers(["team=db"]), span=span, why="upgrade", by=Author(name="Grace"), begins_at=begins_at)
    driver.advance(minutes=6)
    driver.flow.notify(Incident(key="db-1", title="orders db is down", labels={"team": "db"}), [ADA])
    driver.advance_to(begins_at + span - timedelta(seconds=1))
    assert arrivals(driver) == []
    driver.advance(hours=1)
    channel, after_s = arrivals(driver)[0]
    assert (channel, round(after_s)) == ("email", 12 * 60)


NOT_PLAYED = {
    "notifyflow-poller": "receipts from a queue at Amazon; the sandbox calls back",
    "notifyflow-heartbeat": "the ping of an outside monitor, for which a world with its own clock is none",
}
"""The threads of a process whose work the driver does not do."""


def test_the_driver_does_what_each_thread_of_a_process_does(tmp_path: Path, driver: Driver) -> None:
    variables = {
        **driver.sandbox.settings(),
        "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'real.db'}",
        "NOTIFYFLOW_HEARTBEAT_URL": "https://127.0.0.1:1/monitor",
        "NOTIFYFLOW_SQS_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/feedback",
        "NOTIFYFLOW_AWS_REGION": "eu-central-1",
    }
    before = {each.name for each in threading.enumerate()}
    with NotifyFlow(Settings.from_variables(variables)) as flow:
        flow.start()
        flow._runtime.prepare_for_requests()
        threads = {each.name for each in threading.enumerate() if each.name.startswith("notifyflow-")} - before
    played = {f"notifyflow-{name}" for name in driver._loops} | {"notifyflow-sweeper", "notifyflow-status-poller"}
    assert threads == played | NOT_PLAYED.keys()
