"""Finds the lines of the values in a TOML document, so that a fault can name its line; pure.

A value within a list or an inline table has the line of its key.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from notifyflow.core.copies import replace
from notifyflow.core.forms import beneath, wholes
from notifyflow.errors import Fault

_TEXTS = r"""\"\"\"(?:\\.|[^\\])*?"{3,5}|'''.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*"""
_TOKEN = re.compile(rf"(?P<text>{_TEXTS})|(?P<opens>[\[{{])|(?P<closes>[\]}}])|(?P<ends>\n)", re.DOTALL)


def with_lines(faults: Iterable[Fault], document: str) -> tuple[Fault, ...]:
    """Return the faults of a document with their lines; a missing value has the line of its table."""
    found = tuple(faults)
    try:
        lines = _lines(document) if found else {}
    except (ValueError, RecursionError):  # it is not valid TOML, and its one fault says where
        return found
    known = ((each, [lines[place] for place in wholes(each.where) if place in lines]) for each in found)
    return tuple(replace(each, line=places[-1]) if places else each for each, places in known)


def _lines(document: str) -> Mapping[str, int]:
    """Return the line of each place in a document."""
    found: dict[str, int] = {}
    lists: Counter[str] = Counter()
    table: str | None = ""
    for line, statement in _statements(document):
        if not statement.startswith("["):
            places = iter(()) if table is None else _places(table, tomllib.loads(statement))
        else:
            around = _header(tomllib.loads(statement), lists, is_item=statement.startswith("[["))
            table, places = around[-1] if around else None, iter(around)
        for place in places:
            found.setdefault(place, line)
    return found


def _statements(document: str) -> Iterator[tuple[int, str]]:
    """Yield the headers and the keys with their values, each with the line on which it begins."""
    begin, line, depth, began = 0, 1, 0, 1
    for token in _TOKEN.finditer(f"{document}\n"):
        depth += bool(token["opens"]) - bool(token["closes"])
        line += token[0].count("\n")
        if token["ends"] and depth == 0:
            statement = document[begin : token.start()].strip()
            if statement and not statement.startswith("#"):
                yield began, statement
            begin, began = token.end(), line


def _header(tables: Mapping[str, object], lists: Counter[str], *, is_item: bool) -> list[str]:
    """Return the place of a table by its header, after those around it; a header in double brackets begins a list's next item.

    It is empty for a table beneath an empty key, whose values would seem to be in the table around it.
    """
    place = ""
    places: list[str] = []
    while tables:
        ((name, inner),) = tables.items()
        if not name:
            return []
        place = beneath(place, name)
        value = inner[0] if isinstance(inner, list) else inner
        tables = value if isinstance(value, dict) else {}
        if is_item and not tables:
            lists[place] += 1
        places.append(place)
        if lists[place]:
            place = f"{place}[{lists[place] - 1}]"
            places.append(place)
    return places


def _places(where: str, value: object) -> Iterator[str]:
    """Yield the places of all values within a value."""
    if isinstance(value, dict):
        inner = [(beneath(where, name), each) for name, each in value.items() if name]
    elif isinstance(value, list):
        inner = [(f"{where}[{index}]", each) for index, each in enumerate(value)]
    else:
        inner = []
    for place, each in inner:
        yield place
        yield from _places(place, each)
