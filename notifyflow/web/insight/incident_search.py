"""Reads the filter of the list of incidents from the query of its URL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from notifyflow.core.delivery.model import IncidentState, Severity
from notifyflow.core.insight.views import IncidentFilter, ListPlace
from notifyflow.errors import InvalidRequest
from notifyflow.web.frame import cursors

E = TypeVar("E", bound=StrEnum)

_LONGEST = 200
_MOST_LABELS = 10
_YEARS = range(1971, 9999)
"""Years whose times every zone and both databases can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentSearch:
    """A visitor's search for incidents.

    Attributes:
        states: These states; empty for all.
        severities: These severities; empty for all.
        recipient: A recipient's id.
        labels: Labels as ``name:value``.
        since: The beginning of the time, as the field of the form has it.
        until: The end of it.
        text: A part of the title, the key or the source.
        faults: Invalid parts of the query, in sentences; they are left out of the search.
    """

    states: tuple[IncidentState, ...] = ()
    severities: tuple[Severity, ...] = ()
    recipient: str = ""
    labels: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    text: str = ""
    faults: tuple[str, ...] = field(default=(), compare=False)

    @property
    def query(self) -> str:
        """The query of a URL with the same search; empty without a filter."""
        pairs = [
            *(("state", each) for each in self.states),
            *(("severity", each) for each in self.severities),
            ("recipient", self.recipient),
            *(("label", each) for each in self.labels),
            ("since", self.since),
            ("until", self.until),
            ("text", self.text),
        ]
        return urlencode([(name, value) for name, value in pairs if value])

    @property
    def has_details(self) -> bool:
        """Whether it filters by more than states and text."""
        return bool(self.severities or self.recipient or self.labels or self.since or self.until)

    def filter(self, namespaces: frozenset[str] | None, zone: tzinfo) -> IncidentFilter:
        """Return it as a filter of some namespaces' incidents (None for all); times without a zone are in ``zone``."""
        return IncidentFilter(
            states=frozenset(self.states),
            severities=frozenset(self.severities),
            namespaces=namespaces,
            labels=frozenset((name, value) for name, _, value in (each.partition(":") for each in self.labels)),
            recipient_id=self.recipient or None,
            since=_instant(self.since, zone),
            until=_instant(self.until, zone),
            text=self.text,
        )

    def read_place(self, cursor: str | None) -> ListPlace | None:
        """Return where the page before ended; None for the first page, or if the cursor belongs to another search."""
        try:
            state, _, incident_id = cursors.read(self.query, cursor).partition(" ")
            return ListPlace(state=IncidentState(state), incident_id=incident_id)
        except (InvalidRequest, ValueError):  # of another search, or forged
            return None

    def following(self, place: ListPlace) -> str:
        """Return the query of the next page."""
        cursor = urlencode({"cursor": cursors.write(self.query, f"{place.state} {place.incident_id}")})
        return f"{self.query}&{cursor}" if self.query else cursor


def read(params: QueryParams) -> IncidentSearch:
    """Read the query of a URL; invalid parts are named, and left out."""
    faults: list[str] = []
    labels = _texts(params.getlist("label"))[:_MOST_LABELS]
    faults += [f"A label has the form name:value, unlike “{each}”." for each in labels if not _is_label(each)]
    times = {name: _first(params, name) for name in ("since", "until")}
    unclear = {name: value for name, value in times.items() if not _is_time(value)}
    faults += [f"“{value}” is no date and time like 2026-11-28T02:31." for value in unclear.values()]
    return IncidentSearch(
        states=_members(IncidentState, params.getlist("state")),
        severities=_members(Severity, params.getlist("severity")),
        recipient=_first(params, "recipient"),
        labels=tuple(each for each in labels if _is_label(each)),
        **{name: "" if name in unclear else value for name, value in times.items()},
        text=_first(params, "text"),
        faults=tuple(faults),
    )


def _members(enum: type[E], values: Iterable[str]) -> tuple[E, ...]:
    wanted = set(values)
    return tuple(member for member in enum if member.value in wanted)


def _texts(values: Iterable[str]) -> Sequence[str]:
    return [text for each in values if (text := each.strip()[:_LONGEST])]


def _first(params: QueryParams, name: str) -> str:
    return next(iter(_texts(params.getlist(name))), "")


def _is_label(text: str) -> bool:
    name, colon, _ = text.partition(":")
    return bool(name and colon)


def _is_time(value: str) -> bool:
    try:
        return not value or datetime.fromisoformat(value).year in _YEARS
    except ValueError:
        return False


def _instant(value: str, zone: tzinfo) -> datetime | None:
    if not value:
        return None
    at = datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=zone)
