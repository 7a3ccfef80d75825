"""Both databases at once, for tests that draw many examples on one pair of them."""

from collections.abc import Iterator

import pytest

from notifyflow.core.delivery.model import Incident
from notifyflow.storage.store import Store
from tests.facts import incident
from tests.patience import PatientStore


@pytest.fixture(autouse=True)
def _measured_once() -> None:
    """Measure coverage over both."""


@pytest.fixture
def sqlite_and_postgres(sqlite_url: str, postgres_url: str) -> Iterator[tuple[Store, Store]]:
    stores = PatientStore(sqlite_url), PatientStore(postgres_url)
    for store in stores:
        store.run(lambda ledger: ledger.incidents.add(incident(), Incident(key="db-1", title="t")))
    yield stores
    for store in stores:
        store.close()
