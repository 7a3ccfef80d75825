"""A callback path that seems broken mutes nothing; those who are unproven over it alone are one failure for operations."""

import pytest

from notifyflow.core.delivery.model import Result, Severity
from notifyflow.storage.store import Store
from tests.builders import REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver

OPS = "notifyflow/operations"


@pytest.fixture
def driver(store: Store) -> Driver:
    """A driver with somebody in operations."""
    driver = Driver(store, operations=[a_contact("ops", "slack")])
    driver.sweep()
    return driver


def text(driver: Driver, first: int, last: int, *channels: str) -> None:
    """Text people with numbers about an incident each; no receipt comes."""
    for number in range(first, last):
        driver.notify(an_incident(f"db-{number}", severity=Severity.CRITICAL), a_recipient(f"p{number}", *channels, "sms"))
    driver.deliver()


def rounds(driver: Driver) -> list[int]:
    """Return how many minutes after the start the rounds of operations began for what is new."""
    own = [each.facts for each in driver.status(OPS).escalations if each.facts.repetition == 1]
    start = driver.status("db-0").facts.opened_at
    return [int((each.started_at - start).total_seconds() // 60) for each in own]


def body(driver: Driver) -> str:
    return driver.status(OPS).content.body or ""


def test_all_who_are_unproven_over_it_alone_are_paged_as_one_failure_at_once_and_every_four_hours(driver: Driver) -> None:
    text(driver, 0, 6)
    driver.pass_time(minutes=2)
    assert rounds(driver) == [1]
    assert "nothing shows that the pages of 6 rounds arrived" in body(driver)
    for hour in range(1, 4):
        text(driver, 10 * hour, 10 * hour + 6)
        driver.pass_time(hours=1)
    assert rounds(driver) == [1]
    assert "nothing shows that the pages of 24 rounds arrived" in body(driver)
    text(driver, 50, 56)
    driver.pass_time(minutes=70)
    assert rounds(driver) == [1, 241]
    driver.pass_time(hours=12)
    assert rounds(driver) == [1, 241], "nobody has been unproven since"


def test_each_of_them_is_a_critical_failure(driver: Driver) -> None:
    text(driver, 0, 6)
    driver.pass_time(minutes=2)
    assert all(driver.escalation(f"p{number}", f"db-{number}").alerted_at for number in range(6))


def test_a_failure_of_another_kind_is_paged_in_its_own_time_and_takes_them_along(driver: Driver) -> None:
    text(driver, 0, 6)
    driver.pass_time(minutes=30)
    text(driver, 10, 16)
    driver.pass_time(minutes=2)
    driver.respond("email", REFUSED)
    driver.notify(an_incident("db-9", severity=Severity.CRITICAL), a_recipient("ada", "email"))
    driver.deliver()
    driver.pass_time(minutes=20)
    assert rounds(driver) == [1, 46], "the policy of operations had paged at 31 minutes"
    text(driver, 20, 26)
    driver.pass_time(hours=1)
    assert rounds(driver) == [1, 46]


@pytest.mark.parametrize("other", ["a page failed as well", "another provider is silent, too"])
def test_who_is_unproven_for_another_reason_too_is_told_singly(driver: Driver, other: str) -> None:
    text(driver, 0, 6)
    driver.pass_time(minutes=30)
    if other == "a page failed as well":
        driver.respond("email", REFUSED)
        text(driver, 10, 11, "email")
    else:
        driver.notify(an_incident("db-10", severity=Severity.CRITICAL), a_recipient("p10", "push", "sms"))
        driver.deliver()
    driver.pass_time(minutes=20)
    assert len(rounds(driver)) == 2
    assert "P10 was not reached" in body(driver)


def test_a_delivery_shows_that_the_path_works_and_an_acceptance_does_not(driver: Driver) -> None:
    text(driver, 0, 6)
    driver.report(driver.sent("sms")[0].message.attempt_id, Result.ACCEPTED)
    driver.report(driver.sent("sms")[1].message.attempt_id, Result.DELIVERED)
    driver.pass_time(minutes=2)
    assert "nothing shows that the pages of" not in body(driver)
    text(driver, 10, 16)
    driver.pass_time(minutes=90)
    text(driver, 20, 26)
    driver.report(driver.sent("sms")[-1].message.attempt_id, Result.ACCEPTED)
    driver.pass_time(minutes=2)
    assert "nothing shows that the pages of 6 rounds arrived" in body(driver)
