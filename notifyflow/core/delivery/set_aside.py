"""Damaged rows that are set aside, and how they count while the rest goes on; pure.

A row that cannot be read, or that the database refuses to write, must not harm others. It is left alone for five minutes at a
time, named, and reported to operations. Such a page counts as failed from the second time on, so that its tier goes on without
it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import IN_PROGRESS, Kind, NotificationState, Severity

FOR = timedelta(minutes=5)
"""How long a row is left alone before it is tried again."""

FORGOTTEN_AFTER = timedelta(minutes=10)
"""How long after that it is remembered if nothing has tried it."""

FAILED_FROM = 2
"""How often a page must be set aside to count as failed."""

REASON = "its row is damaged"
NOTICE = "a damaged row is set aside: see `notifyflow status --broken`"
"""The notice to operations, once a day."""

_BEFORE_ALL = datetime.fromtimestamp(0, UTC)
_UNKNOWN: Mapping[str, Any] = {
    "severity": Severity.CRITICAL,
    "max_attempts": 1,
    "created_at": _BEFORE_ALL,
    "kind": Kind.PAGE,
    "state": NotificationState.QUEUED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A row that is set aside.

    Attributes:
        machine: The kind of row: ``notification``, ``escalation``, ``incident``, ``receipt``, ``outbox``,
            ``silence``, ``watched_job``, ``override`` or ``calendar``.
        incident_id: Its incident; empty if that is unknown.
        severity: The stored severity, which may be damaged.
        relation: The table with the damage.
        code: The SQLSTATE, the name of SQLite's result code, or the type of the error.
        what: The fault in a few words; nothing personal.
        at: When it was first set aside.
        until: When it is tried again.
        is_paging: Whether operations is paged for it; otherwise it is a notice.
    """

    machine: str
    row_id: str
    incident_id: str
    escalation_id: str
    severity: str
    relation: str
    code: str
    what: str
    at: datetime
    until: datetime
    times: int
    is_paging: bool


def is_paging(machine: str, severity: str, *, is_operations: bool) -> bool:
    """Return whether operations is paged at once for a row that is set aside.

    It is paged if nobody may be paged without the row: an escalation, an incident, a watched job, or a CRITICAL page. An unknown
    severity may be CRITICAL. Damage to an operations incident is only logged.
    """
    if is_operations or severity == Severity.INFO:
        return False
    return machine != "notification" or severity not in set(Severity) - {Severity.CRITICAL}


def as_decided(row: NotificationFacts, now: datetime) -> NotificationFacts:
    """Return a row as it counts in a decision: as failed now, if it was set aside too often."""
    if row.times_aside < FAILED_FROM or row.state not in IN_PROGRESS:
        return row
    return replace(row, state=NotificationState.FAILED, ended_at=now, due_at=None, reason=REASON)


def placeholder(values: Mapping[str, Any]) -> NotificationFacts:
    """Return a stand-in for an unreadable row, made from its readable values; it is never written."""
    known = {name: value for name, value in values.items() if name in NotificationFacts.__dataclass_fields__}
    return NotificationFacts(**{**_UNKNOWN, **known, "is_readable": False})
