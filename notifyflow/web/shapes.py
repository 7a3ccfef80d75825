"""What the API takes and gives, as the OpenAPI document publishes it; names are those of the values inside.

What is taken is read by ``core.requests``, which says everything that is wrong; the shapes of it stand here to be published,
and a test holds the two together.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from notifyflow.channels.base import Channel
from notifyflow.core import intake, text
from notifyflow.core.facts import NotificationFacts, Transition
from notifyflow.core.model import (
    AttemptState,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Notified,
    Severity,
    Word,
)
from notifyflow.core.views import EscalationStatus, IncidentStatus, IncidentSummary, KnownRecipient
from notifyflow.web.problems import FaultShape

Who = Annotated[str, Field(max_length=intake.MAX_KEY)]


class Taken(BaseModel):
    """What is taken: a field that is not here is a fault, and null is as good as leaving a field out."""

    model_config = ConfigDict(extra="forbid")


class RecipientShape(Taken):
    """Whom to tell; a bad address is a fault of its own, and silences nobody else."""

    model_config = ConfigDict(title="Recipient")

    id: str = Field(description="Who it is; opaque, and stands in logs.", min_length=1, max_length=intake.MAX_KEY)
    name: str | None = Field(None, description="How messages speak of them; the id where it is left out.")
    email: str | None = Field(None, description="A mail address.")
    phone: str | None = Field(None, description="A number in international form; gives `sms` and `voice`.")
    slack: str | None = Field(None, description="An incoming webhook's URL, or a channel or user id for the bot.")
    teams: str | None = Field(None, description="A Workflows URL.")
    push: str | None = Field(None, description="An SNS platform endpoint's ARN.")
    addresses: dict[str, str] | None = Field(None, description="Addresses of further channels: channel to address.")
    timezone: str | None = Field(None, description="IANA name; UTC where it is left out.")


class NewIncident(Taken):
    """An incident to be taken: an incident file, as `notifyflow send` takes it, and how it is to be told."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "db-1",
                    "title": "orders db is down",
                    "severity": "CRITICAL",
                    "url": "https://grafana.example/d/orders",
                    "labels": {"team": "orders"},
                    "recipients": [{"id": "ada", "email": "ada@example.com", "phone": "+15005550006"}],
                }
            ]
        }
    )

    key: str = Field(description="The dedup key; it names one unresolved incident.", min_length=1, max_length=intake.MAX_KEY)
    title: str = Field(description="One line.", min_length=1, max_length=intake.MAX_TITLE)
    body: str | None = Field(None, description="More lines, plain text.", max_length=intake.MAX_BODY)
    severity: Severity | None = Field(None, description="How bad it is; ERROR where it is left out.")
    source: str | None = Field(None, description="What reported it.", max_length=intake.MAX_KEY)
    url: str | None = Field(None, description="Where to look, http or https.", max_length=intake.MAX_URL)
    labels: dict[str, str] | None = Field(None, description="Free facts.", max_length=intake.MAX_LABELS)
    occurred_at: AwareDatetime | None = Field(None, description="When it happened; now where it is left out.")
    recipients: list[RecipientShape] = Field(description="Who has to be told; at least one that can be reached.", min_length=1)
    policy: str | None = Field(None, description="How: `default`, `insistent`, or one of your own.")
    strict: bool | None = Field(None, description="Whether a fault of one recipient refuses the whole.")


class ActShape(Taken):
    """Who acknowledges or resolves."""

    model_config = ConfigDict(title="Act", json_schema_extra={"examples": [{"by": "ada"}]})

    by: Who | None = Field(None, description="A recipient's id, or any other name; the API key's name where it is left out.")


class PageShape(ActShape):
    """Who is to be paged again."""

    model_config = ConfigDict(title="Page", json_schema_extra={"examples": [{"recipient": "ada"}]})

    recipient: str = Field(description="The recipient's id.")


class NotifiedShape(BaseModel):
    """What was stored; it will be delivered."""

    model_config = ConfigDict(title="Notified")

    incident_id: str = Field(description="The incident that the key names now.")
    is_new: bool = Field(description="Whether this opened it.")
    added: list[str] = Field(description="Recipients who are paged by this.")
    repeated: list[str] = Field(description="Recipients who were known already.")
    faults: list[FaultShape] = Field(description="What is wrong with single recipients; the others are paged all the same.")

    @classmethod
    def of(cls, value: Notified) -> "NotifiedShape":
        """Show what was done."""
        return cls(
            incident_id=value.incident_id,
            is_new=value.is_new,
            added=list(value.added),
            repeated=list(value.repeated),
            faults=[FaultShape.of(fault) for fault in value.faults],
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
    word: Word | None = Field(description="The strongest word heard about it.")
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
    tier: int | None = Field(description="The tier it belongs to; null for news.")
    state: NotificationState
    due_at: datetime | None
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


class SummaryShape(BaseModel):
    """One incident, as a list shows it."""

    model_config = ConfigDict(title="IncidentSummary")

    id: str
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
    operations_key: str | None = Field(description="The key of the operations incident that its critical failures are linked to.")
    escalations: list[EscalationShape]
    log: list[MoveShape]

    @classmethod
    def of(cls, value: IncidentSummary | IncidentStatus) -> "IncidentShape":
        """Show an incident whole."""
        assert isinstance(value, IncidentStatus)  # noqa: S101 - a summary does not have the rest
        return cls(
            **summary(value),
            body=value.content.body,
            is_settled=value.is_settled,
            operations_key=value.operations_key,
            escalations=[EscalationShape.of(each) for each in value.escalations],
            log=[MoveShape.of(each) for each in value.transitions],
        )


class Changed(BaseModel):
    """What became of an incident by an act."""

    has_changed: bool = Field(description="Whether this changed anything; false where it was so already.")
    incident: SummaryShape


class Verdict(StrEnum):
    """Whether a way leads to somebody."""

    WORKS = "works"
    FAILS = "fails"
    UNTRIED = "untried"


class WayShape(BaseModel):
    """One way to reach a recipient."""

    model_config = ConfigDict(title="Way")

    channel: str
    address: str = Field(description="The beginning of the address, and how long it is.")
    providers: list[str] = Field(description="Who carries the channel here; empty where nobody does.")
    verdict: Verdict = Field(description="`fails` where nobody carries it or the last page failed; of the last 30 days.")
    last_page: NotificationShape | None = Field(description="The last page that came to something.")

    @classmethod
    def of(cls, channel: str, address: str, last: NotificationFacts | None, carriers: Mapping[str, Channel]) -> "WayShape":
        """Show a way."""
        providers = [provider.name for provider in carriers[channel].providers] if channel in carriers else []
        has_failed = last is not None and last.state is NotificationState.FAILED
        tried = Verdict.WORKS if last else Verdict.UNTRIED
        return cls(
            channel=channel,
            address=text.masked(address),
            providers=providers,
            verdict=Verdict.FAILS if has_failed or not providers else tried,
            last_page=None if last is None else NotificationShape.of(last),
        )


class ReachabilityShape(BaseModel):
    """How a recipient can be reached, as the newest incident that names them knows them."""

    model_config = ConfigDict(title="Reachability")

    id: str
    name: str
    timezone: str
    is_reachable: bool = Field(description="Whether there is a way that does not fail.")
    ways: list[WayShape]

    @classmethod
    def of(cls, value: KnownRecipient, carriers: Mapping[str, Channel]) -> "ReachabilityShape":
        """Show how somebody can be reached."""
        contact = value.contact
        ways = [WayShape.of(name, to, value.last_pages.get(name), carriers) for name, to in contact.addresses.items()]
        return cls(
            id=contact.recipient_id,
            name=contact.name,
            timezone=contact.timezone,
            is_reachable=any(way.verdict is not Verdict.FAILS for way in ways),
            ways=ways,
        )


class RecipientPage(BaseModel):
    """Everybody who was ever a recipient, by id."""

    recipients: list[ReachabilityShape]
    next_cursor: str | None = Field(description="Give it as `cursor` for what follows; null at the end.")


class Readiness(BaseModel):
    """Whether notifyflow can deliver."""

    is_ready: bool
    faults: list[FaultShape]


def summary(value: IncidentSummary | IncidentStatus) -> dict[str, Any]:
    """Name what every view of an incident shows."""
    facts, content = value.facts, value.content
    return {
        "id": facts.id,
        "key": facts.key,
        "state": facts.state,
        "severity": facts.severity,
        "title": content.title,
        "source": content.source,
        "url": content.url,
        "labels": dict(content.labels),
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
