"""Stored incidents to begin with."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Contact, Incident, NotificationState, Severity
from notifyflow.core.upkeep.audit import Finding
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import NOW, attempt, escalation, incident, page

LATER = NOW + timedelta(minutes=1)


def a_page(
    number: int = 1, channel: str = "email", *, urgent: bool = False, due_at: datetime | None = NOW, **given: Any
) -> NotificationFacts:
    """Make a queued page with a tier of its own, so that a channel can have many."""
    severity = Severity.CRITICAL if urgent else Severity.ERROR
    return page(channel, **({"id": f"n{number}", "tier": number, "severity": severity, "due_at": due_at} | given))


def begin(store: Store, *pages: NotificationFacts, number: int = 1) -> None:
    """Store an incident with one recipient, one escalation and some pages."""
    incident_id, escalation_id = ("i", "e") if number == 1 else (f"i{number}", f"e{number}")

    def use_case(ledger: Ledger) -> None:
        key = f"db-{number}"
        ledger.incidents.add(incident(id=incident_id, key=key), Incident(key=key, title="orders db is down"))
        ledger.contacts.put(incident_id, [Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@example.com"})])
        ledger.escalations.add(escalation(id=escalation_id, incident_id=incident_id), event="started", detail={"tier": "1"})
        ledger.notifications.add(
            [replace(each, incident_id=incident_id, escalation_id=escalation_id, attempts=()) for each in pages], event="queued"
        )

    store.run(use_case)


def claim(ledger: Ledger, row: NotificationFacts, **given: Any) -> AttemptFacts:
    """Begin an attempt for a page."""
    number = len(row.attempts) + 1
    begun = attempt(number, **({"id": f"{row.id}-a{number}", "notification_id": row.id} | given))
    claimed = replace(row, state=NotificationState.SENDING, due_at=None, attempts=(*row.attempts, begun))
    ledger.move(row, claimed, event="claimed", at=NOW)
    return begun


def ids(rows: Sequence[NotificationFacts]) -> list[str]:
    return [row.id for row in rows]


def found_in(store: Store, now: datetime = LATER, limit: int = 100) -> Sequence[Finding]:
    """Check all that is stored."""
    findings = list(store.read(lambda reads: reads.audits.whole(now=now)))
    last_id = ""
    while True:
        audited = store.read(lambda reads, after=last_id: reads.audits.page(after, now=now, limit=limit))
        findings += audited.findings
        last_id = audited.last_id
        if not last_id:
            return findings


def count(ledger: Ledger) -> None:
    """Count the incident that ``begin`` stored once more."""
    before = ledger.incidents.lock("i")
    ledger.save(before, replace(before, times_seen=before.times_seen + 1))
