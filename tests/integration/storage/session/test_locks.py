"""On PostgreSQL others write meanwhile: what was read before a lock was taken is read again once it is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.integration.storage.samples import LATER, a_page, begin, ids
from tests.patience import PatientStore

Change = Callable[[Ledger], object]


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    opened = PatientStore(postgres_url)
    begin(opened, a_page(1), a_page(2))
    yield opened
    opened.close()


def _save(part: str, row_id: str, **change: Any) -> Change:
    def save(ledger: Ledger) -> None:
        before = getattr(ledger, part).lock(row_id)
        ledger.save(before, replace(before, **change))

    return save


CHANGES = {
    "incidents": ("i", {"times_seen": 7}),
    "escalations": ("e", {"next_decision_at": LATER}),
    "notifications": ("n1", {"deferred_since": LATER}),
}


def _between(store: Store, change: Change, before: Change, after: Callable[[Ledger], Any]) -> Any:
    """Read, let another transaction change something, and return what is read then; all goes through at the first try."""
    tries = 0

    def use_case(ledger: Ledger) -> Any:
        nonlocal tries
        tries += 1
        before(ledger)
        if tries == 1:
            store.run(change)
        return after(ledger)

    found = store.run(use_case)
    assert tries == 1
    return found


@pytest.mark.parametrize("part", CHANGES)
def test_a_row_that_is_locked_is_as_others_have_left_it(store: Store, part: str) -> None:
    row_id, change = CHANGES[part]

    def lock(ledger: Ledger) -> Any:
        row = getattr(ledger, part).lock(row_id)
        ledger.save(row, replace(row, severity=Severity.CRITICAL))
        return row

    row = _between(store, _save(part, row_id, **change), lambda ledger: getattr(ledger, part).get(row_id), lock)
    assert {name: getattr(row, name) for name in change} == change


@pytest.mark.parametrize("part", CHANGES)
def test_all_that_are_locked_at_once_are_as_others_have_left_them(store: Store, part: str) -> None:
    row_id, change = CHANGES[part]

    def lock(ledger: Ledger) -> Any:
        getattr(ledger, part).lock_many([row_id])
        return getattr(ledger, part).get(row_id)

    row = _between(store, _save(part, row_id, **change), lambda ledger: getattr(ledger, part).get(row_id), lock)
    assert {name: getattr(row, name) for name in change} == change


@pytest.mark.parametrize("part", ["escalations", "notifications"])
def test_what_belongs_to_a_row_is_read_again_once_the_row_is_locked(store: Store, part: str) -> None:
    """Others may have had its lock, and have changed what it protects."""
    row_id, change = CHANGES[part]

    def read_under_the_lock(ledger: Ledger) -> Any:
        ledger.incidents.lock("i")
        return getattr(ledger, part).get(row_id)

    row = _between(store, _save(part, row_id, **change), lambda ledger: getattr(ledger, part).get(row_id), read_under_the_lock)
    assert {name: getattr(row, name) for name in change} == change


def test_a_list_is_read_again_once_what_it_belongs_to_is_locked(store: Store) -> None:
    def add(ledger: Ledger) -> None:
        ledger.notifications.add([a_page(3)], event="queued")

    def read_under_the_lock(ledger: Ledger) -> Any:
        ledger.escalations.lock("e")
        return ledger.notifications.of("e")

    rows = _between(store, add, lambda ledger: ledger.notifications.of("e"), read_under_the_lock)
    assert ids(rows) == ["n1", "n2", "n3"]


def test_a_decision_sees_its_escalation_and_its_pages_as_others_have_left_them(store: Store) -> None:
    def change(ledger: Ledger) -> None:
        _save("escalations", "e", tier=2)(ledger)
        for each in ("n1", "n2"):
            _save("notifications", each, deferred_since=LATER)(ledger)

    def read(ledger: Ledger) -> None:
        ledger.escalations.get("e")
        ledger.notifications.of("e")

    def load(ledger: Ledger) -> Any:
        ledger.escalations.load(["e"], moving=["n1"])
        return ledger.escalations.get("e"), ledger.notifications.of("e")

    escalation, pages = _between(store, change, read, load)
    assert (escalation.tier, [page.deferred_since for page in pages]) == (2, [LATER, LATER])
