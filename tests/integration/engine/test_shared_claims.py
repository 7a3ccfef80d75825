"""What threads of a process claim at the same time is claimed together, and each thread gets its own attempts."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from notifyflow.core.delivery.model import NotificationState, Severity
from notifyflow.engine.shared_claims import Batch, Claimer
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery.record import Release, release
from notifyflow.pipeline.transaction.ports import Claimed, FollowUps
from notifyflow.storage.ledger import Ledger
from tests.builders import a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.integration.pipeline.transaction.test_sets import StopsAfter
from tests.patience import PatientStore
from tests.waiting import wait_until

T = TypeVar("T")

NAMES = ("ada", "ben", "cy", "dan", "eve")


class HeldStore(PatientStore):
    """A store whose transactions begin only while it is not held; it counts them, and is away if told so."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.transactions = 0
        self.is_away = False
        self.goes_on = threading.Event()
        self.goes_on.set()

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        self.transactions += 1
        assert self.goes_on.wait(60)
        if self.is_away:
            raise StorageUnavailable(0.0)
        return super().run(use_case, timeout_s=timeout_s, tries=tries)


class Scene:
    """Five people to page, and a claimer whose first transaction waits until all batches have come."""

    def __init__(self, store: HeldStore, set_size: int = 100) -> None:
        self.store = store
        self.driver = Driver(store)
        self.released: list[Claimed] = []
        self.reported: list[FollowUps] = []
        self.owed: set[str] = set()
        self.claimer = self.claimer_with(set_size=set_size)

    def claimer_with(self, **deps: Any) -> Claimer:
        return Claimer(
            replace(self.driver.deps, **deps),
            channels(ScriptedProvider()),
            report=self.reported.append,
            release=self._release,
            owe=self.owed.update,
            monitor=threading.Condition,
        )

    def page(self, name: str, severity: Severity = Severity.ERROR) -> str:
        self.driver.notify(an_incident(f"db-{name}", severity=severity), a_recipient(name, "email"))
        (row,) = self.driver.status(f"db-{name}").escalations[0].notifications
        return row.id

    def state(self, name: str) -> NotificationState:
        return self.driver.status(f"db-{name}").escalations[0].notifications[0].state

    def fill(self, *batches: Batch, meanwhile: Callable[[], None] = lambda: None) -> list[Future[frozenset[str]]]:
        """Fill the first batch, and the others together while its transaction waits."""
        self.store.transactions = 0
        self.store.goes_on.clear()
        with ThreadPoolExecutor(len(batches)) as pool:
            try:
                futures = [pool.submit(self.claimer.fill, "email", batches[0])]
                wait_until(lambda: self.store.transactions == 1)
                group_commit = self.claimer._group_commit("email")
                for number, batch in enumerate(batches[1:], start=1):
                    futures.append(pool.submit(self.claimer.fill, "email", batch))
                    wait_until(lambda number=number: len(group_commit._waiting) == number)
                meanwhile()
            finally:
                self.store.goes_on.set()
        return futures

    def _release(self, unsent: Sequence[Claimed]) -> None:
        self.released += unsent
        leases = [each.lease for each in unsent]
        release(self.driver.deps, [Release(lease=each) for each in leases])


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    store = HeldStore(database_url)
    yield Scene(store)
    store.close()


def _ids(batch: Batch) -> list[str]:
    return [each.message.notification_id for each in batch.take()]


def test_hands_that_come_during_a_claim_are_filled_by_one_transaction_each_with_what_its_ring_named(scene: Scene) -> None:
    named = [scene.page(name) for name in NAMES]
    batches = [Batch([each], 1) for each in named]
    futures = scene.fill(*batches)
    assert scene.store.transactions == 2
    assert [future.result() for future in futures] == [frozenset({each}) for each in named]
    assert [_ids(batch) for batch in batches] == [[each] for each in named]


def test_what_nobody_named_goes_to_the_hand_with_the_fewest_and_critical_ones_are_begun_first(scene: Scene) -> None:
    calm = [scene.page(name) for name in NAMES[:3]]
    urgent = [scene.page(name, Severity.CRITICAL) for name in NAMES[3:]]
    first, second, third = Batch(urgent[:1], 1), Batch([], 2), Batch([], 2)
    scene.fill(first, second, third)
    assert _ids(first) == urgent[:1]
    assert _ids(second) == [urgent[1], calm[1]]
    assert _ids(third) == [calm[0], calm[2]]


@pytest.mark.parametrize("names_all", [True, False])
@pytest.mark.parametrize("limits", [(1, 2, 2), (1, 1, 3), (1, 3, 1)])
def test_no_thread_is_dealt_more_than_it_has_room_for(scene: Scene, *, names_all: bool, limits: tuple[int, ...]) -> None:
    """An attempt that nobody has room for would wait behind the others until its lease is over."""
    paged = [scene.page(name) for name in NAMES]
    batches = [Batch(paged if names_all and place == 1 else [], limit) for place, limit in enumerate(limits)]
    scene.fill(*batches)
    assigned = [_ids(batch) for batch in batches]
    assert [len(ids) for ids in assigned] == list(limits)
    assert sorted(each for ids in assigned for each in ids) == sorted(paged)


def test_what_is_dealt_to_a_thread_that_was_cut_short_is_released_and_its_neighbours_keep_theirs(scene: Scene) -> None:
    named = [scene.page(name) for name in NAMES[:3]]
    batches = [Batch([each], 1) for each in named]

    def cut_short() -> None:
        batches[0].is_given_up = True

    scene.fill(*batches, meanwhile=cut_short)
    assert [each.message.notification_id for each in scene.released] == named[:1]
    assert [scene.state(name) for name in NAMES[:3]] == [NotificationState.QUEUED, *[NotificationState.SENDING] * 2]
    assert [_ids(batch) for batch in batches] == [[], named[1:2], named[2:]]


@pytest.mark.parametrize(("set_size", "transactions"), [(2, 3), (4, 2)])
def test_a_transaction_claims_no_more_than_the_size_of_a_set(scene: Scene, set_size: int, transactions: int) -> None:
    batches = [Batch([scene.page(name)], 1) for name in NAMES]
    Scene(scene.store, set_size).fill(*batches)
    assert scene.store.transactions == transactions


def test_what_was_ended_before_a_claim_was_cut_short_is_reported_and_what_it_claimed_is_dealt(scene: Scene) -> None:
    driver = scene.driver
    for name in NAMES[1:3]:
        scene.page(name)
    driver.clock.at += timedelta(hours=25)
    driver.store.run(lambda ledger: ledger.intervals.note_sweep(at=driver.clock.at))
    named = scene.page(NAMES[0])
    stopping = StopsAfter(driver.store, 2, KeyboardInterrupt())  # the claim, and the end of the first that is too old
    batch = Batch([named], 3)
    with pytest.raises(KeyboardInterrupt):
        scene.claimer_with(transactions=stopping).fill("email", batch)
    assert [row.state for each in scene.reported for row in each.failed] == [NotificationState.FAILED]
    assert _ids(batch) == [named]


def test_threads_that_got_nothing_from_a_claim_that_was_cut_short_learn_of_it(scene: Scene) -> None:
    named = [scene.page(name) for name in NAMES[:2]]
    stopping = StopsAfter(scene.driver.store, 1, KeyboardInterrupt())  # the claim; putting off the second page is interrupted
    claimer = scene.claimer_with(transactions=stopping, limits={"scripted": 1})
    first, second = claimer._claim("email", [Batch([each], 1) for each in named]).results
    assert first == {named[0]}
    assert isinstance(second, StorageUnavailable)


def test_every_thread_learns_that_the_database_is_away(scene: Scene) -> None:
    batches = [Batch([scene.page(name)], 1) for name in NAMES[:3]]

    def go_away() -> None:
        scene.store.is_away = True

    futures = scene.fill(*batches, meanwhile=go_away)
    assert [type(future.exception()) for future in futures] == [StorageUnavailable] * 3
