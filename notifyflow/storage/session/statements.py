"""Frequent statements, built once: Peewee takes several times longer to build one and read its rows than a database to run it.

Nothing here knows a table.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from peewee import SQL, Alias, Database, Field, Function, IntegerField, NodeList, Query, Select, TextField, Value, fn

from notifyflow.core.insight.left_out import LeftOut
from notifyflow.errors import UnreadableRow

LIST_VALUE = SQL("list.value")
"""The column of the table that ``Parameters.values_table`` returns."""

PAIR_VALUES = (SQL("list.one"), SQL("list.other"))
"""The columns of the table that ``Parameters.pairs_table`` returns."""


def finds(query: Select) -> Any:
    """Return the condition that a query finds a row for the current row.

    With an OFFSET, PostgreSQL uses an index; without, it may read the query's whole table first.
    """
    return fn.EXISTS(query.offset(0))


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A value's position among the parameters of a statement, with its column's format."""

    number: int
    write: Callable[[Any], Any]


class Parameters:
    """Adds the parameters of a statement, in order, while it is built.

    Args:
        is_server: Whether the database is PostgreSQL.
        is_alone: Whether every list has one value.

    Attributes:
        lists: The positions of the lists that a column is searched in.
    """

    def __init__(self, *, is_server: bool, is_alone: bool = False) -> None:
        self._is_server = is_server
        self.is_alone = is_alone
        self._count = 0
        self.lists: list[int] = []

    def __call__(self, field: Field) -> Value:
        """Return the next parameter, for a value in this column's format."""
        return self._next(field.db_value)

    def any_of(self, field: Field) -> Any:
        """Return the condition that a column has one of many values. They are one parameter: a list, or the only value."""
        write: Callable[[Any], Any] = field.db_value
        self.lists.append(self._count)
        if self.is_alone:
            return field == self._next(lambda some: write(*some))
        if self._is_server:
            values = self._next(lambda some: list(map(write, some)))
            return NodeList((field, SQL("= ANY("), values, SQL(")")))
        values = self._next(lambda some: json.dumps(list(map(write, some))))
        return field.in_(NodeList((SQL("(SELECT value FROM json_each("), values, SQL("))"))))

    def values_table(self, field: Field) -> Any:
        """Return a table of many texts with the column ``LIST_VALUE``. They are one parameter: a list."""
        write: Callable[[Any], Any] = field.db_value
        if self._is_server:
            return NodeList((SQL("unnest("), self._next(lambda some: list(map(write, some))), SQL("::text[]) AS list(value)")))
        return NodeList((SQL("json_each("), self._next(lambda some: json.dumps(list(map(write, some)))), SQL(") AS list")))

    def pairs_table(self, one: Field, other: Field) -> Any:
        """Return a table of many pairs of texts. They are two parameters: lists of the same length, or the only values.

        Its columns are ``PAIR_VALUES``.
        """
        self.lists += [self._count, self._count + 1]
        if self.is_alone:
            values = (self._next(lambda some, each=each: each.db_value(*some)) for each in (one, other))  # type: ignore[misc]
            first, second = values
            return NodeList(
                (SQL("(SELECT CAST("), first, SQL("AS TEXT) AS one, CAST("), second, SQL("AS TEXT) AS other) AS list"))
            )
        if self._is_server:
            lists = [self._next(lambda some, each=each: list(map(each.db_value, some))) for each in (one, other)]  # type: ignore[misc]
            return NodeList((SQL("unnest("), lists[0], SQL("::text[],"), lists[1], SQL("::text[]) AS list(one, other)")))
        lists = [self._next(lambda some, each=each: json.dumps(list(map(each.db_value, some)))) for each in (one, other)]  # type: ignore[misc]
        parts = (
            SQL("(SELECT a.value AS one, b.value AS other FROM json_each("),
            lists[0],
            SQL(") AS a JOIN json_each("),
            lists[1],
        )
        return NodeList((*parts, SQL(") AS b ON a.key = b.key) AS list")))

    def any_found_by(self, field: Field, query: Query) -> Any:
        """Return the condition that a query has found a column's value; PostgreSQL expects few, and uses an index for them."""
        return NodeList((field, SQL("= ANY(ARRAY"), query, SQL(")"))) if self._is_server else field.in_(query)

    def _next(self, write: Callable[[Any], Any]) -> Value:
        parameter = _Parameter(self._count, write)
        self._count += 1
        return Value(parameter, converter=False)


_IDS = ("id", "notification_id", "incident_id", "event_id", "recipient_id", "row_id", "schedule", "provider", "name")
"""Columns that say which row is meant, the first one that a row has; none is secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A row with a column that cannot be read.

    Attributes:
        table: Its table, without our prefix.
        values: The readable values.
        column: The first unreadable column.
        why: The type of the error.
        owner: The table of the column; empty if it is the row's own.
        key: The column of ``_IDS`` that is the table's key; empty if none is.
    """

    table: str
    values: Mapping[str, Any]
    column: str
    why: str
    owner: str = ""
    key: str = ""

    @property
    def row_id(self) -> str:
        """Its id, or that of the row that it belongs to."""
        return next((str(self.values[name]) for name in (self.key, *_IDS) if name in self.values), "")

    def error(self) -> UnreadableRow:
        """Return the error for it."""
        return UnreadableRow(self.table, self.row_id, self.column, self.why)

    def left_out(self) -> LeftOut:
        """Return its entry in the list of rows left out of a display."""
        named = ("id", "incident_id", "escalation_id", "recipient_id")
        values = {name: str(self.values.get(name) or "") for name in named}
        is_contact = not values["id"] and values["incident_id"] and values["recipient_id"]
        return LeftOut(
            table=self.table,
            row_id=f"{values['recipient_id']} of incident {values['incident_id']}" if is_contact else self.row_id,
            column=self.column,
            owner=self.owner or self.table,
            why=self.why,
            incident_id=values["id"] if self.table == "incident" else values["incident_id"],
            escalation_id=values["id"] if self.table == "escalation" else values["escalation_id"],
        )


def left_out(unread: Iterable[Unread]) -> tuple[LeftOut, ...]:
    """Return the entries of unreadable rows, each once; a notification stands for its attempts."""
    rows = [each.left_out() for each in unread if each.table != "attempt" and each.row_id]
    return tuple({(each.table, each.row_id): each for each in rows}.values())


@dataclass(frozen=True, slots=True)
class _Built:
    """A statement in one database's SQL, its parameters, and its columns; a few have a reader, most a table."""

    sql: str
    parameters: tuple[Any, ...]
    names: tuple[str, ...]
    readers: tuple[tuple[str, Callable[[Any], Any]], ...]
    lists: tuple[int, ...]
    tables: Mapping[str, str]
    key: str

    @property
    def table(self) -> str:
        """The table of its first column."""
        return next(iter(self.tables.values()), "")

    def read(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return a row's values by name."""
        values = dict(zip(self.names, row, strict=True))
        for name, read in self.readers:
            value = values[name]
            if value is not None:
                values[name] = read(value)
        return values

    def read_readable(self, found: Sequence[Sequence[Any]], unread: list[Unread]) -> list[dict[str, Any]]:
        """Return the readable rows, and add the others to ``unread``."""
        rows = []
        for each in found:
            try:
                rows.append(self.read(each))
            except Exception as error:  # noqa: BLE001 - whatever is stored there may raise anything
                unread.append(self._unread(each, error))
        return rows

    def _unread(self, row: Sequence[Any], first: Exception) -> Unread:
        raw, readers, bad = dict(zip(self.names, row, strict=True)), dict(self.readers), ""
        values: dict[str, Any] = {}
        for name, value in raw.items():
            try:
                values[name] = readers[name](value) if name in readers and value is not None else value
            except Exception:  # noqa: BLE001 - as above
                bad = bad or name
        owner = self.tables.get(bad, self.table)
        return Unread(table=self.table, values=values, column=bad, why=type(first).__name__, owner=owner, key=self.key)


class Statement:
    """A query that is built once; call it with values to run it.

    Args:
        build: (parameters) → the query; called once for each kind of database.
        columns: The selected columns; only for a union or a function, whose query does not know them.
    """

    def __init__(self, build: Callable[[Parameters], Query], columns: Sequence[Field | Alias] = ()) -> None:
        self._build = build
        self._columns = tuple(columns)
        self._built: dict[tuple[Any, ...], _Built] = {}

    def __call__(self, *values: Any) -> "Run":
        """Return the statement with its values, ready to run."""
        return Run(self, values)

    def built_for(self, db: Database, locks: tuple[Any, ...], *, is_alone: bool = False) -> _Built:
        """Return the statement for one kind of database and of lock, built at the first call.

        Args:
            db: The database.
            locks: The lock on the rows it finds, if any.
            is_alone: Whether every list has one value.
        """
        kind = (type(db), is_alone, *locks)
        if kind not in self._built:  # two threads may build it at once, with the same result
            given = Parameters(is_server=bool(db.for_update), is_alone=is_alone)
            query: Any = self._build(given)
            if locks:
                query = query.for_update(locks[0], skip_locked=locks[1])
            sql, parameters = db.get_sql_context().parse(query)  # type: ignore[no-untyped-call]
            fields = dict(map(_column, self._columns or getattr(query, "selected_columns", ())))
            readers = tuple((name, field.python_value) for name, field in fields.items() if not _is_read_as_it_is(field))
            tables = {
                name: each.model._meta.table_name.removeprefix("notifyflow_")
                for name, each in fields.items()
                if hasattr(each, "model")
            }
            models = [each.model for each in fields.values() if hasattr(each, "model")]
            key = getattr(models[0]._meta.primary_key, "name", "") if models else ""
            key = key if key in _IDS else ""
            self._built[kind] = _Built(sql, tuple(parameters), tuple(fields), readers, tuple(given.lists), tables, key)
        return self._built[kind]


class Run:
    """A statement with its values; used like a Peewee query."""

    def __init__(self, statement: Statement, values: Sequence[Any], locks: tuple[Any, ...] = ()) -> None:
        self._statement = statement
        self._values = values
        self.locks = locks

    def sql(self, db: Database) -> str:
        """Return its text."""
        return self._built(db).sql

    def for_update(self, lock: Any, *, skip_locked: bool = False) -> "Run":
        """Return the statement with a lock on the rows it finds."""
        return Run(self._statement, self._values, (lock, skip_locked))

    def rows(self, db: Database, unread: list[Unread] | None = None) -> list[dict[str, Any]]:
        """Run it and return the readable rows; add the others to ``unread``.

        Raises:
            UnreadableRow: When a row cannot be read and ``unread`` is None.
        """
        built = self._built(db)
        found = self._run(db, built).fetchall()
        try:
            return [built.read(row) for row in found]
        except Exception:  # noqa: BLE001 - whatever is stored there may raise anything
            others: list[Unread] = []
            rows = built.read_readable(found, others if unread is None else unread)
            if others:
                raise others[0].error() from None
            return rows

    def scalar(self, db: Database, unread: list[Unread] | None = None) -> Any:
        """Run it and return the first column of the first readable row, or None; see ``rows``."""
        rows = self.rows(db, unread)
        return next(iter(rows[0].values())) if rows else None

    def execute(self, db: Database) -> int:
        """Run it and return how many rows it wrote."""
        return int(self._run(db, self._built(db)).rowcount)

    def _built(self, db: Database) -> _Built:
        """Return the text for lists of one value, whose plan PostgreSQL keeps, or for any lists, which it plans each time."""
        built = self._statement.built_for(db, self.locks)
        is_alone = bool(built.lists) and all(len(self._values[number]) == 1 for number in built.lists)
        return self._statement.built_for(db, self.locks, is_alone=True) if is_alone else built

    def _run(self, db: Database, built: _Built) -> Any:
        values = self._values
        parameters = [each.write(values[each.number]) if type(each) is _Parameter else each for each in built.parameters]
        return db.execute_sql(built.sql, parameters)  # type: ignore[no-untyped-call]


def _column(selected: Any) -> tuple[str, Any]:
    """Return a selected column's name and the field that reads its values; what a function returns is read as it is."""
    column = selected.unwrap() if isinstance(selected, Alias) else selected  # type: ignore[no-untyped-call]
    match column:
        case Function(name="MIN" | "MAX", arguments=(Field() as field, *_)):
            return selected.name, field
        case Function():
            return selected.name, IntegerField()
    return selected.name, column


def _is_read_as_it_is(field: Any) -> bool:
    """Return whether both drivers return a column's values ready to use."""
    return isinstance(field, TextField | IntegerField) and type(field).python_value is Field.python_value


@lru_cache(maxsize=256)
def inserting(model: Any, names: tuple[str, ...]) -> Statement:
    """Return the statement that inserts a row with these columns unless one with its key exists."""

    def build(param: Parameters) -> Any:
        return model.insert({name: param(getattr(model, name)) for name in names}).on_conflict_ignore()

    return Statement(build)
