"""Checks for the heartbeat: whether work is overdue, operations is reached, and who sends the next heartbeat."""

from datetime import datetime
from itertools import groupby
from typing import Any

from peewee import SQL, Expression, Field, Model

from notifyflow.core.delivery.model import REACHING, EscalationState, IncidentState, Severity
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import finds
from notifyflow.storage.tables import AttemptRow, EscalationRow, HeartbeatRow, IncidentRow, NotificationRow, SetAsideRow

_NAME = "heartbeat"
_QUARANTINED_OR_NOT = EscalationRow.is_quarantined.in_((False, True))  # spelt out, since the indexes begin with it
_WITH_OUTCOME = frozenset(EscalationState) - {EscalationState.ACTIVE, EscalationState.CANCELLED}


class HeartbeatChecks(Repository):
    """Checks of the whole database, each from an index; only the heartbeat's own row is locked."""

    def is_left_behind(self, *, before: datetime) -> bool:
        """Return whether a send, lease, decision or round that was due before an instant still waits.

        Damaged rows that are set aside, now or until then, do not count: operations knows of them.
        """

        def is_aside(row_id: Field) -> Any:
            return finds(SetAsideRow.select(SQL("1")).where(SetAsideRow.row_id == row_id, SetAsideRow.until > before))

        return any(
            self._has(model, *where, ~is_aside(row_id))
            for model, row_id, where in (
                (
                    NotificationRow,
                    NotificationRow.id,
                    (NotificationRow.state == SQL("'QUEUED'"), NotificationRow.due_at <= before),
                ),
                (
                    AttemptRow,
                    AttemptRow.notification_id,
                    (AttemptRow.state == SQL("'RUNNING'"), AttemptRow.lease_until <= before),
                ),
                (
                    EscalationRow,
                    EscalationRow.id,
                    (_QUARANTINED_OR_NOT, EscalationRow.next_decision_at <= before, EscalationRow.is_current),
                ),
                (
                    EscalationRow,
                    EscalationRow.id,
                    (_QUARANTINED_OR_NOT, EscalationRow.next_round_at <= before, EscalationRow.is_current),
                ),
                (IncidentRow, IncidentRow.id, (IncidentRow.round_at <= before, IncidentRow.state != IncidentState.RESOLVED)),
            )
        )

    def is_operations_unreached(self) -> bool:
        """Return whether an OPEN operations incident has reached none of its recipients.

        The last round that has ended counts, unless a later one has arrived. Rounds of notices to a recipient with a phone only
        are ignored: notices neither text nor call.
        """
        query = (
            EscalationRow.select(EscalationRow.id, EscalationRow.recipient_id, EscalationRow.state)
            .join(IncidentRow, on=(IncidentRow.id == EscalationRow.incident_id))
            .where(
                IncidentRow.is_operations,
                IncidentRow.state != SQL("'RESOLVED'"),
                IncidentRow.state == IncidentState.OPEN,
                ~((EscalationRow.severity == Severity.WARNING) & (EscalationRow.reason != "")),  # a recipient with a phone only
            )
            .order_by(EscalationRow.recipient_id, EscalationRow.round.desc())
        )
        rounds = self._unit.rows(query)
        newest: list[str] = []
        for _, own in groupby(rounds, lambda row: row["recipient_id"]):
            ended = None
            for each in own:
                newest.append(each["id"])
                if each["state"] in _WITH_OUTCOME:
                    ended = each["state"]
                    break
            if ended is not EscalationState.EXHAUSTED:
                return False
        is_reached = NotificationRow.escalation_id.in_(newest) & NotificationRow.state.in_(REACHING)
        return bool(rounds) and not self._has(NotificationRow, is_reached)

    def is_due(self, *, before: datetime) -> bool:
        """Return whether the last heartbeat was sent before an instant."""
        return not self._has(HeartbeatRow, HeartbeatRow.at > before)

    def claim(self, *, before: datetime, now: datetime) -> bool:
        """Claim the next heartbeat for this process; return False if another process has claimed it."""
        is_claimed = bool(self._unit.execute(HeartbeatRow.update(at=now).where(HeartbeatRow.at <= before)))
        return is_claimed or self._unit.insert_once(HeartbeatRow, {"name": _NAME, "at": now})

    def _has(self, model: type[Model], *where: Expression) -> bool:
        return self._unit.first(model.select(SQL("1").alias("one")).where(*where)) is not None
