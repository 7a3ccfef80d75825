"""A CRITICAL page whose content cannot be read or rendered leaves with its severity and link; others wait for it to be mended."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.attempts import BROKE_OFF
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import NotificationState, Result, Severity
from notifyflow.core.messages.content import UNTITLED
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.storage.dialects import execute
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, a_contact, a_recipient, an_incident
from tests.damage import release_all
from tests.driver import Driver

WHO = ("ada", "ben")
BROKEN_OFF = Outcome(result=Result.IN_DOUBT, code=BROKE_OFF, reason="the channel broke off with ValueError")


@pytest.fixture
def driver(store: Store) -> Driver:
    """Workers and providers behind a public URL, with a person for operations."""
    return Driver(store, operations=[a_contact("ops", "slack")], public_url="https://page.example.com")


@contextmanager
def unreadable(driver: Driver, incident_id: str, column: str = "content_labels", value: str = "{") -> Iterator[None]:
    """Damage the content of an incident; mend it at the end of the block."""
    before = {"content_occurred_at": "NULL", "content_labels": "'{}'"}
    _write(driver, f"UPDATE notifyflow_incident SET {column} = '{value}' WHERE id = '{incident_id}'")
    yield
    _write(driver, f"UPDATE notifyflow_incident SET {column} = {before[column]} WHERE id = '{incident_id}'")
    release_all(driver.deps)


def _write(driver: Driver, sql: str) -> None:
    driver.deps.transactions.run(lambda ledger: execute(ledger._unit.db, sql) and None)


def messages(driver: Driver, channel: str = "email") -> list[OutboundMessage]:
    return [each.message for each in driver.claim(channel)]


@pytest.mark.parametrize(("column", "value"), [("content_labels", "{"), ("content_occurred_at", "-infinity")])
def test_a_critical_page_leaves_without_the_title_that_cannot_be_read(driver: Driver, column: str, value: str) -> None:
    ada = a_recipient("ada", "email")
    incident_id = driver.notify(an_incident("db-1", severity=Severity.CRITICAL), ada).incident_id
    driver.notify(an_incident("db-2", severity=Severity.CRITICAL), ada)
    with unreadable(driver, incident_id, column, value):
        bad, good = sorted(messages(driver), key=lambda each: each.incident_id != incident_id)
    content = bad.content
    assert (content.title, content.severity, content.key) == (UNTITLED, Severity.CRITICAL, incident_id)
    assert content.link is not None
    assert content.link.startswith("https://page.example.com/a/")
    assert good.content.title == an_incident().title


def test_a_critical_page_leaves_though_its_content_cannot_be_composed(driver: Driver) -> None:
    driver.notify(an_incident("db-1", severity=Severity.CRITICAL), a_recipient("ada", "email"))
    _write(driver, "UPDATE notifyflow_contact SET timezone = 'Nowhere/At all'")
    (message,) = messages(driver)
    assert message.content.title == UNTITLED
    _write(driver, "UPDATE notifyflow_contact SET timezone = 'UTC'")


def test_operations_is_told_that_titles_cannot_be_read(driver: Driver) -> None:
    incident_id = driver.notify(an_incident("db-1", severity=Severity.CRITICAL), a_recipient("ada", "email")).incident_id
    with unreadable(driver, incident_id):
        driver.claim("email")
        driver.deliver()
    (told,) = [each for each in driver.seen if each.message.address == "ops@slack"]
    assert "cannot be read" in f"{told.message.content.title} {told.message.content.body}"


def test_a_page_below_critical_waits_until_its_content_is_mended(driver: Driver) -> None:
    incident_id = driver.notify(an_incident("db-1"), a_recipient("ada", "email")).incident_id
    with unreadable(driver, incident_id):
        assert messages(driver) == []
    driver.pass_time(minutes=6)
    assert [each.message.content.title for each in driver.sent("email")] == [an_incident().title]


def test_a_critical_page_that_the_channel_broke_off_on_leaves_without_its_title(driver: Driver) -> None:
    for who, severity in (("ada", Severity.CRITICAL), ("ben", Severity.ERROR)):
        driver.respond("email", BROKEN_OFF, ACCEPTED)
        driver.notify(an_incident(f"of {who}", severity=severity), a_recipient(who, "email"))
        driver.deliver()
        driver.pass_time(minutes=5)
    said = {who: [each.message.content.title for each in driver.seen if each.message.address == f"{who}@email"] for who in WHO}
    assert said == {"ada": [an_incident().title, UNTITLED], "ben": [an_incident().title] * 2}
    assert driver.pages("ada", key="of ada")["email"].state is NotificationState.SENT


def test_what_the_channel_broke_off_on_together_leaves_apart_with_its_title(driver: Driver) -> None:
    ada = replace(a_recipient("ada", "email"), quiet="22:00-07:00")
    for key in ("db-1", "db-2"):
        driver.notify(an_incident(key), ada)
    driver.deliver()
    driver.respond("email", BROKEN_OFF, ACCEPTED)
    driver.pass_time(minutes=300)
    assert [len(each.attempts) for each in driver.seen] == [2, 1, 1]
    assert [each.message.content.title for each in driver.seen[1:]] == [an_incident().title] * 2


def test_in_a_bundle_only_the_title_that_cannot_be_read_is_missing(driver: Driver) -> None:
    for number in range(6):
        incident = an_incident(f"db-{number}", severity=Severity.CRITICAL, title=f"db {number} is down")
        incident_id = driver.notify(incident, a_recipient("ada", "email")).incident_id
        driver.deliver()
        driver.note_sweep(driver.clock.at + timedelta(seconds=0.1))
    with unreadable(driver, incident_id):
        driver.pass_time(seconds=61)
    *_, bundle = driver.sent("email")
    titles = [each.title for each in bundle.message.content.bundled]
    assert (len(bundle.attempts), titles[-1]) == (len(titles), UNTITLED)
    assert {*titles[:-1]} <= {f"db {number} is down" for number in range(6)}
    assert driver.pages(key="db-5")["email"].state is NotificationState.SENT
