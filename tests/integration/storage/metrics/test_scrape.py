"""What a scrape reads at its moment, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.pipeline.upkeep.adopt import adopt
from notifyflow.storage.store import Store
from tests.builders import BUSY, CHANNELS, REFUSED, a_recipient, an_incident
from tests.damage import Damage, damaged
from tests.driver import Driver


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store)


def test_the_oldest_due_notification_of_any_channel_and_urgency_is_found(driver: Driver) -> None:
    def oldest(*channels: str) -> object:
        now = driver.clock.now()
        return driver.store.read(lambda reads: reads.scrape.oldest_due_at(channels or CHANNELS, now))

    assert oldest() is None
    first = driver.clock.now()
    driver.notify(an_incident("a"), a_recipient("ada", "slack"))
    driver.clock.pass_time(timedelta(minutes=1))
    driver.notify(an_incident("b", severity=Severity.CRITICAL), a_recipient("ada", "email"))
    assert (oldest(), oldest("email")) == (first, driver.clock.now())
    adopt(driver.deps, "copy", is_forced=True)
    assert oldest() is None, "what is quarantined is not sent"


def test_what_is_deferred_is_not_due(driver: Driver) -> None:
    driver.respond("email", replace(BUSY, retry_after_s=60.0))
    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    driver.deliver()
    deferred_at = driver.clock.now()

    def oldest() -> object:
        return driver.store.read(lambda reads: reads.scrape.oldest_due_at(CHANNELS, driver.clock.now()))

    assert oldest() is None
    driver.clock.pass_time(timedelta(seconds=90))
    assert oldest() == deferred_at + timedelta(seconds=60)


def test_what_is_set_aside_is_not_due(driver: Driver) -> None:
    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    with damaged(driver.deps, "notification", driver.pages(key="a")["email"].id, Damage.REFUSED):
        for _ in range(2):
            driver.claim("email")
        assert driver.store.read(lambda reads: reads.set_aside.all())
        assert driver.store.read(lambda reads: reads.scrape.oldest_due_at(CHANNELS, driver.clock.now())) is None


def test_the_oldest_critical_incident_that_nobody_took_is_found(driver: Driver) -> None:
    def oldest() -> object:
        return driver.store.read(lambda reads: reads.scrape.oldest_unacknowledged_at())

    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    assert oldest() is None
    opened = []
    for key in ("b", "c", "d"):
        opened.append(driver.clock.now())
        driver.notify(an_incident(key, severity=Severity.CRITICAL), a_recipient("ada", "email"))
        driver.clock.pass_time(timedelta(minutes=1))
    assert oldest() == opened[0]
    driver.acknowledge(key="b")
    driver.resolve(key="c")
    assert oldest() == opened[2]


def test_somebody_whose_newest_round_reached_nobody_is_unreached_until_a_later_one_does(driver: Driver) -> None:
    def unreached() -> object:
        return driver.store.read(lambda reads: reads.scrape.unreached(["ada", "ben", "cyd"]))

    driver.respond("email", REFUSED)
    driver.notify(an_incident("a"), a_recipient("ada", "email"), a_recipient("ben", "slack"))
    driver.deliver()
    assert unreached() == {"ada"}
    driver.clock.pass_time(timedelta(minutes=1))
    driver.respond("email")
    driver.notify(an_incident("b"), a_recipient("ada", "email"))
    assert unreached() == {"ada"}, "the new round has no outcome yet"
    driver.deliver()
    assert unreached() == set()
    assert driver.store.read(lambda reads: reads.scrape.unreached([])) == set()
