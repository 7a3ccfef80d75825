"""The rules by which tiers open: which pages have failed, are suspected or still awaited, and until when; pure.

They decide nothing by themselves; ``escalation`` does.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core import earlier_pages
from notifyflow.core.deadlines import GRACE, POLLED_GRACE, Interval, Stop, moved, paged_at
from notifyflow.core.earlier_pages import Earlier
from notifyflow.core.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.lifecycle import counted
from notifyflow.core.model import (
    IN_PROGRESS,
    REACHING,
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
from notifyflow.core.policy import Failed, Policy, Tier, Unacknowledged, timers
from notifyflow.core.proof import awaits_receipt, has_arrived, is_confirmed, silent_at

_FAILING = (Result.IN_DOUBT, Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE)
_FEWEST_ACCEPTED = 5
_FEWEST_PEOPLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionContext:
    """The input of a decision about one escalation.

    Attributes:
        escalation: The escalation, read under its lock.
        incident: Its incident.
        notifications: All notifications of the escalation *after* the event.
        addresses: The channels on which the recipient can be reached.
        calling: The channels that ring a phone.
        wishes: The channels that the recipient wants to be paged on at the start of a CRITICAL round.
        outages: Outages of the sweeper since the round started.
        polled: The providers that are polled for receipts that do not come.
        stops: Times, since then, in which an operator had stopped its clocks: everything was paused that is as urgent, or its
            incident was quarantined.
        earlier: The pages of earlier incidents of the series that the escalation carries on.
    """

    escalation: EscalationFacts
    incident: IncidentFacts
    notifications: tuple[NotificationFacts, ...]
    addresses: frozenset[str]
    calling: frozenset[str] = frozenset()
    wishes: tuple[str, ...] = ()
    polled: frozenset[str] = frozenset()
    outages: tuple[Interval, ...] = ()
    stops: tuple[Stop, ...] = ()
    earlier: tuple[Earlier, ...] = ()

    @property
    def pages(self) -> tuple[NotificationFacts, ...]:
        """The pages of its tiers; a page that was only wished for is none of them."""
        return tuple(row for row in self.notifications if row.kind is Kind.PAGE and row.tier)

    @property
    def wished(self) -> tuple[NotificationFacts, ...]:
        """The pages that were wished for, and that no tier has adopted."""
        return tuple(row for row in self.notifications if row.kind is Kind.PAGE and not row.tier)

    @property
    def telling(self) -> tuple[NotificationFacts, ...]:
        """The pages that tell whether the recipient was reached: those of its tiers, and wished ones that arrived."""
        return (*self.pages, *(row for row in self.wished if is_confirmed(row)))

    @property
    def breaks(self) -> tuple[Interval, ...]:
        """Times that do not count for deadlines of pages and people; for deadlines of receipts only ``outages`` do."""
        return (*self.outages, *self.stops)


def ways(context: DecisionContext, tier: Tier) -> tuple[str, ...]:
    """Return the channels of a tier on which the recipient is paged; none if it is shut for the round's severity."""
    if context.escalation.severity in tier.shut_for:
        return ()
    return tuple(channel for channel in tier.channels if channel in context.addresses)


def lacking(context: DecisionContext) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each open tier that lacks pages: its number, and the channels that have an address and no page yet."""
    for number, tier in enumerate(context.escalation.policy.tiers[: context.escalation.tier], start=1):
        paged = {row.channel for row in context.pages if row.tier == number}
        channels = tuple(channel for channel in ways(context, tier) if channel not in paged)
        if channels:
            yield number, channels


def wished_ways(context: DecisionContext) -> tuple[str, ...]:
    """Return the channels wished for that have an address, and that neither a page nor an open tier has."""
    opened = context.escalation.policy.tiers[: context.escalation.tier]
    used = {row.channel for row in (*context.pages, *context.wished)}.union(*(ways(context, tier) for tier in opened))
    return tuple(channel for channel in dict.fromkeys(context.wishes) if channel in context.addresses and channel not in used)


def adoptable(context: DecisionContext, channels: Collection[str], now: datetime) -> tuple[NotificationFacts, ...]:
    """Return the wished pages that become pages of the next tier, which opens: those that have arrived, or still may soon.

    A tier that opens by a timer adopts none, so that the phone rings then, too.
    """
    if _is_timer_over(context, now):
        return ()
    going = (NotificationState.SENT, NotificationState.DELIVERED, *IN_PROGRESS)
    return tuple(
        row for row in context.wished if row.channel in channels and row.state in going and not _is_overdue(context, row, now)
    )


def carried_clock(escalation: EscalationFacts) -> timedelta:
    """Return how long the round had run in earlier incidents of the series."""
    return escalation.carried.clock if escalation.carried else timedelta()


def has_passed_rounds(escalation: EscalationFacts) -> bool:
    """Return whether the last round of the policy has passed in earlier incidents of the series."""
    repeat = escalation.policy.repeat
    return repeat is not None and escalation.repetition > repeat.rounds


def paging_again(context: DecisionContext, now: datetime) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each tier that had opened in earlier incidents of the series and pages again now: its number, and the channels."""
    due: dict[int, list[str]] = {}
    for number, channel, at in _pages_again(context):
        if at <= now and may_page(context, now):
            due.setdefault(number, []).append(channel)
    yield from ((number, tuple(channels)) for number, channels in due.items())


def next_tier(context: DecisionContext) -> Tier | None:
    """Return the tier after the one in force; None if neither it nor any later tier pages the recipient."""
    return next(iter(_ahead(context)), None)


def leading(tiers: Sequence[Tier], pages: Callable[[Tier], bool]) -> Sequence[Tier]:
    """Return tiers up to the last one that pages the recipient; those behind it never open."""
    last = max((number for number, tier in enumerate(tiers, start=1) if pages(tier)), default=0)
    return tiers[:last]


def expires_at(escalation: EscalationFacts, breaks: Iterable[Interval]) -> datetime:
    """Return when the round expires: then no page is sent and no tier opens."""
    return moved(escalation.started_at + escalation.policy.freshness(escalation.severity), breaks, since=escalation.started_at)


def row_expires_at(escalation: EscalationFacts, row: NotificationFacts, breaks: Iterable[Interval]) -> datetime:
    """Return when a notification expires.

    A page expires with its round, but later by the time for which pauses deferred it. The age of anything else counts from when
    it was queued.
    """
    if row.kind is not Kind.PAGE:
        return moved(row.created_at + escalation.policy.fresh_for, breaks, since=row.created_at)
    return expires_at(escalation, (*breaks, *paused(row)))


def paused(row: NotificationFacts) -> tuple[Stop, ...]:
    """Return the time for which pauses deferred a row; empty if none did."""
    if row.paused_since is None or row.paused_until is None:
        return ()
    return (Stop(began_at=row.paused_since, ended_at=row.paused_until),)


def may_page(context: DecisionContext, now: datetime) -> bool:
    """Return whether tiers may open: the incident is OPEN, and the round has not expired."""
    return context.incident.state is IncidentState.OPEN and now < _expires_at(context)


def reason_to_open(context: DecisionContext, now: datetime) -> str | None:
    """Return why the next tier opens now (``no_address``, ``shut``, ``failed`` or ``unacknowledged``), or None if it does not."""
    tier = next_tier(context)
    if tier is None or not may_page(context, now):
        return None
    if not _has_a_way(context):
        return "shut" if _is_shut(context) else "no_address"
    if any(is_met(context, rule, now) for rule in tier.rules if isinstance(rule, Failed)):
        return "failed"
    return "unacknowledged" if _is_timer_over(context, now) else None


def is_met(context: DecisionContext, rule: Failed, now: datetime) -> bool:
    """Return whether enough pages of the tier in force have failed, one of them recently."""
    own, earlier = _in_force(context)
    rows = [row for row in own.values() if row.state is NotificationState.FAILED or is_suspected(context, row, now)]
    failed = {row.channel for row in rows} | {each.row.channel for each in earlier if _has_failed(context, each, now)}
    count = len(own.keys() | set(_ways_in_force(context)))  # those that this decision queues are no rows yet
    has_recent = any(_is_young(context, row, now) for row in rows) or len(rows) < len(failed)
    return len(failed) >= min(rule.at_least, count) and has_recent


def is_too_late_to_open(context: DecisionContext, now: datetime) -> bool:
    """Return whether no failure can open the next tier any more: the pages of the tier in force are too old, or the round is."""
    rows = [row for row in context.pages if row.tier == context.escalation.tier]
    if not rows or next_tier(context) is None or context.incident.state is not IncidentState.OPEN:
        return False
    is_timer_running = any(at > now for at in _tier_timers(context))
    may_fail_soon = any(row.state in IN_PROGRESS or _is_young(context, row, now) for row in rows)
    return now >= _expires_at(context) or not (is_timer_running or may_fail_soon)


def has_fresh_failure(context: DecisionContext, now: datetime) -> bool:
    """Return whether any page has failed that is recent enough to open a tier, or has just expired; a late bounce is neither."""
    failed = [row for row in context.pages if row.state is NotificationState.FAILED and _is_young(context, row, now)]
    return bool(failed) and (now < _expires_at(context) or any(row.ended is Ended.EXPIRED for row in failed))


def is_suspected(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a page counts as failed although it may still arrive."""
    policy = context.escalation.policy
    if not policy.is_suspicion_on:
        return False
    is_critical = row.severity is Severity.CRITICAL
    if row.state is NotificationState.SENT:
        return is_critical and _is_overdue(context, row, now)
    if row.state not in IN_PROGRESS:
        return False
    if any(attempt.is_our_fault for attempt in counted(row)):
        return True
    failures = sum(attempt.result in _FAILING for attempt in counted(row))
    suspected_at = _suspected_at(context, row)
    return (is_critical and failures >= policy.suspected_after_attempts) or (suspected_at is not None and now >= suspected_at)


def overdue_receipts(context: DecisionContext, now: datetime) -> frozenset[tuple[str, str]]:
    """Return channel and provider of each SENT page whose receipt is overdue."""
    overdue = (row for row in context.pages if awaits_receipt(row) and _is_overdue(context, row, now))
    return frozenset((row.channel, counted(row)[-1].provider) for row in overdue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Sends of a provider on a channel while it made no callback.

    Attributes:
        accepted: Number of accepted attempts for which a callback was due.
        reached: Number of people these attempts went to.
        sent_to: Number of people any attempt went to.
    """

    accepted: int
    reached: int
    sent_to: int


def seems_broken(silence: Silence) -> bool:
    """Return whether the callback path seems broken, rather than one recipient's phone being silent."""
    return silence.accepted >= _FEWEST_ACCEPTED and silence.reached >= min(_FEWEST_PEOPLE, silence.sent_to)


def receipt_due_at(context: DecisionContext, row: NotificationFacts) -> datetime | None:
    """Return when a SENT row counts as overdue, whether or not a receipt can come; None if it needs none."""
    at = silent_at(row)
    if at is None:
        return None
    latest = counted(row)[-1]
    grace = POLLED_GRACE if latest.provider in context.polled else GRACE
    return paged_at(at, context.outages, since=latest.started_at, severity=row.severity, grace=grace)


def unconfirmed_at(row: NotificationFacts, policy: Policy, outages: Iterable[Interval]) -> datetime:
    """Return when a SENT row that needs a receipt is no longer waited for: when it is overdue, if no receipt can come."""
    latest = counted(row)[-1]
    at = latest.unproven_at or latest.started_at + policy.unconfirmed_after
    return moved(at, outages, since=latest.started_at)


def is_pending(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a page is in progress, or it is awaited whether it arrived."""
    if silent_at(row) is None:
        return row.state in IN_PROGRESS
    return now < unconfirmed_at(row, context.escalation.policy, context.outages)


def name_state(context: DecisionContext, now: datetime, *, is_opening: bool) -> EscalationState:
    """Return the state of a live escalation after its tiers were opened.

    Args:
        context: The input of the decision.
        now: The time of the decision.
        is_opening: Whether this decision queues pages that are not in ``context`` yet.
    """
    if is_opening or is_tier_timer_running(context, now) or any(is_pending(context, row, now) for row in context.pages):
        return EscalationState.ACTIVE
    return EscalationState.REACHED if has_reached(context) else EscalationState.EXHAUSTED


def has_reached(context: DecisionContext) -> bool:
    """Return whether a page counts as having reached the recipient: one that was sent; if CRITICAL, one that arrived."""
    escalation = context.escalation
    if escalation.severity is Severity.CRITICAL and escalation.needs_arrival:
        return any(has_arrived(row) for row in context.telling)
    return any(row.state in REACHING for row in context.telling)


def is_unproven(context: DecisionContext, now: datetime) -> bool:
    """Return whether nothing of a CRITICAL round arrived, no tier is left, and each page is FAILED or overdue.

    In a series a page has failed, too, once its way has failed as often as a page is tried, in this and in earlier incidents.
    """
    pages, is_critical = context.telling, context.escalation.severity is Severity.CRITICAL
    has_tier_left = next_tier(context) is not None and may_page(context, now)
    if not is_critical or has_tier_left or not pages or any(has_arrived(row) for row in pages):
        return False
    return all(_is_lost(context, row) or _is_overdue(context, row, now) for row in pages)


def has_lost(context: DecisionContext, channels: Collection[str], now: datetime) -> bool:
    """Return whether nothing of a CRITICAL round arrived, no tier is left, and a page on one of some channels is FAILED."""
    is_last = context.escalation.severity is Severity.CRITICAL and (next_tier(context) is None or not may_page(context, now))
    failed = {row.channel for row in context.pages if row.state is NotificationState.FAILED}
    return is_last and not failed.isdisjoint(channels) and not any(has_arrived(row) for row in context.telling)


def is_unconfirmed(context: DecisionContext) -> bool:
    """Return whether a round is REACHED by pages that were sent, of which none shows that it arrived; never a WARNING."""
    escalation, pages = context.escalation, context.telling
    is_meant = escalation.severity.is_above(Severity.WARNING) and escalation.state is EscalationState.REACHED
    return is_meant and bool(pages) and not any(has_arrived(row) for row in pages)


def is_tier_timer_running(context: DecisionContext, now: datetime) -> bool:
    """Return whether a timer may still open the next tier, or let a tier of the series page again."""
    return any(at > now for at in (*_tier_timers(context), *_series_timers(context)))


def next_decision_at(context: DecisionContext, now: datetime, *, is_opening: bool) -> datetime | None:
    """Return when the next timer is due, or a queued page expires; None if never."""
    timers = [at for at in (*_tier_timers(context), *_series_timers(context)) if at > now]
    for row in context.pages:
        timers += [at for at in _row_timers(context, row) if at > now]
    queued = (row for row in (*context.pages, *context.wished) if row.state is NotificationState.QUEUED)
    timers += [row_expires_at(context.escalation, row, context.breaks) for row in queued]
    if is_opening:
        timers.append(_expires_at(context))
    return min(timers, default=None)


def patience(row: NotificationFacts, policy: Policy) -> timedelta:
    """Return how long a row may be deferred before it is suspected; zero if the provider is suspended."""
    if row.deferred_by is DeferralReason.SUSPENSION:
        return timedelta(0)
    is_critical = row.severity is Severity.CRITICAL
    return policy.suspected_after_deferral if is_critical else policy.retries.schedule(row.channel, row.severity).window


def have_critical_channels_failed(context: DecisionContext) -> bool:
    """Return whether the pages on all critical channels are FAILED (not only suspected), and no key was pressed."""
    failed = {row.channel for row in context.pages if row.state is NotificationState.FAILED}
    has_key_press = any(attempt.evidence is Evidence.HUMAN for row in context.telling for attempt in row.attempts)
    critical = context.escalation.policy.critical_channels
    return bool(critical) and failed.issuperset(critical) and not has_key_press


def has_expired_unreached(context: DecisionContext) -> bool:
    """Return whether a page has expired and none has reached the recipient."""
    has_expired = any(row.ended is Ended.EXPIRED for row in context.pages if row.state is NotificationState.FAILED)
    return has_expired and not has_reached(context)


def _expires_at(context: DecisionContext) -> datetime:
    return expires_at(context.escalation, context.breaks)


def _has_a_way(context: DecisionContext) -> bool:
    """Return whether the tier in force pages, or may page, on any channel; False before the first tier."""
    return any(row.tier == context.escalation.tier for row in context.pages) or bool(_ways_in_force(context))


def _ways_in_force(context: DecisionContext) -> tuple[str, ...]:
    """Return the channels on which the tier in force pages the recipient; none before the first tier."""
    tiers = context.escalation.policy.tiers[: context.escalation.tier]
    return ways(context, tiers[-1]) if tiers else ()


def _ahead(context: DecisionContext) -> Sequence[Tier]:
    """Return the tiers that may still open: those after the one in force, up to the last that pages the recipient."""
    if has_passed_rounds(context.escalation):
        return ()
    return leading(context.escalation.policy.tiers[context.escalation.tier :], lambda tier: bool(ways(context, tier)))


def _is_shut(context: DecisionContext) -> bool:
    """Return whether the tier in force is shut for the round's severity."""
    escalation = context.escalation
    return escalation.tier > 0 and escalation.severity in escalation.policy.tiers[escalation.tier - 1].shut_for


def _is_young(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a failure may open a tier: its attempt began, or the row was ended, less than ``escalate_within`` ago."""
    attempts = counted(row)
    began_at = row.ended_at or (attempts[-1].started_at if attempts else now)
    return now < moved(began_at + context.escalation.policy.escalate_within, context.breaks, since=began_at)


def _is_overdue(context: DecisionContext, row: NotificationFacts, now: datetime) -> bool:
    """Return whether a SENT row is overdue."""
    due_at = receipt_due_at(context, row)
    return due_at is not None and now >= due_at


def _is_lost(context: DecisionContext, row: NotificationFacts) -> bool:
    """Return whether a page is FAILED, or is tried again though its way has failed as often as that in the series."""
    earlier = (each for each in context.earlier if (each.page.tier, each.page.channel) == (row.tier, row.channel))
    is_used_up = any(not has_arrived(each.row) and earlier_pages.in_all(each, row) >= row.max_attempts for each in earlier)
    return row.state is NotificationState.FAILED or (row.state is NotificationState.QUEUED and is_used_up)


def _suspected_at(context: DecisionContext, row: NotificationFacts) -> datetime | None:
    """Return when a deferred row becomes suspected; None if it is not deferred."""
    if row.deferred_since is None:
        return None
    at = row.deferred_since + patience(row, context.escalation.policy)
    return paged_at(at, context.breaks, since=row.deferred_since, severity=row.severity)


def _opens_at(context: DecisionContext, rule: Unacknowledged) -> datetime:
    escalation = context.escalation
    since, left = escalation.started_at, max(rule.after - carried_clock(escalation), timedelta())
    return paged_at(since + left, context.breaks, since=since, severity=escalation.severity)


def _in_force(context: DecisionContext) -> tuple[Mapping[str, NotificationFacts], Sequence[Earlier]]:
    """Return the pages of the tier in force, by channel, and those of earlier incidents of the series."""
    number = context.escalation.tier
    earlier = [each for each in context.earlier if each.page.tier == number]
    return {row.channel: row for row in context.pages if row.tier == number}, earlier


def _failed_at(context: DecisionContext, earlier: Earlier) -> datetime | None:
    own, _ = _in_force(context)
    return earlier_pages.failed_at(
        earlier, own.get(earlier.row.channel), context.escalation, outages=context.outages, breaks=context.breaks
    )


def _has_failed(context: DecisionContext, earlier: Earlier, now: datetime) -> bool:
    failed_at = _failed_at(context, earlier)
    return failed_at is not None and failed_at <= now


def _pages_again(context: DecisionContext) -> Iterator[tuple[int, str, datetime]]:
    """Yield tier and channel of what had opened in the series and has no page in this incident yet, and when it pages again.

    What was wished for has the number 0.
    """
    escalation, carried = context.escalation, context.escalation.carried
    if carried is None:
        return
    paged = {(row.tier, row.channel) for row in context.pages}
    earlier = {(each.page.tier, each.page.channel): each for each in context.earlier}
    opened = (ways(context, tier) for tier in escalation.policy.tiers[: carried.tier])
    for number, channels in enumerate((wished_ways(context), *opened)):
        for channel in channels:
            known = None if number == 1 and carried.is_first else earlier.get((number, channel))
            if (number, channel) not in paged:
                at = earlier_pages.pages_again_at(known, escalation) if known else escalation.started_at
                yield number, channel, at


def _series_timers(context: DecisionContext) -> Iterator[datetime]:
    """Yield when tiers of the series page again, and when pages of earlier incidents count as failed for the next tier."""
    yield from (at for _, _, at in _pages_again(context) if may_page(context, at))
    if context.earlier and next_tier(context) is not None:
        failing = (_failed_at(context, each) for each in _in_force(context)[1])
        yield from (at for at in failing if at is not None and may_page(context, at))


def _is_timer_over(context: DecisionContext, now: datetime) -> bool:
    return any(_opens_at(context, rule) <= now for rule in timers(_ahead(context)))


def _tier_timers(context: DecisionContext) -> Iterator[datetime]:
    """Yield the times at which a timer may open the next tier."""
    opens_at = (_opens_at(context, rule) for rule in timers(_ahead(context)))
    yield from (at for at in opens_at if may_page(context, at))


def _row_timers(context: DecisionContext, row: NotificationFacts) -> Iterator[datetime]:
    overdue_at = receipt_due_at(context, row)
    if overdue_at is not None:
        yield overdue_at
        yield unconfirmed_at(row, context.escalation.policy, context.outages)
    suspected_at = _suspected_at(context, row)
    if suspected_at is not None:
        yield suspected_at
