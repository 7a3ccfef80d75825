"""Rows that are set aside, since they are damaged: how they count while the rest goes on; pure.

A row that cannot be read, or that the database refuses to write, harms no other. It is left alone for five minutes at a time,
named, and operations is told; a page of it counts as failed from the second time on, so that its tier goes on without it.
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
"""How long after that it is still remembered, if nothing has tried it."""

FAILED_FROM = 2
"""From this time on a page that is set aside counts as failed."""

REASON = "its row is damaged"
NOTICE = "a damaged row is set aside: see `notifyflow status --broken`"
"""What operations is told, once a day."""

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
        machine: The kind of row: ``notification``, ``escalation``, ``incident``, ``receipt`` or ``outbox``.
        row_id: Its id.
        incident_id: Its incident; empty if that is unknown.
        escalation_id: Its escalation, if it has one.
        severity: The severity that is stored with it, whatever that says.
        relation: The table in which the damage showed.
        code: The SQLSTATE, the name of SQLite's result code, or the type of the error.
        what: What was wrong, in a few words; nothing personal.
        at: When it was first set aside.
        until: When it is tried again.
        times: How often it was set aside.
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

    It is for one without which nobody may be paged: an escalation, an incident, or a CRITICAL page. An unknown severity may be
    CRITICAL. What is wrong with an incident of operations is only logged.
    """
    if is_operations or severity == Severity.INFO:
        return False
    return machine != "notification" or severity not in set(Severity) - {Severity.CRITICAL}


def as_decided(row: NotificationFacts, now: datetime) -> NotificationFacts:
    """Return a row as it counts in a decision: as failed now, if it was set aside too often to wait for it."""
    if row.times_aside < FAILED_FROM or row.state not in IN_PROGRESS:
        return row
    return replace(row, state=NotificationState.FAILED, ended_at=now, due_at=None, reason=REASON)


def stand_in(values: Mapping[str, Any]) -> NotificationFacts:
    """Return what counts in the place of a row that cannot be read, from the values of it that can; it is never written."""
    known = {name: value for name, value in values.items() if name in NotificationFacts.__dataclass_fields__}
    return NotificationFacts(**{**_UNKNOWN, **known, "is_readable": False})
