"""Stores arrivals: the requests that came in through integrations, one row for each kind and incident."""

from collections.abc import Sequence

from notifyflow.core.intake.arrivals import Arrival, Did, counted
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import ArrivalRow

_COLUMNS = tuple(Arrival.__dataclass_fields__)
_ORDER = tuple(Did)
_KIND = ("incident_id", "integration", "api_key", "route", "did", "why")
_ARRIVALS = Statement(
    lambda param: ArrivalRow.select(*(getattr(ArrivalRow, name) for name in _COLUMNS)).where(
        ArrivalRow.incident_id == param(ArrivalRow.incident_id)
    )
)


class Arrivals(Repository):
    """Counts arrivals."""

    def count(self, arrivals: Sequence[Arrival]) -> None:
        """Count requests about incidents that are new or locked: one row for each kind."""
        rows = [tuple(getattr(each, name) for name in _COLUMNS) for each in counted(arrivals)]
        self._unit.count(ArrivalRow, _COLUMNS, _KIND, "times", ("left_out", "last_at"), rows)


class Arrived(Reader):
    """Reads arrivals."""

    def of(self, incident_id: str) -> tuple[Arrival, ...]:
        """Return an incident's arrivals, the earliest first; among those of one instant, the one that opened the incident."""
        found = [Arrival(**row) for row in self._source.rows(_ARRIVALS(incident_id))]
        return tuple(sorted(found, key=lambda each: (each.first_at, _ORDER.index(each.did))))
