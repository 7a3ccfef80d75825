"""Sends incident events to subscribers: one notification per subscriber, queued in the transaction of the event."""

from notifyflow.core import namespaces
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.incident_events import AMENDED, IncidentEvent
from notifyflow.core.delivery.model import Contact, EscalationState, Kind, NotificationState, Severity
from notifyflow.core.delivery.policy import INCIDENT_EVENTS
from notifyflow.pipeline.transaction.running import Transaction

CHANNEL = "webhook"

_STARTED = "started"
_REASON = "it pages nobody: it holds the incident events for subscribers"


def at_end(tx: Transaction) -> None:
    """Queue the transaction's events for their subscribers, except those of our own incidents."""
    events = [(*each, names) for each in tx.incident_events if (names := _subscribers_to(tx, *each[:2]))]
    known = dict(tx.ledger.escalations.of_subscribers({incident.id for incident, *_ in events}))
    amended = {incident.id for incident, event, *_ in events if event == AMENDED}
    tx.ledger.notifications.load([each.id for each in known.values() if each.incident_id in amended])
    for incident, event, detail, names in events:
        escalation = known[incident.id] = known.get(incident.id) or _start(tx, incident)
        waiting = _waiting(tx, escalation, incident) if event == AMENDED else frozenset()
        own = [_event(tx, incident, event, name, **detail) for name in names if name not in waiting]
        tx.queue([tx.new_row(escalation, CHANNEL, Kind.INCIDENT_EVENT, incident_event=each) for each in own])


def receiver(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> Contact:
    """Return the contact to send a notification to: the escalation's recipient, or the subscriber of an incident event."""
    if row.incident_event is None:
        return tx.ledger.contacts.get(row.incident_id, escalation.recipient_id)
    subscriber = row.incident_event.subscriber
    return Contact(recipient_id=subscriber, name=subscriber, addresses={CHANNEL: subscriber})


def _subscribers_to(tx: Transaction, incident: IncidentFacts, event: str) -> list[str]:
    return [] if incident.namespace == namespaces.OPERATIONS else [each.name for each in tx.deps.subscribers if each.wants(event)]


def _start(tx: Transaction, incident: IncidentFacts) -> EscalationFacts:
    """Add the escalation that holds the incident's events. It starts EXHAUSTED, so that it is never decided."""
    escalation = EscalationFacts(
        id=tx.deps.ids.new(),
        incident_id=incident.id,
        recipient_id="",
        round=0,
        severity=Severity.INFO,
        policy=INCIDENT_EVENTS,
        started_at=tx.now,
        state=EscalationState.EXHAUSTED,
        is_current=False,
        reason=_REASON,
    )
    tx.ledger.escalations.add(escalation, event=_STARTED, detail={"round": "0"})
    return escalation


def _waiting(tx: Transaction, escalation: EscalationFacts, incident: IncidentFacts) -> frozenset[str]:
    """Return the subscribers with a queued event that will carry the new content, since an event is rendered when it is sent.

    It must be their last event: they keep the highest version and drop older ones.
    """
    known = [(row.incident_event, row) for row in tx.ledger.notifications.of(escalation.id) if row.incident_event]
    last = {event.subscriber: (event, row) for event, row in sorted(known, key=lambda each: (each[0].version, each[1].id))}
    return frozenset(
        name
        for name, (event, row) in last.items()
        if (event.event == AMENDED or event.version == incident.version)
        and row.state is NotificationState.QUEUED
        and not row.attempts
    )


def _event(
    tx: Transaction, incident: IncidentFacts, event: str, subscriber: str, *, by: str = "", via: str = "", **_: str
) -> IncidentEvent:
    return IncidentEvent(
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
