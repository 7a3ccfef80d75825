"""A sweep that is cut short reports what it has stored before, whatever cuts it short, and wherever."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from peewee import Database

from notifyflow.core.delivery.model import Severity
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.storage.dialects import execute
from notifyflow.storage.store import Store
from tests.builders import a_contact, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver
from tests.integration.pipeline.transaction.test_sets import StopsAfter

COUNT = 6
INTERRUPTIONS = (StorageUnavailable(0.0), KeyboardInterrupt(), SystemExit())


def ids(driver: Driver, query: str) -> set[str]:
    def look(db: Database) -> set[str]:
        return {row_id for (row_id,) in execute(db, query).fetchall()}

    return driver.store.run(lambda ledger: look(ledger._unit.db))


@pytest.mark.parametrize("interruption", INTERRUPTIONS, ids=type)
@pytest.mark.parametrize("machine", ["notification", "escalation"])
def test_what_is_stored_beside_a_damaged_row_is_reported_wherever_a_sweep_is_cut_short(
    store: Store, machine: str, interruption: BaseException
) -> None:
    driver = Driver(store, operations=[a_contact("olga", "push")])
    for number in range(COUNT):
        driver.notify(an_incident(f"db-{number}", severity=Severity.WARNING), a_recipient("ada", "email"))
    (page,) = driver.pages(key="db-2").values()
    driver.sweep()
    driver.note_sweep(driver.clock.at + timedelta(hours=25))
    driver.clock.at += timedelta(minutes=2)  # an outage
    reported = driver.outcome
    with damaged(driver.deps, machine, {"notification": page.id, "escalation": page.escalation_id}[machine], Damage.REFUSED):
        for transactions in range(1, 20):
            stopping = replace(driver.deps, transactions=StopsAfter(store, transactions, interruption))
            with suppress(type(interruption)):  # before it has done anything
                reported += sweep(stopping)
            failed = sorted(row.id for row in reported.failed)
            assert failed == sorted(ids(driver, "SELECT id FROM notifyflow_notification WHERE state = 'FAILED'"))
            due = {each.notification_id for each in reported.due}
            assert due >= ids(driver, "SELECT id FROM notifyflow_notification WHERE rung_at IS NOT NULL")
            assert {each.row_id for each in reported.set_aside} == ids(driver, "SELECT row_id FROM notifyflow_set_aside")
    assert len(reported.outages) == 1
    release_all(driver.deps)
    assert len(failed) + len(driver.sweep().failed) == COUNT
