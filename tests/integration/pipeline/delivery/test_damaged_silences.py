"""A silence whose row cannot be read is set aside and named; it holds up nobody, others end on time, and people can end it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from notifyflow.core.delivery import set_aside
from notifyflow.core.delivery.model import DeferralReason, NotificationState
from notifyflow.core.limits.silences import Silence
from notifyflow.core.upkeep.audit import Rule
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.sweep import next_wake_at
from notifyflow.storage.dialects import execute
from notifyflow.storage.store import Store
from tests.builders import START, a_contact, a_recipient
from tests.damage import release_all, run
from tests.driver import Driver
from tests.silencing import end, orders, silence

HOUR = timedelta(hours=1)
MAIL = a_recipient("ada", "email")
SENT = NotificationState.SENT
DAMAGES = ["matchers = '{'", "author_kind = 'cat'", "namespaces = '{'"]


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store, operations=[a_contact("olga", "email")])


@pytest.fixture(params=DAMAGES)
def damaged(request: pytest.FixtureRequest, driver: Driver) -> Iterator[Silence]:
    """Two silences of an hour that each hold an incident, the first of which cannot be read afterwards."""
    bad, _ = silence(driver, "key=db-1", span=HOUR), silence(driver, "key=db-2", span=HOUR)
    for key in ("db-1", "db-2"):
        driver.notify(orders(key), MAIL)
    driver.deliver()
    column, found = request.param.partition(" ")[0], list[str | None]()
    is_it = f"FROM notifyflow_silence WHERE id = '{bad.id}'"
    run(driver.deps, lambda db: found.extend(execute(db, f"SELECT {column} {is_it}").fetchone()))
    change = f"UPDATE notifyflow_silence SET {{}} WHERE id = '{bad.id}'"
    run(driver.deps, lambda db: execute(db, change.format(request.param)))
    yield bad
    run(driver.deps, lambda db: execute(db, change.format(f"{column} = {'NULL' if found[0] is None else repr(found[0])}")))
    release_all(driver.deps)


def told(driver: Driver) -> list[str]:
    """Return what operations was told."""
    return [each.message.content.title for each in driver.seen if each.message.address == "olga@email"]


def pages(driver: Driver) -> list[tuple[int, timedelta]]:
    """Return how many incidents each message to Ada was about, and when it left."""
    mails = [each for each in driver.seen if each.message.address == "ada@email"]
    return [(len(each.attempts), each.message.at - START) for each in mails]


def test_it_is_set_aside_and_named_and_operations_is_told_once(driver: Driver, damaged: Silence) -> None:
    for turn in range(5):
        driver.sweep()
        driver.deliver()
        if turn == 0:
            driver.acknowledge("olga", key=operations.KEY)
        driver.pass_time(minutes=9)
    assert told(driver) == [f"database: {set_aside.NOTICE}"]
    aside = driver.store.read(lambda reads: reads.set_aside.all())
    assert [(each.machine, each.row_id) for each in aside] == [("silence", damaged.id)]
    assert [each.row_id for each in driver.store.read(lambda reads: reads.damage.found())] == [damaged.id]
    found = driver.store.read(lambda reads: reads.audits.whole(now=driver.clock.now()))
    assert [(each.machine, each.row_id, each.rule) for each in found] == [("silence", damaged.id, Rule.READABLE)]


def test_both_end_on_time_and_no_sweeper_is_kept_busy(driver: Driver, damaged: Silence) -> None:
    driver.pass_time(minutes=59)
    assert pages(driver) == []
    driver.pass_time(minutes=1)
    assert driver.pages(key="db-2")["email"].state is SENT
    driver.sweep()
    wake_at = next_wake_at(driver.deps)
    assert wake_at is None or wake_at > driver.clock.now()
    driver.pass_time(minutes=6)
    assert sum(count for count, _ in pages(driver)) == 2
    assert all(left_at <= HOUR + timedelta(seconds=10) for _, left_at in pages(driver))
    found = driver.store.read(lambda reads: reads.silences.find(damaged.id))
    assert found is not None
    assert (found.due_at, driver.store.read(lambda reads: reads.silences.damaged())) == (None, ())


def test_somebody_ends_it_and_what_it_holds_leaves(driver: Driver, damaged: Silence) -> None:
    driver.pass_time(minutes=10)
    assert [each.id for each in driver.store.read(lambda reads: reads.silences.damaged())] == [damaged.id]
    assert end(driver, damaged)
    assert not end(driver, damaged)
    driver.sweep()
    driver.deliver()
    assert pages(driver) == [(1, timedelta(minutes=10))]
    assert driver.pages(key="db-2")["email"].deferred_by is DeferralReason.SILENCE
    assert driver.store.read(lambda reads: reads.silences.damaged()) == ()
    assert [each.ended_at - START for each in driver.status().silences] == [timedelta(minutes=10)]


def test_what_opens_under_it_pages(driver: Driver, damaged: Silence) -> None:
    driver.resolve(key="db-1")
    driver.notify(orders("db-1"), MAIL)
    driver.deliver()
    assert pages(driver) == [(1, timedelta())]
