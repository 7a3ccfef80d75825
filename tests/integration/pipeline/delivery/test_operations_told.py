"""Operations loses nothing: not by a resolve, and not by a round of which no page was accepted."""

from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import IncidentState, Result, Severity
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.operations import add_notice
from notifyflow.storage.store import Store
from tests.builders import BUSY, REFUSED, START, a_contact, a_recipient, an_incident
from tests.driver import Driver

OPS = operations.KEY
MINUTE = timedelta(minutes=1)


@pytest.fixture
def driver(store: Store) -> Driver:
    """The e-mail of everybody fails for good; operations sits in Slack."""
    driver = Driver(store, operations=[a_contact("ops", "slack")])
    driver.respond("email", REFUSED)
    return driver


def fail(driver: Driver, key: str, who: str = "ada") -> None:
    driver.notify(an_incident(key), a_recipient(who, "email"))
    driver.deliver()


def starts(driver: Driver) -> list[float]:
    return [(each.facts.started_at - START) / MINUTE for each in driver.escalations("ops", OPS)]


def bodies(driver: Driver) -> list[str]:
    return [each.message.content.body for each in driver.sent("slack")]


def test_a_resolve_while_failures_wait_opens_the_next_one_with_all_of_them(driver: Driver) -> None:
    fail(driver, "db-1")
    first = driver.status(OPS).facts.id
    driver.pass_time(minutes=2)
    fail(driver, "db-2", "ben")
    fail(driver, "db-3", "cyd")
    driver.resolve(by="ops", key=OPS)
    following = driver.status(OPS)
    assert following.facts.id != first
    assert following.facts.state is IncidentState.OPEN
    assert following.facts.round_at == START + 15 * MINUTE
    assert following.facts.severity is Severity.CRITICAL
    assert "Cyd was not reached" in following.content.title
    assert len(bodies(driver)) == 1
    driver.pass_time(minutes=13)
    assert starts(driver) == [15]
    assert [f"Key: {key}" in bodies(driver)[-1] for key in ("db-1", "db-2", "db-3")] == [False, True, True]


def test_a_resolve_while_a_notice_waits_opens_a_warning(driver: Driver) -> None:
    add_notice(driver.deps, "its callbacks are not signed", "twilio")
    driver.deliver()
    driver.pass_time(minutes=1)
    add_notice(driver.deps, "it refuses us", "twilio")
    driver.resolve(by="ops", key=OPS)
    driver.pass_time(minutes=15)
    assert [each.facts.severity for each in driver.escalations("ops", OPS)] == [Severity.WARNING]
    assert "it refuses us" in bodies(driver)[-1]


def test_a_failure_does_not_wait_for_the_notices_that_a_resolve_left(driver: Driver) -> None:
    add_notice(driver.deps, "its callbacks are not signed", "twilio")
    add_notice(driver.deps, "it refuses us", "twilio")
    driver.deliver()
    driver.resolve(by="ops", key=OPS)
    driver.pass_time(minutes=1)
    fail(driver, "db-1")
    assert len(bodies(driver)) == 2


def test_what_fails_after_such_a_resolve_is_counted_in(driver: Driver) -> None:
    fail(driver, "db-1")
    fail(driver, "db-2")
    driver.resolve(by="ops", key=OPS)
    fail(driver, "db-3")
    assert starts(driver) == []
    driver.pass_time(minutes=15)
    assert starts(driver) == [15]
    assert bodies(driver)[-1].count("Key: ") == 2


def test_a_resolve_when_all_is_told_opens_none(driver: Driver) -> None:
    fail(driver, "db-1")
    driver.resolve(by="ops", key=OPS)
    driver.pass_time(hours=1)
    assert driver.status(OPS).facts.state is IncidentState.RESOLVED
    assert len(bodies(driver)) == 1


def test_a_resolve_before_any_page_was_accepted_opens_the_next_one(driver: Driver) -> None:
    driver.respond("slack", BUSY)
    fail(driver, "db-1")
    driver.resolve(by="ops", key=OPS)
    driver.respond("slack")
    driver.pass_time(minutes=15)
    assert starts(driver) == [15]
    assert "Key: db-1" in bodies(driver)[-1]


def test_failures_of_a_round_that_nobody_accepted_are_told_by_the_next_one(driver: Driver) -> None:
    driver.respond("slack", REFUSED)
    fail(driver, "db-1")
    fail(driver, "db-2")
    driver.pass_time(minutes=16)
    driver.respond("slack")
    driver.pass_time(minutes=15)
    assert starts(driver)[:3] == [0, 15, 30]
    assert driver.sent("slack")[-1].message.content.title.startswith("2 failures, the newest: ")
    assert driver.escalation("ops", OPS).reported_at == START + 30 * MINUTE


def test_a_round_that_was_accepted_is_not_repeated_for_it(driver: Driver) -> None:
    fail(driver, "db-1")
    assert driver.escalation("ops", OPS).reported_at == START
    driver.pass_time(hours=2)
    assert starts(driver) == [0, 15, 30], "the policy's"
    assert {each.facts.reported_at for each in driver.escalations("ops", OPS)} == {START}
    assert driver.status(OPS).facts.round_at is None


def test_an_acknowledged_round_is_told(driver: Driver) -> None:
    driver.respond("slack", BUSY)
    fail(driver, "db-1")
    driver.acknowledge(by="ops", key=OPS)
    driver.pass_time(hours=1)
    assert starts(driver) == [0]


def test_what_is_only_linked_starts_no_round(driver: Driver) -> None:
    fail(driver, "db-1")
    driver.acknowledge(by="ops", key=OPS)
    driver.respond("email")
    driver.notify(an_incident("db-2"), a_recipient("ben", "email"))
    driver.deliver()
    driver.clock.pass_time(timedelta(hours=2))
    driver.report(driver.sent("email")[-1].message.attempt_id, Result.PERMANENT_FAILURE)
    driver.pass_time(hours=1)
    assert starts(driver) == [0]
    add_notice(driver.deps, "it refuses us", "twilio")
    assert [each.facts.severity for each in driver.escalations("ops", OPS)] == [Severity.CRITICAL, Severity.WARNING]


def test_without_recipients_nothing_is_repeated(store: Store) -> None:
    driver = Driver(store)
    driver.respond("email", REFUSED)
    fail(driver, "db-1")
    assert driver.status(OPS).facts.round_at is None
    driver.resolve(by="ops", key=OPS)
    assert driver.status(OPS).facts.state is IncidentState.RESOLVED
