"""Whose database it is, which incidents are quarantined, and what of a person is overwritten when they are to be forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import SQL, fn

from notifyflow.core.facts import NotificationFacts
from notifyflow.core.model import IN_PROGRESS
from notifyflow.storage.models import (
    AttemptRow,
    ContactRow,
    EnvironmentRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    NumberRow,
    QuarantineRow,
    ReceiptRow,
    ReplyCodeRow,
)
from notifyflow.storage.moves import Moves
from notifyflow.storage.rows import IS_UNRESOLVED, Rows, select
from notifyflow.storage.turns import QUEUED

FORGOTTEN = "forgotten"
"""What stands in the place of a name, and of a title."""


class Environments(Rows):
    """Whose database it is, and what is quarantined since it was adopted."""

    def environment(self) -> str | None:
        """Tell which environment the database belongs to; None while nobody has said."""
        row = self._first(EnvironmentRow.select(EnvironmentRow.name))
        return None if row is None else str(row["name"])

    def is_quarantined(self, incident_id: str) -> bool:
        """Return whether an incident is quarantined: nothing of it is sent since the database was adopted."""
        query = QuarantineRow.select(QuarantineRow.incident_id).where(QuarantineRow.incident_id == incident_id)
        return self._first(query) is not None

    def quarantined_count(self) -> int:
        """Count the incidents that are quarantined."""
        return int(self._scalar(QuarantineRow.select(fn.COUNT(SQL("*")))))


class Adoption(Environments, Moves):
    """The environment, the quarantined incidents, the forgotten."""

    def set_environment(self, name: str | None, *, at: datetime) -> None:
        """Say which environment the database belongs to from now on; None for one without a name."""
        EnvironmentRow.delete().execute(self._db)
        if name is not None:
            self.begin_environment(name, at=at)

    def begin_environment(self, name: str, *, at: datetime) -> None:
        """Say which environment the database belongs to; where somebody has, that one counts."""
        self._insert_once(EnvironmentRow, {"one": 1, "name": name, "since": at})

    def quarantine_unfinished(self, *, at: datetime) -> int:
        """Quarantine the incidents that ``unfinished`` lists; return how many are quarantined now."""
        self._insert(QuarantineRow, [{"incident_id": incident_id, "quarantined_at": at} for incident_id in self.unfinished()])
        return self.quarantined_count()

    def unfinished(self) -> Sequence[str]:
        """List the incidents that are unresolved or have a notification in progress, without those in quarantine."""
        in_progress = NotificationRow.select(NotificationRow.incident_id).where(NotificationRow.state.in_(IN_PROGRESS))
        is_unfinished = IS_UNRESOLVED | IncidentRow.id.in_(in_progress)
        found = IncidentRow.select(IncidentRow.id).where(
            is_unfinished, IncidentRow.id.not_in(QuarantineRow.select(QuarantineRow.incident_id))
        )
        return [row["id"] for row in self._rows(found.order_by(IncidentRow.id))]

    def quarantined(self) -> Sequence[str]:
        """List the incidents that are quarantined, the oldest first."""
        return [row["incident_id"] for row in self._rows(QuarantineRow.select().order_by(QuarantineRow.incident_id))]

    def lock_queued(self, incident_id: str) -> tuple[NotificationFacts, ...]:
        """Lock and read what of an incident is queued."""
        query = select(NotificationFacts, NotificationRow.incident_id == incident_id, QUEUED)
        return self._notifications(self._locked(query.order_by(NotificationRow.id)))

    def release_from_quarantine(self, incident_ids: Sequence[str]) -> None:
        """Release incidents from quarantine; the next sweep rings for their due notifications.

        Whoever calls has kept how long they were quarantined (``keep_quarantined``), so that nothing of them is late by it.
        """
        QuarantineRow.delete().where(QuarantineRow.incident_id.in_(incident_ids)).execute(self._db)
        rung = QUEUED & NotificationRow.incident_id.in_(incident_ids)
        NotificationRow.update(rung_at=None).where(rung).execute(self._db)

    def unresolved_of(self, recipient_id: str) -> Sequence[tuple[str, str]]:
        """List the incidents, not resolved, that a recipient is paged for, by namespace and key."""
        query = (
            IncidentRow.select(IncidentRow.namespace, IncidentRow.key)
            .join(ContactRow, on=(ContactRow.incident_id == IncidentRow.id))
            .where(ContactRow.recipient_id == recipient_id, IS_UNRESOLVED)
            .order_by(IncidentRow.key, IncidentRow.namespace)
        )
        return [(row["namespace"], row["key"]) for row in self._rows(query)]

    def lock_in_progress_of(self, recipient_id: str) -> tuple[NotificationFacts, ...]:
        """Lock and read what is queued for a recipient, or just being sent to them."""
        theirs = EscalationRow.select(EscalationRow.id).where(EscalationRow.recipient_id == recipient_id)
        in_progress = NotificationRow.state.in_(("QUEUED", "SENDING"))
        query = select(NotificationFacts, NotificationRow.escalation_id.in_(theirs), in_progress)
        return self._notifications(self._locked(query.order_by(NotificationRow.id)))

    def forget(self, recipient_id: str) -> int:
        """Overwrite a recipient's name and addresses, and what providers wrote about their messages; their short codes go.

        What an incident said goes, too, where nobody is left who is not forgotten; the log keeps its opaque ids. An incident that
        is not resolved, since somebody may just have opened it, is left alone.

        Returns:
            From how many incidents they were removed.
        """
        is_over = ContactRow.incident_id.in_(IncidentRow.select(IncidentRow.id).where(~IS_UNRESOLVED))
        is_theirs = (ContactRow.recipient_id == recipient_id) & is_over
        incidents = ContactRow.select(ContactRow.incident_id).where(is_theirs)
        self._forget_receipts(recipient_id)
        ReplyCodeRow.delete().where(ReplyCodeRow.recipient_id == recipient_id).execute(self._db)
        NumberRow.delete().where(NumberRow.recipient_id == recipient_id).execute(self._db)
        count = ContactRow.update(name=FORGOTTEN, addresses={}, timezone="UTC").where(is_theirs).execute(self._db)
        kept = ContactRow.alias()
        is_shared = fn.EXISTS(kept.select(SQL("1")).where(kept.incident_id == IncidentRow.id, kept.name != FORGOTTEN))
        said: dict[str, Any] = {"said_title": FORGOTTEN, "said_body": "", "said_source": "", "said_url": None, "said_labels": {}}
        IncidentRow.update(said).where(IncidentRow.id.in_(incidents), ~is_shared).execute(self._db)
        return int(count)

    def _forget_receipts(self, recipient_id: str) -> None:
        attempts = (
            AttemptRow.select(AttemptRow.id)
            .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
            .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
            .where(EscalationRow.recipient_id == recipient_id)
        )
        is_theirs = ReceiptRow.matched_attempt_id.in_(attempts)
        for row in self._rows(ContactRow.select(ContactRow.addresses).where(ContactRow.recipient_id == recipient_id)):
            for address in row["addresses"].values():
                is_theirs |= ReceiptRow.body.contains(address.lstrip("+"))  # as a form spells a number, too
        ReceiptRow.update(body="").where(ReceiptRow.body != SQL("''"), is_theirs).execute(self._db)
