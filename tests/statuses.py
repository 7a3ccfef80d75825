"""Incidents as `status()` returns them, for tests of pages and pictures."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.incident_events import IncidentEvent
from notifyflow.core.delivery.model import Contact, EscalationState, Incident, IncidentState, NotificationState, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus

AT = datetime(2026, 11, 25, 2, 14, 3, tzinfo=UTC)
INCIDENT_ID = "0" * 31 + "1"
INCIDENT = Incident(
    key="db-1",
    title="orders db is down",
    body="No primary since 02:13.\nWrites fail.",
    severity=Severity.CRITICAL,
    source="grafana",
    url="https://grafana.example/d/orders",
    labels={"team": "orders"},
)
EVENT = IncidentEvent(
    subscriber="status",
    event="opened",
    incident_id=INCIDENT_ID,
    at=AT,
    state=IncidentState.OPEN,
    severity=Severity.CRITICAL,
    version=1,
)
FACTS = IncidentFacts(id=INCIDENT_ID, key="db-1", severity=Severity.CRITICAL, policy=DEFAULT, opened_at=AT, last_seen_at=AT)


def attempt(number: int, result: Result | None, reason: str = "", code: str = "") -> AttemptFacts:
    begun = AT + timedelta(seconds=number)
    return AttemptFacts(
        id=f"a{number}",
        notification_id="n",
        number=number,
        provider="slack",
        token="t",
        started_at=begun,
        ended_at=None if result is None else begun + timedelta(milliseconds=300),
        lease_until=begun + timedelta(minutes=1),
        result=result,
        reason=reason,
        code=code,
    )


def notification(channel: str, state: NotificationState, *attempts: AttemptFacts, tier: int = 1) -> NotificationFacts:
    return NotificationFacts(
        id=f"n-{channel}",
        incident_id=INCIDENT_ID,
        escalation_id="e",
        channel=channel,
        severity=Severity.CRITICAL,
        max_attempts=5,
        created_at=AT,
        tier=tier,
        state=state,
        attempts=attempts,
    )


def escalation(who: str, *notifications: NotificationFacts, state: EscalationState = EscalationState.ACTIVE) -> EscalationStatus:
    return EscalationStatus(
        facts=EscalationFacts(
            id=f"e-{who}",
            incident_id=INCIDENT_ID,
            recipient_id=who,
            round=1,
            severity=Severity.CRITICAL,
            policy=DEFAULT,
            started_at=AT,
            state=state,
            tier=1,
        ),
        contact=Contact(recipient_id=who, name=who.title(), addresses={}, timezone="Europe/Berlin"),
        notifications=notifications,
    )


OPEN = IncidentStatus(
    facts=FACTS,
    content=INCIDENT,
    escalations=(
        escalation(
            "ada", notification("email", NotificationState.SENT, attempt(1, Result.ACCEPTED)), state=EscalationState.REACHED
        ),
        escalation(
            "ben", notification("slack", NotificationState.FAILED, attempt(1, Result.PERMANENT_FAILURE, "no such channel", "404"))
        ),
    ),
    transitions=(),
)
ACKNOWLEDGED = replace(
    OPEN,
    facts=replace(FACTS, state=IncidentState.ACKNOWLEDGED, acknowledged_at=AT, acknowledged_by="ada", acknowledged_via="link"),
)
RESOLVED = replace(OPEN, facts=replace(FACTS, state=IncidentState.RESOLVED, resolved_at=AT, resolved_by="ben"))
