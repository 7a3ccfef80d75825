"""Rings that a process could not handle, since its claims failed, are given back as soon as the database answers again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.core.delivery.model import NotificationState
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.storage.store import Store
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.integration.engine.test_deliver import Scene
from tests.integration.engine.test_shared_claims import HeldStore
from tests.waiting import wait_until

_LOCKED_S = 11
"""Two claims are given up meanwhile, each after five seconds."""
_TIMEOUT_S = 10
"""Less than what is left of the 30 s after which a page is rung for again."""


@pytest.fixture
def held(database_url: str) -> Iterator[HeldStore]:
    store = HeldStore(database_url)
    yield store
    store.close()


def test_rings_of_threads_that_were_turned_away_are_given_back_with_those_whose_claims_failed(held: HeldStore) -> None:
    scene = Scene(held)
    scene.deliverer.share(3)  # two may be inside
    inside = [*scene.notify("ada", key="a"), *scene.notify("ben", key="b")]
    outside = scene.notify("cyd", key="c", severity=Severity.ERROR)
    (later,) = scene.notify("dan", key="d")
    held.goes_on.clear()
    with ThreadPoolExecutor(2) as pool:
        futures = []
        for number, each in enumerate(inside):
            futures.append(pool.submit(scene.deliverer.deliver, "email", [each]))
            group_commit = scene.deliverer._claimer._group_commit("email")
            wait_until(
                lambda number=number, group_commit=group_commit: group_commit._has_leader and len(group_commit._waiting) == number
            )
        scene.deliverer.deliver("email", outside)  # returns at once, since the bulkhead is full
        held.is_away = True
        held.goes_on.set()
        assert [type(each.exception(60)) for each in futures] == [StorageUnavailable] * 2
    held.is_away = False
    assert not sweep(scene.deps).due
    scene.deliverer.deliver("email", [later])
    assert scene.states("d") == [NotificationState.SENT]
    assert {due.notification_id for due in sweep(scene.deps).due} == {*inside, *outside}


def test_a_ring_whose_row_is_locked_is_owed_and_holds_up_no_other(postgres_url: str, unmeasured: None) -> None:
    scene = Scene(store := Store(postgres_url))
    locked, free = sorted([*scene.notify("ada", key="a"), *scene.notify("ben", key="b")])
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM notifyflow_notification WHERE id = %s FOR UPDATE", (locked,))
        scene.deliverer.give_back([locked, free])
        assert [due.notification_id for due in sweep(scene.deps).due] == [free]
    scene.deliverer.pay_back()
    assert [due.notification_id for due in sweep(scene.deps).due] == [locked]
    scene.deliverer.pay_back()
    assert not sweep(scene.deps).due
    store.close()


def test_a_ring_whose_row_another_decision_has_locked_is_rung_again_at_once(postgres_url: str, unmeasured: None) -> None:
    scene = Scene(store := Store(postgres_url))
    (page,), (neighbour,) = scene.notify("ada", key="a"), scene.notify("ben", key="b")
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM notifyflow_notification WHERE id = %s FOR UPDATE", (page,))
        scene.deliverer.deliver("email", [page, neighbour])
        assert (scene.states("a"), scene.states("b")) == ([NotificationState.QUEUED], [NotificationState.SENT])
    scene.deliverer.pay_back()
    assert [due.notification_id for due in sweep(scene.deps).due] == [page]
    scene.deliverer.deliver("email", [page])
    assert scene.states("a") == [NotificationState.SENT]
    store.close()


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.ERROR])
def test_pages_leave_soon_after_a_lock_is_gone_that_made_claims_time_out(
    postgres_url: str, severity: Severity, unmeasured: None
) -> None:
    store = Store(postgres_url)
    provider = ScriptedProvider()
    people = [Recipient(id=f"p{number}", email=f"p{number}@example.com") for number in range(40)]
    with NotifyFlow(Settings(concurrent_sends=4), store=store, channels=channels(provider)) as flow:
        flow.notify(Incident(key="before", title="down", severity=severity), people[:1])
        flow.start()
        flow._runtime._engine._engine._started_at = None  # as if it had been long ago: it rings again only after 30 s
        wait_until(lambda: flow.status("before").escalations[0].notifications[0].state is NotificationState.SENT)
        with psycopg.connect(postgres_url) as locking:
            locking.execute("LOCK TABLE notifyflow_provider_health IN ACCESS EXCLUSIVE MODE")
            flow.notify(Incident(key="db-1", title="down", severity=severity), people)
            locking.execute("SELECT pg_sleep(%s)", (_LOCKED_S,))
            assert len(provider.messages) == 1
        wait_until(lambda: len(provider.messages) == 1 + len(people), within_s=_TIMEOUT_S)
    store.close()
