"""Deletes old rows, a few rounds in each transaction; the rows are consistent after each."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL, Expression, Model, Select, Tuple, fn

from notifyflow.core.delivery.model import IN_PROGRESS
from notifyflow.storage.metrics.rollup import Rollups, is_counted
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.tables import (
    AttemptRow,
    ContactRow,
    CriticalRow,
    EscalationRow,
    HandOverRow,
    InboundEntryRow,
    IncidentRow,
    LaneRow,
    NoticeRow,
    NotificationRow,
    NumberRow,
    PolicyRow,
    ReceiptRow,
    SilencedIncidentRow,
    SilenceRow,
    StepContactRow,
    StepRow,
    TransitionRow,
)

_UNUSED_FOR = timedelta(hours=1)
_ROW_LOCK: Any = "FOR UPDATE"  # stronger than elsewhere: inserts of rows that refer to deleted ones must wait, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows of each kind were deleted, or would be.

    Attributes:
        incidents: Incidents, with their content and contacts.
        transitions: Lines of the log.
        notices: Notices to operations.
    """

    incidents: int = 0
    escalations: int = 0
    notifications: int = 0
    attempts: int = 0
    receipts: int = 0
    transitions: int = 0
    notices: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})

    def __bool__(self) -> bool:
        return any(astuple(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneStep:
    """The result of one step of a prune, and where the next one begins.

    Attributes:
        cursor: (resolved_at, id) of the last incident that was handled; None after the last step.
    """

    pruned: Pruned
    cursor: tuple[datetime, str] | None


class Pruning(Repository):
    """Deletes old rows."""

    def incidents(self, cursor: tuple[datetime, str], *, before: datetime, limit: int) -> PruneStep:
        """Delete some incidents resolved before an instant, the oldest first; skip those that are locked.

        Args:
            cursor: The end of the last step.
            before: Incidents resolved later stay.
            limit: How many incidents are read, and how many of their escalations deleted, at most.
        """
        query = old_incidents(cursor, before=before, limit=limit, is_server=bool(self._unit.db.for_update))
        found = self._unit.rows(query.for_update(_ROW_LOCK, skip_locked=True) if self._unit.db.for_update else query)
        if not found:
            return PruneStep(pruned=Pruned(), cursor=None)
        ids = [row["id"] for row in found]
        rounds = self._unit.rows(EscalationRow.select(EscalationRow.id).where(EscalationRow.incident_id.in_(ids)).limit(limit))
        pruned = self._delete_rounds([row["id"] for row in rounds]) + self._delete_emptied(ids)
        Rollups(self._unit).follow_deletions()
        is_done = pruned.incidents == len(ids)
        return PruneStep(pruned=pruned, cursor=(found[-1]["resolved_at"], ids[-1]) if is_done else cursor)

    def strays(self, *, before: datetime, limit: int) -> Pruned:
        """Delete some foreign receipts and counted notices from before an instant.

        Numbers that were last texted before it, earlier hand-overs, lanes without a storm since, and silences that are over and
        hold no kept incident are deleted, too; opt-outs stay.
        """
        self._delete(NumberRow, NumberRow.texted_at < before)
        self._delete(HandOverRow, HandOverRow.at < before)
        self._delete(LaneRow, fn.COALESCE(LaneRow.left_at, LaneRow.urgent_from, LaneRow.calm_from) < before)
        held = SilencedIncidentRow.select(SQL("1")).where(SilencedIncidentRow.silence_id == SilenceRow.id)
        self._delete(SilenceRow, (SilenceRow.ends_at < before) & SilenceRow.due_at.is_null() & ~fn.EXISTS(held))
        key = Tuple(ReceiptRow.provider, ReceiptRow.event_id)
        strays = ReceiptRow.select(ReceiptRow.provider, ReceiptRow.event_id).where(_is_stray(before)).limit(limit)
        return Pruned(
            receipts=self._delete(ReceiptRow, key.in_(strays)), notices=self._delete(NoticeRow, _is_told_notice(before))
        )

    def policies(self, *, now: datetime) -> None:
        """Delete policies that no row has referred to for an hour, and note since when others are unused.

        A transaction that found a policy in use may still store a row that refers to it; it ends long before the hour does.
        """
        is_used = _refers(IncidentRow) | _refers(EscalationRow)
        self._unit.execute(PolicyRow.update(unused_since=now).where(PolicyRow.unused_since.is_null(), ~is_used))
        self._delete(PolicyRow, (PolicyRow.unused_since < now - _UNUSED_FOR) & ~is_used)

    def _delete_rounds(self, ids: Sequence[str]) -> Pruned:
        notifications, attempts = _belongings(EscalationRow.id.in_(ids))
        self._delete(CriticalRow, CriticalRow.escalation_id.in_(ids))
        lines = self._delete(TransitionRow, TransitionRow.row_id.in_(notifications))
        return Pruned(
            transitions=lines + self._delete(TransitionRow, TransitionRow.row_id.in_(ids)),
            receipts=self._delete(ReceiptRow, ReceiptRow.matched_attempt_id.in_(attempts)),
            attempts=self._delete(AttemptRow, AttemptRow.notification_id.in_(notifications)),
            notifications=self._delete(NotificationRow, NotificationRow.escalation_id.in_(ids)),
            escalations=self._delete(EscalationRow, EscalationRow.id.in_(ids)),
        )

    def _delete_emptied(self, ids: Sequence[str]) -> Pruned:
        """Delete the incidents that have no escalation left."""
        query = EscalationRow.select(EscalationRow.incident_id).where(EscalationRow.incident_id.in_(ids)).distinct()
        kept = {row["incident_id"] for row in self._unit.rows(query)}
        emptied = [each for each in ids if each not in kept]
        self._delete(ContactRow, ContactRow.incident_id.in_(emptied))
        self._delete(InboundEntryRow, InboundEntryRow.incident_id.in_(emptied))
        self._delete(StepContactRow, StepContactRow.incident_id.in_(emptied))
        self._delete(StepRow, StepRow.incident_id.in_(emptied))
        self._delete(SilencedIncidentRow, SilencedIncidentRow.incident_id.in_(emptied))
        return Pruned(
            transitions=self._delete(TransitionRow, TransitionRow.incident_id.in_(emptied)),
            incidents=self._delete(IncidentRow, IncidentRow.id.in_(emptied)),
        )

    def _delete(self, model: type[Model], where: Expression) -> int:
        return self._unit.execute(model.delete().where(where))


class Prunable(Reader):
    """Counts what a prune would delete."""

    def incidents(self, cursor: tuple[datetime, str], *, before: datetime, limit: int) -> PruneStep:
        """Count some incidents resolved before an instant, as ``Pruning.incidents`` would delete them."""
        found = self._source.rows(old_incidents(cursor, before=before, limit=limit))
        if not found:
            return PruneStep(pruned=Pruned(), cursor=None)
        ids = [row["id"] for row in found]
        notifications, attempts = _belongings(EscalationRow.incident_id.in_(ids))
        pruned = Pruned(
            incidents=len(ids),
            transitions=self._count(TransitionRow, TransitionRow.incident_id.in_(ids)),
            receipts=self._count(ReceiptRow, ReceiptRow.matched_attempt_id.in_(attempts)),
            attempts=self._count(AttemptRow, AttemptRow.notification_id.in_(notifications)),
            notifications=self._count(NotificationRow, NotificationRow.incident_id.in_(ids)),
            escalations=self._count(EscalationRow, EscalationRow.incident_id.in_(ids)),
        )
        return PruneStep(pruned=pruned, cursor=(found[-1]["resolved_at"], ids[-1]))

    def strays(self, *, before: datetime) -> Pruned:
        """Count the rows that ``Pruning.strays`` would delete in all its steps."""
        return Pruned(
            receipts=self._count(ReceiptRow, _is_stray(before)), notices=self._count(NoticeRow, _is_told_notice(before))
        )

    def _count(self, model: type[Model], where: Expression) -> int:
        return int(self._source.scalar(model.select(fn.COUNT(1)).where(where)))


def old_incidents(cursor: tuple[datetime, str], *, before: datetime, limit: int, is_server: bool | None = None) -> Select:
    """Select the incidents that may be deleted, the oldest first.

    They were resolved before an instant and have no queued or sending notification. No unresolved operations incident is linked
    to their failures, and no kept failure is linked to them. With ``is_server`` their lines must be counted; None skips that
    condition, since a prune counts the lines before it deletes.
    """
    resolved_at, incident_id = cursor
    operations = IncidentRow.alias()
    is_later = (IncidentRow.resolved_at > resolved_at) | (IncidentRow.id > incident_id)
    is_ahead = (IncidentRow.resolved_at >= resolved_at) & is_later
    in_hand = NotificationRow.select(SQL("1")).where(
        NotificationRow.incident_id == IncidentRow.id, NotificationRow.state.in_(IN_PROGRESS)
    )
    told = (
        EscalationRow.select(SQL("1"))
        .join(CriticalRow, on=(CriticalRow.escalation_id == EscalationRow.id))
        .join(operations, on=(operations.id == CriticalRow.operations_incident_id))
        .where(EscalationRow.incident_id == IncidentRow.id, operations.state != SQL("'RESOLVED'"))
    )
    linked = CriticalRow.select(SQL("1")).where(CriticalRow.operations_incident_id == IncidentRow.id)
    return (
        IncidentRow.select(IncidentRow.id, IncidentRow.resolved_at)
        .where(
            IncidentRow.state == SQL("'RESOLVED'"),
            IncidentRow.resolved_at < before,
            is_ahead,
            ~fn.EXISTS(in_hand),
            ~fn.EXISTS(told),
            ~fn.EXISTS(linked),
            *(() if is_server is None else (is_counted(IncidentRow.id, is_server=is_server),)),
        )
        .order_by(IncidentRow.resolved_at, IncidentRow.id)
        .limit(limit)
    )


def _belongings(where: Expression) -> tuple[Select, Select]:
    """Select the ids of the notifications, and of the attempts, of some escalations."""
    notifications = NotificationRow.select(NotificationRow.id).where(
        NotificationRow.escalation_id.in_(EscalationRow.select(EscalationRow.id).where(where))
    )
    return notifications, AttemptRow.select(AttemptRow.id).where(AttemptRow.notification_id.in_(notifications))


def _refers(model: Any) -> Any:
    """Return the condition that a row of a table refers to a policy."""
    is_digest = fn.LENGTH(model.policy) == SQL("64")  # as the index has it
    return fn.EXISTS(model.select(SQL("1")).where(model.policy == PolicyRow.digest, is_digest))


def _is_stray(before: datetime) -> Expression:
    return (ReceiptRow.state == SQL("'foreign'")) & (ReceiptRow.received_at < before)


def _is_told_notice(before: datetime) -> Expression:
    return NoticeRow.is_counted & (NoticeRow.at < before)
