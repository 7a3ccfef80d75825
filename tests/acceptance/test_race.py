"""Two machines record the failure of two primaries of one escalation at the same moment: SMS is opened exactly once."""

import multiprocessing
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from typing import TypeVar

import pytest

from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.pipeline.transaction.ports import Claimed
from notifyflow.storage.delivery.escalations import Escalations
from notifyflow.storage.delivery.notifications import Notifications
from notifyflow.storage.ledger import AttemptRef, Ledger
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.store import Store
from tests.builders import REFUSED, CountingIds, a_recipient, an_incident
from tests.driver import Driver
from tests.leases import record_one
from tests.patience import PatientStore
from tests.servers.postgres import Postgres, postgres

T = TypeVar("T")

RACES = 60
DEADLINE_S = 60


class UnlockedEscalations(Escalations):
    """Reads an escalation without its lock."""

    def lock(self, escalation_id: str) -> EscalationFacts:
        return self.get(escalation_id)

    def load_attempts(self, refs: Collection[AttemptRef]) -> None:
        del refs


class AwaitedNotifications(Notifications):
    """Lets both recorders read their sibling's row before either has committed."""

    def __init__(self, unit: UnitOfWork, readers: Barrier) -> None:
        super().__init__(unit)
        self._readers = readers

    def of(self, escalation_id: str) -> tuple[NotificationFacts, ...]:
        rows = super().of(escalation_id)
        self._readers.wait(DEADLINE_S)
        return rows


class UnlockedStore:
    """Runs use cases that take no lock of an escalation."""

    def __init__(self, store: Store, readers: Barrier) -> None:
        self._store = store
        self._readers = readers

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        def unlocked(ledger: Ledger) -> T:
            ledger.escalations = UnlockedEscalations(ledger._unit)
            ledger.notifications = AwaitedNotifications(ledger._unit, self._readers)
            return use_case(ledger)

        return self._store.run(unlocked, timeout_s=timeout_s, tries=tries)


def record_failures(url: str, first_id: int, claimed: Sequence[Claimed], starters: Barrier, readers: Barrier | None) -> None:
    """Record one failure after the other, each at the moment at which the other process records its own."""
    with closing(PatientStore(url)) as store:
        deps = replace(Driver(store).deps, ids=CountingIds(first_id))
        if readers is not None:
            deps = replace(deps, transactions=UnlockedStore(store, readers))
        for each in claimed:
            starters.wait(DEADLINE_S)
            record_one(deps, each, REFUSED)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def url(server: Postgres) -> str:
    return server.url(server.create_database())


def race(url: str, *, races: int, is_locked: bool) -> list[int]:
    """Let two processes fail e-mail and Slack of the same recipients; count the text messages that each race queued."""
    with closing(PatientStore(url)) as store:
        store.upgrade()
        return _race(Driver(store), url, races=races, is_locked=is_locked)


def _race(driver: Driver, url: str, *, races: int, is_locked: bool) -> list[int]:
    driver.deps = replace(driver.deps, is_bundling=False)
    for number in range(races):
        driver.notify(an_incident(f"db-{number}"), a_recipient("ada", "email", "slack", "teams", "sms"))
    context = multiprocessing.get_context("spawn")
    starters = context.Barrier(2)
    readers = None if is_locked else context.Barrier(2)
    processes = [
        context.Process(
            target=record_failures, args=(url, 10**6 * (2 + number), driver.claim(channel), starters, readers), daemon=True
        )
        for number, channel in enumerate(("email", "slack"))
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE_S * 2)
    assert [process.exitcode for process in processes] == [0, 0]
    for process in processes:
        process.close()
    return [
        sum(row.channel == "sms" for each in driver.escalations(key=f"db-{number}") for row in each.notifications)
        for number in range(races)
    ]


def test_two_simultaneous_failures_open_sms_exactly_once(url: str) -> None:
    assert race(url, is_locked=True, races=RACES) == [1] * RACES


def test_without_the_lock_each_process_sees_only_its_own_failure(url: str) -> None:
    assert race(url, is_locked=False, races=3) == [0, 0, 0]
