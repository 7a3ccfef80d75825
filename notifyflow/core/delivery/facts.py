"""The rows of the machines as values; nothing personal.

The ledger reads and writes these; the core makes new ones from old ones with ``copies.replace``, for which they have no slots.
Tiers are numbered from 1.
Instants are aware and in UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.delivery.incident_events import IncidentEvent
from notifyflow.core.delivery.model import (
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
    StepState,
)
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.delivery.series_carried import Carried, Series


@dataclass(frozen=True, kw_only=True)
class AttemptFacts:
    """One call to a provider for one notification.

    Attributes:
        id: Ours; it travels in callback URLs, tags and metadata.
        number: 1, 2, …, in the order of the claims.
        state: RUNNING, RECORDED or NOT_SENT.
        token: The lease's token; only its holder may record.
        started_at: When it was claimed.
        ended_at: When it was recorded, put in doubt or released.
        result: The strongest result so far; None before the first.
        evidence: The source of the result.
        is_doubted: Whether a doubt was ever recorded.
        is_our_fault: Whether the provider refused *us*, in its response or in a receipt.
        code: The provider's code or status.
        reason: The meaning of the code, from the provider's table.
        provider_ref: The provider's id of the message.
        retry_after_s: Seconds that the provider asked to wait.
        receipt_due_at: When a deciding receipt becomes overdue; None if none is awaited.
        unproven_at: When it counts as overdue if no receipt can come, on channels where acceptance shows nothing; else None.
        took_s: How long the call took, in seconds; None if it was not made, or its end was not recorded.
        sent_with: The attempt whose call carried this one and others in a bundle; its own id if it made the call. None
            if it was sent alone.
        position: Its place in the bundle, from 0, the most severe first; None if it was sent alone.
        is_named: Whether the message names its incident; False for those that a bundle only counts.
        over_at: When the call that it makes is over, or counts as over unless a report says more; None for anything else.
        half: If its bundle was refused for its content, in the response or a receipt: the first attempt of its half of the
            bundle, which leaves by itself; the refusal uses up no attempt. None otherwise.
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
    unproven_at: datetime | None = None
    took_s: float | None = None
    sent_with: str | None = None
    position: int | None = None
    is_named: bool = True
    over_at: datetime | None = None
    half: str | None = None

    @property
    def is_sent_with_another(self) -> bool:
        """Whether another attempt's call carries it."""
        return self.sent_with not in (None, self.id)

    @property
    def is_halved(self) -> bool:
        """Whether its message of several was refused for its content, which uses up no attempt."""
        return self.half is not None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one call to a provider.

    Attributes:
        result: ACCEPTED, TEMPORARY_FAILURE, PERMANENT_FAILURE, or IN_DOUBT if there was no definite response.
        code: The provider's code or HTTP status.
        reason: The meaning of the code, from the provider's table; nothing personal.
        provider_ref: The provider's id of the message.
        evidence: The source of an acceptance; None if the message was not accepted.
        retry_after_s: Seconds that the provider asked to wait.
        is_our_fault: Whether the provider refused *us*.
        is_about_content: Whether the provider refused the message for its content, and nothing of it left.
        receipt_due_at: When a receipt becomes overdue; None keeps the time set by the claim.
        condition: The provider's health, as this outcome shows it.
        throttle_s: Seconds that the provider asked all senders to back off; None if it did not.
        took_s: How long the call took, in seconds; None if it was not made.
    """

    result: Result
    code: str = ""
    reason: str = ""
    provider_ref: str = ""
    evidence: Evidence | None = None
    retry_after_s: float | None = None
    is_our_fault: bool = False
    is_about_content: bool = False
    receipt_due_at: datetime | None = None
    condition: Condition = Condition.HEALTHY
    throttle_s: float | None = None
    took_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class NotificationFacts:
    """One escalation over one channel.

    Attributes:
        channel: The channel's registered name.
        kind: Page, status update or incident event.
        tier: Its tier, from 1; 0 for a wished page that no tier has adopted; None unless it is a page.
        version: Number of writes; guards every update.
        severity: The round's; decides order and queue.
        max_attempts: From the policy's schedule; 1 for a status update.
        due_at: When it may be sent; None unless QUEUED.
        rung_at: When the bell was last rung for it; a new ``due_at`` clears it.
        deferred_since: When it was deferred (by Retry-After, a limit, a circuit or a pause); None if it is not.
        paused_since: When a pause first deferred it; None if none has.
        paused_until: When the last of these pauses ends or ended.
        lane: Where it really goes: a keyed digest of its channel and address; empty if no person gets it, or nothing may leave.
        waits_until: When it leaves at the latest if it waits for others in a storm, or for a call to end; it is not deferred.
        ended: Why notifyflow ended it; None if it did not.
        namespace: The incident's namespace.
        is_stopped: Whether its incident was acknowledged or resolved, or its round replaced; then CANCELLED takes the place of
            QUEUED.
        has_been_silenced: Whether a silence has held it: it leaves with others from then on, also where bundling is off.
        reason: Why it is FAILED, in a few words; nothing personal.
        incident_event: The event and its subscriber; None for people.
        attempts: All attempts, by number; see ``attempts.counted`` and ``attempts.used_up``.
        times_aside: How often it was set aside because of damage; 0 for most. It has no column.
        is_readable: Whether the row could be read; otherwise this is a stand-in, which is never written.
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
    lane: str = ""
    waits_until: datetime | None = None
    ended: Ended | None = None
    ended_at: datetime | None = None
    namespace: str = ""
    is_stopped: bool = False
    has_been_silenced: bool = False
    reason: str = ""
    incident_event: IncidentEvent | None = None
    attempts: tuple[AttemptFacts, ...] = ()
    times_aside: int = 0
    is_readable: bool = True

    @property
    def is_set_aside(self) -> bool:
        """Whether it is or was damaged: then only sending and recording write it."""
        return self.times_aside > 0 or not self.is_readable


@dataclass(frozen=True, kw_only=True)
class EscalationFacts:
    """One incident to one recipient in one round.

    Attributes:
        round: Number of the round, from 1, for this incident and recipient.
        version: Number of writes.
        tier: The tier in force, from 1; 0 before the first is opened.
        severity: The severity of the round.
        policy: The policy as it was when the round started.
        next_decision_at: When the next timer is due; None if no timer runs.
        next_round_at: When the next round of the policy, or the end after the last one, is due; None if there is none.
        repetition: Number of the round within the policy's ``repeat``, from 1; a round started by other means begins at 1 again.
            In a series it goes on, beyond the last round once that has passed.
        critical_at: When it became a critical failure; set once.
        alerted_at: When operations was paged for it; set once, and later than ``critical_at`` if it was only linked at first.
        held_up_at: When operations was told that every remaining way was held up; set once. It is no critical failure.
        reported_at: When the contents of an operations round were told: a page was accepted, or somebody acknowledged. The
            policy's next rounds keep it. None for other incidents.
        is_current: Whether it is the newest round of an unresolved incident; otherwise every event is late.
        reason: Why it is EXHAUSTED from the start.
        readdressed_at: When a changed address last started a round of the recipient; None if none has.
        readdress_at: When a changed address starts a round, unless a page arrives before; None if none does.
        carried: The state carried over from the incident before it in a series; None outside a series.
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
    alerted_at: datetime | None = None
    held_up_at: datetime | None = None
    reported_at: datetime | None = None
    is_current: bool = True
    reason: str = ""
    readdressed_at: datetime | None = None
    readdress_at: datetime | None = None
    carried: Carried | None = None


@dataclass(frozen=True, kw_only=True)
class IncidentFacts:
    """An incident, and who acknowledged or resolved it.

    Attributes:
        key: The dedup key; it names one unresolved incident of its namespace.
        namespace: The namespace of the API key that opened it; empty if it was opened without one.
        version: Number of writes.
        severity: The highest reported so far.
        policy: The policy for new rounds.
        run_number: Number of the run through its chain, from 1; 0 if it has no chain.
        is_operations: Whether it is an operations incident, whose own failures raise no alert.
        opened_at: When it was first notified.
        times_seen: Number of times it was notified.
        round_at: When an operations incident pages again about failures that no accepted page has told, or when an incident of a
            series is open for long enough to be flapping; None if neither is to come.
        acknowledged_at: When it was acknowledged; None while OPEN.
        acknowledged_via: How: a ``Via``, or the channel of a reply; empty while it is not acknowledged.
        series: Its series; None for the first incident of one, until a person has ended it.
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
    run_number: int = 0
    is_operations: bool = False
    times_seen: int = 1
    round_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledged_via: str = ""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    series: Series | None = None


@dataclass(frozen=True, kw_only=True)
class StepFacts:
    """One step of the chain of an incident, in one run.

    The last one of a run names nobody: it is the chain's end, and alerts operations when it is due.

    Attributes:
        run_number: The run, from 1.
        number: Its number in the run; step 1 is paged at once.
        to: Recipient ids and names of the directory; empty for the chain's end.
        after: How long after the step before it starts.
        version: Number of writes.
        waits_since: When its time began; None unless it is the next one, or was when it was stopped.
        waited: How much of its time had passed in earlier incidents of the series.
        due_at: When it starts unless somebody acknowledges; None unless it is the next one. It may be too early: then it is
            computed again.
        paged: The ids of the recipients who were on duty when it started.
        reason: Why it is SKIPPED: ``paged_already``, ``nobody_on_duty`` or ``chain_over``.
    """

    id: str
    incident_id: str
    run_number: int
    number: int
    to: tuple[str, ...]
    after: timedelta
    state: StepState = StepState.WAITING
    version: int = 1
    waits_since: datetime | None = None
    waited: timedelta = timedelta()
    due_at: datetime | None = None
    started_at: datetime | None = None
    paged: tuple[str, ...] = ()
    reason: str = ""

    @property
    def is_end(self) -> bool:
        """Whether it is the end of the chain."""
        return not self.to


MACHINE_NAMES: Mapping[type, str] = {
    IncidentFacts: "incident",
    EscalationFacts: "escalation",
    NotificationFacts: "notification",
    StepFacts: "step",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One line of the transition log.

    Attributes:
        machine: ``notification``, ``escalation``, ``incident`` or ``step``.
        version: The row's version after the move; it orders the row's lines.
        event: The machine's event.
        source: The state before; empty in the first line.
        target: The state after; equal to ``source`` for a reflexive move.
        at: The time of the move.
        detail: Ids and codes (tier, provider, reason, attempt, by, via); nothing personal.
    """

    machine: str
    row_id: str
    version: int
    event: str
    source: str
    target: str
    at: datetime
    detail: Mapping[str, str]
