"""Forgets a person: overwrites the columns that are marked as personal, or deletes their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from peewee import SQL, Model, fn

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.storage import tables
from notifyflow.storage.session.conditions import IS_UNRESOLVED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import select
from notifyflow.storage.tables import (
    AttemptRow,
    ContactRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    ReceiptRow,
    StepContactRow,
    WatchedJobRow,
)
from notifyflow.storage.tables.fields import MarkedField, OnForget
from notifyflow.storage.tables.incidents import FORGOTTEN


def marks(model: Any) -> dict[str, Any]:
    """Return the marks of a model's personal columns, by column."""
    fields = [field for field in model._meta.sorted_fields if isinstance(field, MarkedField)]
    return {field.name: field.forgotten_as for field in fields if field.is_personal}


def _replacements(model: type[Model]) -> dict[str, Any]:
    return {name: mark for name, mark in marks(model).items() if not isinstance(mark, OnForget)}


_MODELS = [getattr(tables, name) for name in tables.__all__]
_PEOPLE = (ContactRow, StepContactRow)
_DELETED = [model for model in _MODELS if OnForget.DELETE_ROW in marks(model).values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The data found of a person.

    Attributes:
        incidents: How many incidents the person was removed from.
        is_known: Whether anything was found, even if only a user of the dashboard.
    """

    incidents: int
    is_known: bool


class Recipients(Repository):
    """Reads and overwrites the data of one person."""

    def unresolved_of(self, recipient_id: str) -> Sequence[tuple[str, str]]:
        """List the unresolved incidents that may page a recipient, by namespace and key."""
        theirs = (model.select(model.incident_id).where(model.recipient_id == recipient_id) for model in _PEOPLE)
        query = (
            IncidentRow.select(IncidentRow.namespace, IncidentRow.key)
            .where(reduce(or_, (IncidentRow.id.in_(each) for each in theirs)), IS_UNRESOLVED)
            .order_by(IncidentRow.key, IncidentRow.namespace)
        )
        return [(row["namespace"], row["key"]) for row in self._unit.rows(query)]

    def lock_in_progress(self, recipient_id: str) -> tuple[NotificationFacts, ...]:
        """Lock and read a recipient's queued and sending notifications."""
        theirs = EscalationRow.select(EscalationRow.id).where(EscalationRow.recipient_id == recipient_id)
        in_progress = NotificationRow.state.in_(("QUEUED", "SENDING"))
        query = select(NotificationFacts, NotificationRow.escalation_id.in_(theirs), in_progress)
        return tuple(self._unit.read(NotificationFacts, self._unit.locked(query.order_by(NotificationRow.id))))

    def forget(self, recipient_id: str) -> Forgotten:
        """Overwrite the personal columns of a recipient's contacts and of the receipts of their messages; delete their numbers.

        What a job has said is overwritten if it has an address of theirs.

        The content of an incident is overwritten, too, once all its recipients are forgotten. The log keeps its opaque ids.
        Unresolved incidents, which may just have been opened, stay as they are.
        """
        is_over = ContactRow.incident_id.in_(IncidentRow.select(IncidentRow.id).where(~IS_UNRESOLVED))
        is_theirs = (ContactRow.recipient_id == recipient_id) & is_over
        incidents = ContactRow.select(ContactRow.incident_id).where(is_theirs)
        self._forget_receipts(recipient_id)
        deleted = sum(self._unit.execute(model.delete().where(model.recipient_id == recipient_id)) for model in _DELETED)
        count = self._unit.execute(ContactRow.update(_replacements(ContactRow)).where(is_theirs))
        over = IncidentRow.select(IncidentRow.id).where(~IS_UNRESOLVED)
        is_given = (StepContactRow.recipient_id == recipient_id) & StepContactRow.incident_id.in_(over)
        deleted += self._unit.execute(StepContactRow.update(_replacements(StepContactRow)).where(is_given))
        kept = ContactRow.alias()
        is_shared = fn.EXISTS(kept.select(SQL("1")).where(kept.incident_id == IncidentRow.id, kept.name != FORGOTTEN))
        self._unit.execute(IncidentRow.update(_replacements(IncidentRow)).where(IncidentRow.id.in_(incidents), ~is_shared))
        return Forgotten(incidents=count, is_known=count + deleted > 0)

    def _forget_receipts(self, recipient_id: str) -> None:
        attempts = (
            AttemptRow.select(AttemptRow.id)
            .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
            .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
            .where(EscalationRow.recipient_id == recipient_id)
        )
        is_theirs, found = ReceiptRow.matched_attempt_id.in_(attempts), list[str]()
        for row in self._unit.rows(ContactRow.select(ContactRow.addresses).where(ContactRow.recipient_id == recipient_id)):
            for address in row["addresses"].values():
                is_theirs |= ReceiptRow.body.contains(address.lstrip("+"))  # also in the spelling of a form
                found.append(address)
        self._unit.execute(ReceiptRow.update(_replacements(ReceiptRow)).where(ReceiptRow.body != SQL("''"), is_theirs))
        for address in found:
            is_named = WatchedJobRow.output.contains(address)
            self._unit.execute(WatchedJobRow.update(_replacements(WatchedJobRow)).where(is_named))
