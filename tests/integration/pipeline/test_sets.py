"""A set of items is one transaction: each sees its neighbours' changes, a bad one harms no other, and statements do not grow."""

from dataclasses import replace
from typing import Any

import pytest
from peewee import Value

from notifyflow.core.model import NotificationState
from notifyflow.errors import Fenced, StorageError
from notifyflow.pipeline.ports import Claimed
from notifyflow.pipeline.record import Lease, Recording, Release, record, release
from notifyflow.storage.models import NotificationRow
from tests.builders import ACCEPTED, BUSY, REFUSED, a_recipient, an_incident
from tests.driver import Driver
from tests.leases import record_one


def _recording(claimed: Claimed, outcome: Any = ACCEPTED) -> Recording:
    return Recording(lease=Lease(attempt_id=claimed.message.attempt_id, token=claimed.token), outcome=outcome)


def test_two_failures_of_one_escalation_in_one_set_open_its_next_tier_once(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email", "slack", "sms"))
    claimed = [*driver.claim("email"), *driver.claim("slack")]
    settled = record(driver.deps, [_recording(each, REFUSED) for each in claimed])
    assert settled.results == (None, None)
    assert [due.channel for due in settled.consequences.due] == ["sms"]
    assert driver.pages()["sms"].state is NotificationState.QUEUED
    opened = [line for line in driver.status().transitions if line.event == "tier_opened"]
    assert len(opened) == 1


def test_every_version_of_a_row_has_its_line_in_the_log(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email", "slack", "sms"))
    record(driver.deps, [_recording(each, REFUSED) for each in (*driver.claim("email"), *driver.claim("slack"))])
    escalation = driver.escalations()[0].facts
    lines = [line for line in driver.status().transitions if line.row_id == escalation.id]
    assert [line.event for line in lines] == ["started", "tier_opened"]
    assert escalation.tier == 2


def test_an_item_that_is_fenced_off_harms_no_other(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email"), a_recipient("ben", "email"), a_recipient("cyd", "email"))
    first, second, third = driver.claim("email")
    record_one(driver.deps, second, ACCEPTED)
    settled = record(driver.deps, [_recording(each, REFUSED) for each in (first, second, third)])
    assert [type(each) for each in settled.results] == [type(None), Fenced, type(None)]
    assert sorted(row.state for who in ("ada", "ben", "cyd") for row in driver.pages(who).values()) == [
        "FAILED",
        "FAILED",
        "SENT",
    ]


def test_a_damaged_row_harms_no_other(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email"), a_recipient("ben", "email"))
    bad, good = driver.claim("email")
    _set_severity(driver, bad, "LOUD")
    settled = record(driver.deps, [_recording(bad), _recording(good)])
    assert isinstance(settled.results[0], ValueError)
    assert settled.results[1] is None
    _set_severity(driver, bad, "ERROR")
    record_one(driver.deps, bad, ACCEPTED)


def _set_severity(driver: Driver, claimed: Claimed, severity: str) -> None:
    update = NotificationRow.update(severity=Value(severity, converter=False))
    is_it = NotificationRow.id == claimed.message.notification_id
    driver.store.run(lambda ledger: update.where(is_it).execute(ledger._db))


def test_a_write_that_the_database_refuses_harms_no_other(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email"), a_recipient("ben", "email"))
    bad, good = driver.claim("email")
    outcome = replace(REFUSED, code=None)  # the column holds no NULL
    settled = record(driver.deps, [_recording(bad, outcome), _recording(good)])
    assert isinstance(settled.results[0], StorageError)
    assert settled.results[1] is None
    record_one(driver.deps, bad, ACCEPTED)


def test_all_are_released_at_once(driver: Driver) -> None:
    driver.notify(an_incident(), *(a_recipient(f"p{number}", "email") for number in range(5)))
    claimed = driver.claim("email")
    leases = [Lease(attempt_id=each.message.attempt_id, token=each.token) for each in claimed]
    settled = release(driver.deps, [Release(lease=each) for each in leases])
    assert settled.results == (None,) * 5
    assert len(settled.consequences.due) == 5
    assert len(driver.claim("email")) == 5


@pytest.mark.parametrize("people", [2, 40])
def test_a_set_needs_as_many_statements_as_one_item(driver: Driver, people: int, counted: list[str]) -> None:
    driver.notify(an_incident(), *(a_recipient(f"p{number}", "email", "slack") for number in range(people)))
    opened = len(counted)
    claimed = driver.claim("email")
    claims = len(counted)
    record(driver.deps, [_recording(each, BUSY) for each in claimed])
    assert len(claimed) == people
    assert (opened, claims - opened, len(counted) - claims) <= (12, 26, 20)
