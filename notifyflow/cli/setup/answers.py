"""The answers file, with which ``notifyflow setup`` asks nothing: TOML or JSON with the tables ``settings`` and ``person``."""

import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from notifyflow.cli.frame import files
from notifyflow.cli.setup.people import FIELDS
from notifyflow.core.forms import unknown
from notifyflow.core.intake.documents import unreadable
from notifyflow.errors import Fault, InvalidSettings
from notifyflow.settings import Settings
from notifyflow.settings.variables import is_secret
from notifyflow.settings.variables import unknown as is_no_setting

_TABLES = ("settings", "person")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a file answers.

    Attributes:
        settings: Setting, such as ``smtp_url``, to its text.
        person: Field of the person to its text; empty without one.
    """

    settings: Mapping[str, str]
    person: Mapping[str, str]


def read(name: str) -> Answers:
    """Read an answers file; ``-`` is standard input.

    Raises:
        InvalidIncident: When it cannot be read.
        InvalidSettings: When it is neither TOML nor JSON, or has something that is not asked, with every fault.
    """
    document = _parse(files.text(name))
    faults = [unknown(table, "table", table, _TABLES) for table in document if table not in _TABLES]
    tables = {}
    for table, known in zip(_TABLES, (_settings(), FIELDS), strict=True):
        values = document.get(table, {})
        if not isinstance(values, dict):
            faults.append(Fault(table, "is not a table", f"Write [{table}], and below it NAME = VALUE"))
            values = {}
        faults += [_unknown(table, each, known) for each in values if each not in known]
        tables[table] = {each: _text(value) for each, value in values.items()}
    faults += _no_texts(document.get("person", {}))
    if faults:
        raise InvalidSettings(faults)
    return Answers(**tables)


def _parse(text: str) -> Mapping[str, object]:
    is_json = text.lstrip().startswith("{")
    try:
        return dict(json.loads(text) if is_json else tomllib.loads(text))
    except (ValueError, RecursionError) as wrong:
        raise InvalidSettings((unreadable("JSON" if is_json else "TOML", wrong),)) from None


def _settings() -> Collection[str]:
    fields = Settings.model_fields
    return {*fields, *(f"{name}_file" for name, field in fields.items() if is_secret(field))}


def _unknown(table: str, name: str, known: Collection[str]) -> Fault:
    where = f"{table}.{name}"
    return is_no_setting(name, known, "") if table == "settings" else unknown(where, "field of a person", name, known)


def _no_texts(person: object) -> Iterator[Fault]:
    for name, value in person.items() if isinstance(person, dict) else ():
        if name in FIELDS and not isinstance(value, str):
            yield Fault(f"person.{name}", "is not text", "Put it in quotes")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
