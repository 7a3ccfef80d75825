"""The next events of an escalation and their times, if nothing comes in; pure.

Its timers are passed by ``escalation.decide`` itself, so these are the events that the sweeps will bring. It decides nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from notifyflow.core.copies import replace
from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery import lifecycle, page_rules
from notifyflow.core.delivery.attempts import counted, doubt_of, used_up
from notifyflow.core.delivery.escalation import AlertOperations, Cause, Decided, OpenTier, StartRound
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import LIVE, AttemptState, DeferralReason, Ended, EscalationState, Kind, NotificationState
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.insight.chain_steps import NextStep
from notifyflow.core.limits.pauses import Pause

LATE_AFTER = timedelta(seconds=5)
"""How long after it is due an event is late; a sweep comes every second."""


class NextEventKind(StrEnum):
    """The kind of a next event.

    An ATTEMPT of a notification; a running attempt that is put in DOUBT, since its lease expires; a receipt that becomes OVERDUE,
    or is no longer waited for (UNCONFIRMED); the EXPIRY of a page; a TIER that opens; a ROUND that starts; an alert to
    OPERATIONS; the END of what an escalation does by itself; a DECISION that changes nothing, as far as is known; the RELEASE of
    a quarantined incident.
    """

    ATTEMPT = "attempt"
    DOUBT = "doubt"
    OVERDUE = "overdue"
    UNCONFIRMED = "unconfirmed"
    EXPIRY = "expiry"
    TIER = "tier"
    ROUND = "round"
    OPERATIONS = "operations"
    END = "end"
    DECISION = "decision"
    RELEASE = "release"


class Wait(StrEnum):
    """The reason why an attempt waits; the last seven are the reasons for deferrals.

    POSTPONED is no deferral: a page waits for others in a storm, or for a call to the same number to end.
    """

    TURN = "turn"
    RETRY = "retry"
    DOUBT = "doubt"
    POSTPONED = "postponed"
    LIMIT = "limit"
    RETRY_AFTER = "retry_after"
    CIRCUIT = "circuit"
    SUSPENSION = "suspension"
    PAUSE = "pause"
    QUIET = "quiet"
    SILENCE = "silence"


class NextEventPremise(StrEnum):
    """The condition of a next event."""

    NOBODY_ACKNOWLEDGES = "nobody_acknowledges"
    NOTHING_ARRIVES = "nothing_arrives"
    NO_RESULT = "no_result"
    NO_RECEIPT = "no_receipt"
    NO_RELEASE = "no_release"


@dataclass(frozen=True, kw_only=True)
class NextEvent:
    """One of the next events.

    Attributes:
        at: When it comes; now, if it is due; None if a person decides when.
        late_since: When it was due, if it is late; None if it is not.
        provider: The provider of the latest attempt.
        tier: The number of the tier that opens.
        repetition: The number of the policy's round that starts.
        state: The state in which the escalation settles.
        wait: What an attempt waits for.
        notification_id: The notification of an attempt, a receipt or an expiry.
    """

    what: NextEventKind
    at: datetime | None
    late_since: datetime | None = None
    channels: tuple[str, ...] = ()
    provider: str = ""
    attempt: int | None = None
    tier: int | None = None
    repetition: int | None = None
    state: EscalationState | None = None
    wait: Wait | None = None
    premise: NextEventPremise | None = None
    notification_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextEvents:
    """The next events of an incident.

    Attributes:
        escalations: Each escalation's next events, by its id, the soonest first; empty without any.
        now: When it was read.
        step: The next step of its chain, or None.
        names: The names of recipients in later steps of its chain, by id; personal.
        too_late: The ids of the escalations whose pages are too old to open the next tier by a failure.
        pauses: The pauses in force that stop the whole incident.
    """

    escalations: Mapping[str, tuple[NextEvent, ...]]
    now: datetime
    step: NextStep | None = None
    names: Mapping[str, str] = FrozenDict()
    too_late: frozenset[str] = frozenset()
    pauses: tuple[Pause, ...] = ()


def next_events(context: DecisionContext, now: datetime) -> tuple[NextEvent, ...]:
    """Return the next events, the soonest first, if no result, receipt or reply comes in.

    It is never empty while a notification is in progress or a timer of the escalation is set. Events after an attempt assume that
    the attempt changes nothing.
    """
    events = sorted((*_of_rows(context, now), *_of_timers(context, now)), key=lambda each: each.at or now)
    if any(each.is_quarantined and each.ended_at >= now for each in context.paused_intervals):
        return (
            (NextEvent(what=NextEventKind.RELEASE, at=None, premise=NextEventPremise.NO_RELEASE),)
            if events or timers(context)
            else ()
        )
    if not events and (waiting := timers(context)):
        due_at, _ = min(waiting)
        return (NextEvent(what=NextEventKind.DECISION, at=max(now, due_at), late_since=_late_since(due_at, now)),)
    return tuple(events)


def of_row(context: DecisionContext, row: NotificationFacts, now: datetime) -> Iterator[NextEvent]:
    """Yield the next events of one notification; none once it is at rest."""
    match row.state:
        case NotificationState.QUEUED:
            yield _of_queued(context, row, now)
        case NotificationState.SENDING:
            for running in (each for each in row.attempts if each.state is AttemptState.RUNNING):
                yield _due(_about(row, NextEventKind.DOUBT, running.lease_until, premise=NextEventPremise.NO_RESULT), now)
        case NotificationState.SENT if _is_live(context):
            yield from _of_sent(context, row, now)
        case NotificationState.SENT | NotificationState.DELIVERED | NotificationState.FAILED | NotificationState.CANCELLED:
            return
        case _:
            assert_never(row.state)


def advance(context: DecisionContext, *, event: Cause, now: datetime) -> tuple[DecisionContext, tuple[NextEvent, ...]]:
    """End expired pages, and decide; return the context after that, with the new pages, and the events."""
    rows = tuple(_expired(context, row, now) for row in context.notifications)
    context = replace(context, notifications=rows)
    decided = escalations.decide(context, event=event, now=now)
    return written(context, decided, now=now), tuple(events_of(context, decided, now=now))


def written(context: DecisionContext, decided: Decided, *, now: datetime) -> DecisionContext:
    """Return a context after a decision is written: the pages of new tiers are queued, due at once, or were adopted."""
    facts = decided.after
    pages = (
        NotificationFacts(
            id=f"{facts.id}.{effect.number}.{channel}",
            incident_id=facts.incident_id,
            escalation_id=facts.id,
            channel=channel,
            tier=effect.number,
            severity=facts.severity,
            max_attempts=facts.policy.retries.schedule(channel, facts.severity).attempts,
            created_at=now,
            due_at=now,
        )
        for effect in decided.effects
        if isinstance(effect, OpenTier)
        for channel in effect.channels
    )
    rows = escalations.with_adopted(context, decided).notifications
    return replace(context, escalation=facts, notifications=(*rows, *pages))


def events_of(context: DecisionContext, decided: Decided, *, now: datetime) -> Iterator[NextEvent]:
    """Yield the events of a decision on a context."""
    reasons = [step.detail["why"] for step in decided.steps if step.event == "tier_opened"]
    is_timed = "unacknowledged" in reasons
    for effect in decided.effects:
        if isinstance(effect, OpenTier):
            channels = (*effect.adopted, *effect.channels)
            yield NextEvent(
                what=NextEventKind.TIER, at=now, tier=effect.number, channels=channels, premise=_premise(is_timed=is_timed)
            )
        elif isinstance(effect, StartRound):
            yield NextEvent(
                what=NextEventKind.ROUND, at=now, repetition=effect.repetition, premise=NextEventPremise.NOBODY_ACKNOWLEDGES
            )
        elif isinstance(effect, AlertOperations) and effect.is_paging:
            yield NextEvent(what=NextEventKind.OPERATIONS, at=now, premise=_premise(is_timed=effect.reason == "unanswered"))
    state = decided.after.state
    if state in LIVE - {EscalationState.ACTIVE, context.escalation.state}:
        yield NextEvent(what=NextEventKind.END, at=now, state=state)


def _premise(*, is_timed: bool) -> NextEventPremise:
    return NextEventPremise.NOBODY_ACKNOWLEDGES if is_timed else NextEventPremise.NOTHING_ARRIVES


def _of_rows(context: DecisionContext, now: datetime) -> Iterator[NextEvent]:
    for row in context.notifications:
        yield from of_row(context, row, now)


def _of_timers(context: DecisionContext, now: datetime) -> Iterator[NextEvent]:
    """Pass the timers of the escalation one after the other, and yield the events of each.

    They end with a new round, or when a page expires that is attempted before: the later timers are not known.
    """
    context = replace(context, notifications=tuple(map(_released, context.notifications)))
    passed: list[tuple[datetime, Cause]] = []
    while (waiting := timers(context)) and waiting != passed:
        at, event = min(waiting, key=lambda each: each[0])
        context, came = advance(context, event=event, now=max(at, now))
        yield from (replace(each, late_since=_late_since(at, now)) for each in came)
        if any(each.what is NextEventKind.ROUND for each in came):
            return
        passed = waiting


def _released(row: NotificationFacts) -> NotificationFacts:
    """Return a page as a silence that defers it leaves it at its end: it is sent then, and its wait makes nobody suspect it."""
    return replace(row, deferred_since=None, deferred_by=None) if row.deferred_by is DeferralReason.SILENCE else row


def timers(context: DecisionContext) -> list[tuple[datetime, Cause]]:
    """Return the timers of a live escalation, with the causes of their decisions."""
    facts = context.escalation
    known: tuple[tuple[datetime | None, Cause], ...] = (
        (facts.next_decision_at, "timer_due"),
        (facts.next_round_at, "round_due"),
    )
    return [(at, event) for at, event in known if at is not None and _is_live(context)]


def _is_live(context: DecisionContext) -> bool:
    return context.escalation.is_current and context.escalation.state in LIVE


def _expired(context: DecisionContext, row: NotificationFacts, now: datetime) -> NotificationFacts:
    """Return a page, ended if it expires before it is attempted again."""
    expires_at = page_rules.row_expires_at(context.escalation, row, context.intervals)
    if row.kind is not Kind.PAGE or row.due_at is None or expires_at > min(now, row.due_at):
        return row
    return lifecycle.end(row, Ended.EXPIRED, reason="", now=now).after


def _of_queued(context: DecisionContext, row: NotificationFacts, now: datetime) -> NextEvent:
    due_at, expires_at = row.due_at or now, page_rules.row_expires_at(context.escalation, row, context.intervals)
    if expires_at <= max(now, due_at):
        return _due(_about(row, NextEventKind.EXPIRY, expires_at), now)
    return _due(replace(_about(row, NextEventKind.ATTEMPT, due_at), wait=_wait(row, now), attempt=len(used_up(row)) + 1), now)


def _due(event: NextEvent, now: datetime) -> NextEvent:
    """Return an event for an instant that may have passed: then it comes now, and is late."""
    due_at = event.at or now
    return replace(event, at=max(now, due_at), late_since=_late_since(due_at, now))


def _late_since(due_at: datetime, now: datetime) -> datetime | None:
    return due_at if due_at < now - LATE_AFTER else None


def _wait(row: NotificationFacts, now: datetime) -> Wait:
    """Return the obstacle that an attempt waits for; once it is due, its turn."""
    if row.due_at is None or row.due_at <= now:
        return Wait.TURN
    if row.waits_until is not None:
        return Wait.POSTPONED
    if row.deferred_by is not None:
        return Wait(row.deferred_by.value)
    return Wait.DOUBT if doubt_of(row) else Wait.RETRY


def _of_sent(context: DecisionContext, row: NotificationFacts, now: datetime) -> Iterator[NextEvent]:
    overdue_at = page_rules.receipt_due_at(context, row)
    if overdue_at is None:
        return
    unconfirmed_at = page_rules.unconfirmed_at(row, context.escalation.policy, context.outages)
    for what, at in ((NextEventKind.OVERDUE, overdue_at), (NextEventKind.UNCONFIRMED, unconfirmed_at)):
        if at > now:
            yield _about(row, what, at, premise=NextEventPremise.NO_RECEIPT)


def _about(row: NotificationFacts, what: NextEventKind, at: datetime, premise: NextEventPremise | None = None) -> NextEvent:
    attempts = counted(row)
    provider = attempts[-1].provider if attempts else ""
    return NextEvent(what=what, at=at, channels=(row.channel,), provider=provider, premise=premise, notification_id=row.id)
