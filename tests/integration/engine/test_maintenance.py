"""NotifyFlow's own check and prune, over more than one page, beside others who work."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from notifyflow import NotifyFlow, Settings
from notifyflow.errors import InvalidAge
from notifyflow.storage.store import Store
from notifyflow.storage.upkeep.pruning import Pruned
from tests.builders import CountingIds, HandClock, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.scripted import ScriptedProvider, channels

COUNT = 3
PEOPLE = [a_recipient(f"person-{number}", "email") for number in range(30)]
MEANWHILE = 20
AGE = timedelta(days=90)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def flow(database_url: str, clock: HandClock) -> Iterator[NotifyFlow]:
    settings = Settings(database_url=SecretStr(database_url))
    with NotifyFlow(settings, clock=clock, channels=channels(ScriptedProvider())) as opened:
        yield opened


@pytest.fixture
def driver(store: Store, clock: HandClock) -> Driver:
    """Many incidents that are over, and one that is not."""
    driver = Driver(store)
    driver.clock, driver.deps = clock, replace(driver.deps, clock=clock)
    for number in range(COUNT):
        driver.notify(an_incident(f"old-{number}"), *PEOPLE)
        driver.resolve(key=f"old-{number}")
    driver.notify(an_incident("open"), a_recipient("ada", "email"))
    driver.deliver()
    return driver


def test_a_check_reports_its_progress(flow: NotifyFlow, driver: Driver) -> None:
    checked = [(each.done, each.total, each.findings) for each in flow.maintenance.check()]
    assert checked == [(0, COUNT + 1, ()), (COUNT + 1, COUNT + 1, ())]


def test_pruning_deletes_what_the_dry_run_counted_while_others_notify(flow: NotifyFlow, driver: Driver, clock: HandClock) -> None:
    clock.pass_time(AGE + timedelta(seconds=1))
    foreseen = sum(flow.maintenance.prune(AGE, is_dry_run=True), Pruned())
    assert (foreseen.incidents, foreseen.escalations) == (COUNT, COUNT * len(PEOPLE))
    other = Driver(driver.store)
    other.clock, other.deps = clock, replace(other.deps, clock=clock, ids=CountingIds(1 << 124))

    def notify() -> None:
        for number in range(MEANWHILE):
            other.notify(an_incident(f"new-{number}"), a_recipient("ben", "email"))

    with ThreadPoolExecutor(1) as pool:
        notifying = pool.submit(notify)
        steps = list(flow.maintenance.prune(AGE))
        notifying.result()
    assert sum(steps, Pruned()) == foreseen
    assert len([step for step in steps if step]) > 1
    left = {facts.key for facts in driver.store.read(lambda reads: reads.incidents(100))}
    assert left == {"open", *(f"new-{number}" for number in range(MEANWHILE))}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_pruning_skips_locked_incidents(flow: NotifyFlow, driver: Driver, clock: HandClock) -> None:
    clock.pass_time(AGE + timedelta(seconds=1))

    def prune_beside(ledger) -> Pruned:  # type: ignore[no-untyped-def]
        ledger.incidents.lock_named("old-1", namespace=None)
        return sum(flow.maintenance.prune(AGE), Pruned())

    assert driver.store.run(prune_beside).incidents == COUNT - 1
    assert sum(flow.maintenance.prune(AGE), Pruned()).incidents == 1


def test_less_than_a_day_is_refused(flow: NotifyFlow) -> None:
    with pytest.raises(InvalidAge, match="less than a day"):
        list(flow.maintenance.prune(timedelta(hours=23)))
