"""A request under an idempotency key is done once, however many bring it at the same time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from notifyflow.core.delivery.model import Notified
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.errors import IdempotencyMismatch
from notifyflow.pipeline.transaction.idempotency import Once
from tests.builders import KEY, a_recipient, an_incident
from tests.driver import Driver
from tests.notifying import notify

ONCE = Once(api_key_id="a", idempotency_key="k", fingerprint="f")
MANY = 8


def submit(driver: Driver, once: Once = ONCE) -> Notified:
    return notify(driver.deps, an_incident(), [a_recipient("ada", "email")], policy=DEFAULT, once=once).value


def test_of_many_at_once_one_is_done_and_all_get_the_same_response(driver: Driver):
    together = Barrier(MANY)

    def come(_: int) -> Notified:
        together.wait()
        return submit(driver)

    with ThreadPoolExecutor(MANY) as pool:
        responses = list(pool.map(come, range(MANY)))
    assert len(set(responses)) == 1
    assert responses[0].is_new
    assert driver.status().facts.times_seen == 1


def test_what_comes_again_leads_to_nothing(driver: Driver):
    first = submit(driver)
    again = notify(driver.deps, an_incident(), [a_recipient("ada", "email")], policy=DEFAULT, once=ONCE)
    assert again.value == first
    assert again.follow_ups.due == ()


def test_another_request_under_the_same_key_is_refused(driver: Driver):
    submit(driver)
    with pytest.raises(IdempotencyMismatch):
        submit(driver, replace(ONCE, fingerprint="g"))
    assert not submit(driver, replace(ONCE, idempotency_key="l")).is_new
    assert not submit(driver, replace(ONCE, api_key_id="b", fingerprint="g")).is_new


def test_what_has_expired_is_forgotten(driver: Driver):
    submit(driver)
    driver.clock.pass_time(timedelta(hours=24))
    assert not submit(driver, replace(ONCE, fingerprint="g")).is_new
    assert driver.status(KEY).facts.times_seen == 2
