"""Stores damaged rows that are set aside.

Of a damaged row it reads only ids and words, as text, and no value that may be damaged.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from peewee import SQL, IntegerField, Select

from notifyflow.core.delivery import set_aside
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts, StepFacts
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.storage.dialects.dialect import execute
from notifyflow.storage.session.conditions import IS_UNRESOLVED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import CONTACT, CONTENT_FIELDS, Reader, select
from notifyflow.storage.session.statements import Parameters, Statement, left_out
from notifyflow.storage.tables import (
    ApiKeyRow,
    CalendarRow,
    ContactRow,
    EscalationRow,
    FeedRow,
    IncidentRow,
    NotificationRow,
    OverrideRow,
    PauseRow,
    ProviderHealthRow,
    SetAsideRow,
    SilenceRow,
    StepRow,
    UserRow,
    WatchedJobRow,
)
from notifyflow.storage.tables.table import Table

LOOKED_AT = 500
"""How many rows of a large table are searched."""

_SMALL = (
    UserRow,
    ApiKeyRow,
    FeedRow,
    OverrideRow,
    CalendarRow,
    PauseRow,
    SilenceRow,
    ProviderHealthRow,
    SetAsideRow,
    WatchedJobRow,
)
_CONTENT = tuple(getattr(IncidentRow, f"content_{name}") for name in CONTENT_FIELDS)


def _all_of(model: type[Table], _: Parameters) -> Select:
    return model.select()


def _newest(query: Select, key: Any) -> Statement:
    """Build the search for the newest rows of a table; its value is their number."""
    return Statement(lambda param: query.order_by(key.desc()).limit(param(IntegerField())))


_INCIDENTS = _newest(select(IncidentFacts, IS_UNRESOLVED).select_extend(*_CONTENT), IncidentRow.id)
_NEWEST: Mapping[Any, Statement] = {
    EscalationFacts: _newest(select(EscalationFacts), EscalationRow.id),
    NotificationFacts: _newest(select(NotificationFacts), NotificationRow.id),
    StepFacts: _newest(select(StepFacts), StepRow.id),
}
_CONTACTS = _newest(ContactRow.select(ContactRow.incident_id, *CONTACT), ContactRow.incident_id)
_ALL = tuple(Statement(partial(_all_of, model)) for model in _SMALL)
_IS_ASIDE = SetAsideRow.is_aside == SQL("TRUE")
_COLUMNS = tuple(getattr(SetAsideRow, field.name) for field in fields(SetAside))
_PAGE = """
    SELECT n.id, n.incident_id, CASE n.kind WHEN 'page' THEN n.escalation_id ELSE '' END, n.severity, i.is_operations
    FROM notifyflow_notification n JOIN notifyflow_incident i ON i.id = n.incident_id
"""
_FOUND: Mapping[str, str] = {
    "notification": f"{_PAGE} WHERE n.id = ?",
    "attempt": f"{_PAGE} JOIN notifyflow_attempt a ON a.notification_id = n.id WHERE a.id = ?",
    "escalation": """
        SELECT e.id, e.incident_id, e.id, e.severity, i.is_operations
        FROM notifyflow_escalation e JOIN notifyflow_incident i ON i.id = e.incident_id WHERE e.id = ?
    """,
    "incident": "SELECT i.id, i.id, '', i.severity, i.is_operations FROM notifyflow_incident i WHERE i.id = ?",
    "key": """
        SELECT i.id, i.id, '', i.severity, i.is_operations FROM notifyflow_incident i
        WHERE i.namespace = ? AND i.key = ? AND i.state <> 'RESOLVED'
    """,
    "step": """
        SELECT i.id, i.id, '', i.severity, i.is_operations
        FROM notifyflow_step s JOIN notifyflow_incident i ON i.id = s.incident_id WHERE s.id = ?
    """,
    "outbox": """
        SELECT o.id, o.incident_id, '', i.severity, i.is_operations
        FROM notifyflow_outbox o JOIN notifyflow_incident i ON i.id = o.incident_id WHERE o.id = ?
    """,
    "receipt": """
        SELECT r.event_id, COALESCE(n.incident_id, ''), '', 'INFO', FALSE FROM notifyflow_receipt r
        LEFT JOIN notifyflow_attempt a ON a.provider = r.provider AND a.provider_ref = r.provider_ref
        LEFT JOIN notifyflow_notification n ON n.id = a.notification_id WHERE r.event_id = ?
    """,
    "silence": "SELECT s.id, '', '', 'INFO', FALSE FROM notifyflow_silence s WHERE s.id = ?",
    "override": "SELECT o.id, '', '', 'INFO', FALSE FROM notifyflow_override o WHERE o.id = ?",
    "calendar": "SELECT c.schedule, '', '', 'INFO', FALSE FROM notifyflow_calendar c WHERE c.schedule = ?",
    "watched_job": "SELECT w.name, '', '', 'CRITICAL', FALSE FROM notifyflow_watched_job w WHERE w.name = ?",
}
"""Finds a row by its id: (its id or that of the row it belongs to, incident, escalation, severity, is_operations)."""
_BECOMES: Mapping[str, str] = {"attempt": "notification", "key": "incident", "step": "incident"}
"""The kind of row that is set aside in the place of another."""
_OVER = Statement(
    lambda param: SetAsideRow.select(
        SetAsideRow.row_id, SetAsideRow.until, SetAsideRow.is_aside, SetAsideRow.machine, SetAsideRow.incident_id
    ).where(SetAsideRow.until <= param(SetAsideRow.until))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedRow:
    """A row in which damage was found.

    Attributes:
        machine: The kind of row that cannot be handled; ``key`` for the unresolved incident of a key.
        ids: Its id; or its namespace and key.
        relation: The table with the damage.
        code: The SQLSTATE, the name of SQLite's result code, or the type of the error.
        what: The fault in a few words; nothing personal.
    """

    machine: str
    ids: tuple[str, ...]
    relation: str
    code: str
    what: str


class Tried(NamedTuple):
    """A row that was set aside and is tried again: its kind, its id, and its incident."""

    machine: str
    row_id: str
    incident_id: str


class SetAsideReads(Reader):
    """Reads the rows that are set aside."""

    def all(self) -> tuple[SetAside, ...]:
        """List the rows that are set aside, the newest first, including those that are being tried again."""
        found = SetAsideRow.select(*_COLUMNS).order_by(SetAsideRow.at.desc(), SetAsideRow.row_id.desc())
        return tuple(SetAside(**row) for row in self._source.readable(found, SetAsideRow.row_id))


class DamageReads(Reader):
    """Looks for damaged rows where lists begin; the checker searches all of the history."""

    def found(self, *, limit: int = LOOKED_AT) -> tuple[LeftOut, ...]:
        """Return the damaged rows among the unresolved incidents, the newest of other tables, and all rows of small tables.

        Args:
            limit: How many rows of a large table it reads at most.
        """
        known = len(self._source.unread)
        self._source.with_policies(self._source.rows(_INCIDENTS(limit)))
        for facts, newest in _NEWEST.items():
            self._source.read(facts, newest(limit))
        for statement in (_CONTACTS(limit), *(each() for each in _ALL)):
            self._source.rows(statement)
        return left_out(self._source.unread[known:])


class SetAsides(Repository):
    """Sets rows aside."""

    def add(self, damaged: DamagedRow, *, now: datetime) -> tuple[SetAside, bool] | None:
        """Set a row aside, or set it aside again if its time is over.

        Returns:
            The row, and whether it belongs to an operations incident; None if there is no such row, or it is set aside
            already.
        """
        found = execute(self._unit.db, _FOUND[damaged.machine].replace("?", self._unit.db.param), *damaged.ids).fetchone()
        if found is None:
            return None
        row_id, incident_id, escalation_id, severity, is_operations = found
        machine = _BECOMES.get(damaged.machine, damaged.machine)
        known = self._unit.first(SetAsideRow.select().where(SetAsideRow.row_id == row_id))
        if known is not None and known["is_aside"]:
            return None
        row = SetAside(
            machine=machine,
            row_id=row_id,
            incident_id=incident_id,
            escalation_id=escalation_id,
            severity=str(severity),
            relation=damaged.relation or machine,
            code=damaged.code,
            what=damaged.what,
            at=known["at"] if known else now,
            until=now + set_aside.FOR,
            times=known["times"] + 1 if known else 1,
            is_paging=set_aside.is_paging(machine, str(severity), is_operations=bool(is_operations)),
        )
        values = {field.name: getattr(row, field.name) for field in fields(SetAside)} | {"is_aside": True}
        if known is None:
            self._unit.insert_once(SetAsideRow, values | {"is_counted": not row.is_paging, "is_reported": not row.is_paging})
        else:
            self._unit.execute(SetAsideRow.update(**values).where(SetAsideRow.row_id == row_id))
        return row, bool(is_operations)

    def try_again(self, *, now: datetime) -> tuple[Tried, ...]:
        """Let rows whose time is over be tried again; delete entries that nothing has tried since.

        Returns:
            Those that are tried again.
        """
        rows = _OVER(now).rows(self._unit.db)
        due = [row["row_id"] for row in rows if row["is_aside"]]
        if due:
            self._unit.execute(SetAsideRow.update(is_aside=False).where(SetAsideRow.row_id.in_(due)))
        old = [row["row_id"] for row in rows if not row["is_aside"] and row["until"] <= now - set_aside.FORGOTTEN_AFTER]
        if old:
            self._unit.execute(
                SetAsideRow.delete().where(SetAsideRow.row_id.in_(old), SetAsideRow.is_reported | ~SetAsideRow.is_paging)
            )
        return tuple(Tried(row["machine"], row["row_id"], row["incident_id"]) for row in rows if row["is_aside"])

    def release(self, row_ids: Collection[str]) -> Sequence[SetAside]:
        """Delete the entries of mended rows; return those that were set aside."""
        is_one = SetAsideRow.row_id.in_(sorted(row_ids))
        known = [
            SetAside(**row) for row in self._unit.rows(SetAsideRow.select(*_COLUMNS).where(is_one).order_by(SetAsideRow.row_id))
        ]
        if known:
            self._unit.execute(SetAsideRow.delete().where(is_one))
        return known
