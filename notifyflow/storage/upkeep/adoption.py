"""Stores the database's environment, and the incidents quarantined since it was adopted."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from peewee import SQL, fn

from notifyflow.core.delivery.model import IN_PROGRESS
from notifyflow.storage.session.conditions import IS_UNRESOLVED, QUEUED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import (
    EnvironmentRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    QuarantineRow,
)


def _marking(model: Any) -> Statement:
    return Statement(
        lambda param: model.update(is_quarantined=param(model.is_quarantined)).where(param.any_of(model.incident_id))
    )


_QUARANTINED_AMONG = Statement(
    lambda param: QuarantineRow.select(QuarantineRow.incident_id).where(param.any_of(QuarantineRow.incident_id))
)
_RELEASE = Statement(lambda param: QuarantineRow.delete().where(param.any_of(QuarantineRow.incident_id)))
_QUEUED_OF = Statement(
    lambda param: NotificationRow.select(NotificationRow.id).where(QUEUED, param.any_of(NotificationRow.incident_id))
)
_MARKING = tuple(map(_marking, (EscalationRow, NotificationRow)))


class Adopted(Reader):
    """Reads the environment and the quarantine."""

    def environment(self) -> str | None:
        """Return the database's environment, or None."""
        row = self._source.first(EnvironmentRow.select(EnvironmentRow.name))
        return None if row is None else str(row["name"])

    def is_quarantined(self, incident_id: str) -> bool:
        """Return whether an incident is quarantined."""
        return bool(self.quarantined_among([incident_id]))

    def quarantined_count(self) -> int:
        """Count the incidents that are quarantined."""
        return int(self._source.scalar(QuarantineRow.select(fn.COUNT(SQL("*")))))

    def quarantined_among(self, incident_ids: Collection[str]) -> frozenset[str]:
        """Return the quarantined incidents among some incidents."""
        return frozenset(row["incident_id"] for row in self._source.rows(_QUARANTINED_AMONG(sorted(incident_ids))))


class Adoption(Repository, Adopted):
    """The environment and the quarantined incidents."""

    def set_environment(self, name: str | None, *, at: datetime) -> None:
        """Set the database's environment; None removes it."""
        self._unit.execute(EnvironmentRow.delete())
        if name is not None:
            self.begin_environment(name, at=at)

    def begin_environment(self, name: str, *, at: datetime) -> None:
        """Set the database's environment, unless it is set."""
        self._unit.insert_once(EnvironmentRow, {"one": 1, "name": name, "since": at})

    def quarantine_unfinished(self, *, at: datetime) -> int:
        """Quarantine the ``unfinished`` incidents; return how many are quarantined now."""
        unfinished = self.unfinished()
        self._unit.insert(QuarantineRow, [{"incident_id": incident_id, "quarantined_at": at} for incident_id in unfinished])
        self._mark(unfinished, is_quarantined=True)
        return self.quarantined_count()

    def unfinished(self) -> Sequence[str]:
        """List the incidents that are unresolved or have a notification in progress; quarantined ones are left out."""
        in_progress = NotificationRow.select(NotificationRow.incident_id).where(NotificationRow.state.in_(IN_PROGRESS))
        is_unfinished = IS_UNRESOLVED | IncidentRow.id.in_(in_progress)
        found = IncidentRow.select(IncidentRow.id).where(
            is_unfinished, IncidentRow.id.not_in(QuarantineRow.select(QuarantineRow.incident_id))
        )
        return [row["id"] for row in self._unit.rows(found.order_by(IncidentRow.id))]

    def quarantined(self) -> Sequence[str]:
        """List the incidents that are quarantined, the oldest first."""
        return [row["incident_id"] for row in self._unit.rows(QuarantineRow.select().order_by(QuarantineRow.incident_id))]

    def release(self, incident_ids: Sequence[str]) -> None:
        """Release incidents from quarantine; the next sweep rings for their due notifications.

        The caller has stored how long they were quarantined (``keep_quarantined``), so that this time does not make them late.
        """
        self._unit.execute(_RELEASE(incident_ids))
        self._mark(incident_ids, is_quarantined=False)
        self._unit.mark_rung([row["id"] for row in self._unit.rows(_QUEUED_OF(incident_ids))], None)

    def _mark(self, incident_ids: Sequence[str], *, is_quarantined: bool) -> None:
        """Mark the rows of incidents that enter or leave the quarantine.

        A row that another transaction stores meanwhile has no mark; the searches also look into the table of quarantined
        incidents.
        """
        for marking in _MARKING:
            self._unit.execute(marking(is_quarantined, incident_ids))
