"""Validates policies."""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from itertools import chain, pairwise
from typing import get_type_hints

from notifyflow.core import text
from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import OPERATIONS, Failed, Policy, Repeat, RetrySchedule, Tier, timers
from notifyflow.core.forms import unknown
from notifyflow.errors import Fault

MAX_NAME = 100
MAX_ATTEMPTS = 20
MAX_ROUNDS = 100
MAX_SPAN = timedelta(days=366)


def validate_policy(policy: Policy, channels: Collection[str] | None = None) -> tuple[Fault, ...]:
    """Return all faults of a policy, by their path below its name; ``channels`` is None if they are not known yet."""
    where = text.one_line(policy.name)
    return tuple(
        chain(
            _name("policy.name", policy.name),
            _tiers(where, policy.tiers),
            _schedules(where, policy),
            _spans(where, policy),
            _repeat(where, policy.repeat),
            () if channels is None else _channels(where, policy, channels),
        )
    )


def warnings(policy: Policy) -> tuple[Fault, ...]:
    """Return warnings about a policy without faults: severities for which every tier after the first is shut.

    INFO, and WARNING in the policy ``operations``, give no warning: they are shut on purpose in the shipped policies.
    """
    where, later = text.one_line(policy.name), policy.tiers[1:]
    on_purpose = (Severity.INFO, Severity.WARNING) if policy.name == OPERATIONS.name else (Severity.INFO,)
    return tuple(
        Fault(
            f"{where}.tiers",
            f"{severity} can never leave the first tier: shut_for names it in every later one",
            f"Leave {severity} out of one shut_for, or page it by a policy of its own",
        )
        for severity in Severity
        if severity not in on_purpose and later and all(severity in tier.shut_for for tier in later)
    )


def hazards(policy: Policy) -> tuple[Fault, ...]:
    """Return why a policy without faults may leave a phone silent; it still pages, also for earlier incidents."""
    where = text.one_line(policy.name)
    return (*_unheard_silence(where, policy), *_late_timers(where, policy))


def _unheard_silence(where: str, policy: Policy) -> Iterator[Fault]:
    """Yield the channels whose missing receipt cannot open the next tier, since the page is too old by then."""
    if not policy.is_suspicion_on:
        return
    pairs = ((tier, later) for tier, later in pairwise(policy.tiers) if any(isinstance(rule, Failed) for rule in later.rules))
    channels = dict.fromkeys(channel for tier, _ in pairs for channel in tier.channels)
    for channel in channels:
        overdue_after = policy.overdue_after.get(channel)
        if overdue_after is not None and policy.escalate_within <= overdue_after:
            span = text.duration(overdue_after)
            what = f"a missing receipt of {channel} is overdue after {span}, and then too old to open the next tier"
            yield Fault(f"{where}.escalate_within", what, f"Give more than {span}, or less for {channel} in overdue_after")


def _late_timers(where: str, policy: Policy) -> Iterator[Fault]:
    """Yield the timers that no round reaches, since the next round starts before."""
    if policy.repeat is None or policy.repeat.rounds == 1:
        return
    for index, tier in enumerate(policy.tiers):
        late = [rule.after for rule in timers([tier]) if rule.after >= policy.repeat.every]
        if late and not all(each in (*policy.repeat.never_for, *tier.shut_for) for each in Severity):
            every, after = text.duration(policy.repeat.every), text.duration(late[0])
            what = f"a round starts every {every}, before the timer of {after} is over"
            yield Fault(f"{where}.tiers[{index}].rules", what, "Give a shorter timer, or rounds that are further apart")


def _name(where: str, name: str) -> Iterator[Fault]:
    if not name or name != text.one_line(name) or len(name) > MAX_NAME:
        yield Fault(where, f"{text.quoted(name)} is not a valid name", f"Give one of 1 to {MAX_NAME} characters, in one line")


def _tiers(where: str, tiers: Sequence[Tier]) -> Iterator[Fault]:
    if not tiers:
        yield Fault(f"{where}.tiers", "there are none", "Give at least one, with its channels")
    for index, tier in enumerate(tiers):
        path = f"{where}.tiers[{index}]"
        yield from _name(f"{path}.name", tier.name)
        if not tier.channels:
            yield Fault(f"{path}.channels", "there are none", "Name the channels that are tried in this tier")
        if len(set(tier.channels)) < len(tier.channels):
            yield Fault(f"{path}.channels", "one is named twice", "Name each channel once a tier")
        yield from _first(path, tier) if index == 0 else _later(path, tier)


def _first(path: str, tier: Tier) -> Iterator[Fault]:
    if tier.rules:
        yield Fault(f"{path}.rules", "the first tier opens at once", "Leave its rules out")
    if tier.shut_for:
        yield Fault(
            f"{path}.shut_for", "the first tier opens for every severity", "Leave it out, or page INFO by a policy of its own"
        )


def _later(path: str, tier: Tier) -> Iterator[Fault]:
    if not tier.rules:
        yield Fault(f"{path}.rules", "nothing ever opens this tier", "Give a rule, such as { failed = 1 }")
    for index, rule in enumerate(tier.rules):
        if isinstance(rule, Failed):
            yield from _between(f"{path}.rules[{index}].failed", rule.at_least, 1, MAX_ATTEMPTS)
        else:
            yield from _span(f"{path}.rules[{index}].unacknowledged_after", rule.after)


def _schedules(where: str, policy: Policy) -> Iterator[Fault]:
    retries = policy.retries
    yield from _schedule(f"{where}.retries.normal", retries.normal)
    yield from _schedule(f"{where}.retries.critical", retries.critical)
    for channel, schedule in retries.by_channel.items():
        yield from _schedule(f"{where}.retries.by_channel.{channel}", schedule)


def _schedule(path: str, schedule: RetrySchedule) -> Iterator[Fault]:
    yield from _span(f"{path}.window", schedule.window)
    if not 0 <= schedule.jitter <= 1:
        yield Fault(f"{path}.jitter", f"{schedule.jitter} is not between 0 and 1", "Give a share of the wait, such as 0.1")
    if schedule.attempts > MAX_ATTEMPTS:
        yield Fault(f"{path}.delays", f"there are {len(schedule.delays)}", f"Give at most {MAX_ATTEMPTS - 1}")
    for index, delay in enumerate(schedule.delays):
        yield from _span(f"{path}.delays[{index}]", delay)
    total = sum(schedule.delays, timedelta(0))
    if total > schedule.window:
        what = f"the delays add up to {text.duration(total)}, the window is {text.duration(schedule.window)}"
        yield Fault(f"{path}.window", what, "Widen the window or shorten the delays")


def _spans(where: str, policy: Policy) -> Iterator[Fault]:
    for name in [name for name, kind in get_type_hints(Policy).items() if kind is timedelta]:
        yield from _span(f"{where}.{name}", getattr(policy, name))
    for channel, span in policy.overdue_after.items():
        yield from _span(f"{where}.overdue_after.{channel}", span)
    yield from _between(f"{where}.suspected_after_attempts", policy.suspected_after_attempts, 1, MAX_ATTEMPTS)


def _repeat(where: str, repeat: Repeat | None) -> Iterator[Fault]:
    if repeat is not None:
        yield from _span(f"{where}.repeat.every", repeat.every)
        yield from _between(f"{where}.repeat.rounds", repeat.rounds, 1, MAX_ROUNDS)


def _channels(where: str, policy: Policy, channels: Collection[str]) -> Iterator[Fault]:
    named = [
        *((f"{where}.tiers[{index}].channels", channel) for index, tier in enumerate(policy.tiers) for channel in tier.channels),
        *((f"{where}.retries.by_channel", channel) for channel in policy.retries.by_channel),
        *((f"{where}.overdue_after", channel) for channel in policy.overdue_after),
        *((f"{where}.critical_channels", channel) for channel in policy.critical_channels),
    ]
    yield from (unknown(path, "channel", channel, channels) for path, channel in named if channel not in channels)


def _span(path: str, span: timedelta) -> Iterator[Fault]:
    if not timedelta(0) < span <= MAX_SPAN:
        yield Fault(path, f"{span} is out of range", f"Give more than 0 s and at most {MAX_SPAN.days} d")


def _between(path: str, value: int, least: int, most: int) -> Iterator[Fault]:
    if not least <= value <= most:
        yield Fault(path, f"{value} is not between {least} and {most}", "Give a number between them")
