"""Stores the inbound log: the requests that came in through integrations, one row for each kind and incident."""

from collections.abc import Sequence

from notifyflow.core.intake.inbound_log import InboundEffect, InboundEntry, counted
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import InboundEntryRow

_COLUMNS = tuple(InboundEntry.__dataclass_fields__)
_ORDER = tuple(InboundEffect)
_KIND = ("incident_id", "integration", "api_key", "route", "did", "why")
_ENTRIES = Statement(
    lambda param: InboundEntryRow.select(*(getattr(InboundEntryRow, name) for name in _COLUMNS)).where(
        InboundEntryRow.incident_id == param(InboundEntryRow.incident_id)
    )
)


class InboundLog(Repository):
    """Counts requests in the inbound log."""

    def count(self, entries: Sequence[InboundEntry]) -> None:
        """Count requests about incidents that are new or locked: one row for each kind."""
        rows = [tuple(getattr(each, name) for name in _COLUMNS) for each in counted(entries)]
        self._unit.count(InboundEntryRow, _COLUMNS, _KIND, "times", ("left_out", "last_at"), rows)


class InboundLogReader(Reader):
    """Reads the inbound log."""

    def of(self, incident_id: str) -> tuple[InboundEntry, ...]:
        """Return the inbound log of an incident, the earliest first; of one instant, first the request that opened it."""
        found = [InboundEntry(**row) for row in self._source.rows(_ENTRIES(incident_id))]
        return tuple(sorted(found, key=lambda each: (each.first_at, _ORDER.index(each.did))))
