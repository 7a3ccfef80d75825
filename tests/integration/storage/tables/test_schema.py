"""The schema is brought up under a lock, all or nothing, and refused untouched by code that is too old for it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import peewee
import pytest

from notifyflow.errors import SchemaMismatch, StorageError, UnreleasedSchema
from notifyflow.storage import tables as models
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.migrations import WANTED, digest
from notifyflow.storage.store import Store
from tests.facts import NOW, escalation
from tests.integration.storage.migrations import second_version
from tests.integration.storage.samples import begin
from tests.integration.storage.upgrading import upgrade_at_once
from tests.patience import PatientStore

MODELS = [getattr(models, name) for name in models.__all__]


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Store]:
    opened = PatientStore(empty_database_url)
    yield opened
    opened.close()


def _run_sql(url: str, *statements: str) -> list[tuple[object, ...]]:
    db = dialect_for(url).connect(Deadline(600))
    try:
        cursor = [execute(db, statement) for statement in statements][-1]
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        db.close()


def _version(*statements: str) -> ModuleType:
    made = ModuleType("version")
    made.STATEMENTS = statements  # type: ignore[attr-defined]
    return made


def _dump(url: str) -> object:
    """Everything that could have been touched."""
    if url.startswith("sqlite"):
        return Path(url.removeprefix("sqlite:///")).read_bytes()
    return _run_sql(url, "SELECT relname, relfilenode::int FROM pg_class WHERE starts_with(relname, 'notifyflow') ORDER BY 1")


def test_an_empty_database_is_refused_until_it_is_upgraded(empty: Store) -> None:
    with pytest.raises(SchemaMismatch, match="notifyflow db upgrade") as caught:
        empty.check_schema()
    assert (caught.value.found, caught.value.wanted) == (0, WANTED)
    assert empty.upgrade() == WANTED
    empty.check_schema()
    assert empty.upgrade() == 0
    begin(empty)


def test_a_file_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    path = tmp_path / "not-there.db"
    looking = Store(f"sqlite:///{path}")
    with pytest.raises(SchemaMismatch, match="schema 0"):
        looking.check_schema()
    looking.close()
    assert not path.exists()


@pytest.mark.parametrize("model", MODELS)
def test_the_tables_have_the_columns_of_the_models(database_url: str, model: type[peewee.Model]) -> None:
    db = dialect_for(database_url).connect(Deadline(600))
    columns = {column.name: column.null for column in db.get_columns(model._meta.table_name)}
    db.close()
    if model is models.TransitionRow:
        columns["id"] = False  # SQLite lets its own numbers be NULL in the declaration
    assert columns == {field.column_name: field.null for field in model._meta.sorted_fields}


def test_the_reference_names_every_table_column_and_index(sqlite_url: str) -> None:
    reference = (Path(__file__).parents[4] / "docs" / "reference" / "database.rst").read_text()
    db = dialect_for(sqlite_url).connect(Deadline(600))
    tables = [table for table in db.get_tables() if table.startswith("notifyflow_")]
    names = {*tables, *(column.name for table in tables for column in db.get_columns(table))}
    names |= {index.name for table in tables for index in db.get_indexes(table) if index.name.startswith("notifyflow_")}
    db.close()
    assert len(tables) == len(MODELS) + 1
    assert {name for name in names if f"``{name}``" not in reference} == set()


def test_many_that_upgrade_at_once_upgrade_once(empty_database_url: str) -> None:
    assert upgrade_at_once(empty_database_url) == [0, 0, 0, WANTED]


def test_an_upgrade_that_fails_leaves_nothing_behind(empty: Store, empty_database_url: str) -> None:
    _run_sql(empty_database_url, "CREATE TABLE notifyflow_notice (of TEXT)".replace("of", "theirs"))
    with pytest.raises(StorageError, match="refused a statement"):
        empty.upgrade()
    _run_sql(empty_database_url, "DROP TABLE notifyflow_notice")
    assert empty.upgrade() == WANTED


def test_code_that_is_too_old_refuses_the_database_and_does_not_touch_it(empty: Store, empty_database_url: str) -> None:
    empty.upgrade()
    _run_sql(empty_database_url, f"UPDATE notifyflow_migration SET version = {WANTED + 2}, oldest = {WANTED + 1}")
    before = _dump(empty_database_url)
    for refused in (empty.check_schema, empty.upgrade):
        with pytest.raises(SchemaMismatch, match="Install the notifyflow that upgraded it") as caught:
            refused()
        assert (caught.value.found, caught.value.wanted, caught.value.oldest) == (WANTED + 2, WANTED, WANTED + 1)
    assert _dump(empty_database_url) == before


@pytest.mark.parametrize(
    ("table", "version", "oldest"),
    [
        ("notifyflow_schema", 10, 1),
        ("notifyflow_schema_version", 1, 1),
        ("notifyflow_schema_version", 2, 2),
        ("notifyflow_schema_version", 17, 3),
    ],
)
def test_a_database_of_an_unreleased_version_is_refused_and_not_touched(
    empty: Store, empty_database_url: str, table: str, version: int, oldest: int
) -> None:
    _run_sql(
        empty_database_url,
        f"CREATE TABLE {table} (version INTEGER NOT NULL, oldest INTEGER NOT NULL)",
        f"INSERT INTO {table} (version, oldest) VALUES ({version}, {oldest})",
        "CREATE TABLE notifyflow_incident (id TEXT NOT NULL PRIMARY KEY)",
    )
    before = _dump(empty_database_url)
    for refused in (empty.check_schema, empty.upgrade):
        with pytest.raises(UnreleasedSchema, match=r"made by an unreleased version .* start with an empty one"):
            refused()
    assert _dump(empty_database_url) == before


@pytest.mark.parametrize(
    "changed",
    [
        ("UPDATE notifyflow_migration SET digest = 'of other tables'",),
        ("ALTER TABLE notifyflow_migration DROP COLUMN digest",),  # as before there were digests
    ],
)
def test_a_database_with_other_tables_under_the_same_version_is_refused_and_not_touched(
    empty: Store, empty_database_url: str, changed: tuple[str, ...]
) -> None:
    empty.upgrade()
    _run_sql(empty_database_url, *changed)
    before = _dump(empty_database_url)
    for refused in (empty.check_schema, empty.upgrade):
        with pytest.raises(UnreleasedSchema, match=r"before 0\.1\.0 there are no upgrades: start with an empty one"):
            refused()
    assert _dump(empty_database_url) == before


def test_the_digest_is_the_same_on_every_python_and_machine(empty_database_url: str) -> None:
    dialect = dialect_for(empty_database_url)
    known = {
        "sqlite": "da149266108518cab3f165def0b375c92effd6ffd95d069b2c3d4b146b8f1cac",
        "postgresql": "835f7bbcaa640ce4ad3d3da0bd9a18c87e1f7bd0c8f54afee851a1cc911e6df5",
    }
    found = digest([_version("CREATE TABLE a (at {instant})", "DROP TABLE a")], dialect)
    assert found == known[empty_database_url.partition(":")[0]]


def test_the_digest_is_of_what_is_run_and_not_of_its_layout(empty_database_url: str) -> None:
    dialect = dialect_for(empty_database_url)
    first = digest([_version("CREATE TABLE a (b TEXT)")], dialect)
    assert digest([_version("\n    CREATE TABLE  a\n        (b TEXT)\n")], dialect) == first
    others = (
        ["CREATE TABLE a (c TEXT)"],
        ["CREATE TABLE a (b TEXT)", "DROP TABLE a"],
        ["CREATE TABLE a", "(b TEXT)"],
    )
    assert first not in [digest([_version(*statements)], dialect) for statements in others]
    assert digest([_version("CREATE TABLE a (b TEXT)"), second_version], dialect) != first


def test_code_that_is_old_enough_uses_a_newer_database(empty: Store, empty_database_url: str) -> None:
    empty.upgrade()
    _run_sql(empty_database_url, f"UPDATE notifyflow_migration SET version = {WANTED + 1}, oldest = {WANTED}")
    empty.check_schema()
    assert empty.upgrade() == 0
    begin(empty)


def test_a_row_needs_the_row_it_belongs_to(store: Store) -> None:
    begin(store)
    orphan = replace(escalation(id="e2", recipient_id="grace"), incident_id="nowhere")
    with pytest.raises(StorageError, match="refused a statement"):
        store.run(lambda ledger: ledger.escalations.add(orphan, event="started", detail={}))


def test_a_queued_row_without_a_due_time_is_refused_since_nobody_would_find_it(store: Store, database_url: str) -> None:
    begin(store)
    statement = f"""
        INSERT INTO notifyflow_notification (id, incident_id, escalation_id, namespace, channel, kind, state, version, severity,
            max_attempts, created_at, is_stopped, reason)
        VALUES ('n', 'i', 'e', '', 'sms', 'page', 'QUEUED', 1, 'INFO', 1, '{NOW}', FALSE, '')
    """
    with pytest.raises(peewee.IntegrityError, match=r"(?i)check"):
        _run_sql(database_url, statement)


def test_an_embedded_file_survives_power_loss_and_lets_readers_read(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    pragmas = ("journal_mode", "synchronous", "foreign_keys")
    found = store.read(lambda reads: [execute(reads._source.db, f"PRAGMA {name}").fetchone()[0] for name in pragmas])
    store.close()
    assert found == ["wal", 2, 1]
