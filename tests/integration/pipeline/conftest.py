"""What the pipeline's tests share: a story on a fresh database of each kind, whose end is checked against the invariants."""

from collections.abc import Iterator

import pytest

from notifyflow.storage.store import Store
from tests import invariants
from tests.builders import START, Story
from tests.integration.storage.samples import found_in


@pytest.fixture
def story(store: Store) -> Story:
    """Workers and providers on a fresh database; nobody is configured for operations."""
    return Story(store)


@pytest.fixture(autouse=True)
def _hold_invariants(store: Store) -> Iterator[None]:
    """Check whatever a test has stored."""
    yield
    for facts in store.read(lambda reads: reads.incidents(1000)):
        status = store.read(lambda reads, incident_id=facts.id: reads.status_by_id(incident_id))
        assert status is not None
        invariants.check(status)
    assert found_in(store, START) == []
