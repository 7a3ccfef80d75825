"""Stores what came in through integrations, a row for each kind of request and incident."""

from collections.abc import Sequence

from notifyflow.core.intake.arrivals import Arrival, Did, counted
from notifyflow.storage.session.parts import Part
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


class Arrivals(Part):
    """Counts what comes in."""

    def count(self, arrivals: Sequence[Arrival]) -> None:
        """Count requests about incidents that are locked, or new: one row for each kind."""
        rows = [tuple(getattr(each, name) for name in _COLUMNS) for each in counted(arrivals)]
        self._unit.count(ArrivalRow, _COLUMNS, _KIND, "times", ("left_out", "last_at"), rows)


class Arrived(Reader):
    """Reads what came in."""

    def of(self, incident_id: str) -> tuple[Arrival, ...]:
        """Return what came in about an incident, the earliest first; of what came at once, what opened it."""
        found = [Arrival(**row) for row in self._source.rows(_ARRIVALS(incident_id))]
        return tuple(sorted(found, key=lambda each: (each.first_at, _ORDER.index(each.did))))
