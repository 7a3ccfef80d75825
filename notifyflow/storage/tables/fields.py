"""How values are stored in columns: the same on SQLite and PostgreSQL, exact, and read back as written.

Nothing here knows a table.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from functools import lru_cache, partial
from typing import Any

from peewee import Field, TextField

from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.forms import DURATION, read_duration
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.intake.documents import dump, load
from notifyflow.core.limits.slots import Slice, Taken
from notifyflow.core.oncall.schedules import DutyReason, Shift
from notifyflow.storage.tables.policies import snapshot

_LONGEST_KEY = 500  # characters of up to four bytes; PostgreSQL takes 2,704 bytes in an index


class InstantField(Field):
    """An aware instant to the microsecond: ``timestamptz`` on PostgreSQL, UTC text of fixed width on SQLite.

    Both accept the same text. Text of fixed width sorts like the instants, unlike that of Peewee's ``DateTimeField``, which also
    loses the zone on PostgreSQL.
    """

    field_type = "INSTANT"

    def db_value(self, value: datetime | None) -> str | None:
        """Write an instant as UTC text; raise ``ValueError`` for a naive one, which is a bug."""
        return None if value is None else instant_text(value)

    def python_value(self, value: datetime | str | None) -> datetime | None:
        """Read the value of either database."""
        return None if value is None else read_instant(value)


class OnForget(Enum):
    """What happens to a column when its person is forgotten, if no value replaces it."""

    NOTHING = "nothing, since it holds nothing personal"
    DELETE_ROW = "its row is deleted"
    TAKE_OUT = "the person is taken out of it"
    KEEP = "it is kept although it is personal"


class MarkedField(Field):
    """A field that says whether its column is personal.

    Attributes:
        forgotten_as: What replaces the value when its person is forgotten, or an ``OnForget``.
    """

    def __init__(self, *, forgotten_as: Any = OnForget.NOTHING, **options: Any) -> None:
        super().__init__(**options)
        self.forgotten_as = forgotten_as

    @property
    def is_personal(self) -> bool:
        """Whether the column holds personal data or a message's text."""
        return self.forgotten_as is not OnForget.NOTHING


class PlainTextField(MarkedField, TextField):
    """Any text; NUL and lone surrogates, which the databases cannot store, are replaced."""

    def db_value(self, value: str | None) -> str | None:
        """Write the text."""
        return None if value is None else storable(value)


class KeyTextField(PlainTextField):
    """Text from outside that rows are found by; text too long for an index is stored as its digest."""

    def db_value(self, value: str | None) -> str | None:
        """Write the text, or its digest."""
        text = super().db_value(value)
        if text is None or len(text) <= _LONGEST_KEY:
            return text
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class EnumField(Field):
    """A member of a ``StrEnum``, as its text."""

    field_type = "TEXT"

    def __init__(self, enum: type[StrEnum], **options: Any) -> None:
        super().__init__(**options)
        self.enum = enum
        self._members: Mapping[str, StrEnum] = {member.value: member for member in enum}

    def db_value(self, value: StrEnum | None) -> str | None:
        """Write the member's text."""
        return None if value is None else self._member(value).value

    def python_value(self, value: str | None) -> StrEnum | None:
        """Read the member."""
        return None if value is None else self._member(value)

    def _member(self, value: str) -> StrEnum:
        return self._members.get(value) or self.enum(value)


class DocumentField(MarkedField):
    """A value stored as one JSON text, in its own order."""

    field_type = "TEXT"

    def __init__(self, dump: Callable[[Any], str], load: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self.dump = dump
        self.load = load

    def db_value(self, value: Any) -> str | None:
        """Write the value as JSON."""
        return None if value is None else self.dump(value)

    def python_value(self, value: str | None) -> Any:
        """Read the value from its JSON."""
        return None if value is None else self.load(value)


class TextsField(DocumentField):
    """A mapping of text to text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_dump_texts, _load_texts, **options)


class SequenceField(DocumentField):
    """Texts in their order: a JSON list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            lambda texts: json.dumps(list(texts), separators=(",", ":")),
            lambda text: tuple(map(str, json.loads(text))),
            **options,
        )


class DurationField(DocumentField):
    """A duration, as policies write it: ``10m``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(DURATION.write, _load_duration, **options)


class SlicesField(DocumentField):
    """The recent slots of a provider: a JSON list of (number, calm, urgent)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_dump_slices, _load_slices, **options)


class TakenField(DocumentField):
    """What namespaces took of a provider's slots: a JSON list of (number, namespace, calm, urgent, kept_calm, kept_urgent)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_dump_taken, _load_taken, **options)


class InstantsField(DocumentField):
    """A few instants: a JSON list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_dump_instants, _load_instants, **options)


class PolicyField(MarkedField, TextField):
    """The digest of a policy, whose document is in a table of its own and is read from there (``Rows``)."""

    def db_value(self, value: Policy) -> str:
        """Write the digest."""
        return snapshot(value).digest


class CountsField(DocumentField):
    """Numbers: a JSON list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(lambda counts: json.dumps(counts, separators=(",", ":")), _load_counts, **options)


class PreferenceField(DocumentField):
    """Severity to preferred channels: a JSON object of lists."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_dump_texts, _load_preference, **options)


def _load_preference(document: str) -> Mapping[str, tuple[str, ...]]:
    return FrozenDict({severity: tuple(names) for severity, names in json.loads(document).items()})


class LabelsField(DocumentField):
    """The labels of a metric: a mapping of text to text. There are few, so those read are remembered."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_dump_texts, _load_labels, **options)


class TransactionField(Field):
    """The number that PostgreSQL has given a transaction: ``xid8``, which never wraps around."""

    field_type = "XID8"

    def db_value(self, value: int | None) -> str | None:
        """Write a number."""
        return None if value is None else str(value)

    def python_value(self, value: str | None) -> int | None:
        """Read a number."""
        return None if value is None else int(value)


class ScopesField(DocumentField):
    """The scopes of an API key: a list of words."""

    def __init__(self, **options: Any) -> None:
        super().__init__(lambda scopes: " ".join(sorted(scopes)), lambda text: frozenset(map(KeyScope, text.split())), **options)


class NamesField(DocumentField):
    """A set of names: a JSON list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(lambda names: json.dumps(sorted(names)), lambda text: frozenset(map(str, json.loads(text))), **options)


class NameListField(DocumentField):
    """Names in their order: a JSON list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(lambda names: json.dumps(list(names)), lambda text: tuple(map(str, json.loads(text))), **options)


class ShiftsField(DocumentField):
    """The shifts of a calendar: a JSON list of [begin, end, names]."""

    def __init__(self, **options: Any) -> None:
        super().__init__(_dump_shifts, _load_shifts, **options)


class ValueField(DocumentField):
    """A dataclass value: its fields as a JSON object."""

    def __init__(self, kind: type, **options: Any) -> None:
        super().__init__(dump, partial(load, kind), **options)


def storable(text: str) -> str:
    """Replace NUL (for PostgreSQL) and lone surrogates (for UTF-8), so that no text from a provider prevents its receipt."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def instant_text(instant: datetime) -> str:
    """Write an aware instant as UTC text of fixed width: ``2026-11-25 03:00:00.000000+00:00``."""
    if instant.tzinfo is None:
        raise ValueError("an instant without a zone cannot be stored")
    return instant.astimezone(UTC).isoformat(" ", "microseconds")


def read_instant(value: datetime | str) -> datetime:
    """Return an instant from a database, in UTC."""
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return instant.astimezone(UTC)


def _dump_texts(texts: Mapping[str, str]) -> str:
    return json.dumps(dict(texts), separators=(",", ":"))


def _load_texts(text: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in json.loads(text).items()}


@lru_cache(maxsize=4096)
def _load_labels(text: str) -> Mapping[str, str]:
    return FrozenDict(_load_texts(text))


@lru_cache(maxsize=4096)
def _load_counts(text: str) -> tuple[int, ...]:
    return tuple(json.loads(text))


def _load_duration(text: str) -> timedelta:
    span = read_duration(text)
    if span is None:
        raise ValueError("the column holds no duration")
    return span


def _dump_instants(instants: Iterable[datetime]) -> str:
    return json.dumps([instant_text(each) for each in instants], separators=(",", ":"))


def _load_instants(text: str) -> tuple[datetime, ...]:
    return tuple(map(read_instant, json.loads(text)))


def _dump_shifts(shifts: Iterable[Shift]) -> str:
    listed = [[instant_text(each.begins_at), instant_text(each.ends_at), each.people] for each in shifts]
    return json.dumps(listed, separators=(",", ":"))


def _load_shifts(text: str) -> tuple[Shift, ...]:
    return tuple(
        Shift(begins_at=read_instant(begin), ends_at=read_instant(end), people=tuple(map(str, people)), why=DutyReason.CALENDAR)
        for begin, end, people in json.loads(text)
    )


def _dump_slices(slices: Iterable[Slice]) -> str:
    return json.dumps([[each.number, each.calm, each.urgent] for each in slices], separators=(",", ":"))


def _load_slices(text: str) -> tuple[Slice, ...]:
    return tuple(Slice(number=number, calm=calm, urgent=urgent) for number, calm, urgent in json.loads(text))


def _dump_taken(taken: Iterable[Taken]) -> str:
    return json.dumps([[getattr(each, name) for name in _TAKEN] for each in taken], separators=(",", ":"))


def _load_taken(text: str) -> tuple[Taken, ...]:
    return tuple(Taken(**dict(zip(_TAKEN, each, strict=True))) for each in json.loads(text))


_TAKEN = tuple(Taken.__dataclass_fields__)
