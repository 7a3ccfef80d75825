"""Tells subscribers of every change of an incident: a notification each, queued in the transaction that changed it."""

from notifyflow.core.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.incident_events import AMENDED, Change
from notifyflow.core.model import Contact, EscalationState, Kind, NotificationState, Severity
from notifyflow.core.policy import CHANGES
from notifyflow.pipeline.transaction import Transaction

CHANNEL = "webhook"

_BIRTH = "started"
_REASON = "nobody is paged in it: it holds what subscribers are told"


def settle(tx: Transaction) -> None:
    """Queue what the transaction has changed, for everybody who is to know; operations incidents are nobody else's business."""
    for incident, event, detail in tx.changes:
        names = [each.name for each in tx.deps.subscribers if each.wants(event)]
        if names and not incident.is_operations:
            escalation = tx.ledger.round_of_nobody(incident.id) or _start(tx, incident)
            waiting = _waiting(tx, escalation, incident) if event == AMENDED else frozenset()
            tx.queue(
                [_row(tx, escalation, _change(tx, incident, event, name, **detail)) for name in names if name not in waiting],
                event="queued",
            )


def contact_of(change: Change) -> Contact:
    """Make what stands for a subscriber wherever a recipient's contact would."""
    return Contact(recipient_id=change.subscriber, name=change.subscriber, addresses={CHANNEL: change.subscriber})


def _start(tx: Transaction, incident: IncidentFacts) -> EscalationFacts:
    """Add the round of nobody: it is over when it begins, so that nothing is ever decided in it."""
    escalation = EscalationFacts(
        id=tx.deps.ids.new(),
        incident_id=incident.id,
        recipient_id="",
        round=0,
        severity=Severity.INFO,
        policy=CHANGES,
        started_at=tx.now,
        state=EscalationState.EXHAUSTED,
        is_current=False,
        reason=_REASON,
    )
    tx.ledger.add_escalation(escalation, event=_BIRTH, detail={"round": "0"})
    return escalation


def _waiting(tx: Transaction, escalation: EscalationFacts, incident: IncidentFacts) -> frozenset[str]:
    """Name the subscribers who will hear the new words anyway: what waits is worded when it leaves.

    It must be the last that they are told: they keep the highest version, and drop what comes under an older one.
    """
    told = sorted((row.change.version, row.id, row) for row in tx.ledger.notifications(escalation.id) if row.change)
    last = {row.change.subscriber: row for _, _, row in told if row.change}
    return frozenset(
        name
        for name, row in last.items()
        if row.change
        and (row.change.event == AMENDED or row.change.version == incident.version)
        and row.state is NotificationState.QUEUED
        and not row.attempts
    )


def _change(
    tx: Transaction, incident: IncidentFacts, event: str, subscriber: str, *, by: str = "", via: str = "", **_: str
) -> Change:
    return Change(
        subscriber=subscriber,
        event=event,
        incident_id=incident.id,
        at=tx.now,
        state=incident.state,
        severity=incident.severity,
        version=incident.version,
        by=by,
        via=via,
    )


def _row(tx: Transaction, escalation: EscalationFacts, change: Change) -> NotificationFacts:
    return NotificationFacts(
        id=tx.deps.ids.new(),
        incident_id=change.incident_id,
        escalation_id=escalation.id,
        channel=CHANNEL,
        kind=Kind.CHANGE,
        tier=None,
        severity=escalation.severity,
        max_attempts=escalation.policy.retries.schedule(CHANNEL, escalation.severity).attempts,
        created_at=tx.now,
        change=change,
    )
