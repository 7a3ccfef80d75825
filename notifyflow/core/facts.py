"""What the machines decide on: the rows as values, without anything personal.

The ledger reads these and writes them back; the core makes new ones out of old ones with ``dataclasses.replace``.
Tiers are numbered from 1. Instants are aware and in UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.incident_events import IncidentEvent
from notifyflow.core.model import (
    AttemptState,
    Condition,
    DeferralReason,
    Ended,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """One call to a provider for one notification.

    Attributes:
        id: Ours; it travels in callback URLs, tags and metadata.
        notification_id: Whose call it is.
        number: 1, 2, …, in the order of the claims.
        provider: Who carries it.
        state: RUNNING, RECORDED or NOT_SENT.
        token: The lease's token; only its holder may record.
        started_at: When it was claimed.
        lease_until: From when on the sweeper expires it.
        ended_at: When it was recorded, put in doubt or released.
        result: How it ended, as far as is known: the strongest result so far, or None before the first.
        evidence: Who vouches for it.
        is_doubted: Whether a doubt was ever recorded.
        is_our_fault: Whether the provider refused *us*, in its response or in a receipt.
        code: The provider's code or status.
        reason: What that means, from our tables.
        provider_ref: The provider's id of the message.
        retry_after_s: What the provider asked to wait.
        receipt_due_at: From when on a receipt that decides is overdue; None where none is awaited.
    """

    id: str
    notification_id: str
    number: int
    provider: str
    token: str
    started_at: datetime
    lease_until: datetime
    state: AttemptState = AttemptState.RUNNING
    ended_at: datetime | None = None
    result: Result | None = None
    evidence: Evidence | None = None
    is_doubted: bool = False
    is_our_fault: bool = False
    code: str = ""
    reason: str = ""
    provider_ref: str = ""
    retry_after_s: float | None = None
    receipt_due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one call to a provider.

    Attributes:
        result: ACCEPTED, TEMPORARY_FAILURE, PERMANENT_FAILURE, or IN_DOUBT where no definite answer came.
        code: The provider's code or HTTP status.
        reason: What that means, from our tables; nothing personal.
        provider_ref: The provider's id of the message.
        evidence: Who vouches for an acceptance; None where nothing was accepted.
        retry_after_s: What the provider asked to wait.
        is_our_fault: Whether the provider refused *us*.
        receipt_due_at: From when on a receipt is overdue; None keeps what the attempt was claimed with.
        condition: What it says about the provider itself.
        throttle_s: For how many seconds the provider asks all of us to wait; None if it did not say.
    """

    result: Result
    code: str = ""
    reason: str = ""
    provider_ref: str = ""
    evidence: Evidence | None = None
    retry_after_s: float | None = None
    is_our_fault: bool = False
    receipt_due_at: datetime | None = None
    condition: Condition = Condition.HEALTHY
    throttle_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFacts:
    """One escalation over one channel.

    Attributes:
        id: Opaque.
        incident_id: Its incident.
        escalation_id: Its escalation.
        channel: The channel's registered name.
        kind: Page, status update or incident event.
        tier: The tier it belongs to, from 1; None unless a page.
        state: Where it stands.
        version: Counts its writes; the guard of every update.
        severity: The round's; decides order and queue.
        max_attempts: From the policy's schedule; 1 for a status update.
        created_at: When it was queued.
        due_at: When it may be sent; None unless QUEUED.
        rung_at: When the bell was last rung for it; every new ``due_at`` clears it.
        deferred_since: Since when it has been deferred (Retry-After, a limit, a circuit, a pause); None when it is not.
        deferred_by: By what.
        paused_since: Since when pauses have kept it from being sent, however often; None where none has.
        paused_until: Until when the last of these does, or did.
        ended: Why we ended it ourselves.
        ended_at: When we did.
        namespace: Its incident's.
        is_stopped: Whether its incident was acknowledged or resolved, or its round replaced: what would be QUEUED is CANCELLED.
        reason: Why it is FAILED, in few words; nothing personal.
        incident_event: The event and its subscriber; None for people.
        attempts: All of them, by number; those NOT_SENT count for nothing.
    """

    id: str
    incident_id: str
    escalation_id: str
    channel: str
    severity: Severity
    max_attempts: int
    created_at: datetime
    kind: Kind = Kind.PAGE
    tier: int | None = 1
    state: NotificationState = NotificationState.QUEUED
    version: int = 1
    due_at: datetime | None = None
    rung_at: datetime | None = None
    deferred_since: datetime | None = None
    deferred_by: DeferralReason | None = None
    paused_since: datetime | None = None
    paused_until: datetime | None = None
    ended: Ended | None = None
    ended_at: datetime | None = None
    namespace: str = ""
    is_stopped: bool = False
    reason: str = ""
    incident_event: IncidentEvent | None = None
    attempts: tuple[AttemptFacts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationFacts:
    """One incident to one recipient in one round.

    Attributes:
        id: Opaque.
        incident_id: Its incident.
        recipient_id: Who is paged.
        round: From 1, per incident and recipient.
        state: Where it stands.
        version: Counts its writes.
        tier: The tier in force, from 1; 0 before the first is opened.
        severity: The round's.
        policy: The snapshot.
        started_at: When the round started.
        next_decision_at: When a timer is due; None if no timer runs.
        next_round_at: When the policy's next round (or the end after its last) is due for this recipient; None without.
        repetition: Which of the policy's rounds this is, from 1; a round that the policy did not start counts anew.
        critical_at: When it became a critical failure; set once.
        is_current: False once a newer round has taken its place or the incident was resolved: whatever comes then is late.
        reason: Why it is EXHAUSTED from the start.
    """

    id: str
    incident_id: str
    recipient_id: str
    round: int
    severity: Severity
    policy: Policy
    started_at: datetime
    state: EscalationState = EscalationState.ACTIVE
    version: int = 1
    tier: int = 0
    next_decision_at: datetime | None = None
    next_round_at: datetime | None = None
    repetition: int = 1
    critical_at: datetime | None = None
    is_current: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFacts:
    """What happened, and and who acknowledged or resolved it.

    Attributes:
        id: Opaque.
        key: The dedup key; it names one unresolved incident of its namespace.
        namespace: Whose it is: that of the API key it came with; empty where it came another way.
        state: Where it stands.
        version: Counts its writes.
        severity: The highest reported so far.
        policy: The policy that new rounds use.
        is_operations: Whether it is an operations incident, whose own failures alert nobody.
        opened_at: When it was first notified.
        last_seen_at: When its key last came.
        times_seen: How often it came.
        round_at: When an operations incident pages again for what was counted in meanwhile; None for all others.
        acknowledged_at: When it was acknowledged; None while OPEN.
        acknowledged_by: By whom.
        acknowledged_via: How: a ``Via``, or the channel of a reply; empty while it is not.
        resolved_at: When it ended.
        resolved_by: By whom.
    """

    id: str
    key: str
    severity: Severity
    policy: Policy
    opened_at: datetime
    last_seen_at: datetime
    namespace: str = ""
    state: IncidentState = IncidentState.OPEN
    version: int = 1
    is_operations: bool = False
    times_seen: int = 1
    round_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledged_via: str = ""
    resolved_at: datetime | None = None
    resolved_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One line of the transition log.

    Attributes:
        machine: ``notification``, ``escalation`` or ``incident``.
        row_id: The row that moved.
        version: The row's version after the move; a row's lines sort by it.
        event: The machine's event.
        source: The state before; empty in the first line.
        target: The state after; the same for a reflexive move.
        at: When.
        detail: Ids and codes worth reading (tier, provider, reason, attempt, by, via); nothing personal.
    """

    machine: str
    row_id: str
    version: int
    event: str
    source: str
    target: str
    at: datetime
    detail: Mapping[str, str]
