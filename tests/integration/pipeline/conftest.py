"""What the pipeline's tests share: a story on a fresh database of each kind."""

import pytest

from notifyflow.storage.store import Store
from tests.builders import Story


@pytest.fixture
def story(store: Store) -> Story:
    """Workers and providers on a fresh database; nobody is configured for operations."""
    return Story(store)
