"""A table has a column for each field of the value that it stores, and mypy knows each of them."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, get_args, get_type_hints

import peewee
import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.storage import tables
from notifyflow.storage.tables import incidents, roster, service
from notifyflow.storage.tables.fields import EnumField, InstantField, KeyTextField, PlainTextField
from notifyflow.storage.tables.table import Table

ROOT = Path(tables.__file__).parents[3]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    id: str
    severity: Severity
    rung_at: datetime | None = None
    sender: str | None = None
    bells: tuple[int, ...] = ()


class AlarmRow(Table, stores=Alarm, without={"bells"}):
    sender = KeyTextField(null=True)
    times = peewee.IntegerField()


def _stored() -> Iterator[tuple[type[Table], type, set[str]]]:
    """Each table that stores a value, the value, and the fields that it says have no column."""
    for module in (incidents, roster, service):
        for node in ast.parse(Path(str(module.__file__)).read_text()).body:
            if isinstance(node, ast.ClassDef) and (words := {each.arg: each.value for each in node.keywords}):
                without = ast.literal_eval(words["without"]) if "without" in words else set()
                yield getattr(module, node.name), _named(module, words["stores"]), without


def _named(module: ModuleType, node: ast.expr) -> Any:
    assert isinstance(node, ast.Name)
    return getattr(module, node.id)


def _mismatches(table: type[Table], value: type, without: set[str]) -> list[str]:
    """Name each column that is not what the field of its name says."""
    columns: Mapping[str, peewee.Field] = table._meta.fields
    types = get_type_hints(value)
    found = []
    for name in (each.name for each in fields(value)):
        place = f"{table.__name__}.{name}: {value.__name__}.{name} is {types[name]}"
        may_be_none = NoneType in get_args(types[name])
        if (name in columns) is (name in without):
            found.append(f"{place}, {'and has a column' if name in columns else 'and has none'}")
        elif name in columns and columns[name].null is not may_be_none:
            found.append(f"{place}, the column {'may be' if columns[name].null else 'is not'} NULL")
    return found


def test_a_table_has_a_column_for_each_field_unless_it_says_there_is_none() -> None:
    columns = AlarmRow._meta.fields
    assert {name: type(column) for name, column in columns.items()} == {
        "id": PlainTextField,
        "severity": EnumField,
        "rung_at": InstantField,
        "sender": KeyTextField,
        "times": peewee.IntegerField,
    }
    assert [name for name, column in columns.items() if column.null] == ["sender", "rung_at"]
    assert [name for name, column in columns.items() if column.primary_key] == ["id"]
    assert columns["rung_at"].db_value(datetime(2026, 11, 25, 3, tzinfo=UTC)) == "2026-11-25 03:00:00.000000+00:00"


def test_a_type_that_no_column_holds_is_refused_with_its_place_and_a_remedy() -> None:
    with pytest.raises(TypeError, match=r"^BellRow.bells: no column is known for tuple\[int, ...\]; declare it in the table, or"):
        type("BellRow", (Table,), {}, stores=Alarm)


@pytest.mark.parametrize(("table", "value", "without"), list(_stored()), ids=lambda each: getattr(each, "__name__", ""))
def test_each_column_is_what_the_field_says(table: type[Table], value: type, without: set[str]) -> None:
    assert _mismatches(table, value, without) == []


def test_a_mismatch_is_named_with_its_place() -> None:
    class BadRow(Table, stores=Alarm, without={"bells", "rung_at"}):
        sender = PlainTextField()

    assert _mismatches(BadRow, Alarm, {"id", "bells"}) == [
        "BadRow.id: Alarm.id is <class 'str'>, and has a column",
        "BadRow.rung_at: Alarm.rung_at is datetime.datetime | None, and has none",
        "BadRow.sender: Alarm.sender is str | None, the column is not NULL",
    ]


@pytest.mark.slow
def test_mypy_knows_the_columns_and_no_others(tmp_path: Path) -> None:
    lines = [
        "from notifyflow.storage.tables import AttemptRow, NotificationRow",
        "reveal_type(NotificationRow.due_at <= 1)",
        "reveal_type(AttemptRow.provider_ref)",
        "NotificationRow.due_ad",
        "NotificationRow.attempts",
        "NotificationRow.is_set_aside",
    ]
    (tmp_path / "query.py").write_text("\n".join(lines))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--no-incremental",
            "--follow-imports=silent",
            f"--config-file={ROOT}/setup.cfg",
            "query.py",
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    said = [line.partition(" ")[2] for line in done.stdout.splitlines() if line.startswith("query.py:")]
    unknown = 'error: "type[NotificationRow]" has no attribute "{}"  [attr-defined]'
    assert said == [
        'note: Revealed type is "peewee.Expression"',
        'note: Revealed type is "notifyflow.storage.tables.fields.KeyTextField"',
        unknown.format("due_ad"),
        unknown.format("attempts"),
        unknown.format("is_set_aside"),
    ], done.stdout + done.stderr
