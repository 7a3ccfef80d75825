"""Reads TOML and JSON documents and collects all their faults instead of stopping at the first.

A codec reads one kind of value and writes it again. This module knows no fields: ``documents``, ``requests`` and ``directory``
define them.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from types import MappingProxyType, UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from notifyflow.core import text
from notifyflow.core.faults import Faults
from notifyflow.errors import Fault

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

MAX_KEY = 255
"""The length of an id or key."""

_LONGEST_NAME = 100
_MOST_NAMES = 1_000
_UNKNOWN_NAMED = 5
"""How many unknown fields of one table are named. The others are counted, so that other faults are named, too."""


class UnreadableValue(Exception):
    """Raised when a value cannot be read; its fault is recorded."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a document.

    Attributes:
        where: Its path.
        faults: Collects the faults of the whole document, in the order of reading.
        first: The number of the first item, if the list continues one of another document.
    """

    where: str
    value: object
    faults: Faults
    first: int = 0

    def refuse(self, what: str, remedy: str) -> UnreadableValue:
        """Record a fault of the value, as a sentence that begins with it, and return the error to raise."""
        self.faults.note(lambda: Fault(self.where or "document", f"{text.quoted(self.value)} {what}", remedy))
        return UnreadableValue()

    def refuse_whole(self, what: str, remedy: str, count: int = 1) -> UnreadableValue:
        """Record a fault, as a whole sentence that stands for ``count`` faults, and return the error to raise."""
        self.faults.add(Fault(self.where or "document", what, remedy, count))
        return UnreadableValue()

    def field(self, name: str, value: object) -> "Node":
        """Return the node of a field."""
        return Node(beneath(self.where, name), value, self.faults)

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
    """Reads and writes one kind of value.

    Attributes:
        read: Returns the value of a node; raises :class:`UnreadableValue`.
        write: Returns the value as JSON.
    """

    read: Callable[[Node], T]
    write: Callable[[T], Any]


def beneath(where: str, name: str) -> str:
    """Return the path of a field; a long name is cut in it."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return f"{where}.{short}" if where else short


def add_new(faults: Faults, found: Iterable[Fault]) -> None:
    """Add faults, except those that follow from an unreadable value at, around or within their place."""
    refused = {fault.where for fault in faults}
    around = {whole for place in refused for whole in wholes(place)}
    faults.add_all([fault for fault in found if fault.where not in around and refused.isdisjoint(wholes(fault.where))])


def wholes(place: str) -> Iterator[str]:
    """Yield every place that contains a place, from the outermost to the place itself."""
    yield from (place[: end.start()] for end in _ENDS.finditer(place))
    yield place


_ENDS = re.compile(r"[.\[]")


def unknown(where: str, kind: str, value: object, known: Collection[str]) -> Fault:
    """Return the fault of an unknown name, with the most similar known one as its remedy."""
    spelt = value[:_LONGEST_NAME].casefold() if isinstance(value, str) else ""
    near = get_close_matches(spelt, [name.casefold() for name in known], n=1)
    meant = [name for name in known if name.casefold() in near]
    remedy = f"Use {meant[0]}, if that was meant" if meant else f"Use {either(known)}"
    return Fault(where, f"{text.quoted(value)} is not a known {kind}", remedy)


def either(names: Collection[str]) -> str:
    """Return names as a choice: ``one of a, b``."""
    return f"one of {', '.join(names)}" if len(names) > 1 else ", ".join(names)


def id_faults(where: str, value: str) -> Iterator[Fault]:
    """Yield the faults of an id or key, which is never normalised and may contain nothing invisible."""
    if not value.strip():
        yield Fault(where, "it is empty", "Give it a name of its own")
    elif value != text.one_line(value):
        yield Fault(where, f"{text.quoted(value)} has control characters or blanks that do not show", "Leave them out")
    yield from length_faults(where, value, MAX_KEY, "Shorten it")


def length_faults(where: str, value: str, limit: int, remedy: str) -> Iterator[Fault]:
    """Yield the fault of a text that is too long."""
    if len(value) > limit:
        yield Fault(where, f"it has {len(value):,} characters, {limit:,} are allowed", remedy)


def _plain(make: Callable[[Any], T], kinds: tuple[type, ...], what: str, remedy: str) -> Codec[T]:
    """Return a codec of values that documents hold unchanged; true and false are not numbers."""

    def read(node: Node) -> T:
        if type(node.value) not in kinds:
            raise node.refuse(what, remedy)
        return make(node.value)

    return Codec(read, make)


TEXT = _plain(str, (str,), "is not text", "Put it in quotes")
FLAG = _plain(bool, (bool,), "is neither true nor false", "Write true or false")
WHOLE = _plain(int, (int,), "is not a whole number", "Write a number such as 2")
NUMBER = _plain(float, (int, float), "is not a number", "Write a number such as 0.1")

_MICROSECONDS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000}
_DURATION = re.compile(r"(\d{1,8}(?:\.\d{1,6})?) ?([dhms])", re.ASCII)


def read_duration(written: str) -> timedelta | None:
    """Read a number and ``d``, ``h``, ``m`` or ``s``; return None if the text is something else."""
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
        return datetime.fromisoformat(TEXT.read(node))
    raise node.refuse("is not a date and time", "Write one as in 2026-11-25T03:14:00+01:00")


DURATION = Codec(_duration, _written_duration)
INSTANT = Codec(_instant, datetime.isoformat)
_SIMPLE: Mapping[Any, Codec[Any]] = {
    str: TEXT,
    bool: FLAG,
    int: WHOLE,
    float: NUMBER,
    timedelta: DURATION,
    datetime: INSTANT,
}


def choice(kind: str, members: type[E]) -> Codec[E]:
    """Return a codec of an enumeration."""

    def read(node: Node) -> E:
        with suppress(ValueError):
            return members(node.value if isinstance(node.value, str) else "")
        node.faults.note(lambda: unknown(node.where, kind, node.value, list(members)))
        raise UnreadableValue

    return Codec(read, str)


def listed(each: Codec[T], placeholder: T | None = None) -> Codec[tuple[T, ...]]:
    """Return a codec of lists; a refused item is left out, or replaced by the stand-in, so that later ones keep their numbers."""

    def read(node: Node) -> tuple[T, ...]:
        values = [placeholder if value is None else value for value in map(partial(_good, each), node.items())]
        return tuple(value for value in values if value is not None)

    return Codec(read, lambda values: [each.write(value) for value in values])


def mapped(each: Codec[T]) -> Codec[dict[str, T]]:
    """Return a codec of tables with any names; a refused value is left out, and a table with too many is not read at all."""

    def read(node: Node) -> dict[str, T]:
        values: dict[str, T] = {}
        fields = node.fields()
        if len(fields) > _MOST_NAMES:
            raise node.refuse_whole(f"there are {len(fields):,}, {_MOST_NAMES:,} are allowed", "Leave some out")
        for name, value in fields.items():
            with suppress(UnreadableValue):
                values[name] = each.read(node.field(name, value))
        return values

    return Codec(read, lambda values: {name: each.write(value) for name, value in values.items()})


def record(make: Callable[..., T], fields: Mapping[str, Codec[Any]], placeholders: Mapping[str, object]) -> Codec[T]:
    """Return a codec of tables with known fields, which ``make`` accepts as keywords; a missing or null field gets its default.

    The required fields have stand-ins for when they are missing or refused, so that the rest can be validated.
    """

    def read(node: Node) -> T:
        present = {name: value for name, value in node.fields().items() if value is not None}
        values = dict(placeholders)
        _refuse_unknown(node, [name for name in present if name not in fields], fields)
        for name, codec in fields.items():
            if name in present:
                with suppress(UnreadableValue):
                    values[name] = codec.read(node.field(name, present[name]))
            elif name in placeholders:
                node.field(name, None).refuse_whole("it is missing", "Give it a value")
        return make(**values)

    def write(value: T) -> dict[str, object]:
        attributes = ((name, getattr(value, name), codec) for name, codec in fields.items())
        return {name: codec.write(attribute) for name, attribute, codec in attributes if attribute is not None}

    return Codec(read, write)


def codec_of(kind: Any, known: Mapping[Any, Codec[Any]] = MappingProxyType({})) -> Codec[Any]:
    """Return the codec of a type: a simple one, an enumeration, a tuple, a mapping, a dataclass, or one of these or None or text.

    ``known`` has the codecs of further types.
    """
    codecs = {**_SIMPLE, **known}
    if kind in codecs:
        return codecs[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        codec = codec_of(arguments[0], known)
        return _or_text(codec) if str in arguments[1:] else codec
    if origin is tuple:
        return listed(codec_of(arguments[0], known))
    if origin is Mapping:
        return mapped(codec_of(arguments[1], known))
    if issubclass(kind, StrEnum):
        return choice(kind.__name__.casefold(), kind)
    return record(kind, codecs_of(kind, known), placeholders=_placeholders(kind))


def codecs_of(kind: Any, known: Mapping[Any, Codec[Any]] = MappingProxyType({}), *, without: str = "") -> dict[str, Codec[Any]]:
    """Return the codec of each field of a dataclass, by the field's type, ``without`` the field that the caller sets."""
    return {name: codec_of(each, known) for name, each in get_type_hints(kind).items() if name != without}


def _or_text(codec: Codec[T]) -> Codec[T | str]:
    return Codec(
        lambda node: node.value if isinstance(node.value, str) else codec.read(node),
        lambda value: value if isinstance(value, str) else codec.write(value),
    )


def _placeholders(kind: Any) -> Mapping[str, object]:
    """Return an empty value for each required field of a dataclass."""
    hints = get_type_hints(kind)
    required = [each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING]
    return {name: _EMPTY.get(get_origin(hints[name]) or hints[name]) for name in required}


_EMPTY: Mapping[Any, object] = {str: "", int: 0, timedelta: timedelta(0), tuple: ()}


def _refuse_unknown(node: Node, names: Sequence[str], known: Collection[str]) -> None:
    for name in names[:_UNKNOWN_NAMED]:
        node.faults.note(partial(_unknown_field, node, name, known))
    if (more := len(names) - _UNKNOWN_NAMED) > 0:
        node.refuse_whole(f"it has {more:,} more fields that are unknown", "Remove them", more)


def _unknown_field(node: Node, name: str, known: Collection[str]) -> Fault:
    return unknown(node.field(name, None).where, "field", name, list(known))


def _good(codec: Codec[T], node: Node) -> T | None:
    with suppress(UnreadableValue):
        return codec.read(node)
    return None
