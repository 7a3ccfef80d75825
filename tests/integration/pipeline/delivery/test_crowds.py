"""Many threads at once: nothing is done twice, nothing is lost, and nobody waits for ever."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.pipeline.delivery import operations
from notifyflow.storage.store import Store
from tests.builders import REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it

THREADS = 6


def _at_once(*doings: Callable[[], object]) -> None:
    with ThreadPoolExecutor(max_workers=len(doings)) as pool:
        for future in [pool.submit(doing) for doing in doings]:
            future.result(timeout=60)


def test_one_key_from_many_callers_is_one_incident_that_pages_once(driver: Driver) -> None:
    _at_once(*[lambda: driver.notify(None, a_recipient("ada", "email"))] * THREADS)
    assert len(driver.store.read(lambda reads: reads.incidents(100))) == 1
    assert driver.status().facts.times_seen == THREADS
    assert len(driver.escalations()) == 1
    assert [due.channel for due in driver.outcome.due] == ["email"]


def test_a_row_is_claimed_by_one_of_many_workers(driver: Driver) -> None:
    for number in range(30):
        driver.notify(an_incident(f"db-{number}"), a_recipient("ada", "email"))
    claimed: list[str] = []

    def work() -> None:
        while batch := driver.claim("email", limit=3):
            claimed.extend(each.message.notification_id for each in batch)

    _at_once(*[work] * THREADS)
    assert len(claimed) == 30
    assert set(Counter(claimed).values()) == {1}


def test_failures_of_all_primaries_at_once_open_sms_once(driver: Driver) -> None:
    channels = ("email", "slack", "teams", "push")
    for number in range(5):
        driver.notify(an_incident(f"db-{number}"), a_recipient("ada", *channels, "sms"))
        claimed = [each for channel in channels for each in driver.claim(channel)]
        _at_once(*[lambda each=each: driver.record(each, REFUSED) for each in claimed])
        assert driver.pages(key=f"db-{number}")["sms"].state is NotificationState.QUEUED


def test_whoever_acknowledges_it_while_it_escalates_stops_all_of_it(driver: Driver) -> None:
    for number in range(5):
        key = f"db-{number}"
        driver.notify(an_incident(key), *[a_recipient(who, "email", "sms") for who in ("ada", "ben", "cy")])
        failing = [lambda each=each: driver.record(each, REFUSED) for each in driver.claim("email")]
        _at_once(*failing, lambda key=key: driver.acknowledge(key=key))
        assert driver.status(key).facts.state is IncidentState.ACKNOWLEDGED
        for who in ("ada", "ben", "cy"):
            assert driver.escalation(who, key).state is EscalationState.ACKNOWLEDGED
            assert {row.state for row in driver.pages(who, key).values()} <= {
                NotificationState.FAILED,
                NotificationState.CANCELLED,
            }


def test_critical_failures_at_once_are_linked_to_one_operations_incident(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "slack")])
    driver.deps = replace(driver.deps, is_bundling=False)
    keys = [f"db-{number}" for number in range(THREADS)]
    for key in keys:
        driver.notify(an_incident(key), a_recipient("ada", "email"))
    _at_once(*[lambda each=each: driver.record(each, REFUSED) for each in driver.claim("email")])
    assert {driver.status(key).operations_key for key in keys} == {operations.KEY}
    assert len(driver.escalations("ops", operations.KEY)) == 1
    assert (driver.status(operations.KEY).content.body or "").count("Ada was not reached") == THREADS
    assert sum(facts.is_operations for facts in store.read(lambda reads: reads.incidents(100))) == 1


def test_sweepers_of_many_processes_do_each_thing_once(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "sms", "voice"), policy=INSISTENT)
    driver.deliver()
    driver.clock.pass_time(timedelta(minutes=15))
    _at_once(*[driver.sweep] * THREADS)
    assert [each.facts.round for each in driver.escalations()] == [1, 2]
    assert driver.escalation().repetition == 2
