"""Statements that run all the time, built once: Peewee takes several times as long to build and read one as a database to run it.

Nothing here knows a table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from peewee import Alias, Database, Field, Query, Value


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value goes, and how it is written."""

    number: int
    write: Callable[[Any], Any]


class Places:
    """The values that a statement will be run with, in their order, while it is built."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, field: Field) -> Value:
        """Take the next one, as a column of this kind is written."""
        place = _Place(self._count, field.db_value)
        self._count += 1
        return Value(place, converter=False)


@dataclass(frozen=True, slots=True)
class _Built:
    """A statement in the words of one kind of database: what it is run with, and how what it finds is read."""

    sql: str
    parameters: tuple[Any, ...]
    columns: tuple[tuple[str, Callable[[Any], Any]], ...]


class Statement:
    """A query that is run again and again, and differs in its values only.

    Args:
        build: (database, places) → the query; run once for each kind of database.
    """

    def __init__(self, build: Callable[[Database, Places], Query]) -> None:
        self._build = build
        self._built: dict[type[Database], _Built] = {}

    def rows(self, db: Database, *values: Any) -> list[dict[str, Any]]:
        """Run it with some values, and read the rows it finds."""
        columns = self._built_for(db).columns
        found = self._run(db, values).fetchall()
        return [{name: read(value) for (name, read), value in zip(columns, row, strict=True)} for row in found]

    def execute(self, db: Database, *values: Any) -> int:
        """Run it with some values, and tell how many rows it wrote."""
        return int(self._run(db, values).rowcount)

    def _run(self, db: Database, values: tuple[Any, ...]) -> Any:
        built = self._built_for(db)
        given = [each.write(values[each.number]) if type(each) is _Place else each for each in built.parameters]
        return db.execute_sql(built.sql, given)  # type: ignore[no-untyped-call]

    def _built_for(self, db: Database) -> _Built:
        kind = type(db)
        if kind not in self._built:  # two threads may build it at once: both come to the same
            query = self._build(db, Places())
            sql, parameters = db.get_sql_context().parse(query)  # type: ignore[no-untyped-call]
            columns = tuple(_column(each) for each in getattr(query, "selected_columns", ()))
            self._built[kind] = _Built(sql, tuple(parameters), columns)
        return self._built[kind]


def _column(selected: Any) -> tuple[str, Callable[[Any], Any]]:
    """Tell what a selected column is called, and how it is read."""
    if isinstance(selected, Alias):
        return selected.name, selected.unwrap().python_value  # type: ignore[no-untyped-call]
    return selected.column_name, selected.python_value
