"""Foreseeable faults of the duty: nobody on duty, unreachable people, chains that reach nobody; pure."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from zoneinfo import ZoneInfo

from notifyflow.core import text
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.insight.next_events import NextEventKind
from notifyflow.core.limits.preferences import reached_for, unreached_for
from notifyflow.core.oncall.directory import OPERATIONS, Route, routes
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedule_forms import MARK
from notifyflow.core.oncall.schedules import Schedule, Shift
from notifyflow.core.upkeep.forecast import ChannelModel, ForecastRun, ProviderBehaviour, fresh_escalation
from notifyflow.errors import Fault

AHEAD = timedelta(days=30)
"""How far ahead faults are searched."""

_Period = tuple[datetime, datetime]
_GO_ON = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)
"""The severities for which a chain goes on."""


class DutyWarningKind(StrEnum):
    """What can go wrong."""

    GAP = "gap"
    UNREACHABLE = "unreachable"
    NOBODY_REACHED = "nobody_reached"
    SHORT_STEP = "short_step"


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyWarning:
    """A foreseeable fault, or a possible one.

    Attributes:
        where: The schedule, route or step: ``schedules.primary``, ``routes[0].then[1]``.
        what: What is wrong, as a sentence without its full stop; times are in the schedule's zone.
        remedy: What to do about it, as a sentence without its full stop.
        person: The id of the person, if it is about one.
        begins_at: When it happens first; None if it does not depend on time.
        count: How often it happens within ``AHEAD``.
    """

    kind: DutyWarningKind
    where: str
    what: str
    remedy: str
    person: str = ""
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    count: int = 1

    @property
    def is_fault(self) -> bool:
        """Whether somebody will not be reached; otherwise it may be as intended."""
        return self.kind in (DutyWarningKind.UNREACHABLE, DutyWarningKind.NOBODY_REACHED)

    @property
    def fault(self) -> Fault:
        """The warning as a fault of the directory."""
        return Fault(self.where, self.what, self.remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ahead:
    """The known facts about the time ahead.

    Attributes:
        roster: The directory, its calendars and the overrides.
        people: The recipients, by id, with their usable addresses.
        policies: The policies of the routes, by name.
        shifts: Schedule, with ``@``, → its shifts; schedules whose calendar was never read are left out.
        now: The beginning of the time ahead.
        needs: Policy, channels, preferred ones and severity → the result of ``_needed``.
    """

    roster: Roster
    people: Mapping[str, Contact]
    policies: Mapping[str, Policy]
    shifts: Mapping[str, Sequence[Shift]]
    now: datetime
    needs: dict[tuple[object, ...], timedelta] = field(default_factory=dict)

    def schedule(self, name: str) -> Schedule:
        return self.roster.directory.schedules[name.removeprefix(MARK)]

    def contacts(self, names: Iterable[str], policy: Policy) -> Iterator[Contact]:
        """Yield the people that some names may mean; for operations, an unknown person with all channels of the policy."""
        for name in names:
            if name == OPERATIONS:
                channels = (channel for tier in policy.tiers for channel in tier.channels)
                yield Contact(recipient_id=name, name=name, addresses=dict.fromkeys(channels, ""))
            elif name in self.shifts:
                ids = dict.fromkeys(each for shift in self.shifts[name] for each in shift.people)
                yield from (self.people[each] for each in ids if each in self.people)
            else:
                yield from (self.people[each.id] for each in self.roster.directory.everybody([name]) if each.id in self.people)


def duty_warnings(
    roster: Roster, people: Mapping[str, Contact], policies: Mapping[str, Policy], *, now: datetime
) -> tuple[DutyWarning, ...]:
    """Return the foreseeable faults within 30 days.

    A schedule whose calendar was never read is left out: its people are not known.

    Args:
        roster: The directory, its calendars and the overrides.
        people: The recipients, by id, with the addresses at which they can be reached.
        policies: The policies, by name.
        now: The beginning of the 30 days.
    """
    shifts = {
        f"{MARK}{name}": list(roster.shifts(schedule, begin=now, end=now + AHEAD))
        for name, schedule in roster.directory.schedules.items()
        if schedule.ical is None or name in roster.calendars
    }
    used = {route.policy: policies[route.policy] for _, route in routes(roster.directory) if route.policy in policies}
    ahead = _Ahead(roster=roster, people=people, policies=used, shifts=shifts, now=now)
    found: list[DutyWarning] = []
    for name in shifts:
        found += _gaps(ahead, name)
        found += _unreachable(ahead, name)
    lost = {name: _lost(ahead, policy) for name, policy in used.items()}
    for where, route in routes(roster.directory):
        if policy := used.get(route.policy):
            found += _unreached(ahead, where, route, lost[route.policy])
            found += _short_steps(ahead, where, route, policy)
    return tuple(found)


def gaps(warnings: Iterable[DutyWarning], schedules: Iterable[str]) -> Mapping[str, int]:
    """Return how many times nobody is on duty in each schedule; 0 for one that may have gaps."""
    counts = {each.where.removeprefix("schedules."): each.count for each in warnings if each.kind is DutyWarningKind.GAP}
    return {name: counts.get(name, 0) for name in schedules}


def _gaps(ahead: _Ahead, name: str) -> Iterator[DutyWarning]:
    schedule = ahead.schedule(name)
    gaps = () if schedule.may_have_gaps else _when(ahead, name, lambda shift: not shift.people)
    if gaps:
        yield DutyWarning(
            kind=DutyWarningKind.GAP,
            where=f"schedules.{schedule.name}",
            what=f"nobody is on duty {_words(ahead, name, gaps)}",
            remedy="Add a layer before the others, or write may_have_gaps = true into the schedule if it is meant",
            begins_at=gaps[0][0],
            ends_at=gaps[0][1],
            count=len(gaps),
        )


def _unreachable(ahead: _Ahead, name: str) -> Iterator[DutyWarning]:
    for person in dict.fromkeys(each for shift in ahead.shifts[name] for each in shift.people):
        contact = ahead.people.get(person)
        severities = unreached_for(contact, ahead.policies.values()) if contact else ()
        if contact and contact.addresses and not severities:
            continue
        periods = _when(ahead, name, partial(_has, person))
        preferred = "Let them prefer a channel that a configured provider carries, too"
        without = "Give them an address that a configured provider carries, or let somebody else take the duty"
        yield DutyWarning(
            kind=DutyWarningKind.UNREACHABLE,
            where=f"schedules.{name.removeprefix(MARK)}",
            what=f"{person} cannot be reached{_for(severities)}, and is on duty {_words(ahead, name, periods)}",
            remedy=preferred if severities else without,
            person=person,
            begins_at=periods[0][0],
            ends_at=periods[0][1],
            count=len(periods),
        )


def _has(person: str, shift: Shift) -> bool:
    return person in shift.people


def _lost(ahead: _Ahead, policy: Policy) -> Collection[str]:
    """Return the recipients that a policy reaches for no severity."""
    return {each for each, contact in ahead.people.items() if not reached_for(policy, contact)}


def _unreached(ahead: _Ahead, where: str, route: Route, lost: Collection[str]) -> Iterator[DutyWarning]:
    """Yield the times when nobody in any step of a route can be reached; routes without a schedule never change."""

    def is_lost(person: str) -> bool:
        return person in lost or person not in ahead.people

    named = [name for name in route.names if name.startswith(MARK)]
    others = ahead.roster.directory.everybody(name for name in route.names if not name.startswith(MARK))
    is_safe = OPERATIONS in route.names or not all(is_lost(each.id) for each in others)
    if is_safe or not named or not all(name in ahead.shifts for name in named):
        return
    periods = [(ahead.now, ahead.now + AHEAD)]
    for name in dict.fromkeys(named):
        periods = _overlaps(periods, _when(ahead, name, lambda shift: all(map(is_lost, shift.people))))
    if periods:
        yield DutyWarning(
            kind=DutyWarningKind.NOBODY_REACHED,
            where=where,
            what=f"its chain reaches nobody {_words(ahead, named[0], periods)}",
            remedy=f"Add somebody who can always be reached, or {OPERATIONS}, as its last step",
            begins_at=periods[0][0],
            ends_at=periods[0][1],
            count=len(periods),
        )


def _when(ahead: _Ahead, name: str, is_meant: Callable[[Shift], bool]) -> list[_Period]:
    """Return the periods of a schedule's matching shifts; consecutive ones are joined."""
    found: list[_Period] = []
    for shift in filter(is_meant, ahead.shifts[name]):
        begins_at = found.pop()[0] if found and found[-1][1] == shift.begins_at else max(shift.begins_at, ahead.now)
        found.append((begins_at, shift.ends_at))
    return found


def _overlaps(ones: Iterable[_Period], others: Collection[_Period]) -> list[_Period]:
    both = ((max(one[0], other[0]), min(one[1], other[1])) for one in ones for other in others)
    return [period for period in both if period[0] < period[1]]


def _short_steps(ahead: _Ahead, where: str, route: Route, policy: Policy) -> Iterator[DutyWarning]:
    """Yield the steps that end before the policy's timers have opened the last tier that pages somebody in them."""
    if not route.then:
        return
    steps = (route.to, *(each.to for each in route.then))
    places = (*(f"{where}.then[{index}].after" for index in range(len(route.then))), f"{where}.over_after")
    times = (*(each.after for each in route.then), route.over_after)
    for place, names, time in zip(places, steps, times, strict=True):
        person, severities, needed = _longest_need(ahead, names, policy)
        if time < needed:
            tier = f"the policy {policy.name} opens its last tier for {person} after {text.duration(needed)}"
            yield DutyWarning(
                kind=DutyWarningKind.SHORT_STEP,
                where=place,
                what=f"the step is over after {text.duration(time)}, and {tier}{_for(severities)}",
                remedy=f"Give it at least {text.duration(needed)}, or choose a policy that is faster",
            )


def _longest_need(ahead: _Ahead, names: Iterable[str], policy: Policy) -> tuple[str, tuple[Severity, ...], timedelta]:
    """Return the person in a step with the longest time, for which severities (empty means all), and the time."""
    longest: tuple[str, tuple[Severity, ...], timedelta] = ("", (), timedelta())
    for contact in ahead.contacts(names, policy):
        needs = {severity: _needed(ahead, contact, policy, severity) for severity in _GO_ON}
        if (most := max(needs.values())) > longest[2]:
            severities = tuple(each for each, needed in needs.items() if needed == most)
            longest = (contact.recipient_id, () if severities == _GO_ON else severities, most)
    return longest


def _needed(ahead: _Ahead, contact: Contact, policy: Policy, severity: Severity) -> timedelta:
    """Return how long a policy takes to open the last tier that pages a recipient, if every message is accepted."""
    key = (policy.name, *sorted(contact.addresses), (contact.channels or {}).get(severity), severity)
    if key not in ahead.needs:
        fresh = fresh_escalation(contact, policy, severity, frozenset())
        models = {channel: ChannelModel(providers=(channel,)) for channel in contact.addresses}
        came = ForecastRun(fresh, models, ProviderBehaviour.ACCEPTED, takes=timedelta(), fraction=0.0).events()
        times = [each.at for each in came if each.what is NextEventKind.TIER and each.at is not None]
        ahead.needs[key] = max(times, default=fresh.escalation.started_at) - fresh.escalation.started_at
    return ahead.needs[key]


def _for(severities: Sequence[Severity]) -> str:
    return f" for {text.listed(severities)}" if severities else ""


def _words(ahead: _Ahead, name: str, periods: Sequence[_Period]) -> str:
    """Return the first of some periods in words: ``from Mon 7 Dec 18:00 CET to Tue 8 Dec 09:00 CET, and 20 more times``."""
    zone = ZoneInfo(ahead.schedule(name).timezone)
    begins, ends = (text.instant(at.astimezone(zone), now=ahead.now) for at in periods[0])
    until = f"to {ends}" if periods[0][1] < ahead.now + AHEAD else "on"
    more = f", and {text.quantity(len(periods) - 1, 'more time')}" if len(periods) > 1 else ""
    return f"from {begins} {until}{more}"
