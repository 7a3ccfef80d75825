"""On PostgreSQL nothing that acknowledges the operations incident waits in a circle with what adds to it: nothing is repeated."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, TypeVar

import psycopg
import pytest

from notifyflow.app.composition import WIRING
from notifyflow.core.delivery.model import Contact, IncidentState, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT, Tier
from notifyflow.core.messages.replies import Effect, HandledReply, Intent, Reply
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.acknowledge_many import Acknowledging, acknowledge_many
from notifyflow.pipeline.replies import handle_reply
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import REFUSED, a_recipient, an_incident
from tests.driver import Driver
from tests.leases import record_one
from tests.patience import PATIENCE_S
from tests.waiting import wait_until

T = TypeVar("T")
OPS = operations.KEY
OURS, THEIRS = "+15005550006", "+15005550011"
TEXTS = replace(DEFAULT, name="texts", tiers=(Tier(name="primary", channels=("sms",)),))


@dataclass
class Counting:
    """A database that counts how often transactions were repeated."""

    store: Store
    repeated: int = 0

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        begun = 0

        def once(ledger: Ledger) -> T:
            nonlocal begun
            begun += 1
            return use_case(ledger)

        try:
            return self.store.run(once, timeout_s=timeout_s, tries=tries)
        finally:
            self.repeated += begun - 1


class Held:
    """Holds a transaction before its end, where it has all its locks but that of the operations incident."""

    def __init__(self) -> None:
        self.reached, self.released = Event(), Event()

    def __call__(self, tx: Transaction) -> None:
        self.reached.set()
        assert self.released.wait(PATIENCE_S)


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """PostgreSQL only: an SQLite file has one writer."""
    return postgres_url


@pytest.fixture
def counting(store: Store) -> Counting:
    return Counting(store)


@pytest.fixture
def driver(store: Store, counting: Counting) -> Driver:
    """Operations is paged by text about Ada, whose mail fails for good, and can reply."""
    driver = Driver(store, operations=[Contact(recipient_id="ops", name="Olga", addresses={"sms": THEIRS})])
    driver.deps = replace(
        driver.deps,
        transactions=counting,
        operations_policy=TEXTS,
        senders={"sms": {"the sms provider": OURS}},
        replying=frozenset({("sms", "the sms provider")}),
    )
    driver.respond("email", REFUSED)
    driver.notify(an_incident("db-1"), a_recipient("ada", "email"))
    driver.deliver()
    assert driver.sent("sms")
    return driver


def say(driver: Driver, intent: Intent, held: Held | None = None) -> HandledReply:
    deps = driver.deps if held is None else replace(driver.deps, wiring=replace(WIRING, at_end=(held, *WIRING.at_end)))
    event_id = f"event {intent}"
    reply = Reply(provider="the sms provider", event_id=event_id, intent=intent, number=THEIRS, our_number=OURS)
    return handle_reply(deps, reply, channel="sms", raw="").value


def wait_for_locks(connection: psycopg.Connection[Any], count: int) -> None:
    """Wait until so many transactions wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    wait_until(lambda: connection.execute(waiting).fetchone() == (count,))


def test_stop_waits_for_an_acknowledgement_from_the_same_number_that_waits_for_the_number(
    driver: Driver, counting: Counting, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("SELECT 1 FROM notifyflow_number WHERE number = %s FOR UPDATE", (THEIRS,))
    with ThreadPoolExecutor(2) as pool, psycopg.connect(connection.info.dsn, autocommit=True) as watching:
        acknowledged = pool.submit(say, driver, Intent.ACKNOWLEDGE)
        wait_for_locks(watching, 1)
        stopped = pool.submit(say, driver, Intent.STOP)
        wait_for_locks(watching, 2)
        connection.rollback()
        assert (acknowledged.result().effect, stopped.result().effect) == (Effect.ACKNOWLEDGED, Effect.BLOCKED)
    assert counting.repeated == 0


def test_an_acknowledgement_waits_for_no_stop_from_the_same_number(driver: Driver, counting: Counting) -> None:
    held = Held()
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(say, driver, Intent.STOP, held)
        assert held.reached.wait(PATIENCE_S)
        try:
            assert say(driver, Intent.ACKNOWLEDGE).effect is Effect.ACKNOWLEDGED
        finally:
            held.released.set()
        assert stopped.result().effect is Effect.BLOCKED
    assert counting.repeated == 0


def test_acknowledging_operations_with_others_waits_in_no_circle_with_a_failure_of_one_of_them(
    driver: Driver, counting: Counting, connection: psycopg.Connection[Any]
) -> None:
    driver.notify(an_incident("db-2", severity=Severity.CRITICAL), a_recipient("ben", "email"))
    (claimed,) = driver.claim("email")
    wanted = [
        Acknowledging(incident_id=driver.status(key).facts.id, by="ops", via=Via.LINK, shown=Severity.CRITICAL)
        for key in (OPS, "db-2")
    ]
    held = Held()
    failing = replace(driver.deps, wiring=replace(WIRING, at_end=(held, *WIRING.at_end)))
    connection.autocommit = True
    with ThreadPoolExecutor(2) as pool:
        failed = pool.submit(record_one, failing, claimed, REFUSED)
        assert held.reached.wait(PATIENCE_S)
        acknowledged = pool.submit(acknowledge_many, driver.deps, wanted)
        try:
            wait_for_locks(connection, 1)
        finally:
            held.released.set()
        failed.result()
        assert all(acknowledged.result().value)
    assert driver.status("db-2").facts.state is IncidentState.ACKNOWLEDGED
    assert counting.repeated == 0
