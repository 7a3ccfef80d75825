"""Statements over sets of rows: one text for any number of rows, which are passed as one JSON array of arrays.

For the client, one JSON text costs a tenth of as many parameters or of arrays, and the database reads it faster than either (ADR
0028). Nothing here knows a table.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from peewee import BigIntegerField, BooleanField, Database, Field, FloatField, IntegerField, Model

from notifyflow.storage.dialects.dialect import execute
from notifyflow.storage.tables.fields import InstantField, PlainTextField

Row = Sequence[Any]
Writer = Callable[[Any], Any]
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def insert(db: Database, model: type[Model], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows; each holds its values in the order of ``columns``. The other columns get their defaults."""
    missing, values = _defaults(model, columns)
    columns = (*columns, *missing)
    execute(db, _insertion(model, columns, bool(db.for_update)), _json(model, columns, [(*row, *values) for row in rows]))


def insert_new(
    db: Database, model: type[Model], columns: tuple[str, ...], key: tuple[str, ...], rows: Sequence[Row]
) -> set[tuple[Any, ...]]:
    """Insert the rows with new keys, in order; return the inserted keys, as they are stored.

    Args:
        db: The connection.
        model: The table.
        columns: The columns that have values.
        key: The columns of its unique key.
        rows: The values, in the order of the columns.
    """
    text = f"{_insertion(model, columns, bool(db.for_update))} WHERE TRUE ON CONFLICT DO NOTHING RETURNING {_names(model, key)}"
    return {tuple(row) for row in execute(db, text, _json(model, columns, rows)).fetchall()}


def count(
    db: Database,
    model: type[Model],
    columns: tuple[str, ...],
    key: tuple[str, ...],
    counter: str,
    replaced: tuple[str, ...],
    rows: Sequence[Row],
) -> None:
    """Insert rows, or add to the counter of existing ones; all keys of ``rows`` differ.

    Args:
        db: The connection.
        model: The table.
        columns: The columns that have values.
        key: The columns of its unique key.
        counter: The column that is added to.
        replaced: The columns that get the new values.
        rows: The values, in the order of the columns.
    """
    added = f'"{counter}" = {_table(model)}."{counter}" + excluded."{counter}"'
    changes = [added, *(f'"{name}" = excluded."{name}"' for name in replaced)]
    text = f"{_insertion(model, columns, bool(db.for_update))} WHERE TRUE ON CONFLICT ({_names(model, key)})"
    execute(db, f"{text} DO UPDATE SET {', '.join(changes)}", _json(model, columns, rows))


def update(db: Database, model: type[Model], columns: tuple[str, ...], guards: tuple[str, ...], rows: Sequence[Row]) -> int:
    """Update the rows that have not changed since they were read; return how many were updated.

    Args:
        db: The connection.
        model: The table.
        columns: The columns to write.
        guards: The columns that identify a row and must not have changed since it was read.
        rows: Each row's new values, then the values of its guards when it was read.
    """
    return int(_updated(db, model, columns, guards, rows).rowcount)


def update_those(
    db: Database, model: type[Model], columns: tuple[str, ...], guards: tuple[str, ...], key: tuple[str, ...], rows: Sequence[Row]
) -> set[tuple[Any, ...]]:
    """Update as ``update``; return the keys of the rows updated, as they are stored."""
    updated = _updated(db, model, columns, guards, rows, f" RETURNING {_names(model, key)}")
    return {tuple(row) for row in updated.fetchall()}


def _updated(
    db: Database, model: type[Model], columns: tuple[str, ...], guards: tuple[str, ...], rows: Sequence[Row], ending: str = ""
) -> Any:
    """Update rows; a single row without a join with a JSON array, which takes twice as long."""
    is_server = bool(db.for_update)
    if len(rows) != 1:
        return execute(db, _update(model, columns, guards, is_server) + ending, _json(model, (*columns, *guards), rows))
    values = (write(value) for write, value in zip(_writers(model, (*columns, *guards)), rows[0], strict=True))
    return execute(db, _update_one(model, columns, guards, is_server) + ending, *values)


def _names(model: type[Model], columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{_field(model, name).column_name}"' for name in columns)


def _json(model: type[Model], columns: tuple[str, ...], rows: Sequence[Row]) -> str:
    written, texts = _json_writers(model, columns)
    values = [list(row) for row in rows]
    _write(values, written)
    text = _ENCODER.encode(values)
    if "\\u0000" in text or "\\ud" in text:  # NUL, a lone surrogate, or a pair of them: one look for all texts
        _write(values, texts)
        text = _ENCODER.encode(values)
    return text


def _write(rows: Sequence[list[Any]], writers: Iterable[tuple[int, Writer]]) -> None:
    for place, write in writers:
        for row in rows:
            if row[place] is not None:
                row[place] = write(row[place])


@lru_cache(maxsize=256)
def _defaults(model: type[Model], columns: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Return the other columns of a table that have a default, and the defaults."""
    others = [field for field in model._meta.sorted_fields if field.default is not None and field.name not in columns]
    return tuple(field.name for field in others), tuple(field.default for field in others)


@lru_cache(maxsize=256)
def _writers(model: type[Model], columns: tuple[str, ...]) -> tuple[Writer, ...]:
    return tuple(_field(model, name).db_value for name in columns)


@lru_cache(maxsize=256)
def _json_writers(model: type[Model], columns: tuple[str, ...]) -> tuple[list[tuple[int, Writer]], list[tuple[int, Writer]]]:
    """Return the places and writers of the columns that JSON does not take as they are, and of the plain texts."""
    fields = [(place, _field(model, name)) for place, name in enumerate(columns)]
    texts: list[tuple[int, Writer]] = [(place, field.db_value) for place, field in fields if type(field) is PlainTextField]
    as_they_are = (PlainTextField, IntegerField, BooleanField, FloatField)
    return [(place, field.db_value) for place, field in fields if not _is_any_of(field, as_they_are)], texts


def _is_any_of(field: Field, kinds: Sequence[type[Field]]) -> bool:
    """Return whether a field is written like one of a kind."""
    return any(isinstance(field, kind) and type(field).db_value is kind.db_value for kind in kinds)


@lru_cache(maxsize=256)
def _insertion(model: type[Model], columns: tuple[str, ...], is_server: bool) -> str:
    return f"INSERT INTO {_table(model)} ({_names(model, columns)}) SELECT {_values(model, columns, is_server)}"


@lru_cache(maxsize=256)
def _update(model: type[Model], columns: tuple[str, ...], guards: tuple[str, ...], is_server: bool) -> str:
    named = [*(f"new_{name}" for name in columns), *(f"old_{name}" for name in guards)]
    values = _values(model, (*columns, *guards), is_server, named)
    written = ", ".join(f'"{name}" = v.new_{name}' for name in columns)
    kept = " AND ".join(f't."{name}" {_same(model, name, is_server)} v.old_{name}' for name in guards)
    return f"UPDATE {_table(model)} AS t SET {written} FROM (SELECT {values}) AS v WHERE {kept}"  # noqa: S608 - our own names


@lru_cache(maxsize=256)
def _update_one(model: type[Model], columns: tuple[str, ...], guards: tuple[str, ...], is_server: bool) -> str:
    place = "%s" if is_server else "?"
    written = ", ".join(f'"{name}" = {place}' for name in columns)
    kept = " AND ".join(f'"{name}" {_same(model, name, is_server)} {place}' for name in guards)
    return f"UPDATE {_table(model)} SET {written} WHERE {kept}"  # noqa: S608 - our own names


def _same(model: type[Model], name: str, is_server: bool) -> str:
    """Return the comparison of a column with its former value."""
    return "=" if not _field(model, name).null else "IS NOT DISTINCT FROM" if is_server else "IS"


def _values(model: type[Model], columns: tuple[str, ...], is_server: bool, names: Sequence[str] = ()) -> str:
    """Return the columns of the rows in the JSON parameter, and the source of these rows."""
    aliases = [f" AS {name}" for name in names] or [""] * len(columns)
    pairs = zip(columns, aliases, strict=True)
    if is_server:
        each = [f"{_cast(_field(model, name), place)}{alias}" for place, (name, alias) in enumerate(pairs)]
        # PostgreSQL expects ten rows from an unnested array, and a hundred from the function alone, for which it would scan the
        # table
        return ", ".join(each) + " FROM unnest(ARRAY(SELECT jsonb_array_elements(%s::jsonb))) AS j(r)"
    each = [f"json_extract(value, '$[{place}]'){alias}" for place, alias in enumerate(aliases)]
    return ", ".join(each) + " FROM json_each(?)"


def _cast(field: Field, place: int) -> str:
    kinds = {InstantField: "timestamptz", BooleanField: "boolean", FloatField: "double precision", BigIntegerField: "bigint"}
    kind = next((sql for known, sql in kinds.items() if isinstance(field, known)), None)
    kind = kind or ("integer" if isinstance(field, IntegerField) else "")
    return f"(r->>{place})::{kind}" if kind else f"r->>{place}"


def _table(model: type[Model]) -> str:
    return f'"{model._meta.table_name}"'


def _field(model: type[Model], name: str) -> Field:
    field: Field = getattr(model, name)
    return field
