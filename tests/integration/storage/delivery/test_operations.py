"""One operations incident is open at most; each critical failure is linked once, each notice kept once a day."""

from datetime import timedelta

import pytest

from notifyflow.core.delivery.escalation import AlertOperations
from notifyflow.core.delivery.model import Incident
from notifyflow.errors import StorageError
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import NOW, incident
from tests.integration.storage.samples import begin

OPERATIONS = incident(id="ops", key="operations", is_operations=True)


EXHAUSTED = AlertOperations(reason="exhausted", is_paging=True)
FAILED = AlertOperations(reason="critical_channels_failed", is_paging=True)


def _open(ledger: Ledger) -> None:
    ledger.incidents.add(OPERATIONS, Incident(key="operations", title="notifyflow could not reach somebody"))


def test_the_open_operations_incident_is_found(store: Store) -> None:
    begin(store)
    assert store.run(lambda ledger: ledger.operations.lock()) is None
    store.run(_open)
    assert store.run(lambda ledger: ledger.operations.lock()) == OPERATIONS


def test_a_second_one_cannot_be_opened(store: Store) -> None:
    store.run(_open)
    second = incident(id="ops2", key="operations2", is_operations=True)
    with pytest.raises(StorageError):
        store.run(lambda ledger: ledger.incidents.add(second, Incident(key="operations2", title="t")), timeout_s=0.1)


def test_a_critical_failure_is_linked_once(store: Store) -> None:
    begin(store)
    store.run(_open)
    store.run(lambda ledger: ledger.operations.link("ops", {"e": FAILED}, at=NOW))
    store.run(lambda ledger: ledger.operations.link("ops", {"e": EXHAUSTED}, at=NOW + timedelta(hours=1)))
    (failure,) = store.run(lambda ledger: ledger.operations.criticals("ops", limit=5))
    assert (failure.reason, failure.at) == ("exhausted", NOW + timedelta(hours=1))
    status = store.read(lambda reads: reads.status("db-1"))
    assert status is not None
    assert status.operations_key == "operations"
    assert not status.has_operations_recipients


def test_a_notice_is_new_once_a_day_for_each_reason_and_provider(store: Store) -> None:
    def add(reason: str, provider: str, hours: int) -> bool:
        return store.run(lambda ledger: ledger.operations.add_notice(reason, provider, at=NOW + timedelta(hours=hours)))

    assert add("refused_us", "twilio", 0)
    assert not add("refused_us", "twilio", 20)
    assert add("refused_us", "ses", 0)
    assert add("capped", "twilio", 0)
    assert add("refused_us", "twilio", 21)


def test_failures_and_notices_are_counted_until_a_round_reports_them(store: Store) -> None:
    begin(store)
    begin(store, number=2)
    store.run(_open)

    def count() -> tuple[int, int]:
        uncounted = store.run(lambda ledger: ledger.operations.uncounted("ops"))
        return uncounted.failures, uncounted.notices

    assert count() == (0, 0)
    store.run(lambda ledger: ledger.operations.link("ops", {"e": EXHAUSTED}, at=NOW))
    store.run(lambda ledger: ledger.operations.add_notice("capped", "twilio", at=NOW))
    assert count() == (1, 1)
    store.run(lambda ledger: ledger.operations.mark_counted("ops"))
    assert count() == (0, 0)
    store.run(lambda ledger: ledger.operations.link("ops", {"e2": EXHAUSTED}, at=NOW))
    assert count() == (1, 0)
