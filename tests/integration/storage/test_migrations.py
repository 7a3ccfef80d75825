"""Migrations only add what older code may leave out."""

from collections.abc import Mapping
from dataclasses import dataclass

from notifyflow.storage.deadline import Deadline
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.migrations import MIGRATIONS, WANTED


@dataclass(frozen=True)
class Column:
    kind: str
    is_nullable: bool
    has_default: bool

    @property
    def may_be_left_out(self) -> bool:
        return self.is_nullable or self.has_default


Schema = Mapping[str, Mapping[str, Column]]


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


def test_a_release_leaves_the_oldest_code_working() -> None:
    assert [(migration.VERSION, migration.OLDEST) for migration in MIGRATIONS] == [(n, 1) for n in range(1, WANTED + 1)]
