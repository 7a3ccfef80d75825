"""What ``--json`` prints: the values as documents of plain names, numbers and texts; instants are ISO 8601 in UTC."""

from datetime import datetime
from typing import Any

from notifyflow.core.audit import Finding
from notifyflow.core.facts import AttemptFacts, NotificationFacts, Transition
from notifyflow.core.incident_events import IncidentEvent
from notifyflow.core.keys import ApiKey
from notifyflow.core.model import Notified
from notifyflow.core.pauses import Pause
from notifyflow.core.views import EscalationStatus, IncidentStatus, Note
from notifyflow.errors import Fault

Document = dict[str, Any]


def notified(value: Notified) -> Document:
    """Say what ``notify()`` did."""
    return {
        "incident_id": value.incident_id,
        "is_new": value.is_new,
        "added": list(value.added),
        "repeated": list(value.repeated),
        "faults": [fault(each) for each in value.faults],
    }


def fault(value: Fault) -> Document:
    """Say what is wrong, where, and what to do."""
    return {"where": value.where, "what": value.what, "remedy": value.remedy}


def finding(value: Finding) -> Document:
    """Say what a check found."""
    return {
        "rule": value.rule,
        "machine": value.machine,
        "row": value.row_id,
        "incident_id": value.incident_id,
        "what": value.what,
    }


def pause(value: Pause) -> Document:
    """Say what is paused."""
    return {
        "scope": value.scope,
        "name": value.name or None,
        "ends_at": _instant(value.ends_at),
        "paused_at": _instant(value.paused_at),
        "paused_by": value.paused_by,
        "is_for_critical": value.is_for_critical,
    }


def status(value: IncidentStatus) -> Document:
    """Say everything about an incident."""
    facts = value.facts
    return {
        "id": facts.id,
        "namespace": facts.namespace,
        "key": facts.key,
        "state": facts.state,
        "is_settled": value.is_settled,
        "is_quarantined": value.is_quarantined,
        "title": value.content.title,
        "body": value.content.body,
        "severity": facts.severity,
        "source": value.content.source,
        "url": value.content.url,
        "labels": dict(value.content.labels or {}),
        "policy": facts.policy.name,
        "opened_at": _instant(facts.opened_at),
        "last_seen_at": _instant(facts.last_seen_at),
        "times_seen": facts.times_seen,
        "acknowledged_at": _instant(facts.acknowledged_at),
        "acknowledged_by": facts.acknowledged_by or None,
        "acknowledged_via": facts.acknowledged_via or None,
        "resolved_at": _instant(facts.resolved_at),
        "resolved_by": facts.resolved_by or None,
        "operations_key": value.operations_key,
        "escalations": [_escalation(each) for each in value.escalations],
        "transitions": [_transition(each) for each in value.transitions],
        "notes": [_note(each) for each in value.notes],
        "incident_events": [_incident_event(each, each.incident_event) for each in value.incident_events if each.incident_event],
    }


def _escalation(value: EscalationStatus) -> Document:
    facts = value.facts
    return {
        "id": facts.id,
        "recipient": facts.recipient_id,
        "name": value.contact.name,
        "round": facts.round,
        "state": facts.state,
        "tier": facts.tier,
        "severity": facts.severity,
        "started_at": _instant(facts.started_at),
        "critical_at": _instant(facts.critical_at),
        "reason": facts.reason or None,
        "notifications": [_notification(each) for each in value.notifications],
    }


def _notification(value: NotificationFacts) -> Document:
    return {
        "id": value.id,
        "channel": value.channel,
        "kind": value.kind,
        "tier": value.tier,
        "state": value.state,
        "due_at": _instant(value.due_at),
        "deferred_since": _instant(value.deferred_since),
        "deferred_by": value.deferred_by,
        "reason": value.reason or None,
        "attempts": [_attempt(each) for each in value.attempts],
    }


def _incident_event(value: NotificationFacts, told: IncidentEvent) -> Document:
    return {"subscriber": told.subscriber, "event": told.event, "at": _instant(told.at)} | _notification(value)


def _attempt(value: AttemptFacts) -> Document:
    return {
        "id": value.id,
        "number": value.number,
        "provider": value.provider,
        "state": value.state,
        "started_at": _instant(value.started_at),
        "ended_at": _instant(value.ended_at),
        "result": value.result,
        "evidence": value.evidence,
        "is_doubted": value.is_doubted,
        "code": value.code or None,
        "reason": value.reason or None,
        "provider_ref": value.provider_ref or None,
    }


def _transition(value: Transition) -> Document:
    return {
        "at": _instant(value.at),
        "machine": value.machine,
        "row": value.row_id,
        "event": value.event,
        "source": value.source or None,
        "target": value.target,
        "detail": dict(value.detail),
    }


def _note(value: Note) -> Document:
    return {
        "attempt": value.attempt_id,
        "code": value.code,
        "reason": value.reason or None,
        "received_at": _instant(value.received_at),
    }


def api_key(value: ApiKey) -> Document:
    """Say what is kept of an API key, but for its hash."""
    return {
        "id": value.id,
        "name": value.name,
        "namespace": value.namespace,
        "scopes": sorted(value.scopes),
        "created_at": _instant(value.created_at),
        "expires_at": _instant(value.expires_at),
        "revoked_at": _instant(value.revoked_at),
        "last_used_at": _instant(value.last_used_at),
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
