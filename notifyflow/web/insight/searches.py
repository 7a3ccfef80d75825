"""Reads the search in the URL of a page: the filter of a list, as the API reads it, and the texts of the form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Generic, TypeVar, get_origin
from urllib.parse import urlencode

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import QueryParams

from notifyflow.core.text import cut
from notifyflow.web.delivery.listings import Listing
from notifyflow.web.frame import cursors

L = TypeVar("L", bound=Listing)

_CURSOR = "cursor"
_TIMES = ("since", "until")
_MOST = 50
"""How many texts of a field are read."""
_WRONG = {
    "label": "A label has the form name:value, unlike “{}”.",
    "since": "“{}” is no date and time like 2026-11-28T02:31.",
    "until": "“{}” is no date and time like 2026-11-28T02:31.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(Generic[L]):
    """The search of a page.

    Attributes:
        listing: The part of the list to show.
        fields: The texts of the form, by the names in the URL; empty ones are left out.
        faults: The parts that were left out since they are invalid, in sentences.
    """

    listing: L
    fields: Mapping[str, Sequence[str]]
    faults: tuple[str, ...] = ()

    @property
    def query(self) -> str:
        """The query of a URL with the same search; empty without a filter."""
        return urlencode(self.fields, doseq=True)

    def value(self, name: str) -> str:
        """Return the text of a field; empty if it is left out."""
        return next(iter(self.fields.get(name, ())), "")

    def following(self, place: str) -> str:
        """Return the query of the next page, which begins after a place."""
        return urlencode({**self.fields, _CURSOR: cursors.write(self.listing.mark, place)}, doseq=True)


def read(kind: type[L], params: QueryParams, zone: tzinfo, *, names: Mapping[str, str] = MappingProxyType({})) -> Search[L]:
    """Read the query of a URL; times without a zone are in ``zone``, and ``names`` has the API's names of a page's fields.

    Raises:
        RequestValidationError: When a part of it is invalid.
    """
    fields = _fields(params)
    try:
        return Search(listing=_listing(kind, fields, zone, names), fields=fields)
    except ValidationError as wrong:
        errors = [{**each, "loc": ("query", *each["loc"])} for each in wrong.errors()]
        raise RequestValidationError(errors) from None


def read_valid(kind: type[L], params: QueryParams, zone: tzinfo) -> Search[L]:
    """Read the query of a URL without its invalid parts, which are named; fields that the list does not know are passed over."""
    given = _fields(params)
    known = {name: texts for name, texts in given.items() if name in kind.model_fields}
    try:
        return Search(listing=_listing(kind, known, zone), fields=known)
    except ValidationError as wrong:
        places = {(str(name), int(index[0]) if index else 0) for name, *index in (each["loc"] for each in wrong.errors())}
    valid = {name: [each for index, each in enumerate(texts) if (name, index) not in places] for name, texts in known.items()}
    faults = tuple(_wrong(name, known[name][index]) for name, index in sorted(places))
    fields = {name: texts for name, texts in valid.items() if texts}
    return Search(listing=_listing(kind, fields, zone), fields=fields, faults=faults)


def _wrong(name: str, given: str) -> str:
    return _WRONG.get(name, f"“{{}}” is no {name} here.").format(cut(given, 100))


def _fields(params: QueryParams) -> dict[str, list[str]]:
    """Return the texts of each field that is filled in."""
    found = {name: [text for each in params.getlist(name) if (text := each.strip())] for name in params if name != _CURSOR}
    return {name: texts[:_MOST] for name, texts in found.items() if texts}


def _listing(
    kind: type[L], fields: Mapping[str, Sequence[str]], zone: tzinfo, names: Mapping[str, str] = MappingProxyType({})
) -> L:
    values: dict[str, object] = {}
    for name, texts in fields.items():
        field = kind.model_fields.get(names.get(name, name))
        some = [_aware(each, zone) for each in texts] if name in _TIMES else texts
        values[names.get(name, name)] = some if field and get_origin(field.annotation) is list else some[0]
    return kind.model_validate(values)


def _aware(at: str, zone: tzinfo) -> str:
    """Return a time with its zone, which is the user's if the text has none."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return at
    return at if found.tzinfo else found.replace(tzinfo=zone).isoformat()
