"""A submission in a transaction of the application: stored with it, lost with it, and paged for by the first sweep after it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from notifyflow.core.delivery.model import Incident, IncidentState, Notified, Recipient, Severity, Step
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Acknowledgement, Policy
from notifyflow.core.intake import validation
from notifyflow.core.intake.chains import check_chain
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.notify import Submitted
from notifyflow.pipeline.delivery.outbox import CARRY_OUT, join
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.upkeep import adopt
from notifyflow.storage.store import Store
from notifyflow.storage.tables import PolicyRow
from tests.builders import KEY, REFUSED, a_contact, a_recipient, an_incident, check_address
from tests.capabilities import CAPABILITIES
from tests.driver import Driver

ADA, BOB = a_recipient("ada", "email"), a_recipient("bob", "email", "sms")


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """PostgreSQL only: an SQLite file has one writer."""
    return postgres_url


def _notify(
    driver: Driver,
    connection: psycopg.Connection[Any],
    incident: Incident | None = None,
    *recipients: Recipient,
    policy: Policy = DEFAULT,
    then: Sequence[Step] = (),
) -> Notified:
    recipients = recipients or (ADA, BOB)
    chain = check_chain(then, recipients, check_address, CAPABILITIES)
    checked = validation.check_incident(incident or an_incident(), recipients, check_address, CAPABILITIES, chain=chain)
    committed = join(driver.deps, Submitted(checked=checked, policy=policy), connection)
    assert not committed.follow_ups.due
    return committed.value


def _in_outbox(store: Store) -> int:
    return store.run(lambda ledger: len(ledger.outbox.waiting(limit=100)))


def test_nobody_learns_of_it_before_the_commit_and_the_first_sweep_after_it_pages(
    driver: Driver, connection: psycopg.Connection[Any]
) -> None:
    notified = _notify(driver, connection)
    assert (notified.is_new, notified.added) == (True, ("ada", "bob"))
    driver.sweep()
    assert driver.store.read(lambda reads: reads.status(KEY)) is None
    connection.commit()
    status = driver.status()
    assert (status.facts.id, status.facts.state, status.escalations) == (notified.incident_id, IncidentState.OPEN, ())
    assert not driver.store.read(lambda reads: reads.is_settled(KEY))
    assert driver.store.read(lambda reads: reads.pending_count()) == 1
    assert {each.notification_id for each in driver.sweep().due} == {
        row.id for who in ("ada", "bob") for row in driver.pages(who).values()
    }
    assert not driver.sweep().due
    driver.deliver()
    assert driver.store.read(lambda reads: reads.is_settled(KEY))


def test_its_chain_begins_after_the_commit(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    _notify(driver, connection, None, ADA, then=(Step(to=(BOB,), after=timedelta(minutes=10)),))
    driver.pass_time(minutes=5)
    connection.commit()
    driver.sweep()
    driver.deliver()
    driver.pass_time(minutes=9)
    assert [each.facts.recipient_id for each in driver.status().escalations] == ["ada"]
    driver.pass_time(minutes=1)
    assert [each.facts.recipient_id for each in driver.status().escalations] == ["ada", "bob"]


def test_nothing_is_left_of_it_after_a_rollback(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    _notify(driver, connection)
    connection.rollback()
    driver.sweep()
    assert driver.store.read(lambda reads: reads.incidents(10)) == ()
    assert _in_outbox(driver.store) == 0


def test_it_is_in_a_savepoint_of_the_application(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        _notify(driver, connection)
    with connection.transaction(force_rollback=True):
        _notify(driver, connection, an_incident("db-2"))
    connection.commit()
    driver.sweep()
    assert [each.key for each in driver.store.read(lambda reads: reads.incidents(10))] == [KEY]


def test_its_clocks_begin_with_the_first_sweep_after_the_commit(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    _notify(driver, connection, an_incident(severity=Severity.CRITICAL), policy=INSISTENT)
    driver.note_sweep(driver.clock.at + timedelta(hours=100))
    connection.commit()
    driver.sweep()
    driver.deliver()
    assert [each.message.content.delayed for each in driver.seen] == ["", ""]
    assert not driver.sent("sms")
    assert driver.escalation().started_at == driver.clock.at
    driver.pass_time(minutes=4)
    assert not driver.sent("sms")
    driver.pass_time(minutes=2)
    assert len(driver.sent("sms")) == 1


def test_a_transaction_that_is_open_for_a_minute_holds_up_nothing_else(store: Store, connection: psycopg.Connection[Any]) -> None:
    driver = Driver(store, operations=[a_contact("ops", "slack")])
    driver.notify(an_incident("open"), ADA, policy=INSISTENT)
    _notify(driver, connection)  # a new key, and one that repeats an incident that goes on meanwhile
    _notify(driver, connection, an_incident("open", severity=Severity.CRITICAL), BOB)
    driver.respond("email", REFUSED)
    driver.notify(an_incident("failing"), ADA)
    driver.deliver()
    driver.pass_time(minutes=20)
    assert len(driver.escalations("ada", "open")) == 2
    assert driver.status(operations.KEY).facts.state is IncidentState.OPEN
    assert driver.acknowledge(key="open").has_changed
    assert driver.resolve(key="open").has_changed
    connection.rollback()
    assert driver.outcome.cut_short is None
    assert driver.outcome.broken == ()


def test_operations_is_told_by_the_sweep(store: Store, connection: psycopg.Connection[Any]) -> None:
    driver = Driver(store, operations=[a_contact("ops", "slack")])
    _notify(driver, connection, None, ADA, Recipient(id="eve", addresses={"email": "bad"}))
    connection.commit()
    assert driver.store.read(lambda reads: reads.status(operations.KEY)) is None
    assert [each.recipient_id for each in driver.sweep().critical] == ["eve"]
    assert driver.status(operations.KEY).facts.state is IncidentState.OPEN


def test_a_repetition_is_counted_by_the_sweep_and_a_raised_severity_pages_anew(
    driver: Driver, connection: psycopg.Connection[Any]
) -> None:
    first = driver.notify(None, ADA)
    driver.deliver()
    again = _notify(driver, connection, an_incident(severity=Severity.CRITICAL, title="and how"))
    assert (again.incident_id, again.is_new, again.added, again.repeated) == (first.incident_id, False, ("bob",), ("ada",))
    assert driver.status().facts.times_seen == 1
    connection.commit()
    driver.sweep()
    status = driver.status()
    assert (status.facts.times_seen, status.content.title) == (2, "and how")
    assert [(each.facts.recipient_id, each.facts.round) for each in status.escalations] == [("ada", 1), ("ada", 2), ("bob", 1)]
    assert _in_outbox(driver.store) == 0


def test_a_key_may_come_again_in_the_same_transaction(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    first, again = _notify(driver, connection, None, ADA), _notify(driver, connection, None, BOB)
    assert (again.incident_id, again.is_new, again.added) == (first.incident_id, False, ("bob",))
    connection.commit()
    driver.sweep()
    assert driver.status().facts.times_seen == 2
    assert [len(driver.pages(who)) for who in ("ada", "bob")] == [1, 1]


def test_a_key_that_others_repeat_after_the_commit_pages_each_recipient_once(
    driver: Driver, connection: psycopg.Connection[Any]
) -> None:
    _notify(driver, connection)
    connection.commit()
    driver.notify(None, ADA)
    driver.sweep()
    assert [(each.facts.recipient_id, each.facts.round) for each in driver.status().escalations] == [("ada", 1), ("bob", 1)]


def test_a_key_that_is_committed_meanwhile_is_repeated(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    """Another transaction has it already, which this one does not see: it waits, and sees it after the other's commit."""
    with psycopg.connect(connection.info.dsn) as other, psycopg.connect(connection.info.dsn, autocommit=True) as watching:
        first = _notify(driver, other)
        blocking = "SELECT pg_blocking_pids(%s)"
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_notify, driver, connection, None, BOB)
            while watching.execute(blocking, [connection.info.backend_pid]).fetchone() == ([],):
                assert not waiting.done()
            other.commit()
            again = waiting.result(30)
    assert (again.incident_id, again.is_new) == (first.incident_id, False)


@pytest.mark.parametrize("policy", [DEFAULT, replace(DEFAULT, acknowledgement=Acknowledgement.EACH)])
def test_an_acknowledgement_before_the_first_sweep_is_one_of_a_page(
    driver: Driver, connection: psycopg.Connection[Any], policy: Policy
) -> None:
    _notify(driver, connection, policy=policy)
    connection.commit()
    assert {page.recipient_id for page in driver.acknowledge("ada").cancelled} >= {"ada"}
    driver.sweep()
    driver.deliver()
    is_each = policy.acknowledgement is Acknowledgement.EACH
    assert {each.message.address for each in driver.seen if not each.message.content.status_update} == (
        {"bob@email"} if is_each else set()
    )


def test_what_is_resolved_before_the_first_sweep_pages_nobody(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    _notify(driver, connection)
    connection.commit()
    driver.resolve()
    assert not driver.sweep().due
    assert _in_outbox(driver.store) == 0


def test_a_repetition_that_is_committed_after_the_incident_was_resolved_opens_a_new_one(
    driver: Driver, connection: psycopg.Connection[Any]
) -> None:
    driver.notify(None, ADA)
    again = _notify(driver, connection, None, BOB)
    driver.resolve()
    connection.commit()
    driver.sweep()
    assert driver.status().facts.id != again.incident_id
    assert set(driver.pages("bob")) == {"email"}


def test_a_repetition_that_was_committed_before_the_resolve_opens_nothing(
    driver: Driver, connection: psycopg.Connection[Any]
) -> None:
    driver.notify(None, ADA)
    _notify(driver, connection, None, BOB)
    connection.commit()
    driver.resolve()
    driver.sweep()
    assert [each.state for each in driver.store.read(lambda reads: reads.incidents(10))] == [IncidentState.RESOLVED]


def test_two_sweeps_carry_it_out_once(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    _notify(driver, connection)
    connection.commit()
    (entry,) = driver.store.run(lambda ledger: ledger.outbox.waiting(limit=10))
    assert len(CARRY_OUT.run(driver.deps, [entry]).follow_ups.due) == 2
    assert not CARRY_OUT.run(driver.deps, [entry]).follow_ups.due


def test_a_policy_that_was_pruned_meanwhile_is_stored_again(driver: Driver, connection: psycopg.Connection[Any]) -> None:
    _notify(driver, connection, policy=INSISTENT)
    driver.store.run(lambda ledger: ledger.outbox._unit.execute(PolicyRow.delete()))
    connection.commit()
    assert not driver.sweep().broken
    assert driver.escalation().policy == INSISTENT


@pytest.mark.parametrize("end", [adopt.release_from_quarantine, adopt.resolve_quarantined])
def test_a_copy_pages_for_it_only_after_its_release(driver: Driver, connection: psycopg.Connection[Any], end: Any) -> None:
    _notify(driver, connection)
    connection.commit()
    adopt.adopt(driver.deps, None, is_forced=True)
    assert not driver.sweep().due
    end(driver.deps)
    assert len(sweep(driver.deps).due) == (2 if end is adopt.release_from_quarantine else 0)
    assert _in_outbox(driver.store) == 0
