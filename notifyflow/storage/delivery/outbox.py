"""Stores submissions made in the application's transactions, until the first sweep after their commit."""

from dataclasses import dataclass
from typing import Any

from peewee import IntegerField

from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.storage.session.conditions import is_aside, is_in_quarantine
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import OutboxRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A submission that is to be carried out.

    Attributes:
        policy: The policy of a new incident, as JSON.
        submission: The submission if it repeats the incident's key; None if the incident is new and stored.
    """

    id: str
    incident_id: str
    policy: str
    submission: CheckedIncident | None


_COLUMNS: tuple[Any, ...] = tuple(getattr(OutboxRow, name) for name in Entry.__slots__)
_WAITING = Statement(
    lambda param: (
        OutboxRow.select(*_COLUMNS)
        .where(~is_in_quarantine(OutboxRow.incident_id), ~is_aside(OutboxRow.id))
        .order_by(OutboxRow.id)
        .limit(param(IntegerField()))
    )
)
_REMOVE = Statement(lambda param: OutboxRow.delete().where(OutboxRow.id == param(OutboxRow.id)))
_REMOVE_OF = Statement(lambda param: OutboxRow.delete().where(OutboxRow.incident_id == param(OutboxRow.incident_id)))
_REMOVE_NEW = Statement(
    lambda param: OutboxRow.delete().where(OutboxRow.incident_id == param(OutboxRow.incident_id), OutboxRow.submission.is_null())
)


class Outbox(Repository):
    """Submissions that are to be carried out."""

    def add(self, entry: Entry) -> None:
        """Add an entry."""
        self._unit.insert(OutboxRow, [{name: getattr(entry, name) for name in Entry.__slots__}])

    def waiting(self, *, limit: int) -> tuple[Entry, ...]:
        """Read the entries of incidents that are not quarantined, the oldest first; not locked."""
        return tuple(Entry(**row) for row in self._unit.rows(_WAITING(limit)))

    def remove(self, entry_id: str) -> bool:
        """Remove an entry of a locked incident; return whether it was still there."""
        return self._unit.execute(_REMOVE(entry_id)) > 0

    def remove_new(self, incident_id: str) -> bool:
        """Remove the entry of a locked incident that has paged nobody; return whether there was one."""
        return self._unit.execute(_REMOVE_NEW(incident_id)) > 0

    def remove_of(self, incident_id: str) -> None:
        """Remove the entries of a locked incident that is over."""
        self._unit.execute(_REMOVE_OF(incident_id))
