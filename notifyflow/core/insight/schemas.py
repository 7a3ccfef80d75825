"""The JSON documents that the REST API, ``--json`` and outgoing webhooks share: one name and one form for each fact.

Fields are named like those of the values they are built from. An unknown or unset value is ``null``, and no field is left out;
only a namespace may be an empty string, which names the empty namespace. Instants are ISO 8601 in UTC, with ``Z``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from notifyflow.core import text
from notifyflow.core.delivery.facts import NotificationFacts, StepFacts
from notifyflow.core.delivery.model import (
    AttemptState,
    DeferralReason,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Notified,
    Result,
    Severity,
    StepState,
    Via,
)
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.document import Document, Text
from notifyflow.core.insight import inbound_words
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus, IncidentSummary
from notifyflow.core.intake.inbound_log import InboundEffect, InboundEntry
from notifyflow.core.limits.silences import Silence

Labels = Annotated[dict[str, str], BeforeValidator(lambda value: dict(value or {}))]


def _policy_name(value: Policy | str) -> str:
    return value.name if isinstance(value, Policy) else value


class FaultDocument(Document):
    """One fault of the input: where it is, what is wrong, and what to do."""

    where: Annotated[str, BeforeValidator(text.one_line)] = Field(  # it may contain names that UTF-8 cannot encode
        description="The field, as a path.", examples=["recipients[0].phone"]
    )
    what: str = Field(description="What is wrong with it.", examples=["'+15…' (12 characters) is not a possible number"])
    remedy: str = Field(description="What to do about it.", examples=["Correct the address; ada is not notified there"])


class NotifiedDocument(Document):
    """The result of a submission: it is stored, and will be delivered."""

    incident_id: str = Field(description="The id of the incident that has the key now.")
    is_new: bool = Field(description="Whether this submission opened the incident.")
    added: list[str] = Field(description="Recipients whom this submission pages; the API lists only the first of very many.")
    added_count: int = Field(description="How many recipients this submission pages.")
    repeated: list[str] = Field(description="Recipients who were known already; the API lists only the first of very many.")
    repeated_count: int = Field(description="How many recipients were known already.")
    faults: list[FaultDocument] = Field(
        description="Faults of single recipients; the API lists the first 20, and one more counts the rest. "
        "Recipients without a fault are paged."
    )

    @model_validator(mode="before")
    @classmethod
    def _count(cls, value: object) -> object:
        if isinstance(value, Notified):
            return {"added_count": len(value.added), "repeated_count": len(value.repeated), **values(value)}
        return value


class AttemptDocument(Document):
    """One call to a provider."""

    id: str
    number: int
    provider: str
    state: AttemptState
    started_at: datetime
    ended_at: datetime | None
    result: Result | None = Field(description="How it ended, as far as is known: the strongest result so far.")
    evidence: Evidence | None = Field(description="Who vouches for it, weakest first: accepted, carrier, device, human.")
    is_doubted: bool = Field(description="Whether it was ever unknown if the provider accepted the message.")
    code: Text = Field(description="The provider's code or status.")
    reason: Text = Field(description="The meaning of the code.")
    provider_ref: Text = Field(description="The provider's id of the message.")
    carried_by: str | None = Field(
        validation_alias="sent_with", description="The attempt whose call carried it with others, or itself; null if sent alone."
    )
    position: int | None = Field(
        description="Its place in a message about several incidents, from 0, the worst first; null if sent alone."
    )
    is_named: bool = Field(description="Whether the message names its incident; false if it only counts it among the others.")


class NotificationDocument(Document):
    """One escalation over one channel."""

    id: str
    channel: str
    kind: Kind
    tier: int | None = Field(description="The tier of a page; 0 if it was wished for and belongs to none; null for other kinds.")
    state: NotificationState
    due_at: datetime | None = Field(description="When it may be sent; null unless it is QUEUED.")
    waits_until: datetime | None = Field(
        description="When it leaves at the latest if it waits for others in a storm, or for a call to end; it is not deferred."
    )
    deferred_since: datetime | None = Field(description="Since when it is deferred.")
    deferred_by: DeferralReason | None = Field(
        description="By what: a limit, a wait that the provider asked for, an open circuit, a suspension, a pause, quiet hours."
    )
    reason: Text = Field(description="Why it is FAILED.")
    attempts: list[AttemptDocument]


class EscalationDocument(Document):
    """One recipient in one round."""

    id: str
    recipient: str = Field(validation_alias="recipient_id", description="The recipient's id.")
    recipient_name: str = Field(validation_alias="name")
    round: int
    state: EscalationState
    tier: int = Field(description="The tier in force.")
    severity: Severity
    started_at: datetime
    critical_at: datetime | None = Field(description="When it became a critical failure.")
    alerted_at: datetime | None = Field(description="When operations was paged for it.")
    held_up_at: datetime | None = Field(description="When operations was told that every way left was held up.")
    reason: Text = Field(description="Why nothing could be sent at all.")
    notifications: list[NotificationDocument]

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: object) -> object:
        return values(value.contact, value.facts, value) if isinstance(value, EscalationStatus) else value


class ChainStepDocument(Document):
    """One step of an incident's chain, in one run; the last of a run names nobody, and is the chain's end."""

    pass_number: int = Field(validation_alias="run_number", description="The run through the chain, from 1.")
    number: int = Field(description="Its number in the run; step 1 was paged at once.")
    to: list[str] = Field(description="Whom it pages: recipients' ids, and names of the directory; empty for the chain's end.")
    after_s: float = Field(description="How long after the step before it starts, in seconds.")
    state: StepState
    due_at: datetime | None = Field(description="When it is decided on next; null unless it is the next one.")
    started_at: datetime | None
    duty: list[str] = Field(
        validation_alias="paged", description="The ids of the recipients it paged: the people on duty when it started."
    )
    reason: Text = Field(description="Why it paged nobody: paged_already, nobody_on_duty or chain_over.")

    @model_validator(mode="before")
    @classmethod
    def _in_seconds(cls, value: object) -> object:
        return values(value) | {"after_s": value.after.total_seconds()} if isinstance(value, StepFacts) else value


class TransitionDocument(Document):
    """One line of the transition log."""

    at: datetime
    machine: str = Field(description="The kind of the row that moved: incident, escalation, notification or step.")
    row: str = Field(validation_alias="row_id", description="Its id.")
    event: str
    source: Text = Field(description="The state before; null for a new row.")
    target: str = Field(description="The state after.")
    detail: Labels


class NoteDocument(Document):
    """Something a provider reported that changes no state: a complaint, an automatic reply, an unknown status."""

    attempt: str = Field(validation_alias="attempt_id", description="The id of the attempt it is about.")
    code: Text
    reason: Text
    received_at: datetime


class IncidentEventDocument(Document):
    """An event that a subscriber was sent, or will be."""

    subscriber: str
    event: str = Field(description="What happened to the incident; the webhook's `type` is `incident.EVENT`.")
    at: datetime = Field(description="When it happened; the webhook's `timestamp`.")
    notification: NotificationDocument = Field(description="Its delivery.")

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: object) -> object:
        if isinstance(value, NotificationFacts) and value.incident_event:
            return values(value.incident_event) | {"notification": value}
        return value


class InboundEntryDocument(Document):
    """Requests of one kind that came in through an integration."""

    integration: Via
    api_key: str = Field(description="The name of the API key that they came with.")
    route: Text = Field(description="The directory's route that matched; null for an acknowledgement or resolve.")
    did: InboundEffect = Field(description="The effect of the requests.")
    why: Text = Field(description="Why they paged nobody: acknowledged, resolved, no_route or paused; null if `did` says it.")
    left_out: Text = Field(description="The recipients of the route who cannot be paged.")
    first_at: datetime
    last_at: datetime
    times: int
    text: str = Field(description="The same in words, with times in UTC.")

    @model_validator(mode="before")
    @classmethod
    def _say(cls, value: object) -> object:
        return values(value) | {"text": inbound_words.sentence(value, brief=in_utc)} if isinstance(value, InboundEntry) else value


class IncidentTexts(Document):
    """The fields that every document about an incident has, webhooks included."""

    namespace: str = Field(description="The namespace of the API key that submitted it; empty if it came another way.")
    key: str
    severity: Severity = Field(description="The highest severity reported so far.")
    title: str
    source: Text
    url: Text
    labels: Labels


class IncidentSummaryDocument(IncidentTexts):
    """One incident, as a list shows it."""

    id: str
    state: IncidentState
    policy: Annotated[str, BeforeValidator(_policy_name)]
    is_operations: bool = Field(description="Whether it is one of notifyflow's own incidents, for the operations team.")
    occurred_at: datetime | None
    opened_at: datetime
    last_seen_at: datetime
    times_seen: int
    acknowledged_at: datetime | None
    acknowledged_by: Text
    acknowledged_via: Text
    resolved_at: datetime | None
    resolved_by: Text

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: object) -> object:
        if isinstance(value, IncidentStatus):
            return of_status(value)
        return values(value.content, value.facts) if isinstance(value, IncidentSummary) else value


class LeftOutDocument(Document):
    """A damaged row that is left out."""

    table: str
    row_id: str = Field(description="Its id; of a contact, the recipient's and the incident's.")
    column: str = Field(description="The first column that cannot be read.")
    owner: str = Field(description="The table that has the column.")
    why: str = Field(description="The type of the error.")
    incident_id: Text = Field(description="Its incident; null if it has none.")
    escalation_id: Text = Field(description="Its escalation; null if it has none.")


class IncidentSilenceDocument(Document):
    """The time in which a silence holds, or held, an incident."""

    silence_id: str
    author: str = Field(description="Who started the silence.")
    reason: str = Field(description="Why, in their words.")
    began_at: datetime
    ended_at: datetime = Field(description="When it ended for the incident, or will end by itself.")


class IncidentDocument(IncidentSummaryDocument):
    """One incident with its escalations, notifications, attempts and log."""

    body: Text
    is_settled: bool = Field(description="Whether nothing more happens on its own.")
    is_quarantined: bool = Field(
        description="Whether nothing of it is sent, since its database was adopted and nobody has decided."
    )
    operations_key: str | None = Field(description="The key of the operations incident that its critical failures are linked to.")
    escalations: list[EscalationDocument]
    steps: list[ChainStepDocument] = Field(description="The steps of its chain, by run and number; empty if it has none.")
    transitions: list[TransitionDocument] = Field(description="The log of all its rows, by time.")
    notes: list[NoteDocument] = Field(description="Reports of providers that change no state, in order of arrival.")
    incident_events: list[IncidentEventDocument] = Field(description="Its events for subscribers, sent or to be sent.")
    arrivals: list[InboundEntryDocument] = Field(description="The requests about it through integrations, the earliest first.")
    damaged: list[LeftOutDocument] = Field(description="Rows of it that cannot be read, and are left out.")
    silences: list[IncidentSilenceDocument] = Field(description="The silences that hold or held it, the earliest first.")


class PauseDocument(Document):
    """Something that is paused."""

    scope: str = Field(description="all, channel or provider.")
    name: Text = Field(description="Which channel or provider; null if all is paused.")
    ends_at: datetime
    paused_at: datetime
    paused_by: str
    is_for_critical: bool


class SilenceDocument(Document):
    """A silence: while it lasts, matching incidents page nobody."""

    id: str
    match: str = Field(description="Its matchers, as the command line takes them.")
    namespaces: list[str] | None = Field(description="The namespaces on whose incidents it acts; null for all.")
    begins_at: datetime
    ends_at: datetime = Field(description="When it ends unless somebody ends it sooner.")
    ended_at: datetime | None = Field(description="When it was ended early; null if it was not.")
    ended_by: Text
    author: str = Field(description="Who started it.")
    author_kind: str = Field(description="user, key or command.")
    reason: str
    warnings: list[str] = Field([], description="Why it may cover nothing: labels that nothing has had so far.")

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: object) -> object:
        if not isinstance(value, Silence):
            return value
        namespaces = None if value.namespaces is None else sorted(value.namespaces)
        return values(value) | {"match": str(value.matchers), "namespaces": namespaces}

    @classmethod
    def of_all(cls, silences: Iterable[Silence], warnings: Mapping[str, Sequence[str]]) -> "list[SilenceDocument]":
        """Return silences, each with its warnings, by id."""
        return [cls.of(each).model_copy(update={"warnings": list(warnings.get(each.id, ()))}) for each in silences]


def of_status(status: IncidentStatus) -> dict[str, Any]:
    """Return the fields of an incident's document."""
    return values(status.content, status.facts, status) | {"is_settled": status.is_settled}


def in_utc(at: datetime) -> str:
    """Return an instant as the texts of documents show it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def values(*parts: Any) -> dict[str, Any]:
    """Return the fields of some dataclass values; the later one wins where two have the same field."""
    return {field.name: getattr(part, field.name) for part in parts for field in fields(part)}
