"""The oracle: whether a phone stayed silent in a story, by the policy and by what was seen, without the product's rules.

Other alerts of a storm change nothing of it, but that beats hold the alert up by 30 s in all and each call waits for another.

Where nothing arrived, each way that could ring was tried no later than by the policy's own latest time on a healthy system, plus
15 minutes of outages, or a person acknowledged; else a page of operations was accepted within 20 minutes. Under timers it is so
where something arrived, too. Where nothing arrived at all, operations was told within 20 minutes after the last way was tried.
Of an alert that comes and goes, and fired for half an hour in all, operations was told as well. A silence counts as a pause; no
page begins under it, and none waits for one that does not cover it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import Failed, Policy, RetrySchedule, Tier, Unacknowledged
from tests.builders import KEY, REPORTING
from tests.simulation.explorer.silences import Silences
from tests.simulation.explorer.stage import ADDRESSES_OF_ADA, Firing, Seen
from tests.simulation.explorer.story import RINGING, Flaps, Lives, Pauses, Response, Storms, Story, minute

NEVER_S = float("inf")
_OUTAGE_S = 15 * 60.0
_TELL_S = 20 * 60.0
_GAP_S = 30 * 60.0
_GRACE_S = 30.0
"""What is due after an outage is 20 s late, and rounded up to a sweep."""
_WAITS_AGAIN_S = 60.0
"""How much longer a receipt is waited for at most after each firing has begun anew."""
_RECEIPT_S = 40.0
"""How long a receipt takes that comes at all."""
_STORM_S = 30.0
"""How long all beats of a storm together hold an alert up at most."""
_CALL_S = 90.0
"""How long a call lasts at most of which nothing is reported; in a storm, each call waits for one."""
_NEXT_ROUND_S = 15 * 60.0
_FLAPPING_S = 30 * 60.0
_FLAPPING = "flapping"
_BROKEN_PATH = "callback path seems broken"
_ACCEPTED = frozenset({Response.DELIVERS, Response.IS_SILENT})


@dataclass(frozen=True)
class Exemption:
    """A case in which a phone may stay silent.

    Attributes:
        reason: Why.
        holds: Whether it is the case, in a story and what was seen of it, for a channel.
    """

    reason: str
    holds: Callable[[Story, Seen, str], bool]


def _has_silent(story: Story, channels: Iterable[str]) -> bool:
    return any(Response.IS_SILENT in story.responses[name] for name in channels if name in story.ways)


EXEMPTIONS: Mapping[str, Exemption] = {
    "the policy suspects nothing": Exemption(
        "a policy may say that only what is certain counts as a failure; then a receipt that never comes opens nothing",
        lambda story, seen, channel: not story.policy.is_suspicion_on,
    ),
    "rounds before tiers": Exemption(
        "a policy whose rounds come before its tiers starts anew each time; config check warns of it",
        lambda story, seen, channel: _rounds_come_first(story),
    ),
    "an operator paused the way": Exemption(
        "a pause of a channel is an operator's decision; where it is the last way, operations is told that it is held up",
        lambda story, seen, channel: any(
            isinstance(act, Pauses) and act.channel == channel and bool(seen.arrived) for act in story.acts
        ),
    ),
    "it fires for less than 20 s": Exemption(
        "each firing waits at least 20 s for a receipt, so that a phone has the time to report; flapping is told to operations",
        lambda story, seen, channel: any(isinstance(act, Flaps) and act.times > 1 and act.on_s <= 20 for act in story.acts),
    ),
    "its callback path is told instead": Exemption(
        "what a broken callback path alone leaves unproven is told as one failure of the path, which names no alert",
        lambda story, seen, channel: channel == _FLAPPING and any(_BROKEN_PATH in each.text for each in seen.sent),
    ),
}
"""Each exemption by its name; the explorer counts how often each was used."""


@dataclass(frozen=True)
class Fault:
    """What is wrong: its kind, and in words; a story is shrunk to one with a fault of the same kind."""

    kind: str
    words: str


@dataclass
class Verdict:
    """What the oracle says of a story.

    Attributes:
        faults: What is wrong; empty if nothing is.
        exempt: How often each exemption was used.
        demands: How often a way had to be tried, or operations had to be told.
    """

    faults: list[Fault] = field(default_factory=list)
    exempt: Counter[str] = field(default_factory=Counter)
    demands: int = 0


@dataclass(frozen=True)
class Need:
    """Firings that belong together: somebody has to be woken, until a person has acted.

    Attributes:
        spans: When the alert fired, from and until.
        ended_s: When a person acknowledged or resolved it.
    """

    spans: tuple[tuple[float, float], ...]
    ended_s: float

    @property
    def began_s(self) -> float:
        """When the first firing began."""
        return self.spans[0][0]


def judge(story: Story, seen: Seen) -> Verdict:
    """Judge what was seen of a story."""
    verdict = Verdict([Fault(words, f"{words} {minute(at_s).strip()}") for words, at_s in seen.amiss])
    for need in _needs(seen):
        _judge_ways(story, seen, need, verdict)
        _judge_told(story, seen, need, verdict)
        _judge_new_number(story, seen, need, verdict)
        _judge_next(story, seen, need, verdict)
        _judge_flapping(story, seen, need, verdict)
    return verdict


def longest_s(story: Story) -> float:
    """Return how long a story lasts until everything that is judged has come, in seconds."""
    last_s = max(act.at_s + (act.times * (act.on_s + act.off_s) if isinstance(act, Flaps) else 0.0) for act in story.acts)
    known = [each for each in (*_latest(story, by_failures=True).values(), _over(story), _FLAPPING_S) if each < NEVER_S]
    paused_s = sum(act.span_s for act in story.acts if isinstance(act, Pauses) and not act.channel)
    paused_s += sum(act.delay_s + act.span_s for act in story.acts if isinstance(act, Silences))
    return last_s + max(known, default=0.0) + paused_s + _NEXT_ROUND_S + _OUTAGE_S + _TELL_S + 300.0


def _judge_ways(story: Story, seen: Seen, need: Need, verdict: Verdict) -> None:
    """Require that each way that could ring was tried by its latest time."""
    for channel, after_s in sorted(_latest(story, by_failures=True).items()):
        due_s = _deadline(story, seen, need, after_s)
        if any(need.began_s <= each <= due_s for each in seen.arrived):
            due_s = _deadline(story, seen, need, _latest(story, by_failures=False)[channel])
        if due_s + _TELL_S > seen.until_s:
            continue
        verdict.demands += 1
        if _is_tried(seen, channel, need.began_s, due_s) or _is_told(seen, need.began_s, due_s):
            continue
        _fault(story, seen, channel, verdict, f"{channel} was not tried, and operations was not told, by", due_s)


def _judge_told(story: Story, seen: Seen, need: Need, verdict: Verdict) -> None:
    """Require that operations was told where nothing arrived by any way."""
    due_s = _deadline(story, seen, need, _over(story))
    if not _latest(story, by_failures=True):
        return  # nothing that she has could ring
    if due_s + _TELL_S > seen.until_s or any(need.began_s <= each <= due_s for each in seen.arrived):
        return
    verdict.demands += 1
    if not _is_told(seen, need.began_s, due_s) and not _has_paged_next(seen, need.began_s, due_s + _TELL_S):
        _fault(story, seen, "", verdict, "nothing has arrived, and operations was not told, by", due_s)


def _judge_new_number(story: Story, seen: Seen, need: Need, verdict: Verdict) -> None:
    """Require that a new number is tried where nothing has arrived and every way was tried before."""
    moved_s, over_s = seen.moved_s, _deadline(story, seen, need, _over(story))
    if moved_s is None or not over_s < moved_s < need.ended_s or not any(began <= moved_s < end for began, end in need.spans):
        return
    if any(need.began_s <= each <= moved_s for each in seen.arrived):
        return
    due_s = _deadline(story, seen, Need(_cut(need, moved_s), need.ended_s), _NEXT_ROUND_S + _over(story))
    ringing = [name for name in RINGING if name in story.ways and name in _latest(story, by_failures=True)]
    if due_s > seen.until_s or not ringing:
        return
    verdict.demands += 1
    hers = (each for each in seen.sent if each.is_about and each.address.startswith("new@"))
    if not any(moved_s <= each.at_s <= due_s for each in hers):
        _fault(story, seen, "", verdict, "her new number was not tried by", due_s)


def _judge_next(story: Story, seen: Seen, need: Need, verdict: Verdict) -> None:
    """Require that the next person is paged in time."""
    if story.next_s is None:
        return
    due_s = _deadline(story, seen, need, story.next_s)
    if due_s <= seen.until_s:
        verdict.demands += 1
        if not _has_paged_next(seen, need.began_s, due_s):
            _fault(story, seen, "", verdict, "the next person was not paged by", due_s)


def _judge_flapping(story: Story, seen: Seen, need: Need, verdict: Verdict) -> None:
    """Require that operations is told, once a day, of an alert that comes and goes, and has fired for half an hour in all."""
    if len(need.spans) < 2:
        return
    due_s = max(_deadline(story, seen, need, _FLAPPING_S), need.spans[1][0] + _slack_s(story, need))
    if due_s > min(need.ended_s, seen.until_s - _TELL_S) or not any(began <= due_s < end for began, end in need.spans):
        return
    verdict.demands += 1
    told = [each for each in seen.sent if each.address.startswith("ops@") and each.is_accepted and "comes and goes" in each.text]
    if not any(each.at_s <= due_s + _TELL_S for each in told):
        _fault(story, seen, _FLAPPING, verdict, "operations was not told that the alert comes and goes, by", due_s)


def _has_paged_next(seen: Seen, since_s: float, until_s: float) -> bool:
    """Return whether a later step of the chain has paged somebody; then operations is told at the end of the chain."""
    return any(each.address.startswith("ben@") and since_s <= each.at_s <= until_s for each in seen.sent)


def _fault(story: Story, seen: Seen, channel: str, verdict: Verdict, what: str, due_s: float) -> None:
    for name, exemption in EXEMPTIONS.items():
        if exemption.holds(story, seen, channel):
            verdict.exempt[name] += 1
            return
    verdict.faults.append(Fault(what, f"{what} {minute(due_s).strip()}"))


def _is_tried(seen: Seen, channel: str, since_s: float, until_s: float) -> bool:
    hers = (each for each in seen.sent if each.is_about and each.address.startswith(ADDRESSES_OF_ADA))
    return any(each.channel == channel and since_s <= each.at_s <= until_s for each in hers)


def _is_told(seen: Seen, since_s: float, due_s: float) -> bool:
    """Return whether a page of operations that names the alert was accepted in time."""
    told = (each for each in seen.sent if each.address.startswith("ops@") and each.is_accepted and KEY in each.text)
    return any(since_s <= each.at_s <= due_s + _TELL_S for each in told)


def _needs(seen: Seen) -> Iterator[Need]:
    """Yield the firings that belong together: less than half an hour apart, and without an act of a person in between."""
    group: list[Firing] = []
    for firing in seen.firings:
        if group and (_acted_s(group) < firing.began_s or firing.began_s - _end(group[-1], seen) > _GAP_S):
            yield _need(group, seen)
            group = []
        group.append(firing)
    if group:
        yield _need(group, seen)


def _need(group: list[Firing], seen: Seen) -> Need:
    return Need(tuple((each.began_s, _end(each, seen)) for each in group), _acted_s(group))


def _end(firing: Firing, seen: Seen) -> float:
    ends = (firing.healed_s, firing.resolved_s)
    return min((each for each in ends if each is not None), default=seen.until_s)


def _acted_s(group: list[Firing]) -> float:
    acts = [at for each in group for at in (each.acknowledged_s, each.resolved_s) if at is not None]
    return min(acts, default=NEVER_S)


def _cut(need: Need, since_s: float) -> tuple[tuple[float, float], ...]:
    return tuple((max(began, since_s), end) for began, end in need.spans if end > since_s)


def _latest(story: Story, *, by_failures: bool) -> Mapping[str, float]:
    """Return how long after the beginning each way that could ring is used at the latest, in seconds; a wish only adds.

    Args:
        story: The story.
        by_failures: Whether nothing arrives, so that tiers open by failures as well; otherwise only timers are certain.
    """
    policy, found, opens_s = story.policy, dict[str, float](), 0.0
    for number, tier in enumerate(policy.tiers):
        if number:
            opens_s = _opens_s(story, number, opens_s, by_failures=by_failures)
        for channel in _ways(story, tier):
            if channel in RINGING:
                found.setdefault(channel, opens_s)
    wished = {name: 0.0 for name in story.wishes if name in RINGING}
    return found | wished


def _opens_s(story: Story, number: int, before_s: float, *, by_failures: bool) -> float:
    """Return when a tier is open at the latest, in seconds after the beginning."""
    tiers = story.policy.tiers
    before = _ways(story, tiers[number - 1])
    if not before:
        return before_s
    timers = [
        rule.after.total_seconds()
        for place, tier in enumerate(tiers[number:], start=number)
        if any(_ways(story, later) for later in tiers[place:])
        for rule in tier.rules
        if isinstance(rule, Unacknowledged)
    ]
    if by_failures and any(isinstance(rule, Failed) for rule in tiers[number].rules):
        timers.append(before_s + max(_fails_s(story, channel) for channel in before))
    return max(before_s, min(timers, default=NEVER_S))


def _over(story: Story) -> float:
    """Return how long after the beginning no way is left where nothing arrives, in seconds."""
    opens_s, over_s = 0.0, 0.0
    for number, tier in enumerate(story.policy.tiers):
        if number:
            opens_s = _opens_s(story, number, opens_s, by_failures=True)
        if opens_s < NEVER_S:
            over_s = max([over_s, *(opens_s + _spent_s(story, channel) for channel in _ways(story, tier))])
    return over_s


def _ways(story: Story, tier: Tier) -> tuple[str, ...]:
    is_shut = Severity.CRITICAL in tier.shut_for
    return () if is_shut else tuple(channel for channel in tier.channels if channel in story.ways)


def _fails_s(story: Story, channel: str) -> float:
    """Return after how many seconds a page that does not arrive counts as failed at the latest.

    A push message that was accepted does not fail, and shows nothing.
    """
    if channel == "push" and _ACCEPTED.intersection(story.responses[channel]):
        return NEVER_S
    policy = story.policy
    schedule = policy.retries.schedule(channel, Severity.CRITICAL)
    tries = min(policy.suspected_after_attempts, schedule.attempts)
    waits_s = sum(_longest_s(delay, schedule) + _RECEIPT_S for delay in schedule.delays[: tries - 1])
    return waits_s + max(_overdue_s(policy, channel), _RECEIPT_S) + policy.suspected_after_deferral.total_seconds()


def _spent_s(story: Story, channel: str) -> float:
    """Return after how many seconds nothing more comes of a page, where nothing arrives."""
    schedule = story.policy.retries.schedule(channel, Severity.CRITICAL)
    wait_s = max(_overdue_s(story.policy, channel), _RECEIPT_S)
    asked_s = 120.0 if Response.ASKS_TO_WAIT in story.responses[channel] else 0.0
    refused_s = 900.0 if Response.REFUSES_US in story.responses[channel] else 0.0
    limited_s = 120.0 if channel in story.limits else 0.0
    wait_s += _CALL_S if channel == "voice" and _is_stormy(story) else 0.0
    tries = (max(_longest_s(delay, schedule), asked_s) + refused_s + limited_s + wait_s for delay in schedule.delays)
    return sum(tries) + asked_s + refused_s + limited_s + wait_s


def _longest_s(delay: timedelta, schedule: RetrySchedule) -> float:
    return delay.total_seconds() * (1 + schedule.jitter)


def _overdue_s(policy: Policy, channel: str) -> float:
    return policy.overdue_after[channel].total_seconds() if channel in REPORTING else 0.0


def _rounds_come_first(story: Story) -> bool:
    repeat = story.policy.repeat
    latest = _latest(story, by_failures=True).values()
    return repeat is not None and any(repeat.every.total_seconds() <= each < NEVER_S for each in latest)


def _deadline(story: Story, seen: Seen, need: Need, after_s: float) -> float:
    """Return when a time that counts while the alert fires is over at the latest; never, where a person acts or it heals before.

    Pauses of everything do not count, nor do outages, for 15 minutes in all.
    """
    left_s, outage_s = after_s + _slack_s(story, need), _OUTAGE_S
    for began_s, ends_s in need.spans:
        cuts = sorted(
            {began_s, ends_s, *(at for each in (*seen.paused_intervals, *seen.away) for at in each if began_s < at < ends_s)}
        )
        for since_s, until_s in pairwise(cuts):
            if _within(seen.paused_intervals, since_s):
                continue
            spare_s = min(outage_s, until_s - since_s) if _within(seen.away, since_s) else 0.0
            outage_s -= spare_s
            left_s -= until_s - since_s - spare_s
            if left_s <= 0:
                at_s = until_s + left_s
                return at_s if at_s < need.ended_s else NEVER_S
    return NEVER_S


def _slack_s(story: Story, need: Need) -> float:
    """Return by how much a healthy system may be late: sweeps, receipts that are waited for anew, and short lives."""
    lives_s = max((2 * act.every_s + 60 for act in story.acts if isinstance(act, Lives)), default=0.0)
    again_s = 2 * _WAITS_AGAIN_S if len(need.spans) > 1 else 0.0
    storm_s = _STORM_S + _CALL_S if _is_stormy(story) else 0.0
    return _GRACE_S + again_s + lives_s + storm_s


def _is_stormy(story: Story) -> bool:
    return any(isinstance(act, Storms) for act in story.acts)


def _within(spans: Iterable[tuple[float, float]], at_s: float) -> bool:
    return any(since_s <= at_s < until_s for since_s, until_s in spans)
