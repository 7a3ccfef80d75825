"""Stores the hand-overs that people were told about, or that concerned nobody."""

from collections.abc import Sequence
from datetime import datetime

from peewee import fn

from notifyflow.core.oncall.hand_overs import HandOver
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import first
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import HandOverRow, IncidentRow

_FIELDS = tuple(HandOver.__dataclass_fields__)
_COLUMNS = tuple(getattr(HandOverRow, name) for name in _FIELDS)
_OF = Statement(lambda param: HandOverRow.select(*_COLUMNS).where(HandOverRow.incident_id == param(HandOverRow.incident_id)))


class HandOvers(Repository):
    """Hand-overs that people were told about."""

    def add(self, told: HandOver, incident_id: str) -> bool:
        """Store that an incident reports a hand-over, or that it concerns nobody; return False if that is stored already."""
        row = {name: getattr(told, name) for name in _FIELDS}
        return self._unit.insert_once(HandOverRow, row | {"incident_id": incident_id})

    def handled(self, *, since: datetime) -> dict[str, datetime]:
        """Return the newest hand-over of each schedule after an instant."""
        newest = fn.MAX(HandOverRow.at).alias("at")
        query = HandOverRow.select(HandOverRow.schedule, newest).where(HandOverRow.at > since).group_by(HandOverRow.schedule)
        return {row["schedule"]: row["at"] for row in self._unit.rows(query)}

    def of(self, incident_id: str) -> HandOver | None:
        """Return the hand-over that an incident reports; None if it is deleted."""
        row = first(self._unit.rows(_OF(incident_id)))
        return None if row is None else HandOver(**row)

    def naming(self, recipient_id: str) -> Sequence[tuple[str, HandOver]]:
        """Return the hand-overs from or to a recipient, each with the incident that reports it."""
        query = HandOverRow.select(HandOverRow.incident_id, *_COLUMNS).join(
            IncidentRow, on=(IncidentRow.id == HandOverRow.incident_id)
        )
        found = [(str(row.pop("incident_id")), HandOver(**row)) for row in self._unit.rows(query.order_by(HandOverRow.at))]
        return [(incident_id, each) for incident_id, each in found if recipient_id in (*each.before, *each.after)]
