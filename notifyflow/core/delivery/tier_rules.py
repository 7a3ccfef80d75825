"""The rules for opening tiers; pure. ``page_rules`` has the state of each page.

They decide nothing by themselves; ``escalation`` does.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.delivery import earlier_pages, page_rules
from notifyflow.core.delivery.earlier_pages import Earlier
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.intervals import paged_at
from notifyflow.core.delivery.model import (
    IN_PROGRESS,
    REACHING,
    Ended,
    EscalationState,
    Evidence,
    IncidentState,
    NotificationState,
    Severity,
)
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import Failed, Tier, Unacknowledged, timers
from notifyflow.core.delivery.proof import has_arrived

_FEWEST_ACCEPTED = 5
_FEWEST_PEOPLE = 3


def ways(context: DecisionContext, tier: Tier) -> tuple[str, ...]:
    """Return the channels of a tier on which the recipient is paged; none if it is shut for the round's severity."""
    if context.escalation.severity in tier.shut_for:
        return ()
    return tuple(channel for channel in tier.channels if channel in context.addresses)


def lacking(context: DecisionContext) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each open tier without all of its pages: its number, and the channels with an address and no page yet."""
    for number, tier in enumerate(context.escalation.policy.tiers[: context.escalation.tier], start=1):
        paged = {row.channel for row in context.pages if row.tier == number}
        channels = tuple(channel for channel in ways(context, tier) if channel not in paged)
        if channels:
            yield number, channels


def wished_ways(context: DecisionContext) -> tuple[str, ...]:
    """Return the wished channels that have an address, and neither a page nor an open tier."""
    opened = context.escalation.policy.tiers[: context.escalation.tier]
    used = {row.channel for row in (*context.pages, *context.wished)}.union(*(ways(context, tier) for tier in opened))
    return tuple(channel for channel in dict.fromkeys(context.wishes) if channel in context.addresses and channel not in used)


def adoptable(context: DecisionContext, channels: Collection[str], now: datetime) -> tuple[NotificationFacts, ...]:
    """Return the wished pages that the opening tier adopts: those that have arrived, or still may soon.

    A tier opened by a timer adopts none, so that the phone rings then, too.
    """
    if _is_timer_over(context, now):
        return ()
    going = (NotificationState.SENT, NotificationState.DELIVERED, *IN_PROGRESS)
    return tuple(
        row
        for row in context.wished
        if row.channel in channels and row.state in going and not page_rules.is_overdue(context, row, now)
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
    """Return the tiers up to the last one that pages the recipient; later ones never open."""
    last = max((number for number, tier in enumerate(tiers, start=1) if pages(tier)), default=0)
    return tiers[:last]


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
    rows = [row for row in own.values() if row.state is NotificationState.FAILED or page_rules.is_suspected(context, row, now)]
    failed = {row.channel for row in rows} | {each.row.channel for each in earlier if _has_failed(context, each, now)}
    count = len(own.keys() | set(_ways_in_force(context)))  # those queued by this decision are no rows yet
    has_recent = any(page_rules.is_young(context, row, now) for row in rows) or len(rows) < len(failed)
    return len(failed) >= min(rule.at_least, count) and has_recent


def is_too_late_to_open(context: DecisionContext, now: datetime) -> bool:
    """Return whether no failure can open the next tier any more: the pages of the tier in force, or the round, are too old."""
    rows = [row for row in context.pages if row.tier == context.escalation.tier]
    if not rows or next_tier(context) is None or context.incident.state is not IncidentState.OPEN:
        return False
    is_timer_running = any(at > now for at in _tier_timers(context))
    may_fail_soon = any(row.state in IN_PROGRESS or page_rules.is_young(context, row, now) for row in rows)
    return now >= _expires_at(context) or not (is_timer_running or may_fail_soon)


def has_fresh_failure(context: DecisionContext, now: datetime) -> bool:
    """Return whether a page failed recently enough to open a tier, or has just expired; a late bounce counts as neither."""
    failed = [row for row in context.pages if row.state is NotificationState.FAILED and page_rules.is_young(context, row, now)]
    return bool(failed) and (now < _expires_at(context) or any(row.ended is Ended.EXPIRED for row in failed))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreportedSends:
    """A provider's sends on a channel during a period without callbacks.

    Attributes:
        accepted: Number of accepted attempts for which a callback was due.
        reached: Number of people these attempts went to.
        sent_to: Number of people any attempt went to.
    """

    accepted: int
    reached: int
    sent_to: int


def seems_broken(silence: UnreportedSends) -> bool:
    """Return whether the callback path seems broken, and not just one recipient's phone silent."""
    return silence.accepted >= _FEWEST_ACCEPTED and silence.reached >= min(_FEWEST_PEOPLE, silence.sent_to)


def name_state(context: DecisionContext, now: datetime, *, is_opening: bool) -> EscalationState:
    """Return the state of a live escalation after its tiers were opened.

    Args:
        context: The input of the decision.
        now: The time of the decision.
        is_opening: Whether this decision queues pages that are not in ``context`` yet.
    """
    if (
        is_opening
        or is_tier_timer_running(context, now)
        or any(page_rules.is_pending(context, row, now) for row in context.pages)
    ):
        return EscalationState.ACTIVE
    return EscalationState.REACHED if has_reached(context) else EscalationState.EXHAUSTED


def has_reached(context: DecisionContext) -> bool:
    """Return whether a page counts as reaching the recipient: a sent one; if CRITICAL, one that arrived."""
    if context.escalation.severity is Severity.CRITICAL:
        return any(has_arrived(row) for row in context.telling)
    return any(row.state in REACHING for row in context.telling)


def is_unproven(context: DecisionContext, now: datetime) -> bool:
    """Return whether nothing of a CRITICAL round arrived, no tier is left, and each page is FAILED or overdue.

    In a series a page has also failed once its way has used up its attempts in this and earlier incidents.
    """
    return not _has_tier_left(context, now) and _is_silent(context, now)


def _has_tier_left(context: DecisionContext, now: datetime) -> bool:
    return next_tier(context) is not None and may_page(context, now)


def _is_silent(context: DecisionContext, now: datetime) -> bool:
    """Return whether nothing of a CRITICAL round arrived, and each page is FAILED or overdue."""
    pages = context.telling
    if context.escalation.severity is not Severity.CRITICAL or not pages or any(has_arrived(row) for row in pages):
        return False
    return all(page_rules.is_lost(context, row) or page_rules.is_overdue(context, row, now) for row in pages)


def has_lost(context: DecisionContext, channels: Collection[str], now: datetime) -> bool:
    """Return whether nothing of a CRITICAL round arrived, no tier is left, and a page on one of some channels is FAILED."""
    is_last = context.escalation.severity is Severity.CRITICAL and (next_tier(context) is None or not may_page(context, now))
    failed = {row.channel for row in context.pages if row.state is NotificationState.FAILED}
    return is_last and not failed.isdisjoint(channels) and not any(has_arrived(row) for row in context.telling)


def is_unconfirmed(context: DecisionContext) -> bool:
    """Return whether an ERROR round is REACHED by sent pages, none of which is shown to have arrived."""
    escalation, pages = context.escalation, context.telling
    is_meant = escalation.severity is Severity.ERROR and escalation.state is EscalationState.REACHED
    return is_meant and bool(pages) and not any(has_arrived(row) for row in pages)


def is_tier_timer_running(context: DecisionContext, now: datetime) -> bool:
    """Return whether a timer may still open the next tier, or let a tier of the series page again."""
    return any(at > now for at in (*_tier_timers(context), *_series_timers(context)))


def next_decision_at(context: DecisionContext, now: datetime, *, is_opening: bool) -> datetime | None:
    """Return when the next timer is due, or a queued page expires; None if never."""
    timers = [at for at in (*_tier_timers(context), *_series_timers(context)) if at > now]
    for row in context.pages:
        timers += [at for at in page_rules.timers_of(context, row) if at > now]
    queued = (row for row in (*context.pages, *context.wished) if row.state is NotificationState.QUEUED)
    timers += [page_rules.row_expires_at(context.escalation, row, context.intervals) for row in queued]
    is_awaited = any(page_rules.is_pending(context, row, now) for row in context.pages)
    if is_opening or (is_awaited and _has_tier_left(context, now) and _is_silent(context, now)):  # unproven once no tier may open
        timers.append(_expires_at(context))
    return min(timers, default=None)


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
    return page_rules.expires_at(context.escalation, context.intervals)


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


def _opens_at(context: DecisionContext, rule: Unacknowledged) -> datetime:
    escalation = context.escalation
    since, left = escalation.started_at, max(rule.after - carried_clock(escalation), timedelta())
    return paged_at(since + left, context.intervals, since=since, severity=escalation.severity)


def _in_force(context: DecisionContext) -> tuple[Mapping[str, NotificationFacts], Sequence[Earlier]]:
    """Return the pages of the tier in force, by channel, and those of earlier incidents of the series."""
    number = context.escalation.tier
    earlier = [each for each in context.earlier if each.page.tier == number]
    return {row.channel: row for row in context.pages if row.tier == number}, earlier


def _failed_at(context: DecisionContext, earlier: Earlier) -> datetime | None:
    own, _ = _in_force(context)
    return earlier_pages.failed_at(
        earlier, own.get(earlier.row.channel), context.escalation, outages=context.outages, intervals=context.intervals
    )


def _has_failed(context: DecisionContext, earlier: Earlier, now: datetime) -> bool:
    failed_at = _failed_at(context, earlier)
    return failed_at is not None and failed_at <= now


def _pages_again(context: DecisionContext) -> Iterator[tuple[int, str, datetime]]:
    """Yield tier, channel and time of the pages to repeat: opened in the series, and without a page in this incident.

    Wished pages have the number 0.
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
