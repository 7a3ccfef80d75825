"""Migrations only add, run while old code runs, and leave it working.

The old code is that of the first version, and the new has a second one (``second_version.py``).
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from notifyflow.core.delivery.model import NotificationState
from notifyflow.errors import SchemaMismatch, StorageError
from notifyflow.storage import migrations
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.migrations import MIGRATIONS
from notifyflow.storage.store import Store
from tests.builders import CountingIds, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.storage.migrations import second_version
from tests.integration.storage.old_code import OldCode
from tests.integration.storage.record_rows import record
from tests.integration.storage.samples import found_in
from tests.integration.storage.upgrading import upgrade_at_once
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


Become = Callable[..., None]


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Become:
    """Make this process run code with more versions than the released ones."""

    def become(*more: object) -> None:
        monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, *more))
        monkeypatch.setattr(migrations, "WANTED", len(MIGRATIONS) + len(more))

    return become


@pytest.fixture
def new(empty_database_url: str, old: OldCode, become: Become) -> Iterator[Store]:
    """New code on the database of the old code, before the upgrade."""
    become(second_version)
    store = PatientStore(empty_database_url)
    yield store
    store.close()


@pytest.fixture
def upgraded(new: Store) -> Store:
    assert new.upgrade() == 1
    return new


def test_each_migration_only_adds_what_old_code_may_leave_out(empty_database_url: str) -> None:
    dialect = dialect_for(empty_database_url)
    db = dialect.connect(Deadline(600))
    before: Schema = {}
    unique: set[tuple[str, tuple[str, ...]]] = set()
    try:
        for migration in (*MIGRATIONS, second_version):
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
    assert found == [(1, 1)]


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


def test_what_old_code_stored_is_moved(upgraded: Store, empty_database_url: str) -> None:
    titles = _query(empty_database_url, "SELECT id, content_title FROM notifyflow_incident")
    moved = _query(empty_database_url, "SELECT incident_id, digest FROM notifyflow_title")
    assert len(titles) > 1
    assert sorted(moved) == sorted((incident_id, second_version.digest_of(title)) for incident_id, title in titles)


def _query(url: str, statement: str) -> list[tuple[Any, ...]]:
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


def test_many_that_upgrade_at_once_move_once(new: Store, empty_database_url: str) -> None:
    assert upgrade_at_once(empty_database_url) == [0, 0, 0, 1]
    assert found_in(new) == []


def test_an_upgrade_that_fails_at_its_end_leaves_the_old_version(
    new: Store, old: OldCode, empty_database_url: str, become: Become
) -> None:
    broken = SimpleNamespace(VERSION=3, OLDEST=1, STATEMENTS=("CREATE TABLE notifyflow_title (id TEXT)",))
    become(second_version, broken)
    with pytest.raises(StorageError, match="refused a statement"):
        new.upgrade()
    assert _query(empty_database_url, "SELECT version, oldest FROM notifyflow_migration") == [(1, 1)]
    become()
    new.check_schema()
    old.play(1)
    assert found_in(new) == []
    become(second_version)
    assert new.upgrade() == 1


def test_new_code_asks_for_the_upgrade_and_says_that_older_workers_may_go_on(new: Store) -> None:
    with pytest.raises(SchemaMismatch, match="Run `notifyflow db upgrade`; older workers may go on meanwhile") as caught:
        new.check_schema()
    assert (caught.value.found, caught.value.wanted) == (1, 2)
    new.upgrade()
    new.check_schema()


def test_old_code_goes_on_after_an_upgrade_that_allows_it(upgraded: Store, become: Become) -> None:
    become()
    upgraded.check_schema()
    assert upgraded.upgrade() == 0


def test_a_version_that_old_code_may_not_use_asks_to_stop_it_and_is_refused_by_it(new: Store, become: Become) -> None:
    become(SimpleNamespace(VERSION=2, OLDEST=2, STATEMENTS=second_version.STATEMENTS))
    with pytest.raises(SchemaMismatch, match="Stop the older processes, then run `notifyflow db upgrade`"):
        new.check_schema()
    assert new.upgrade() == 1
    new.check_schema()
    become()
    for refused in (new.check_schema, new.upgrade):
        with pytest.raises(SchemaMismatch, match="Install the notifyflow that upgraded it") as caught:
            refused()
        assert (caught.value.found, caught.value.wanted, caught.value.oldest) == (2, 1, 2)


def test_it_is_upgraded_while_old_code_runs_in_another_process(empty_database_url: str, new: Store) -> None:
    command = [sys.executable, "-m", "tests.integration.storage.old_code", empty_database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "1\n"
            assert new.upgrade() == 1
            stood = sum(1 for _ in range(2) if process.stdout.readline())
            driver = _new_driver(new)
            driver.notify(an_incident("new"), a_recipient("ada", "email"))
            process.stdin.close()
            stood += sum(1 for _ in process.stdout)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert stood >= 2
    assert found_in(new) == []
    _deliver(driver)
