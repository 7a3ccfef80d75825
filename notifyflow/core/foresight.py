"""What can be foreseen to go wrong with the duty: nobody on duty, people whom nothing reaches, chains that reach nobody; pure."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from zoneinfo import ZoneInfo

from notifyflow.core.intake.directory import OPERATIONS, Route, routes
from notifyflow.core.intake.schedules import MARK
from notifyflow.core.policy import Policy, Unacknowledged
from notifyflow.core.roster import Roster
from notifyflow.core.schedules import Schedule, Shift
from notifyflow.core.wording import text
from notifyflow.errors import Fault

AHEAD = timedelta(days=30)
"""How far ahead is looked."""

_Period = tuple[datetime, datetime]


class FindingKind(StrEnum):
    """What can go wrong."""

    GAP = "gap"
    UNREACHABLE = "unreachable"
    NOBODY_REACHED = "nobody_reached"
    SHORT_STEP = "short_step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that will go wrong, or may.

    Attributes:
        kind: What it is about.
        where: The schedule, route or step: ``schedules.primary``, ``routes[0].then[1]``.
        what: What is wrong, as a sentence without its full stop; times are in the schedule's zone.
        remedy: What to do about it, as a sentence without its full stop.
        person: The id of the person, if it is about one.
        begins_at: When it happens first; None if it does not depend on time.
        ends_at: When that ends.
        count: How often it happens within the time that is looked at.
    """

    kind: FindingKind
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
        return self.kind in (FindingKind.UNREACHABLE, FindingKind.NOBODY_REACHED)

    @property
    def fault(self) -> Fault:
        """The finding as a fault of the directory."""
        return Fault(self.where, self.what, self.remedy)


def foresee(
    roster: Roster, ways: Mapping[str, Collection[str]], policies: Mapping[str, Policy], *, now: datetime
) -> tuple[Finding, ...]:
    """Return what can be foreseen to go wrong within 30 days.

    A schedule whose calendar was never read is left out: who is in it is not known.

    Args:
        roster: The directory, its calendars and the overrides.
        ways: Recipient, by id, to the channels on which they can be reached.
        policies: The policies, by name.
        now: From when on to look.
    """
    known = {
        f"{MARK}{name}": list(roster.shifts(schedule, begin=now, end=now + AHEAD))
        for name, schedule in roster.directory.schedules.items()
        if schedule.ical is None or name in roster.calendars
    }
    found: list[Finding] = []
    for name, shifts in known.items():
        schedule = roster.directory.schedules[name.removeprefix(MARK)]
        found += _gaps(schedule, shifts, now)
        found += _unreachable(schedule, shifts, ways, now)
    for where, route in routes(roster.directory):
        if policy := policies.get(route.policy):
            found += _unreached(where, route, policy, roster, known, ways, now)
            found += _short_steps(where, route, policy)
    return tuple(found)


def gaps(findings: Iterable[Finding], schedules: Iterable[str]) -> Mapping[str, int]:
    """Return how many times nobody is on duty in each schedule; 0 for one that may have gaps."""
    counts = {each.where.removeprefix("schedules."): each.count for each in findings if each.kind is FindingKind.GAP}
    return {name: counts.get(name, 0) for name in schedules}


def _gaps(schedule: Schedule, shifts: Sequence[Shift], now: datetime) -> Iterator[Finding]:
    gaps = () if schedule.may_have_gaps else _when(shifts, lambda shift: not shift.people, now)
    if gaps:
        yield Finding(
            kind=FindingKind.GAP,
            where=f"schedules.{schedule.name}",
            what=f"nobody is on duty {_words(gaps, schedule, now)}",
            remedy="Add a layer before the others, or write `may_have_gaps = true` into the schedule if it is meant",
            begins_at=gaps[0][0],
            ends_at=gaps[0][1],
            count=len(gaps),
        )


def _unreachable(
    schedule: Schedule, shifts: Sequence[Shift], ways: Mapping[str, Collection[str]], now: datetime
) -> Iterator[Finding]:
    people = dict.fromkeys(each for shift in shifts for each in shift.people)
    for person in (each for each in people if not ways.get(each)):
        periods = _when(shifts, partial(_has, person), now)
        yield Finding(
            kind=FindingKind.UNREACHABLE,
            where=f"schedules.{schedule.name}",
            what=f"{person} cannot be reached, and is on duty {_words(periods, schedule, now)}",
            remedy="Give them an address that a configured provider carries, or let somebody else take the duty",
            person=person,
            begins_at=periods[0][0],
            ends_at=periods[0][1],
            count=len(periods),
        )


def _has(person: str, shift: Shift) -> bool:
    return person in shift.people


def _unreached(
    where: str,
    route: Route,
    policy: Policy,
    roster: Roster,
    known: Mapping[str, list[Shift]],
    ways: Mapping[str, Collection[str]],
    now: datetime,
) -> Iterator[Finding]:
    """Yield when nobody in any step of a route can be reached; routes without a schedule are always the same."""
    used = {channel for tier in policy.tiers for channel in tier.channels}

    def is_lost(person: str) -> bool:
        return used.isdisjoint(ways.get(person, ()))

    named = [name for name in route.names if name.startswith(MARK)]
    others = roster.directory.everybody(name for name in route.names if not name.startswith(MARK))
    is_safe = OPERATIONS in route.names or not all(is_lost(each.id) for each in others)
    if is_safe or not named or not all(name in known for name in named):
        return
    periods = [(now, now + AHEAD)]
    for name in dict.fromkeys(named):
        periods = _overlaps(periods, _when(known[name], lambda shift: all(map(is_lost, shift.people)), now))
    if periods:
        yield Finding(
            kind=FindingKind.NOBODY_REACHED,
            where=where,
            what=f"its chain reaches nobody {_words(periods, roster.directory.schedules[named[0].removeprefix(MARK)], now)}",
            remedy=f"Add somebody who can always be reached, or {OPERATIONS}, as its last step",
            begins_at=periods[0][0],
            ends_at=periods[0][1],
            count=len(periods),
        )


def _when(shifts: Iterable[Shift], is_meant: Callable[[Shift], bool], now: datetime) -> list[_Period]:
    """Return the periods of the shifts that are meant, those that follow each other as one."""
    found: list[_Period] = []
    for shift in filter(is_meant, shifts):
        begins_at = found.pop()[0] if found and found[-1][1] == shift.begins_at else max(shift.begins_at, now)
        found.append((begins_at, shift.ends_at))
    return found


def _overlaps(ones: Iterable[_Period], others: Collection[_Period]) -> list[_Period]:
    both = ((max(one[0], other[0]), min(one[1], other[1])) for one in ones for other in others)
    return [period for period in both if period[0] < period[1]]


def _short_steps(where: str, route: Route, policy: Policy) -> Iterator[Finding]:
    """Yield the steps that are over before the policy has opened its last tier by time."""
    opened = [
        min(each.after for each in tier.rules if isinstance(each, Unacknowledged))
        for tier in policy.tiers
        if any(isinstance(each, Unacknowledged) for each in tier.rules)
    ]
    needed = max(opened, default=timedelta(0))
    places = [f"{where}.then[{index}].after" for index in range(len(route.then))]
    times = [*(each.after for each in route.then), route.over_after]
    for place, time in zip([*places, f"{where}.over_after"], times, strict=True):
        if route.then and time < needed:
            tier = f"the policy {policy.name} opens its last tier after {text.duration(needed)}"
            yield Finding(
                kind=FindingKind.SHORT_STEP,
                where=place,
                what=f"the step is over after {text.duration(time)}, and {tier}",
                remedy=f"Give it at least {text.duration(needed)}, or choose a policy that is faster",
            )


def _words(periods: Sequence[_Period], schedule: Schedule, now: datetime) -> str:
    """Return the first of some periods in words: ``from Mon 7 Dec 18:00 CET to Tue 8 Dec 09:00 CET, and 20 more times``."""
    zone = ZoneInfo(schedule.timezone)
    begins, ends = (text.instant(at.astimezone(zone), now=now) for at in periods[0])
    until = f"to {ends}" if periods[0][1] < now + AHEAD else "on"
    more = f", and {text.quantity(len(periods) - 1, 'more time')}" if len(periods) > 1 else ""
    return f"from {begins} {until}{more}"
