"""The oracle of the property tests: computes the expected results of the state machines a second time, as simply as possible."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.model import Result, Severity
from notifyflow.core.delivery.policy import Failed, Tier, Unacknowledged

STRENGTH = ["in_doubt", "accepted", "temporary_failure", "delivered", "permanent_failure"]


@dataclass
class OracleRow:
    """A notification, modelled as the set of results of each call."""

    max_attempts: int
    calls: list[set[str]] = field(default_factory=list)
    unsent: set[int] = field(default_factory=set)
    halved: set[int] = field(default_factory=set)
    running: int | None = None
    is_ended: bool = False
    is_stopped: bool = False
    is_cancelled: bool = False

    def claim(self) -> None:
        self.calls.append(set())
        self.running = len(self.calls) - 1

    def record(self, result: str) -> None:
        self.calls[-1].add(result)
        self.running = None

    def release(self) -> None:
        """Forget the call, unless the provider has reported on it."""
        if self.calls[-1]:
            self.record("in_doubt")
        else:
            self.unsent.add(len(self.calls) - 1)
            self.running = None

    def report(self, number: int, result: Result | str) -> None:
        """Note a report; if it says that a call about several was refused for its content, that uses up no attempt.

        If another call was made since, it does all the same.
        """
        self.calls[number].add(result.value if isinstance(result, Result) else "temporary_failure")
        if not isinstance(result, Result) and number == max(set(range(len(self.calls))) - self.unsent, default=None):
            self.halved.add(number)

    def expected_state(self) -> str:
        """Return the state; a cancelled notification stays cancelled."""
        state = self._state()
        self.is_cancelled = state == "CANCELLED"
        return state

    def _state(self) -> str:
        if self.is_cancelled:
            return "CANCELLED"
        calls = [(number, results) for number, results in enumerate(self.calls) if number not in self.unsent]
        strongest = [max(results, key=STRENGTH.index, default="") for _, results in calls]
        if "delivered" in strongest:
            return "DELIVERED"
        if self.running is not None:
            return "SENDING"
        if strongest and strongest[-1] == "accepted":
            return "SENT"
        if strongest and strongest[-1] == "permanent_failure":
            return "FAILED"
        if self.is_ended or sum(number not in self.halved for number, _ in calls) >= self.max_attempts:
            return "FAILED"
        return "CANCELLED" if self.is_stopped else "QUEUED"


def opens(context: DecisionContext, now: datetime) -> bool:
    """Return whether the rules open the next tier now."""
    escalation, policy = context.escalation, context.escalation.policy
    is_critical = escalation.severity is Severity.CRITICAL
    fresh_for = policy.fresh_for_critical if is_critical else policy.fresh_for
    if context.incident.state != "OPEN" or _unstopped(context, escalation.started_at, now) >= fresh_for:
        return False
    if not _leads_somewhere(context):
        return False
    rows = [row for row in _tier_pages(context) if row.tier == escalation.tier]
    ways = {row.channel for row in rows}
    if escalation.tier and _pages(context, policy.tiers[escalation.tier - 1]):
        ways |= context.addresses.intersection(policy.tiers[escalation.tier - 1].channels)
    if not ways or _is_timed(context, now):
        return True
    failing = [row for row in rows if row.state == "FAILED" or _is_suspected(context, row, now)]
    young = [row for row in failing if _watched(context, _began(row, now), now) < policy.escalate_within]
    needed = [rule.at_least for rule in policy.tiers[escalation.tier].rules if isinstance(rule, Failed)]
    return bool(young) and any(len(failing) >= min(at_least, len(ways)) for at_least in needed)


def open_next(context: DecisionContext, now: datetime) -> DecisionContext:
    """Return the context after its next tier was opened: a wished page joins that arrived or may, unless time opened it."""
    escalation = context.escalation
    tier = escalation.policy.tiers[escalation.tier]
    joins = _pages(context, tier) and not _is_timed(context, now)

    def joined(row):  # type: ignore[no-untyped-def]
        is_meant = joins and row.kind == "page" and row.tier == 0 and row.channel in context.addresses.intersection(tier.channels)
        is_lost = row.state in ("FAILED", "CANCELLED") or _is_overdue(context, row, now)
        return replace(row, tier=escalation.tier + 1) if is_meant and not is_lost else row

    rows = tuple(map(joined, context.notifications))
    return replace(context, notifications=rows, escalation=replace(escalation, tier=escalation.tier + 1))


def _tier_pages(context: DecisionContext):  # type: ignore[no-untyped-def]
    """Return the pages that belong to a tier: those wished for have tier 0 until then."""
    return [row for row in context.notifications if row.kind == "page" and row.tier != 0]


def _is_timed(context: DecisionContext, now: datetime) -> bool:
    """Return whether the timer of a tier ahead is over, which opens it with all before it."""
    escalation = context.escalation
    ahead = list(escalation.policy.tiers[escalation.tier :])
    while ahead and not _pages(context, ahead[-1]):
        ahead.pop()
    waits = [rule.after for tier in ahead for rule in tier.rules if isinstance(rule, Unacknowledged)]
    return any(_watched(context, escalation.started_at, now) >= wait for wait in waits)


def _watched(context: DecisionContext, since: datetime, now: datetime) -> timedelta:
    """Return the time since an instant, without outages and stops."""
    return now - since - _covered([*context.outages, *context.paused_intervals], since, now)


def _unstopped(context: DecisionContext, since: datetime, now: datetime) -> timedelta:
    """Return the time since an instant, without stops; outages count."""
    return now - since - _covered(context.paused_intervals, since, now)


def _swept(context: DecisionContext, since: datetime, now: datetime) -> timedelta:
    """Return the time since an instant, without outages; stops count, since a provider reports meanwhile."""
    return now - since - _covered(context.outages, since, now)


def _covered(intervals, since: datetime, now: datetime) -> timedelta:  # type: ignore[no-untyped-def]
    """Return the total time that any of the intervals covers."""
    cuts = sorted({min(max(at, since), now) for each in intervals for at in (each.began_at, each.ended_at)})
    pieces = [
        later - sooner
        for sooner, later in pairwise(cuts)
        if any(each.began_at <= sooner and later <= each.ended_at for each in intervals)
    ]
    return sum(pieces, timedelta())


def name(context: DecisionContext, now: datetime) -> str:
    """Return the state that the rules give a live escalation with opened tiers."""
    pages = _tier_pages(context)
    if any(row.state in ("QUEUED", "SENDING") or _is_awaited(context, row, now) for row in pages):
        return "ACTIVE"
    if any(_watched(context, context.escalation.started_at, now) < wait for wait in _timers(context)):
        return "ACTIVE"
    has_arrived = _has_arrived_as_wished(context)
    if context.escalation.severity is Severity.CRITICAL:
        return "REACHED" if has_arrived or any(arrived(row) for row in pages) else "EXHAUSTED"
    return "REACHED" if has_arrived or any(row.state in ("SENT", "DELIVERED") for row in pages) else "EXHAUSTED"


def _has_arrived_as_wished(context: DecisionContext) -> bool:
    return any(
        row.state == "DELIVERED" or any(call.evidence == "human" for call in row.attempts)
        for row in context.notifications
        if row.kind == "page" and row.tier == 0
    )


def arrived(row) -> bool:  # type: ignore[no-untyped-def]
    """Return whether a page has reached a person, as far as anybody can know."""
    calls = [attempt for attempt in row.attempts if attempt.state != "NOT_SENT"]
    was_answered = any(call.evidence == "human" for call in calls)
    needs_word = bool(calls) and (calls[-1].receipt_due_at is not None or calls[-1].unproven_at is not None)
    return was_answered or row.state == "DELIVERED" or (row.state == "SENT" and not needs_word)


def is_unproven(context: DecisionContext, now: datetime) -> bool:
    """Return whether everything was tried of a CRITICAL round, all of it is over, and nothing arrived."""
    pages = _tier_pages(context)
    escalation = context.escalation
    is_fresh = _unstopped(context, escalation.started_at, now) < escalation.policy.fresh_for_critical
    may_open = context.incident.state == "OPEN" and is_fresh and _leads_somewhere(context)
    is_over = all(row.state == "FAILED" or _is_overdue(context, row, now) for row in pages)
    is_critical = escalation.severity is Severity.CRITICAL
    return (
        is_critical
        and bool(pages)
        and is_over
        and not may_open
        and not _has_arrived_as_wished(context)
        and not any(map(arrived, pages))
    )


def _is_overdue(context: DecisionContext, row, now: datetime) -> bool:  # type: ignore[no-untyped-def]
    if row.state != "SENT":
        return False
    call = [attempt for attempt in row.attempts if attempt.state != "NOT_SENT"][-1]
    due_at = call.receipt_due_at or call.unproven_at
    return due_at is not None and _swept(context, call.started_at, now) >= due_at - call.started_at


def _is_awaited(context: DecisionContext, row, now: datetime) -> bool:  # type: ignore[no-untyped-def]
    if row.state != "SENT":
        return False
    call = [attempt for attempt in row.attempts if attempt.state != "NOT_SENT"][-1]
    waited = _swept(context, call.started_at, now)
    if call.receipt_due_at is not None:
        return waited < context.escalation.policy.unconfirmed_after
    return call.unproven_at is not None and waited < call.unproven_at - call.started_at


def _timers(context: DecisionContext) -> list[timedelta]:
    escalation, policy = context.escalation, context.escalation.policy
    if context.incident.state != "OPEN" or not _leads_somewhere(context):
        return []
    fresh_for = policy.fresh_for_critical if escalation.severity is Severity.CRITICAL else policy.fresh_for
    ahead = list(policy.tiers[escalation.tier :])
    while not _pages(context, ahead[-1]):
        ahead.pop()
    waits = [rule.after for tier in ahead for rule in tier.rules if isinstance(rule, Unacknowledged)]
    return [wait for wait in waits if wait < fresh_for]


def has_all_failed(context: DecisionContext, now: datetime) -> bool:
    """Return whether every way to the recipient has failed, as far as is known: then the next step of a chain need not wait."""
    pages = _tier_pages(context)
    is_failing = not _has_arrived_as_wished(context) and all(
        row.state == "FAILED" or _is_suspected(context, row, now) for row in pages
    )
    is_critical = context.escalation.severity is Severity.CRITICAL
    if context.escalation.severity in (Severity.ERROR, Severity.CRITICAL) and context.escalation.state == "REACHED":
        is_silent = bool(pages) and not _has_arrived_as_wished(context) and not any(arrived(row) for row in pages)
    else:
        is_silent = False
    is_tried = is_critical and (is_unproven(context, now) or (is_failing and not _leads_somewhere(context)))
    return context.escalation.state == "EXHAUSTED" or is_silent or is_tried


def _leads_somewhere(context: DecisionContext) -> bool:
    """Return whether a tier is left that pages the recipient; after the last round of a series, none is."""
    repeat = context.escalation.policy.repeat
    if repeat is not None and context.escalation.repetition > repeat.rounds:
        return False
    return any(_pages(context, tier) for tier in context.escalation.policy.tiers[context.escalation.tier :])


def _pages(context: DecisionContext, tier: Tier) -> bool:
    """Return whether a tier pages the recipient: it is not shut for the severity, and the recipient has an address."""
    return context.escalation.severity not in tier.shut_for and bool(context.addresses.intersection(tier.channels))


def _began(row, now: datetime) -> datetime:  # type: ignore[no-untyped-def]
    if row.ended_at is not None:
        return row.ended_at
    calls = [attempt for attempt in row.attempts if attempt.state not in ("NOT_SENT", "RUNNING")]
    return calls[-1].started_at if calls else now


def _is_suspected(context: DecisionContext, row, now: datetime) -> bool:  # type: ignore[no-untyped-def]
    policy, is_critical = context.escalation.policy, context.escalation.severity is Severity.CRITICAL
    calls = [attempt for attempt in row.attempts if attempt.state != "NOT_SENT"]
    if not policy.is_suspicion_on:
        return False
    if row.state == "SENT":
        return is_critical and _is_overdue(context, row, now)
    if row.state not in ("QUEUED", "SENDING"):
        return False
    failing = (Result.IN_DOUBT, Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE)
    failures = [call for call in calls if call.result in failing and not call.half]
    longest = policy.suspected_after_deferral if is_critical else policy.retries.schedule(row.channel, row.severity).window
    if row.deferred_by == "suspension":  # its provider refuses us
        longest = timedelta(0)
    return (
        any(call.is_our_fault or call.half for call in calls)
        or (is_critical and len(failures) >= policy.suspected_after_attempts)
        or (row.deferred_since is not None and _watched(context, row.deferred_since, now) >= longest)
    )
