"""The response schemas about incidents; fields are named like those of the values inside."""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from notifyflow.core.facts import NotificationFacts, Transition
from notifyflow.core.incident_events import IncidentEvent
from notifyflow.core.model import (
    AttemptState,
    DeferralReason,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Notified,
    Page,
    Result,
    Severity,
    Stopped,
)
from notifyflow.core.views import EscalationStatus, IncidentStatus, IncidentSummary, Note
from notifyflow.errors import named
from notifyflow.web.problems import FaultResponse

_LONGEST_LIST = 10_000  # characters: two such lists and 20 faults stay below 64 KB


def _beginning(ids: Sequence[str]) -> list[str]:
    """Return as many ids as a response has room for."""
    lengths = accumulate(len(each) for each in ids)
    return [each for each, length in zip(ids, lengths, strict=True) if length <= _LONGEST_LIST]


class NotifiedResponse(BaseModel):
    """The result of a submission: it is stored, and will be delivered."""

    incident_id: str = Field(description="The id of the incident that has the key now.")
    is_new: bool = Field(description="Whether this request opened the incident.")
    added: list[str] = Field(description="Recipients whom this request pages; only the first of a very long list.")
    added_count: int = Field(description="How many recipients this request pages.")
    repeated: list[str] = Field(description="Recipients who were known already; only the first of a very long list.")
    repeated_count: int = Field(description="How many recipients were known already.")
    faults: list[FaultResponse] = Field(
        description="The first 20 faults of single recipients; one more counts the rest. Recipients without a fault are paged."
    )

    @classmethod
    def of(cls, value: Notified) -> "NotifiedResponse":
        """Build it from the value."""
        return cls(
            incident_id=value.incident_id,
            is_new=value.is_new,
            added=_beginning(value.added),
            added_count=len(value.added),
            repeated=_beginning(value.repeated),
            repeated_count=len(value.repeated),
            faults=[FaultResponse.of(fault) for fault in named(value.faults)],
        )


class AttemptResponse(BaseModel):
    """One call to a provider."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    number: int
    provider: str
    state: AttemptState
    started_at: datetime
    ended_at: datetime | None
    result: Result | None = Field(description="How it ended, as far as is known: the strongest result so far.")
    evidence: Evidence | None = Field(description="Who vouches for it, weakest first: accepted, carrier, device, human.")
    is_doubted: bool
    code: str
    reason: str
    provider_ref: str = Field(description="The provider's id of the message.")


class NotificationResponse(BaseModel):
    """One escalation over one channel."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    channel: str
    kind: Kind
    tier: int | None = Field(description="The tier of a page; null for other kinds.")
    state: NotificationState
    due_at: datetime | None
    deferred_since: datetime | None = Field(description="Since when it is deferred.")
    deferred_by: DeferralReason | None = Field(
        description="By what: a limit, a wait that the provider asked for, an open circuit, a pause."
    )
    reason: str = Field(description="Why it is FAILED.")
    attempts: list[AttemptResponse]

    @classmethod
    def of(cls, value: NotificationFacts) -> "NotificationResponse":
        """Build it from the value."""
        return cls.model_validate(value)


class EscalationResponse(BaseModel):
    """One recipient in one round."""

    id: str
    recipient: str
    name: str
    round: int
    state: EscalationState
    tier: int = Field(description="The tier in force.")
    severity: Severity
    started_at: datetime
    critical_at: datetime | None = Field(description="When it became a critical failure.")
    reason: str = Field(description="Why nothing could be sent at all.")
    notifications: list[NotificationResponse]

    @classmethod
    def of(cls, value: EscalationStatus) -> "EscalationResponse":
        """Build it from the value."""
        facts = value.facts
        return cls(
            id=facts.id,
            recipient=facts.recipient_id,
            name=value.contact.name,
            round=facts.round,
            state=facts.state,
            tier=facts.tier,
            severity=facts.severity,
            started_at=facts.started_at,
            critical_at=facts.critical_at,
            reason=facts.reason,
            notifications=[NotificationResponse.of(each) for each in value.notifications],
        )


class LogEntryResponse(BaseModel):
    """One transition in the log."""

    at: datetime
    machine: str = Field(description="What moved: incident, escalation or notification.")
    row: str = Field(description="Its id.")
    event: str
    source: str = Field(description="The state before; empty for a new row.")
    target: str = Field(description="The state after.")
    detail: dict[str, str]

    @classmethod
    def of(cls, value: Transition) -> "LogEntryResponse":
        """Build it from the value."""
        return cls(
            at=value.at,
            machine=value.machine,
            row=value.row_id,
            event=value.event,
            source=value.source,
            target=value.target,
            detail=dict(value.detail),
        )


class NoteResponse(BaseModel):
    """Something a provider reported that changes no state: a complaint, an automatic reply, an unknown status."""

    attempt: str = Field(description="The id of the attempt it is about.")
    code: str
    reason: str
    received_at: datetime

    @classmethod
    def of(cls, value: Note) -> "NoteResponse":
        """Build it from the value."""
        return cls(attempt=value.attempt_id, code=value.code, reason=value.reason, received_at=value.received_at)


class IncidentEventResponse(BaseModel):
    """What another system was told, or is to be."""

    subscriber: str
    event: str = Field(description="What happened to the incident, as the subscriber is told it: `incident.EVENT`.")
    at: datetime = Field(description="When it happened.")
    notification: NotificationResponse = Field(description="How it is told.")

    @classmethod
    def of(cls, value: NotificationFacts, told: IncidentEvent) -> "IncidentEventResponse":
        """Build it from the values."""
        return cls(subscriber=told.subscriber, event=told.event, at=told.at, notification=NotificationResponse.of(value))


class IncidentSummaryResponse(BaseModel):
    """One incident, as a list shows it."""

    id: str
    namespace: str = Field(description="The namespace of the API key that submitted it; empty if it came another way.")
    key: str
    state: IncidentState
    severity: Severity = Field(description="The highest severity reported so far.")
    title: str
    source: str
    url: str | None
    labels: dict[str, str]
    policy: str
    is_operations: bool = Field(description="Whether it is one of notifyflow's own incidents, for the operations team.")
    occurred_at: datetime | None
    opened_at: datetime
    last_seen_at: datetime
    times_seen: int
    acknowledged_at: datetime | None
    acknowledged_by: str
    acknowledged_via: str
    resolved_at: datetime | None
    resolved_by: str

    @classmethod
    def of(cls, value: IncidentSummary | IncidentStatus) -> "IncidentSummaryResponse":
        """Build it from the value."""
        return cls(**summary(value))


class IncidentListResponse(BaseModel):
    """Incidents, the newest first."""

    incidents: list[IncidentSummaryResponse]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class IncidentResponse(IncidentSummaryResponse):
    """One incident with its escalations, notifications, attempts and log."""

    body: str
    is_settled: bool = Field(description="Whether nothing more happens on its own.")
    is_quarantined: bool = Field(
        description="Whether nothing of it is sent, since its database was adopted and nobody has decided."
    )
    operations_key: str | None = Field(description="The key of the operations incident that its critical failures are linked to.")
    escalations: list[EscalationResponse]
    log: list[LogEntryResponse]
    notes: list[NoteResponse] = Field(description="What providers reported that changes no state, in order of arrival.")
    incident_events: list[IncidentEventResponse] = Field(description="What other systems were told of it, or are to be.")

    @classmethod
    def of(cls, value: IncidentSummary | IncidentStatus) -> "IncidentResponse":
        """Build it from the value, which must be a whole status."""
        assert isinstance(value, IncidentStatus)  # noqa: S101 - a summary does not have the rest
        return cls(
            **summary(value),
            body=value.content.body or "",
            is_settled=value.is_settled,
            is_quarantined=value.is_quarantined,
            operations_key=value.operations_key,
            escalations=[EscalationResponse.of(each) for each in value.escalations],
            log=[LogEntryResponse.of(each) for each in value.transitions],
            notes=[NoteResponse.of(each) for each in value.notes],
            incident_events=[
                IncidentEventResponse.of(each, each.incident_event) for each in value.incident_events if each.incident_event
            ],
        )


class ActResponse(BaseModel):
    """The result of an action on an incident."""

    has_changed: bool = Field(description="Whether this request changed anything; false if it had been done before.")
    incident: IncidentSummaryResponse


class StoppedPageResponse(BaseModel):
    """A page that was cancelled, or that had been sent already."""

    recipient: str
    channel: str
    notification: str = Field(description="Its id.")

    @classmethod
    def of(cls, value: Page) -> "StoppedPageResponse":
        """Build it from the value."""
        return cls(recipient=value.recipient_id, channel=value.channel, notification=value.notification_id)


class StoppedResponse(ActResponse):
    """The result of acknowledging or resolving an incident, with its pages."""

    cancelled: list[StoppedPageResponse] = Field(description="Pages that were queued and are not sent.")
    on_their_way: list[StoppedPageResponse] = Field(description="Pages that had been sent already and may still arrive.")

    @classmethod
    def of(cls, value: Stopped, incident: IncidentStatus) -> "StoppedResponse":
        """Build it from the values."""
        return cls(
            has_changed=value.has_changed,
            incident=IncidentSummaryResponse.of(incident),
            cancelled=[StoppedPageResponse.of(each) for each in value.cancelled],
            on_their_way=[StoppedPageResponse.of(each) for each in value.on_their_way],
        )


def summary(value: IncidentSummary | IncidentStatus) -> dict[str, Any]:
    """Return the fields that every response about an incident has."""
    facts, content = value.facts, value.content
    return {
        "id": facts.id,
        "namespace": facts.namespace,
        "key": facts.key,
        "state": facts.state,
        "severity": facts.severity,
        "title": content.title,
        "source": content.source,
        "url": content.url,
        "labels": dict(content.labels or {}),
        "policy": facts.policy.name,
        "is_operations": facts.is_operations,
        "occurred_at": content.occurred_at,
        "opened_at": facts.opened_at,
        "last_seen_at": facts.last_seen_at,
        "times_seen": facts.times_seen,
        "acknowledged_at": facts.acknowledged_at,
        "acknowledged_by": facts.acknowledged_by,
        "acknowledged_via": facts.acknowledged_via,
        "resolved_at": facts.resolved_at,
        "resolved_by": facts.resolved_by,
    }
