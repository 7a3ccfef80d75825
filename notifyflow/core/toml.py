"""Writes tables as TOML: the values alone, without comments, so that a document can be stored and changed."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any

_ESCAPED = {127: "\\u007f"}  # TOML forbids this one, and JSON does not escape it


def write_toml(tables: Mapping[str, Any]) -> str:
    """Write tables so that ``tomllib.loads`` reads the same; each key of the outermost table is a line."""
    return "".join(f"{_text(name)} = {_value(value)}\n" for name, value in tables.items())


def without(document: str, table: str, names: Iterable[str]) -> str:
    """Return a document written by ``write_toml`` without some keys of one of its tables."""
    tables = tomllib.loads(document)
    for name in names:
        tables.get(table, {}).pop(name, None)
    return write_toml(tables)


def _value(value: Any) -> str:
    match value:
        case str():
            return _text(value)
        case bool():
            return "true" if value else "false"
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            return "{" + ", ".join(f"{_text(name)} = {_value(each)}" for name, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return repr(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPED)
