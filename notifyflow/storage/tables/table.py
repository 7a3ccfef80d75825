"""The base of all tables, and what makes a table's columns from the value that it stores."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from peewee import BooleanField, Field, FloatField, IntegerField, Model

from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.limits.slots import Slice, Taken
from notifyflow.storage.tables.fields import (
    DurationField,
    EnumField,
    InstantField,
    NamesField,
    PlainTextField,
    PolicyField,
    ScopesField,
    SequenceField,
    SlicesField,
    TakenField,
    TextsField,
    ValueField,
)

_FIELDS: Mapping[Any, type[Field]] = {
    str: PlainTextField,
    bool: BooleanField,
    int: IntegerField,
    float: FloatField,
    datetime: InstantField,
    timedelta: DurationField,
    tuple[str, ...]: SequenceField,
    frozenset[str]: NamesField,
    Mapping[str, str]: TextsField,
    Policy: PolicyField,
    frozenset[KeyScope]: ScopesField,
    tuple[Slice, ...]: SlicesField,
    tuple[Taken, ...]: TakenField,
}
"""How values of a type are stored; members of a ``StrEnum`` and other dataclasses have a field each."""


def _name(model: type[Model]) -> str:
    return "notifyflow" + re.sub("([A-Z])", r"_\1", model.__name__.removesuffix("Row")).lower()


class Table(Model):
    """A table, named for its class. The migrations make keys unique, except a key of one column.

    ``class NotificationRow(Table, stores=NotificationFacts)`` has a column for each field of the facts. It declares what they do
    not say: other columns, and columns that are stored in another way. ``scripts/lib/mypy_tables.py`` tells mypy of the rest.
    """

    class Meta:
        primary_key = False
        table_function = _name

    def __init_subclass__(cls, *, stores: type | None = None, without: AbstractSet[str] = frozenset()) -> None:
        """Add the columns of a value, before Peewee collects the columns.

        Args:
            stores: The dataclass whose values are rows of the table. Its field ``id`` is the primary key.
            without: The fields that have no column.

        Raises:
            TypeError: When no field of the database is known for the type of one of them.
        """
        super().__init_subclass__()
        if stores is None:
            return
        types = get_type_hints(stores)
        for name in (field.name for field in fields(stores)):
            if name not in cls.__dict__ and name not in without:
                setattr(cls, name, _column(f"{cls.__name__}.{name}", types[name], is_key=name == "id"))


def _column(place: str, kind: Any, *, is_key: bool) -> Field:
    """Return the column for values of a type; it is nullable if the type is optional."""
    options: dict[str, Any] = {"primary_key": True} if is_key else {}
    if isinstance(kind, UnionType) and NoneType in get_args(kind):
        kind, *_ = (each for each in get_args(kind) if each is not NoneType)
        options["null"] = True
    if found := _FIELDS.get(kind):
        return found(**options)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return EnumField(kind, **options)
    if isinstance(kind, type) and is_dataclass(kind):
        return ValueField(kind, **options)
    raise TypeError(f"{place}: no column is known for {kind}; declare it in the table, or leave it out with `without`")
