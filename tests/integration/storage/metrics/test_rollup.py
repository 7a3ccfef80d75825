"""Each line of the log is counted once, whichever transaction is committed first, and whatever is pruned."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from notifyflow.core.delivery.model import Result, Severity
from notifyflow.core.metrics import families
from notifyflow.core.metrics.charts import Window, beginning
from notifyflow.pipeline.rollup import EVERY, roll_up, roll_up_all
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.metrics.rollup import KEPT_FOR
from notifyflow.storage.store import Store
from tests.builders import BUSY, REFUSED, UNKNOWN, a_contact, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.storage.upkeep.test_pruning import BEGINNING
from tests.metrics import recounted, stored
from tests.patience import PatientStore

_REPEAT = """
    INSERT INTO notifyflow_transition (incident_id, machine, row_id, version, event, source, target, at, detail)
    SELECT id, 'incident', id, 100, 'repeated', 'OPEN', 'OPEN', now(), '{}' FROM notifyflow_incident RETURNING id, xid::text
"""


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store, operations=[a_contact("olga", "push")])


def sql(url: str, *statements: str) -> list[Any]:
    db = dialect_for(url).connect(Deadline(600))
    try:
        cursor = [execute(db, statement) for statement in statements][-1]
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        db.close()


def live(driver: Driver) -> None:
    """Let pages be accepted, refused, doubted, reported on, given up and acknowledged."""
    driver.respond("email", BUSY, UNKNOWN, REFUSED)
    driver.notify(
        an_incident("a", severity=Severity.CRITICAL), a_recipient("ada", "email", "slack", "sms"), a_recipient("ben", "email")
    )
    driver.deliver()
    driver.pass_time(minutes=3)
    driver.report(driver.seen[1].message.attempt_id, Result.DELIVERED)
    driver.report(driver.seen[-1].message.attempt_id, Result.PERMANENT_FAILURE)
    driver.acknowledge(key="a")
    driver.deliver()


def storm(driver: Driver) -> None:
    """Let nine incidents come at once: two texts about one each, and one about seven."""
    for number in range(9):
        driver.notify(an_incident(f"many-{number}"), a_recipient("ada", "sms"))
        driver.deliver()
    driver.pass_time(minutes=2)


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_message_about_many_is_one_message_though_each_of_its_pages_is_counted(driver: Driver, limit: int) -> None:
    storm(driver)
    while roll_up(driver.deps, limit=limit, is_due_at_once=True):
        pass
    found = stored(driver.store)
    texts = {key[3]: count for key, count in found.items() if key[:2] == ("notifyflow_messages", "sms")}
    assert texts == {"1": 2, "6-20": 1}
    assert found["notifyflow_attempts", "sms", "the sms provider", "ERROR", "accepted"] == 9


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_the_figures_equal_the_rows_however_many_lines_are_counted_at_a_time(
    driver: Driver, database_url: str, limit: int
) -> None:
    live(driver)
    storm(driver)
    while roll_up(driver.deps, limit=limit, is_due_at_once=True):
        pass
    driver.resolve(key="a")
    while roll_up(driver.deps, limit=limit, is_due_at_once=True):
        pass
    assert stored(driver.store) == recounted(lambda text: sql(database_url, text))
    assert roll_up(driver.deps, is_due_at_once=True) is False


def test_the_log_is_looked_at_every_few_seconds(driver: Driver) -> None:
    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    assert roll_up(driver.deps, limit=1) is True
    assert roll_up(driver.deps) is False
    before = stored(driver.store)
    driver.notify(an_incident("b"), a_recipient("ada", "email"))
    roll_up(driver.deps)
    assert stored(driver.store) == before
    driver.clock.pass_time(EVERY)
    roll_up(driver.deps)
    assert stored(driver.store)["notifyflow_incident_events", "opened", "ERROR"] == 2


def test_a_lower_id_that_is_committed_after_a_fold_is_counted(connection: psycopg.Connection[Any], postgres_url: str) -> None:
    store = PatientStore(postgres_url)
    driver = Driver(store)
    opened, repeated = (("notifyflow_incident_events", event, "ERROR") for event in ("opened", "repeated"))
    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    with connection.transaction():
        ((early, early_xid),) = connection.execute(_REPEAT).fetchall()
        driver.notify(an_incident("b"), a_recipient("ada", "email"))
        ((late, late_xid),) = sql(postgres_url, "SELECT id, xid::text FROM notifyflow_transition ORDER BY id DESC LIMIT 1")
        roll_up_all(driver.deps)
        before = stored(store)
    assert early < late
    assert int(early_xid) < int(late_xid)
    assert (before[opened], before.get(repeated, 0)) == (1, 0), "what began later waits for what has not ended"
    roll_up_all(driver.deps)
    found = stored(store)
    assert (found[opened], found[repeated]) == (2, 1)
    assert found == recounted(lambda text: sql(postgres_url, text))
    store.close()


def test_folds_that_race_with_each_other_and_with_commits_count_everything_once(driver: Driver, database_url: str) -> None:
    roll_up_all(driver.deps)
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(_write, driver, name) for name in "ab"]
        folders = [pool.submit(_roll_up_until, driver, lambda: all(each.done() for each in writers)) for _ in range(2)]
        for future in (*writers, *folders):
            future.result()
    roll_up_all(driver.deps)
    assert stored(driver.store) == recounted(lambda text: sql(database_url, text))
    assert stored(driver.store)["notifyflow_incident_events", "opened", "ERROR"] == 30


def _write(driver: Driver, name: str) -> None:
    for number in range(15):
        driver.notify(an_incident(f"{name}-{number}"), a_recipient("ada", "email"))


def _roll_up_until(driver: Driver, is_over: Callable[[], bool]) -> None:
    while not is_over():
        roll_up(driver.deps, limit=5, is_due_at_once=True)


def test_a_process_that_counts_lets_others_pass_by(driver: Driver) -> None:
    roll_up_all(driver.deps)
    driver.notify(an_incident("a"), a_recipient("ada", "email"))

    def body(ledger: Ledger) -> bool:
        assert ledger.rollups.lock() is not None
        return driver.store.is_embedded or roll_up(driver.deps, is_due_at_once=True)

    assert driver.store.run(body) is driver.store.is_embedded
    assert stored(driver.store) == {}


def prune(driver: Driver) -> int:
    before = driver.clock.now() - timedelta(days=1)
    step = driver.store.run(lambda ledger: ledger.pruning.incidents(BEGINNING, before=before, limit=100))
    return step.pruned.incidents


def test_what_is_not_counted_is_not_pruned_and_what_was_is_never_forgotten(driver: Driver, database_url: str) -> None:
    live(driver)
    driver.resolve(key="a")
    driver.resolve(key="notifyflow/operations")
    driver.deliver()
    roll_up_all(driver.deps)
    driver.notify(an_incident("b"), a_recipient("ada", "email"))
    driver.resolve(key="b")
    driver.clock.pass_time(timedelta(days=2))
    prune(driver)
    assert {key for (key,) in sql(database_url, "SELECT key FROM notifyflow_incident")} == {"b", "notifyflow/operations"}
    roll_up_all(driver.deps)
    whole = stored(driver.store)
    prune(driver)
    assert sql(database_url, "SELECT COUNT(*) FROM notifyflow_transition") == [(0,)]
    assert stored(driver.store) == whole
    driver.notify(an_incident("c"), a_recipient("ada", "email"))
    roll_up_all(driver.deps)
    opened = ("notifyflow_incident_events", "opened", "ERROR")
    assert stored(driver.store)[opened] == whole[opened] + 1, "SQLite gives the numbers of deleted lines out again"


def test_a_critical_failure_that_is_not_counted_keeps_its_incident(driver: Driver, database_url: str) -> None:
    live(driver)
    driver.resolve(key="a")
    driver.resolve(key="notifyflow/operations")
    driver.deliver()
    roll_up_all(driver.deps)
    sql(database_url, "UPDATE notifyflow_critical SET is_rolled_up = FALSE")
    driver.clock.pass_time(timedelta(days=2))
    assert prune(driver) == 0


def test_a_log_that_another_server_wrote_is_counted_from_now_on(postgres_url: str) -> None:
    store = PatientStore(postgres_url)
    driver = Driver(store)
    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    roll_up_all(driver.deps)
    before = stored(store)
    sql(postgres_url, "UPDATE notifyflow_rollup SET xid = xid + 1000000")
    driver.notify(an_incident("b"), a_recipient("ada", "email"))
    roll_up_all(driver.deps)
    assert stored(store) == before, "it may have been counted there"
    driver.notify(an_incident("c"), a_recipient("ada", "email"))
    roll_up_all(driver.deps)
    opened = ("notifyflow_incident_events", "opened", "ERROR")
    assert stored(store)[opened] == before[opened] + 1
    store.close()


def test_what_the_charts_show_is_kept_by_minutes_and_longer_periods_for_some_weeks(driver: Driver) -> None:
    driver.notify(an_incident("a", severity=Severity.CRITICAL), a_recipient("ada", "email"))
    driver.clock.pass_time(timedelta(seconds=70))
    driver.deliver()
    roll_up_all(driver.deps)
    now = driver.clock.now()
    for window in Window:
        since, span = now - KEPT_FOR, window.minutes
        durations = driver.store.read(lambda reads, span=span, since=since: reads.metrics.durations(span, since=since))
        calls = driver.store.read(lambda reads, span=span, since=since: reads.metrics.calls(span, since=since))
        assert calls == {("email", "the email provider", "accepted"): 1}
        assert list(durations) == [beginning(now, span)]
        value = durations[beginning(now, span)].get((families.ACCEPTED_S.name, ("CRITICAL",)))
        assert value is not None
        assert (value.count, value.sum_s) == (1, 70.0)
    driver.clock.pass_time(KEPT_FOR + timedelta(hours=7))
    roll_up_all(driver.deps)
    assert driver.store.read(lambda reads: reads.metrics.durations(1, since=now - KEPT_FOR)) == {}
    assert driver.store.read(lambda reads: reads.metrics.calls(1, since=now - KEPT_FOR)) == {}
    assert driver.store.read(lambda reads: reads.metrics.rolled_up_at()) == driver.clock.now()
