"""What was resolved long ago goes, whole, in small steps; what is needed stays."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from notifyflow.core.delivery.model import Result, Severity
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.store import Store
from notifyflow.storage.tables import PolicyRow
from notifyflow.storage.upkeep.pruning import Pruned
from tests.builders import REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.storage.samples import found_in
from tests.unit.core.intake.test_inbound_log import OPENED

BEGINNING = (datetime(1970, 1, 1, tzinfo=UTC), "")
DAY = timedelta(days=1)
TABLES = (
    "incident",
    "contact",
    "escalation",
    "notification",
    "attempt",
    "transition",
    "receipt",
    "inbound_entry",
    "critical",
    "notice",
)


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store, operations=[a_contact("olga", "push")])


def prune(driver: Driver, limit: int = 100) -> Pruned:
    """Prune what is older than a day; after each step, what is left is whole."""
    cursor, total, before = BEGINNING, Pruned(), driver.clock.now() - DAY
    roll_up_all(driver.deps)
    while cursor is not None:
        step = driver.store.run(lambda ledger, cursor=cursor: ledger.pruning.incidents(cursor, before=before, limit=limit))
        total, cursor = total + step.pruned, step.cursor
        assert found_in(driver.store) == []
    return total + driver.store.run(lambda ledger: ledger.pruning.strays(before=before, limit=limit))


def count(driver: Driver, limit: int = 100) -> Pruned:
    cursor, total, before = BEGINNING, Pruned(), driver.clock.now() - DAY
    while cursor is not None:
        step = driver.store.read(lambda reads, cursor=cursor: reads.prunable.incidents(cursor, before=before, limit=limit))
        total, cursor = total + step.pruned, step.cursor
    return total + driver.store.read(lambda reads: reads.prunable.strays(before=before))


def rows_in(url: str) -> dict[str, int]:
    db = dialect_for(url).connect(Deadline(600))
    try:
        return {table: execute(db, f"SELECT COUNT(*) FROM notifyflow_{table}").fetchone()[0] for table in TABLES}
    finally:
        db.close()


def keys(driver: Driver) -> set[str]:
    return {facts.key for facts in driver.store.read(lambda reads: reads.incidents(100))}


def _policies(driver: Driver) -> set[str]:
    rows = driver.store.run(lambda ledger: list(PolicyRow.select().dicts().execute(ledger._unit.db)))
    return {next(iter(json.loads(row["document"]))) for row in rows}


def _prune_policies(driver: Driver) -> set[str]:
    driver.store.run(lambda ledger: ledger.pruning.policies(now=driver.clock.now()))
    return _policies(driver)


def test_a_policy_goes_an_hour_after_the_last_row_that_refers_to_it(driver: Driver) -> None:
    driver.notify(an_incident("kept"), a_recipient("ada", "email"))
    driver.notify(an_incident("gone"), a_recipient("ada", "email"), policy=INSISTENT)
    driver.deliver()
    driver.resolve(key="gone")
    driver.clock.pass_time(2 * DAY)
    assert _prune_policies(driver) >= {"default", "insistent"}
    prune(driver)
    assert _prune_policies(driver) >= {"default", "insistent"}, "it is unused from now on"
    driver.clock.pass_time(timedelta(minutes=59))
    assert "insistent" in _prune_policies(driver)
    driver.clock.pass_time(timedelta(minutes=2))
    assert "insistent" not in _prune_policies(driver)
    assert "default" in _policies(driver)
    driver.notify(an_incident("new"), a_recipient("ada", "email"), policy=INSISTENT)
    assert "insistent" in _policies(driver)
    assert found_in(driver.store, driver.clock.now()) == []


def test_a_policy_that_is_used_again_within_the_hour_stays(driver: Driver) -> None:
    driver.notify(an_incident("old"), a_recipient("ada", "email"), policy=INSISTENT)
    driver.deliver()
    driver.resolve(key="old")
    driver.clock.pass_time(2 * DAY)
    prune(driver)
    _prune_policies(driver)
    driver.notify(an_incident("new"), a_recipient("ada", "email"), policy=INSISTENT)
    driver.clock.pass_time(timedelta(hours=2))
    assert "insistent" in _prune_policies(driver)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_what_was_resolved_long_ago_goes_with_all_that_belongs_to_it(driver: Driver, database_url: str, limit: int) -> None:
    for key in ("a", "b"):
        driver.notify(an_incident(key), a_recipient("ada", "email", "sms"), a_recipient("ben", "email"))
        driver.deliver()
        driver.report(driver.seen[-1].message.attempt_id, Result.DELIVERED)
        driver.resolve(key=key)
        driver.deliver()
        entry = replace(OPENED, incident_id=driver.status(key).facts.id)
        driver.store.run(lambda ledger, entry=entry: ledger.inbound_log.count([entry]))
    kept = rows_in(database_url)
    assert prune(driver, limit) == count(driver, limit) == Pruned()
    driver.clock.pass_time(2 * DAY)
    foreseen = count(driver, limit)
    assert prune(driver, limit) == foreseen
    assert rows_in(database_url) == dict.fromkeys(TABLES, 0)
    assert asdict(foreseen) == {
        f"{table}s": kept[table] for table in TABLES if table not in ("contact", "inbound_entry", "critical")
    }


def test_what_is_not_resolved_stays(driver: Driver) -> None:
    driver.notify(an_incident("open"), a_recipient("ada", "email"))
    driver.notify(an_incident("acknowledged"), a_recipient("ada", "email"))
    driver.deliver()
    driver.acknowledge(key="acknowledged")
    driver.clock.pass_time(2 * DAY)
    driver.notify(an_incident("fresh"), a_recipient("ada", "email"))
    driver.deliver()
    driver.resolve(key="fresh")
    assert prune(driver) == Pruned()
    assert keys(driver) == {"open", "acknowledged", "fresh"}


def test_what_an_open_operations_incident_reports_stays_until_it_is_resolved(driver: Driver, database_url: str) -> None:
    driver.respond("email", REFUSED)
    driver.notify(an_incident("lost", severity=Severity.CRITICAL), a_recipient("ada", "email"))
    driver.deliver()
    driver.resolve(key="lost")
    driver.deliver()
    driver.clock.pass_time(2 * DAY)
    assert prune(driver) == Pruned()
    driver.resolve(key="notifyflow/operations")
    driver.deliver()
    assert prune(driver).incidents == 1
    assert keys(driver) == {"notifyflow/operations"}
    driver.clock.pass_time(2 * DAY)
    assert prune(driver).incidents == 1
    assert set(rows_in(database_url).values()) == {0}


def test_an_operations_incident_stays_as_long_as_a_failure_is_linked_to_it(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.notify(an_incident("lost", severity=Severity.CRITICAL), a_recipient("ada", "email"))
    driver.deliver()
    driver.resolve(key="notifyflow/operations")
    driver.deliver()
    driver.clock.pass_time(2 * DAY)
    assert prune(driver) == Pruned()
    assert keys(driver) == {"lost", "notifyflow/operations"}


def test_foreign_receipts_and_reported_notices_go_with_their_time(driver: Driver, database_url: str) -> None:
    for number in range(3):
        driver.report(f"nobody's {number}", Result.DELIVERED)
    driver.clock.pass_time(2 * DAY)
    driver.report("nobody's either", Result.DELIVERED)
    assert count(driver) == Pruned(receipts=3)
    assert prune(driver) == Pruned(receipts=3)
    assert rows_in(database_url)["receipt"] == 1
