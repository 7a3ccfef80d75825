"""Reads documents that people wrote, TOML or JSON, and collects everything that is wrong with them instead of stopping.

A codec reads one kind of value and writes it again. This module knows no policy and no incident: ``documents`` says which
fields there are.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import Any, Generic, TypeVar

from notifyflow.core.intake.faults import Faults
from notifyflow.core.wording import text
from notifyflow.errors import Fault

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_LONGEST_NAME = 100
_UNKNOWN_NAMED = 5
"""Unknown fields of one table that are named; the others are counted, so that they do not crowd out what else is wrong."""


class Refused(Exception):
    """Raised when a value cannot be read; its fault stands recorded."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a document.

    Attributes:
        where: Its path.
        value: What stands there, as it was parsed.
        faults: Collects what is wrong in the whole document, in the order of reading.
        first: The number of the first item, where a list goes on in another document.
    """

    where: str
    value: object
    faults: Faults
    first: int = 0

    def refuse(self, what: str, remedy: str) -> Refused:
        """Record what is wrong with the value, as a sentence that begins with it."""
        self.faults.note(lambda: Fault(self.where or "document", f"{text.quoted(self.value)} {what}", remedy))
        return Refused()

    def refuse_whole(self, what: str, remedy: str, count: int = 1) -> Refused:
        """Record what is wrong, as a whole sentence, and how many faults that makes."""
        self.faults.add(Fault(self.where or "document", what, remedy, count))
        return Refused()

    def field(self, name: str, value: object) -> "Node":
        """Step into a table; a path is not longer than anybody reads."""
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        return Node(f"{self.where}.{short}" if self.where else short, value, self.faults)

    def fields(self) -> Mapping[str, object]:
        """Read the value as a table."""
        if not isinstance(self.value, Mapping):
            raise self.refuse("is not a table", "Give fields and their values")
        return self.value

    def items(self) -> "list[Node]":
        """Read the value as a list."""
        if not isinstance(self.value, list):
            raise self.refuse("is not a list", "Put it in [ ]")
        return [Node(f"{self.where}[{index}]", value, self.faults) for index, value in enumerate(self.value, self.first)]


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """How one kind of value is read and written.

    Attributes:
        read: Makes the value of a node; raises ``Refused``.
        write: Makes what JSON can hold of the value.
    """

    read: Callable[[Node], T]
    write: Callable[[T], Any]


def add_new(faults: Faults, found: Iterable[Fault]) -> None:
    """Add what is wrong with values, unless it only follows from what could not be read there, around it, or within it."""
    refused = {fault.where for fault in faults}
    around = {whole for place in refused for whole in _wholes(place)}
    faults.add_all([fault for fault in found if fault.where not in around and refused.isdisjoint(_wholes(fault.where))])


def _wholes(place: str) -> Iterator[str]:
    """Everything that a place is in, itself included."""
    yield place
    yield from (place[: end.start()] for end in _ENDS.finditer(place))


_ENDS = re.compile(r"[.\[]")


def unknown(where: str, kind: str, value: object, known: Collection[str]) -> Fault:
    """Say that a name is none of those there are, and which one it may have been meant to be."""
    spelt = value[:_LONGEST_NAME].casefold() if isinstance(value, str) else ""
    near = get_close_matches(spelt, [name.casefold() for name in known], n=1)
    meant = [name for name in known if name.casefold() in near]
    remedy = f"Use {meant[0]}, if that was meant" if meant else f"Use {either(known)}"
    return Fault(where, f"{text.quoted(value)} is not a known {kind}", remedy)


def either(names: Collection[str]) -> str:
    """List names to choose from."""
    return f"one of {', '.join(names)}" if len(names) > 1 else ", ".join(names)


def _text(node: Node) -> str:
    if not isinstance(node.value, str):
        raise node.refuse("is not text", "Put it in quotes")
    return node.value


def _flag(node: Node) -> bool:
    if not isinstance(node.value, bool):
        raise node.refuse("is neither true nor false", "Write true or false")
    return node.value


def _whole(node: Node) -> int:
    if not isinstance(node.value, int) or isinstance(node.value, bool):
        raise node.refuse("is not a whole number", "Write a number such as 2")
    return node.value


def _number(node: Node) -> float:
    if not isinstance(node.value, int | float) or isinstance(node.value, bool):
        raise node.refuse("is not a number", "Write a number such as 0.1")
    return float(node.value)


_MICROSECONDS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000}
_DURATION = re.compile(r"(\d{1,8}(?:\.\d{1,6})?) ?([dhms])", re.ASCII)


def read_duration(written: str) -> timedelta | None:
    """Read a number and ``d``, ``h``, ``m`` or ``s``; None where it is no such text."""
    match = _DURATION.fullmatch(written)
    return match and timedelta(microseconds=int(Decimal(match[1]) * _MICROSECONDS[match[2]]))


def _duration(node: Node) -> timedelta:
    span = read_duration(node.value) if isinstance(node.value, str) else None
    if span is None:
        raise node.refuse("is not a duration", 'Write a number and d, h, m or s, such as "90s" or "5m"')
    return span


def _written_duration(span: timedelta) -> str:
    microseconds = span // timedelta(microseconds=1)
    unit = next((unit for unit, size in _MICROSECONDS.items() if microseconds and microseconds % size == 0), "s")
    return f"{Decimal(microseconds) / _MICROSECONDS[unit]:f}{unit}"


def _instant(node: Node) -> datetime:
    with suppress(ValueError):
        return datetime.fromisoformat(_text(node))
    raise node.refuse("is not a date and time", "Write one as in 2026-11-25T03:14:00+01:00")


def _as_it_is(value: object) -> object:
    return value


TEXT = Codec(_text, _as_it_is)
FLAG = Codec(_flag, _as_it_is)
WHOLE = Codec(_whole, _as_it_is)
NUMBER = Codec(_number, _as_it_is)
DURATION = Codec(_duration, _written_duration)
INSTANT = Codec(_instant, datetime.isoformat)


def choice(kind: str, members: type[E]) -> Codec[E]:
    """Read one of an enumeration's words."""

    def read(node: Node) -> E:
        if node.value not in list(members):
            node.faults.note(lambda: unknown(node.where, kind, node.value, list(members)))
            raise Refused
        return members(str(node.value))

    return Codec(read, str)


def listed(each: Codec[T], stand_in: T | None = None) -> Codec[tuple[T, ...]]:
    """Read a list of one kind of value; in place of what is refused stands something else, or nothing.

    Args:
        each: The codec of one value.
        stand_in: What keeps the place of a value that is refused, so that those behind it keep theirs; None leaves it out.
    """

    def read(node: Node) -> tuple[T, ...]:
        values = [stand_in if value is None else value for value in map(partial(_good, each), node.items())]
        return tuple(value for value in values if value is not None)

    return Codec(read, lambda values: [each.write(value) for value in values])


def mapped(each: Codec[T], most: int | None = None) -> Codec[dict[str, T]]:
    """Read a table from free names to one kind of value; what is refused is left out.

    Args:
        each: The codec of one value.
        most: How many there may be; a table with more is refused whole, and not read. None admits any number.
    """

    def read(node: Node) -> dict[str, T]:
        values: dict[str, T] = {}
        fields = node.fields()
        if most is not None and len(fields) > most:
            raise node.refuse_whole(f"there are {len(fields):,}, {most:,} are allowed", "Leave some out")
        for name, value in fields.items():
            with suppress(Refused):
                values[name] = each.read(node.field(name, value))
        return values

    return Codec(read, lambda values: {name: each.write(value) for name, value in values.items()})


def record(make: Callable[..., T], fields: Mapping[str, Codec[Any]], stand_ins: Mapping[str, object]) -> Codec[T]:
    """Read a table of known fields into a value that has them as attributes.

    Args:
        make: Accepts the fields as keywords; one that is missing or null has its default.
        fields: Each field with its codec, in the order they are written.
        stand_ins: The required fields, each with its stand-in when it is missing or refused, so that the
            rest can still be validated.

    Returns:
        The codec.
    """

    def read(node: Node) -> T:
        present = {name: value for name, value in node.fields().items() if value is not None}
        values = dict(stand_ins)
        _refuse_unknown(node, [name for name in present if name not in fields], fields)
        for name, codec in fields.items():
            if name in present:
                with suppress(Refused):
                    values[name] = codec.read(node.field(name, present[name]))
            elif name in stand_ins:
                node.field(name, None).refuse_whole("it is missing", "Give it a value")
        return make(**values)

    def write(value: T) -> dict[str, object]:
        attributes = ((name, getattr(value, name), codec) for name, codec in fields.items())
        return {name: codec.write(attribute) for name, attribute, codec in attributes if attribute is not None}

    return Codec(read, write)


def _refuse_unknown(node: Node, names: Sequence[str], known: Collection[str]) -> None:
    for name in names[:_UNKNOWN_NAMED]:
        node.faults.note(partial(_unknown_field, node, name, known))
    if (more := len(names) - _UNKNOWN_NAMED) > 0:
        node.refuse_whole(f"it has {more:,} more fields that are unknown", "Remove them", more)


def _unknown_field(node: Node, name: str, known: Collection[str]) -> Fault:
    return unknown(node.field(name, None).where, "field", name, list(known))


def _good(codec: Codec[T], node: Node) -> T | None:
    with suppress(Refused):
        return codec.read(node)
    return None
