"""What the API gives of incidents, as the OpenAPI document publishes it; names are those of the values inside."""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from notifyflow.core.facts import NotificationFacts, Transition
from notifyflow.core.incident_events import Change
from notifyflow.core.model import (
    AttemptState,
    EscalationState,
    Evidence,
    Hold,
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
from notifyflow.web.problems import FaultShape

_LONGEST_LIST = 10_000  # characters: two lists of them, and 20 faults, make less than 64 KB of answer


def _beginning(ids: Sequence[str]) -> list[str]:
    """Give as many ids as an answer has room for."""
    lengths = accumulate(len(each) for each in ids)
    return [each for each, length in zip(ids, lengths, strict=True) if length <= _LONGEST_LIST]


class NotifiedShape(BaseModel):
    """What was stored; it will be delivered."""

    model_config = ConfigDict(title="Notified")

    incident_id: str = Field(description="The incident that the key names now.")
    is_new: bool = Field(description="Whether this opened it.")
    added: list[str] = Field(description="Recipients who are paged by this; the first ones, where they are very many.")
    added_count: int = Field(description="How many are paged by this.")
    repeated: list[str] = Field(description="Recipients who were known already; the first ones, where they are very many.")
    repeated_count: int = Field(description="How many were known already.")
    faults: list[FaultShape] = Field(
        description="What is wrong with single recipients, of 20 faults; the others are counted. Whoever is not named is paged."
    )

    @classmethod
    def of(cls, value: Notified) -> "NotifiedShape":
        """Show what was done."""
        return cls(
            incident_id=value.incident_id,
            is_new=value.is_new,
            added=_beginning(value.added),
            added_count=len(value.added),
            repeated=_beginning(value.repeated),
            repeated_count=len(value.repeated),
            faults=[FaultShape.of(fault) for fault in named(value.faults)],
        )


class AttemptShape(BaseModel):
    """One call to a provider."""

    model_config = ConfigDict(title="Attempt", from_attributes=True)

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


class NotificationShape(BaseModel):
    """One escalation over one channel."""

    model_config = ConfigDict(title="Notification", from_attributes=True)

    id: str
    channel: str
    kind: Kind
    tier: int | None = Field(description="The tier it belongs to; null unless it is a page.")
    state: NotificationState
    due_at: datetime | None
    held_since: datetime | None = Field(description="Since when it is held back.")
    held_by: Hold | None = Field(
        description="By what: a limit, a wait that the provider asked for, a provider that rests, a pause."
    )
    reason: str = Field(description="Why it is FAILED.")
    attempts: list[AttemptShape]

    @classmethod
    def of(cls, value: NotificationFacts) -> "NotificationShape":
        """Show a notification."""
        return cls.model_validate(value)


class EscalationShape(BaseModel):
    """One recipient in one round."""

    model_config = ConfigDict(title="Escalation")

    id: str
    recipient: str
    name: str
    round: int
    state: EscalationState
    tier: int = Field(description="The tier in force.")
    severity: Severity
    started_at: datetime
    critical_at: datetime | None = Field(description="When it became a critical failure.")
    reason: str = Field(description="Why nobody could be paged at all.")
    notifications: list[NotificationShape]

    @classmethod
    def of(cls, value: EscalationStatus) -> "EscalationShape":
        """Show an escalation."""
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
            notifications=[NotificationShape.of(each) for each in value.notifications],
        )


class MoveShape(BaseModel):
    """One line of the log."""

    model_config = ConfigDict(title="Move")

    at: datetime
    machine: str = Field(description="What moved: incident, escalation or notification.")
    row: str = Field(description="Its id.")
    event: str
    source: str = Field(description="The state before; empty at birth.")
    target: str = Field(description="The state after.")
    detail: dict[str, str]

    @classmethod
    def of(cls, value: Transition) -> "MoveShape":
        """Show a move."""
        return cls(
            at=value.at,
            machine=value.machine,
            row=value.row_id,
            event=value.event,
            source=value.source,
            target=value.target,
            detail=dict(value.detail),
        )


class NoteShape(BaseModel):
    """What a provider said that decides nothing: a complaint, an automatic answer, a status that nobody knows."""

    model_config = ConfigDict(title="Note")

    attempt: str = Field(description="About which attempt: its id.")
    code: str
    reason: str
    received_at: datetime

    @classmethod
    def of(cls, value: Note) -> "NoteShape":
        """Show a note."""
        return cls(attempt=value.attempt_id, code=value.code, reason=value.reason, received_at=value.received_at)


class ChangeShape(BaseModel):
    """What another system was told, or is to be."""

    model_config = ConfigDict(title="Change")

    subscriber: str
    event: str = Field(description="What happened to the incident, as the subscriber is told it: `incident.EVENT`.")
    at: datetime = Field(description="When it happened.")
    notification: NotificationShape = Field(description="How it is told.")

    @classmethod
    def of(cls, value: NotificationFacts, told: Change) -> "ChangeShape":
        """Show a change."""
        return cls(subscriber=told.subscriber, event=told.event, at=told.at, notification=NotificationShape.of(value))


class SummaryShape(BaseModel):
    """One incident, as a list shows it."""

    model_config = ConfigDict(title="IncidentSummary")

    id: str
    namespace: str = Field(description="Whose it is: that of the API key it came with; empty where it came another way.")
    key: str
    state: IncidentState
    severity: Severity = Field(description="The highest given so far.")
    title: str
    source: str
    url: str | None
    labels: dict[str, str]
    policy: str
    is_operations: bool = Field(description="Whether it is one of notifyflow's own, of which the operations team is told.")
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
    def of(cls, value: IncidentSummary | IncidentStatus) -> "SummaryShape":
        """Show an incident in short."""
        return cls(**summary(value))


class IncidentPage(BaseModel):
    """Incidents, the newest first."""

    incidents: list[SummaryShape]
    next_cursor: str | None = Field(description="Give it as `cursor` for what follows; null at the end.")


class IncidentShape(SummaryShape):
    """One incident with all that became of it."""

    model_config = ConfigDict(title="Incident")

    body: str
    is_settled: bool = Field(description="Whether nothing more happens by itself.")
    is_held: bool = Field(description="Whether nothing of it is sent, since its database was adopted and nobody has decided.")
    operations_key: str | None = Field(description="The key of the operations incident that its critical failures are linked to.")
    escalations: list[EscalationShape]
    log: list[MoveShape]
    notes: list[NoteShape] = Field(description="What providers said that decides nothing, in the order it came.")
    changes: list[ChangeShape] = Field(description="What other systems were told of it, or are to be.")

    @classmethod
    def of(cls, value: IncidentSummary | IncidentStatus) -> "IncidentShape":
        """Show an incident whole."""
        assert isinstance(value, IncidentStatus)  # noqa: S101 - a summary does not have the rest
        return cls(
            **summary(value),
            body=value.content.body or "",
            is_settled=value.is_settled,
            is_held=value.is_held,
            operations_key=value.operations_key,
            escalations=[EscalationShape.of(each) for each in value.escalations],
            log=[MoveShape.of(each) for each in value.transitions],
            notes=[NoteShape.of(each) for each in value.notes],
            changes=[ChangeShape.of(each, each.change) for each in value.changes if each.change],
        )


class Changed(BaseModel):
    """What became of an incident by an act."""

    has_changed: bool = Field(description="Whether this changed anything; false where it was so already.")
    incident: SummaryShape


class StoppedPageShape(BaseModel):
    """A page that was stopped, or came too late to be."""

    model_config = ConfigDict(title="StoppedPage")

    recipient: str
    channel: str
    notification: str = Field(description="Its id.")

    @classmethod
    def of(cls, value: Page) -> "StoppedPageShape":
        """Show a page."""
        return cls(recipient=value.recipient_id, channel=value.channel, notification=value.notification_id)


class StoppedShape(Changed):
    """What became of an incident that somebody took or ended, and of its pages."""

    model_config = ConfigDict(title="Stopped")

    cancelled: list[StoppedPageShape] = Field(description="Pages that were queued and are sent no more.")
    on_their_way: list[StoppedPageShape] = Field(
        description="Pages that had left already, and of which nobody knows yet whether they arrived."
    )

    @classmethod
    def of(cls, value: Stopped, incident: IncidentStatus) -> "StoppedShape":
        """Show what was stopped."""
        return cls(
            has_changed=value.has_changed,
            incident=SummaryShape.of(incident),
            cancelled=[StoppedPageShape.of(each) for each in value.cancelled],
            on_their_way=[StoppedPageShape.of(each) for each in value.on_their_way],
        )


def summary(value: IncidentSummary | IncidentStatus) -> dict[str, Any]:
    """Name what every view of an incident shows."""
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
