"""Migrations only add, run while old code runs, and leave it working."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256

import pytest

from notifyflow.core.delivery.model import NotificationState
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.migrations import MIGRATIONS, WANTED
from notifyflow.storage.store import Store
from tests.builders import CountingIds, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.storage.old_code import VERSION, OldCode
from tests.integration.storage.record_rows import record
from tests.integration.storage.samples import found_in
from tests.patience import PatientStore


@dataclass(frozen=True)
class Column:
    kind: str
    is_nullable: bool
    has_default: bool

    @property
    def may_be_left_out(self) -> bool:
        return self.is_nullable or self.has_default


Schema = Mapping[str, Mapping[str, Column]]


@pytest.fixture
def old(empty_database_url: str) -> Iterator[OldCode]:
    """Code of the oldest schema, on a database that it has made and used."""
    code = OldCode(empty_database_url)
    code.make_schema()
    code.play(0)
    yield code
    code.close()


@pytest.fixture
def upgraded(empty_database_url: str, old: OldCode) -> Iterator[Store]:
    store = PatientStore(empty_database_url)
    assert store.upgrade() == WANTED - VERSION
    yield store
    store.close()


def test_each_migration_only_adds_what_old_code_may_leave_out(empty_database_url: str) -> None:
    dialect = dialect_for(empty_database_url)
    db = dialect.connect(Deadline(600))
    before: Schema = {}
    unique: set[tuple[str, tuple[str, ...]]] = set()
    try:
        for migration in MIGRATIONS:
            for statement in migration.STATEMENTS:
                execute(db, statement.format(**dialect.types))
            tables = [table for table in db.get_tables() if table.startswith("notifyflow_")]
            after = {table: _columns(db, table) for table in tables}
            for table, columns in before.items():
                assert columns.items() <= after[table].items(), f"{migration.__name__} changes or drops a column of {table}"
                added = {name: column for name, column in after[table].items() if name not in columns}
                assert all(column.may_be_left_out for column in added.values()), f"{migration.__name__} adds to {table} {added}"
            narrower = {(table, columns) for table, columns in _unique(db, tables) - unique if table in before}
            assert not {each for each in narrower if set(each[1]) <= before[each[0]].keys()}, f"{migration.__name__} forbids"
            before, unique = after, _unique(db, tables)
    finally:
        db.close()


def _columns(db, table: str) -> dict[str, Column]:  # type: ignore[no-untyped-def]
    return {each.name: Column(each.data_type, each.null, each.default is not None) for each in db.get_columns(table)}


def _unique(db, tables: list[str]) -> set[tuple[str, tuple[str, ...]]]:  # type: ignore[no-untyped-def]
    return {(table, tuple(index.columns)) for table in tables for index in db.get_indexes(table) if index.unique}


def _new_driver(store: Store) -> Driver:
    """New code, a while after the old, with ids that the old cannot have."""
    driver = Driver(store)
    driver.deps = replace(driver.deps, ids=CountingIds(1 << 124))
    driver.clock.pass_time(timedelta(minutes=10))
    return driver


def _deliver(driver: Driver) -> None:
    """Let new code deliver what waits, whoever stored it, and find all of it whole."""
    driver.deliver()
    driver.pass_time(minutes=5)
    assert found_in(driver.store, driver.clock.now()) == []


def test_each_version_names_the_oldest_code_that_may_use_it() -> None:
    found = [(migration.VERSION, migration.OLDEST) for migration in MIGRATIONS]
    assert found == [(1, 1), (2, 2), *((version, 3) for version in range(3, 18))]


def test_what_this_version_writes_can_be_recorded_and_replayed(empty_database_url: str) -> None:
    code = OldCode(empty_database_url, record())
    store = PatientStore(empty_database_url)
    store.upgrade()
    for number in range(2):
        code.play(number)
    assert found_in(store) == []
    code.close()
    store.close()


def test_what_old_code_stored_is_whole_and_is_delivered_by_the_new(upgraded: Store) -> None:
    assert found_in(upgraded) == []
    assert upgraded.read(lambda reads: reads.pending_count()) > 0
    driver = _new_driver(upgraded)
    _deliver(driver)
    assert {row.state for row in driver.pages("zoe", "left-0").values()} == {NotificationState.SENT}
    assert found_in(upgraded) == []


def test_policies_are_stored_once_and_rows_of_old_code_refer_to_them(empty_database_url: str, old: OldCode) -> None:
    texts = _query(empty_database_url, "SELECT DISTINCT policy FROM notifyflow_escalation")
    store = PatientStore(empty_database_url)
    store.upgrade()
    store.close()
    digests = {digest for (digest,) in _query(empty_database_url, "SELECT policy FROM notifyflow_incident")}
    digests |= {digest for (digest,) in _query(empty_database_url, "SELECT policy FROM notifyflow_escalation")}
    stored = dict(_query(empty_database_url, "SELECT digest, document FROM notifyflow_policy"))
    assert digests == set(stored)
    assert {(document,) for document in stored.values()} >= set(texts)
    assert all(digest == sha256(document.encode()).hexdigest() for digest, document in stored.items())
    del old


def test_a_policy_that_old_code_still_writes_whole_is_read(upgraded: Store, old: OldCode) -> None:
    old.play(1)
    driver = _new_driver(upgraded)
    driver.deliver()
    assert {row.state for row in driver.pages("zoe", "left-1").values()} == {NotificationState.SENT}


def _query(url: str, statement: str) -> list[tuple[str, ...]]:
    db = dialect_for(url).connect(Deadline(600))
    try:
        return [tuple(row) for row in execute(db, statement).fetchall()]
    finally:
        db.close()


def test_old_code_works_on_the_new_schema(upgraded: Store, old: OldCode) -> None:
    old.play(1)
    assert found_in(upgraded) == []
    _deliver(_new_driver(upgraded))
    old.play(2)
    assert found_in(upgraded) == []


def test_it_is_upgraded_while_old_code_runs_in_another_process(empty_database_url: str, old: OldCode) -> None:
    store = PatientStore(empty_database_url)
    command = [sys.executable, "-m", "tests.integration.storage.old_code", empty_database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "1\n"
            assert store.upgrade() == WANTED - VERSION
            stood = sum(1 for _ in range(2) if process.stdout.readline())
            driver = _new_driver(store)
            driver.notify(an_incident("new"), a_recipient("ada", "email"))
            process.stdin.close()
            stood += sum(1 for _ in process.stdout)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert stood >= 2
    assert found_in(store) == []
    _deliver(driver)
    store.close()
