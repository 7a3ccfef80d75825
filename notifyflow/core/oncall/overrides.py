"""Temporary changes of a duty: taking it, covering for somebody, swapping two shifts; pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core import text
from notifyflow.core.delivery.facts import StepFacts
from notifyflow.core.delivery.model import StepState
from notifyflow.core.forms import MAX_KEY, unknown
from notifyflow.core.hours import LATEST
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedule_forms import MARK
from notifyflow.core.oncall.schedules import Override, Schedule, Shift
from notifyflow.errors import Fault, InvalidOverride

LONGEST = timedelta(days=366)
MOST_PEOPLE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request for a temporary change of the duty.

    Attributes:
        schedules: The names of the schedules, with or without ``@``; empty for all.
        people: The people to be on duty, by recipient id.
        instead_of: The one person whose duty they take, whenever that person is on duty; empty for the whole duty.
        begins_at: From when on; None from now on. An instant that has passed means now.
        ends_at: Until when.
        by: Who requests it.
    """

    schedules: tuple[str, ...] = ()
    people: tuple[str, ...]
    instead_of: str = ""
    begins_at: datetime | None = None
    ends_at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A request to swap the people of two shifts of a schedule.

    Attributes:
        schedule: The name of the schedule, with or without ``@``.
        first: An instant in one of the shifts.
        second: An instant in the other one.
        by: Who requests it.
    """

    schedule: str
    first: datetime
    second: datetime
    by: str


def plan(wish: Wish | Swap, roster: Roster, ids: Iterator[str], *, now: datetime) -> tuple[Override, ...]:
    """Return the overrides that carry out a request.

    Args:
        wish: The request.
        roster: The roster in force.
        ids: Ids for new overrides.
        now: The instant.

    Raises:
        InvalidOverride: With every fault: an unknown name, a time that has passed, a period that is too long, nobody on duty.
    """
    return _plan_swap(wish, roster, ids, now) if isinstance(wish, Swap) else _plan_wish(wish, roster, ids, now)


def find_schedule(roster: Roster, name: str) -> Schedule:
    """Return the schedule with a name, with or without ``@``; raise ``InvalidOverride`` if there is none."""
    schedule = roster.schedule(name)
    if schedule is None:
        raise InvalidOverride(_unknown_schedules(roster, [name]))
    return schedule


def _plan_wish(wish: Wish, roster: Roster, ids: Iterator[str], now: datetime) -> tuple[Override, ...]:
    begins_at = max(wish.begins_at or now, now)
    faults = (
        *_unknown_schedules(roster, wish.schedules),
        *_people_faults(roster, wish),
        *_period_faults(begins_at, wish.ends_at, now),
        *_by_faults(wish.by),
    )
    if faults:
        raise InvalidOverride(faults)
    names = dict.fromkeys(name.removeprefix(MARK) for name in wish.schedules or roster.directory.schedules)
    return tuple(
        Override(
            id=next(ids),
            schedule=name,
            people=wish.people,
            instead_of=wish.instead_of,
            begins_at=begins_at,
            ends_at=wish.ends_at,
            made_by=wish.by,
            made_at=now,
        )
        for name in names
    )


def _plan_swap(wish: Swap, roster: Roster, ids: Iterator[str], now: datetime) -> tuple[Override, ...]:
    schedule = find_schedule(roster, wish.schedule)
    first, second = (roster.on_duty(schedule, at) for at in (wish.first, wish.second))
    faults = (*_shift_faults("first", first, now), *_shift_faults("second", second, now), *_by_faults(wish.by))
    if not faults and first.people == second.people:
        faults = (Fault("second", f"{text.listed(first.people)} is on duty in both", "Give times in shifts of different people"),)
    if faults:
        raise InvalidOverride(faults)
    return tuple(
        Override(
            id=next(ids),
            schedule=schedule.name,
            people=other.people,
            begins_at=max(each.begins_at, now),
            ends_at=each.ends_at,
            made_by=wish.by,
            made_at=now,
        )
        for each, other in ((first, second), (second, first))
    )


def _unknown_schedules(roster: Roster, names: Iterable[str]) -> tuple[Fault, ...]:
    known = [MARK + name for name in roster.directory.schedules]
    if not known:
        return (Fault("schedule", "the directory has no schedules", "Add a table [schedules.NAME] to its file"),)
    return tuple(unknown("schedule", "schedule", name, known) for name in names if roster.schedule(name) is None)


def _people_faults(roster: Roster, wish: Wish) -> Iterator[Fault]:
    known: Collection[str] = roster.directory.recipients
    if not wish.people:
        yield Fault("people", "it is empty", "Name who is to be on duty")
    if len(wish.people) > MOST_PEOPLE:
        yield Fault("people", f"there are {len(wish.people)}, {MOST_PEOPLE} are allowed", "Name fewer")
    yield from (unknown("people", "recipient", each, known) for each in wish.people if each not in known)
    if wish.instead_of and wish.instead_of not in known:
        yield unknown("instead_of", "recipient", wish.instead_of, known)
    if wish.instead_of in wish.people:
        yield Fault("people", f"{wish.instead_of} would be their own substitute", "Name somebody else")


def _period_faults(begins_at: datetime, ends_at: datetime, now: datetime) -> Iterator[Fault]:
    if ends_at <= now:
        yield Fault("until", "it has passed", "Give a later time")
    elif ends_at <= begins_at:
        yield Fault("until", "it is not after the beginning", "Give a later time")
    elif ends_at - begins_at > LONGEST:
        what = f"{text.duration(ends_at - begins_at)} is too long"
        yield Fault("until", what, "Give at most a year, and change the schedule for what is to last")


def _shift_faults(where: str, shift: Shift, now: datetime) -> Iterator[Fault]:
    if not shift.people:
        yield Fault(where, "nobody is on duty then", "Give a time in a shift, as `notifyflow oncall show` lists them")
    if shift.ends_at <= now:
        yield Fault(where, "its shift has passed", "Give a later time")
    if shift.ends_at >= LATEST:
        yield Fault(where, "its shift has no end", "Take or cover a part of it instead")


def _by_faults(by: str) -> Sequence[Fault]:
    if not by.strip():
        return [Fault("by", "it is empty", "Say who does it")]
    return [Fault("by", f"it has more than {MAX_KEY} characters", "Shorten it")] if len(by) > MAX_KEY else []


def has_duty(step: StepFacts, override: Override) -> bool:
    """Return whether a step pages the people on duty in a schedule, and an override changes who they are."""
    is_meant = step.state is StepState.STARTED and f"{MARK}{override.schedule}" in step.to
    return is_meant and (not override.instead_of or override.instead_of in step.paged)
