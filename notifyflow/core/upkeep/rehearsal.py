"""Searches for provider behaviour in which a page wakes nobody: the phone stays silent, or nobody is told; pure.

Each course is played to its end by the machines themselves, as in ``forecast``; nothing here restates a rule.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from notifyflow.core.copies import replace
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.model import REACHING, Contact, NotificationState, Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import OPERATIONS, Policy, timers
from notifyflow.core.delivery.proof import has_arrived
from notifyflow.core.delivery.tier_rules import ways
from notifyflow.core.insight.next_events import NextEvent, NextEventKind
from notifyflow.core.messages.ways import message
from notifyflow.core.text import listed
from notifyflow.core.upkeep.forecast import ChannelModel, ForecastRun, ProviderBehaviour, fresh_escalation
from notifyflow.errors import Fault

MOST_RUNS = 300
"""How many courses are played at most for one person, policy and severity; the shortest first."""
_ALERTING = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)
_IF: Mapping[ProviderBehaviour, str] = {
    ProviderBehaviour.REFUSED: "is refused for good",
    ProviderBehaviour.FAILING: "fails at every attempt",
    ProviderBehaviour.SILENT: "is accepted and no receipt comes",
    ProviderBehaviour.ACCEPTED: "arrives",
}


class Danger(StrEnum):
    """A danger: no phone rings although one could, nothing shows that a page arrives, or nobody is told at all."""

    SILENT_PHONE = "silent_phone"
    NO_PROOF = "no_proof"
    NOBODY_TOLD = "nobody_told"


Course = tuple[tuple[str, ProviderBehaviour], ...]
"""How the provider of each channel behaves, in the order in which they are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """The shortest course of providers found in which a page wakes nobody.

    Attributes:
        people: The ids of the people.
        course: The behaviour of the providers.
    """

    danger: Danger
    policy: str
    severities: tuple[Severity, ...] = ()
    people: tuple[str, ...] = ()
    course: Course

    @property
    def fault(self) -> Fault:
        """The weakness in words: ``CRITICAL to ada: the phone stays silent if the mail is accepted and no receipt comes``."""
        steps = [f"the {message(channel)} {_IF[answers]}" for channel, answers in self.course]
        condition = f" if {listed(steps)}" if steps else ""
        return _fault(self, f"{_WHAT[self.danger]}{condition}", _REMEDIES[self.danger])


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A rehearsal that failed, so that its dangers are unknown.

    Attributes:
        people: The ids of the people.
        name: The name of the error.
        error: The error; of several with this name, the first.
    """

    policy: str
    severities: tuple[Severity, ...] = ()
    people: tuple[str, ...] = ()
    name: str
    error: Exception = field(compare=False)

    @property
    def fault(self) -> Fault:
        """The failure in words: ``CRITICAL to ada: the rehearsal broke: KeyError``."""
        return _fault(self, f"the rehearsal broke: {self.name}", "Find app.rehearsal_broke in the log")


RehearsalFinding: TypeAlias = Weakness | Broken


def tells_nobody(found: RehearsalFinding) -> bool:
    """Return whether the danger is that nobody is told."""
    return isinstance(found, Weakness) and found.danger is Danger.NOBODY_TOLD


def _fault(found: RehearsalFinding, what: str, remedy: str) -> Fault:
    whom = f"{', '.join(found.severities)} to {listed(list(found.people))}"
    return Fault(f"policies.{found.policy}", f"{whom}: {what}", remedy)


_WHAT: Mapping[Danger, str] = {
    Danger.SILENT_PHONE: "the phone stays silent",
    Danger.NO_PROOF: "nothing shows that a page arrives, and no phone rings,",
    Danger.NOBODY_TOLD: "nobody is told, nor is operations,",
}
_REMEDIES: Mapping[Danger, str] = {
    Danger.SILENT_PHONE: "Let a failure, a missing receipt or a timer open each tier up to the call",
    Danger.NO_PROOF: "Give them a phone number, a mail address or chat as well",
    Danger.NOBODY_TOLD: "Give operations recipients in NOTIFYFLOW_OPS_RECIPIENTS who can be reached",
}


def rehearse(
    policies: Mapping[str, Policy],
    people: Collection[Contact],
    operations: Collection[Contact],
    models: Mapping[str, ChannelModel],
    calling: frozenset[str],
) -> tuple[RehearsalFinding, ...]:
    """Return the dangers for each policy, severity and person; the operations team is paged by its policy.

    People with the same channels and wishes behave alike, and are rehearsed once. A rehearsal that fails is named, and the
    findings of the others stand.
    """
    has_operations = any(_carried(each, models) for each in operations)
    found: dict[RehearsalFinding, dict[str, dict[Severity, None]]] = defaultdict(lambda: defaultdict(dict))
    for name, policy in policies.items():
        is_own = name == OPERATIONS.name  # who tells operations that operations was not told?
        rehearsal = _Rehearsal(policy=policy, models=models, calling=calling, has_operations=has_operations or is_own)
        for alike in _alike(operations if is_own else people, models):
            known: dict[object, Mapping[Danger, Course]] = {}
            for severity in (Severity.CRITICAL,) if is_own else _ALERTING:
                for finding in rehearsal.findings(alike[0], severity, known):
                    for each in alike:
                        found[finding][each.recipient_id][severity] = None
    return tuple(_with_people(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rehearsal:
    """A policy, and the models of the channels of its pages."""

    policy: Policy
    models: Mapping[str, ChannelModel]
    calling: frozenset[str]
    has_operations: bool

    def findings(
        self, contact: Contact, severity: Severity, known: dict[object, Mapping[Danger, Course]]
    ) -> Collection[RehearsalFinding]:
        """Rehearse with a person, unless a known rehearsal is alike; return the findings, without severities and people."""
        name = self.policy.name
        try:
            fresh = fresh_escalation(contact, self.policy, severity, self.calling)
            manner = _manner(fresh)
            if manner not in known:
                known[manner] = search(fresh, self.models, has_operations=self.has_operations)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this one, the others go on
            return (Broken(policy=name, name=type(error).__name__, error=error),)
        return tuple(Weakness(danger=danger, policy=name, course=course) for danger, course in known[manner].items())


def search(fresh: DecisionContext, models: Mapping[str, ChannelModel], *, has_operations: bool) -> Mapping[Danger, Course]:
    """Return for each danger the shortest course to it, by the number of channels tried.

    Args:
        fresh: The escalation: ACTIVE, in tier 0, without notifications.
        models: The model of each channel.
        has_operations: Whether anybody is in operations.
    """
    found: dict[Danger, Course] = {}
    courses: list[Course] = [()]
    for count, course in enumerate(courses):  # they grow, by one channel at a time: the shortest come first
        if count == MOST_RUNS or len(found) == len(Danger):
            break
        run = ForecastRun(fresh, models, partial(_behaviour, dict(course)), takes=timedelta(seconds=1), fraction=0.5)
        try:
            events = tuple(run.events())
        except _Untried as next_one:
            behaviours = _behaviours(fresh, models[next_one.channel])
            courses += [(*course, (next_one.channel, each)) for each in behaviours]
            continue
        for danger in _dangers(run.context, models, events, has_operations=has_operations):
            found.setdefault(danger, course)
    return found


class _Untried(Exception):
    """Raised when a run reaches a channel without a chosen behaviour; ``search`` goes on with each behaviour."""

    def __init__(self, channel: str) -> None:
        super().__init__(channel)
        self.channel = channel


def _behaviour(course: Mapping[str, ProviderBehaviour], channel: str) -> ProviderBehaviour:
    if channel not in course:
        raise _Untried(channel)
    return course[channel]


def _behaviours(fresh: DecisionContext, model: ChannelModel) -> Iterator[ProviderBehaviour]:
    """Yield the possible behaviours of a provider: nothing arrives; or it arrives, too, if the policy rings in any case."""
    is_critical = fresh.escalation.severity is Severity.CRITICAL
    if is_critical and _rings_by_time(fresh):
        yield ProviderBehaviour.ACCEPTED
    yield ProviderBehaviour.REFUSED
    if is_critical and (model.has_receipts or not model.capabilities.shows_without_receipt):
        yield ProviderBehaviour.SILENT
    yield ProviderBehaviour.FAILING


def _dangers(
    context: DecisionContext, models: Mapping[str, ChannelModel], events: Collection[NextEvent], *, has_operations: bool
) -> Iterator[Danger]:
    rows, is_critical = context.telling, context.escalation.severity is Severity.CRITICAL
    is_reached = any(has_arrived(row) if is_critical else row.state in REACHING for row in rows)
    has_rung = any(row.channel in context.calling and counted(row) for row in context.notifications)
    meant = {channel for tier in context.escalation.policy.tiers for channel in ways(context, tier)}
    used = {channel for channel in meant if channel in models and models[channel].providers}
    if is_critical and used & context.calling and not has_rung and (not is_reached or _rings_by_time(context)):
        yield Danger.SILENT_PHONE
    is_pending = any(row.state is not NotificationState.FAILED for row in rows)
    shows = any(models[channel].capabilities.shows_without_receipt for channel in used) or used & context.calling
    if is_critical and not is_reached and is_pending and not shows:
        yield Danger.NO_PROOF
    goes_on = any(each.what is NextEventKind.OPERATIONS or each.what is NextEventKind.ROUND for each in events)
    if used and not is_reached and not (has_operations and goes_on):
        yield Danger.NOBODY_TOLD


def _rings_by_time(context: DecisionContext) -> bool:
    """Return whether the policy has a timer that opens a tier of calls, at its own place or behind it."""
    tiers = context.escalation.policy.tiers
    numbers = [number for number, tier in enumerate(tiers) if context.calling.intersection(ways(context, tier))]
    return bool(numbers) and bool(timers(tiers[numbers[0] :]))


def _manner(fresh: DecisionContext) -> object:
    """Return the values that decide how a round goes; ERROR and WARNING go alike under most policies."""
    severity, tiers = fresh.escalation.severity, fresh.escalation.policy.tiers
    return severity is Severity.CRITICAL, tuple((ways(fresh, tier), tier.rules) for tier in tiers)


def _carried(contact: Contact, models: Mapping[str, ChannelModel]) -> frozenset[str]:
    return frozenset(channel for channel in contact.addresses if channel in models and models[channel].providers)


def _alike(team: Collection[Contact], models: Mapping[str, ChannelModel]) -> Collection[list[Contact]]:
    """Return the people of a team in groups with the same channels and wishes; people without any channel are left out."""
    groups: dict[object, list[Contact]] = defaultdict(list)
    for each in team:
        if carried := _carried(each, models):
            wishes = tuple(sorted((each.channels or {}).items()))
            groups[carried, frozenset(each.addresses), wishes].append(each)
    return groups.values()


def _with_people(found: Mapping[RehearsalFinding, Mapping[str, Mapping[Severity, None]]]) -> Iterator[RehearsalFinding]:
    for finding, concerned in found.items():
        by_severities: dict[tuple[Severity, ...], list[str]] = defaultdict(list)
        for who, severities in concerned.items():
            by_severities[tuple(severities)].append(who)
        for alike, people in by_severities.items():
            yield replace(finding, severities=alike, people=tuple(people))
