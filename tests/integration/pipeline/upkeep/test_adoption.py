"""A database that was restored or copied: nothing that was unfinished in it leaves before somebody has decided."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from notifyflow.core.delivery.model import AttemptState, IncidentState, NotificationState, Result, Severity
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.errors import DatabaseInUse
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.upkeep.adopt import Survey, adopt, release_from_quarantine, resolve_quarantined, survey
from notifyflow.storage.ledger import AttemptRef, Ledger
from notifyflow.storage.store import Store
from notifyflow.storage.tables import EscalationRow, NotificationRow
from tests.builders import BUSY, REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.storage.samples import found_in

T = TypeVar("T")
IN_EVERY_STATE = ("queued", "retried", "sending", "sent", "reached", "repeated", "acknowledged")


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store, operations=[a_contact("olga", "push")])


@pytest.fixture
def copied(driver: Driver) -> Driver:
    """A driver over a database that was copied with unfinished work of every kind in it, and adopted."""
    driver.notify(an_incident("sending", severity=Severity.CRITICAL), a_recipient("ada", "teams", "sms"))
    driver.claim("teams")
    driver.respond("email", BUSY)
    driver.notify(an_incident("retried"), a_recipient("ada", "email", "sms"))
    driver.notify(an_incident("repeated"), a_recipient("ada", "slack"), policy=INSISTENT)
    driver.respond("push", REFUSED)
    driver.notify(an_incident("sent"), a_recipient("bob", "push", "sms", "voice"))
    driver.notify(an_incident("reached"), a_recipient("cyd", "slack", "email"))
    driver.notify(an_incident("acknowledged"), a_recipient("ada", "slack"), a_recipient("bob", "slack"))
    driver.deliver()
    driver.acknowledge("ada", key="acknowledged")
    driver.notify(an_incident("queued"), a_recipient("ada", "email", "slack", "sms", "voice"))
    assert adopt(driver.deps, "staging") >= len(IN_EVERY_STATE)
    driver.seen.clear()
    return driver


def test_nothing_that_was_unfinished_leaves_however_much_time_passes(copied: Driver) -> None:
    before = copied.status("queued")
    copied.pass_time(hours=3)
    copied.sweep()
    copied.deliver()
    assert copied.seen == []
    assert copied.status("queued") == before
    assert copied.store.run(lambda ledger: ledger.work.next_wake_at()) is None


def test_no_sweep_ends_the_lease_of_a_quarantined_row(copied: Driver) -> None:
    def running() -> list[AttemptState]:
        return [attempt.state for row in copied.pages(key="sending").values() for attempt in row.attempts]

    before = running()
    assert AttemptState.RUNNING in before
    copied.pass_time(hours=3)
    copied.sweep()
    assert running() == before
    release_from_quarantine(copied.deps)
    copied.sweep()
    assert AttemptState.RUNNING not in running()


class _AdoptedMeanwhile:
    """The transactions of a sweeper that has just listed what to take back when the database is adopted."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        result = self._driver.store.run(use_case, timeout_s=timeout_s, tries=tries)
        if isinstance(result, tuple) and any(isinstance(each, AttemptRef) for some in result if some for each in some):
            adopt(self._driver.deps, "staging", is_forced=True)
        return result


def test_no_sweep_ends_the_lease_of_a_row_that_is_adopted_after_the_leases_were_listed(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    driver.claim("email")
    driver.clock.at += timedelta(seconds=61)
    sweep(replace(driver.deps, transactions=_AdoptedMeanwhile(driver)))
    assert driver.status().is_quarantined
    assert [each.state for each in driver.pages()["email"].attempts] == [AttemptState.RUNNING]
    release_from_quarantine(driver.deps)
    driver.sweep()
    assert [each.result for each in driver.pages()["email"].attempts] == [Result.IN_DOUBT]


def test_receipts_repetitions_and_resolves_of_quarantined_incidents_send_nothing(copied: Driver) -> None:
    (text,) = [row for row in copied.pages("bob", "sent").values() if row.channel == "sms"]
    copied.report(text.attempts[-1].id, Result.PERMANENT_FAILURE)
    copied.notify(an_incident("reached", severity=Severity.CRITICAL), a_recipient("dan", "slack"))
    copied.resolve(key="acknowledged")
    copied.pass_time(minutes=30)
    assert copied.seen == []


def test_what_is_quarantined_says_so_until_it_is_let_go(copied: Driver) -> None:
    assert copied.status("queued").is_quarantined
    release_from_quarantine(copied.deps)
    assert not copied.status("queued").is_quarantined


def test_what_is_new_is_sent(copied: Driver) -> None:
    copied.notify(an_incident("new"), a_recipient("ada", "slack"))
    assert not copied.status("new").is_quarantined
    copied.deliver()
    copied.pass_time(minutes=1)  # what was copied counts in a storm
    assert [each.channel for each in copied.seen] == ["slack"]


def test_what_is_released_goes_on_where_it_stood(copied: Driver) -> None:
    copied.clock.at += timedelta(minutes=2)
    assert release_from_quarantine(copied.deps) >= len(IN_EVERY_STATE)
    copied.sweep()
    copied.deliver()
    queued = copied.status("queued").facts.id
    assert {each.channel for each in copied.seen if each.message.incident_id == queued} == {"email", "slack"}
    assert any(each.channel == "teams" for each in copied.seen)
    assert release_from_quarantine(copied.deps) == 0


def _marked(ledger: Ledger) -> set[str]:
    """The incidents with rows that are marked as quarantined."""
    models = (EscalationRow, NotificationRow)
    return {
        row["incident_id"] for each in models for row in each.select().where(each.is_quarantined).dicts().execute(ledger._unit.db)
    }


def test_the_marks_of_rows_follow_the_quarantine(copied: Driver) -> None:
    quarantined = set(copied.store.run(lambda ledger: ledger.adoption.quarantined()))
    copied.notify(an_incident("queued"), a_recipient("eve", "email"))
    copied.notify(an_incident("new"), a_recipient("eve", "email"))
    assert copied.store.run(_marked) == quarantined
    release_from_quarantine(copied.deps)
    assert copied.store.run(_marked) == set()


def test_what_an_incident_gets_in_quarantine_waits_with_it_without_a_mark(copied: Driver) -> None:
    copied.notify(an_incident("queued"), a_recipient("eve", "email"))
    copied.pass_time(minutes=5)
    copied.sweep()
    copied.deliver()
    assert copied.seen == []
    release_from_quarantine(copied.deps)
    copied.deliver()
    assert "eve@email" in {each.message.address for each in copied.seen}


def test_cancelled_incidents_end_without_status_updates(copied: Driver) -> None:
    count = resolve_quarantined(copied.deps)
    assert count >= len(IN_EVERY_STATE)
    copied.pass_time(hours=3)
    assert copied.seen == []
    for key in IN_EVERY_STATE:
        assert copied.status(key).facts.state is IncidentState.RESOLVED
    states = {row.state for key in IN_EVERY_STATE for each in copied.status(key).escalations for row in each.notifications}
    assert NotificationState.QUEUED not in states
    assert NotificationState.SENDING not in states
    assert resolve_quarantined(copied.deps) == 0


def test_the_status_update_of_a_resolved_incident_is_withdrawn_too(driver: Driver) -> None:
    driver.notify(an_incident("db-1"), a_recipient("ada", "slack"))
    driver.deliver()
    driver.resolve(by="ops")
    adopt(driver.deps, None)
    resolve_quarantined(driver.deps)
    driver.seen.clear()
    driver.deliver()
    assert driver.seen == []


def test_a_database_that_was_swept_within_a_minute_is_adopted_only_by_force(copied: Driver) -> None:
    copied.notify(an_incident("new"), a_recipient("ada", "slack"))
    copied.sweep()
    copied.clock.at += timedelta(seconds=60)
    with pytest.raises(DatabaseInUse, match=r"swept 60 s ago.* of 1 unfinished incident\."):
        adopt(copied.deps, "staging")
    with pytest.raises(DatabaseInUse):
        survey(copied.deps)
    assert not copied.status("new").is_quarantined
    quarantined = survey(copied.deps, is_forced=True).quarantined
    assert adopt(copied.deps, "staging", is_forced=True) == quarantined + 1
    copied.clock.at += timedelta(seconds=1)
    assert survey(copied.deps) == Survey(environment="staging", unfinished=0, quarantined=quarantined + 1)


def test_a_finished_incident_is_not_quarantined_though_unconfirmed(driver: Driver) -> None:
    driver.notify(an_incident("over"), a_recipient("ada", "slack"))
    driver.deliver()
    driver.resolve(key="over")
    driver.deliver()
    assert survey(driver.deps, is_forced=True).unfinished == 0
    assert adopt(driver.deps, "staging", is_forced=True) == 0


def test_adopting_twice_quarantines_what_is_new_as_well(copied: Driver) -> None:
    count = len(copied.store.run(lambda ledger: ledger.adoption.quarantined()))
    copied.notify(an_incident("new"), a_recipient("ada", "slack"))
    assert adopt(copied.deps, "staging") == count + 1


def test_what_is_quarantined_is_not_overdue(copied: Driver) -> None:
    copied.pass_time(hours=3)
    assert found_in(copied.store, now=copied.clock.now()) == []
