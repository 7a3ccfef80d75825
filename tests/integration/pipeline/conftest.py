"""What the pipeline's tests share: a driver on a fresh database of each kind, checked against the invariants at the end."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from peewee import Database

from notifyflow.storage.store import Store
from tests import invariants
from tests.builders import START
from tests.driver import Driver
from tests.integration.storage.samples import found_in


@pytest.fixture
def driver(store: Store) -> Driver:
    """Workers and providers on a fresh database; nobody is configured for operations."""
    return Driver(store)


@pytest.fixture
def each_by_itself(driver: Driver) -> None:
    """Let nothing wait for others, nor leave with them."""
    driver.deps = replace(driver.deps, is_bundling=False)


@pytest.fixture(autouse=True)
def _hold_invariants(store: Store) -> Iterator[None]:
    """Check whatever a test has stored."""
    yield
    for facts in store.read(lambda reads: reads.incidents(1000)):
        status = store.read(lambda reads, incident_id=facts.id: reads.status_by_id(incident_id))
        assert status is not None
        invariants.check(status)
    assert found_in(store, START) == []


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the statements that run."""
    statements: list[str] = []
    execute = Database.execute_sql

    def count(db: Database, sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return execute(db, sql, *arguments)

    monkeypatch.setattr(Database, "execute_sql", count)
    return statements
