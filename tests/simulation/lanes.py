"""Lanes for the oracles of storms: where a page really goes, by the address of its contact and not by a stored column."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.intake.documents import load_policy
from tests.simulation.database import SimulatedDatabase
from tests.simulation.world import START

Lane = tuple[str, str]
"""A channel and an address."""

_PAGE = """
    SELECT n.id, n.incident_id, n.escalation_id, n.tier, n.channel, json_extract(c.addresses, '$.' || n.channel), n.namespace,
           n.severity, n.created_at, n.state, n.due_at, n.waits_until, n.deferred_by, n.deferred_since,
           (SELECT COUNT(*) FROM notifyflow_attempt a WHERE a.notification_id = n.id AND a.state NOT IN ('NOT_SENT', 'RUNNING')),
           (SELECT COUNT(*) FROM notifyflow_attempt a WHERE a.notification_id = n.id AND a.state = 'NOT_SENT')
    FROM notifyflow_notification n JOIN notifyflow_escalation e ON e.id = n.escalation_id
    LEFT JOIN notifyflow_contact c ON c.incident_id = e.incident_id AND c.recipient_id = e.recipient_id
    WHERE n.id = ? AND n.kind = ?
"""
_POLICY = "SELECT p.document FROM notifyflow_escalation e JOIN notifyflow_policy p ON p.digest = e.policy WHERE e.id = ?"


@dataclass(frozen=True)
class Page:
    """A page as it is committed.

    Attributes:
        address: Where it goes by its contact now; None if its contact has no such address any more.
        tries: How many attempts of it were made and are over.
        returned: How many attempts of it were returned unsent.
    """

    id: str
    incident_id: str
    escalation_id: str
    tier: int
    channel: str
    address: str | None
    namespace: str
    severity: Severity
    created_s: float
    state: str
    due_s: float
    waits_until_s: float
    deferral: tuple[str | None, str | None]
    tries: int
    returned: int

    @property
    def lane(self) -> Lane:
        """Where it goes."""
        return self.channel, self.address or ""

    @property
    def is_urgent(self) -> bool:
        """Whether its incident is counted with CRITICAL and ERROR."""
        return self.severity in (Severity.CRITICAL, Severity.ERROR)

    @property
    def is_critical(self) -> bool:
        """Whether it is CRITICAL."""
        return self.severity is Severity.CRITICAL


def page(database: SimulatedDatabase, row_id: str) -> Page | None:
    """Return a page; None if the notification is none, or its severity is damaged."""
    for row in database.look(_PAGE, row_id, Kind.PAGE):
        (*names, severity, created, state, due, held, deferred_by, deferred_since, tries, returned) = row
        if severity not in set(Severity):
            return None
        return Page(
            *names,
            severity=Severity(severity),
            created_s=seconds(created),
            state=state,
            due_s=seconds(due),
            waits_until_s=seconds(held),
            deferral=(deferred_by, deferred_since),
            tries=tries,
            returned=returned,
        )
    return None


def is_apart(database: SimulatedDatabase, escalation_id: str) -> bool:
    """Return whether the policy of an escalation sends each page by itself."""
    ((document,),) = database.look(_POLICY, escalation_id)
    return not _bundles(document)


@cache
def _bundles(document: str) -> bool:
    return load_policy(document).bundling


def seconds(at: str | None) -> float:
    """Return an instant in seconds since the start; never, where there is none."""
    try:
        return float("inf") if at is None else (datetime.fromisoformat(at) - START).total_seconds()
    except ValueError:  # it was damaged on purpose
        return float("inf")


def calls_of(database: SimulatedDatabase, attempt_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the attempts of each call, by the attempt that makes it."""
    calls: dict[str, list[str]] = {}
    for each in attempt_ids:
        ((call,),) = database.look("SELECT COALESCE(sent_with, id) FROM notifyflow_attempt WHERE id = ?", each)
        calls.setdefault(call, []).append(each)
    return calls
