"""Hand-overs: when a duty changes hands, between whom, and whom that concerns; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from notifyflow.core.roster import Roster
from notifyflow.core.schedules import Schedule

TOLD_WITHIN = timedelta(hours=1)
"""People are told of a hand-over up to this long after it, and later not at all."""

_AHEAD = timedelta(days=60)
"""How far the next hand-over is looked for."""
_RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """A change of the people on duty in a schedule.

    Attributes:
        schedule: The name of the schedule.
        at: When it happens.
        before: The ids of those on duty until then; empty for nobody.
        after: The ids of those on duty from then on; empty for nobody.
        until: When the duty changes hands again; None if that is not within sixty days.
    """

    schedule: str
    at: datetime
    before: tuple[str, ...]
    after: tuple[str, ...]
    until: datetime | None

    @property
    def people(self) -> tuple[str, ...]:
        """The ids of those who begin, then of those who end; those who stay are not among them."""
        stay = set(self.before) & set(self.after)
        return tuple(dict.fromkeys(each for each in (*self.after, *self.before) if each not in stay))


def to_tell(roster: Roster, now: datetime) -> tuple[HandOver, ...]:
    """Return the hand-overs of which people are to be told now: of schedules that want it, and not too long ago."""
    schedules: Sequence[Schedule] = [each for each in roster.directory.schedules.values() if each.handover]
    return tuple(found for each in schedules for found in hand_overs(roster, each, since=now - TOLD_WITHIN, until=now))


def hand_overs(roster: Roster, schedule: Schedule, *, since: datetime, until: datetime) -> tuple[HandOver, ...]:
    """Return the hand-overs of a schedule after an instant and until another one, in order."""
    shifts = roster.shifts(schedule, begin=since, end=until + _RESOLUTION)
    return tuple(
        HandOver(
            schedule=schedule.name,
            at=before.ends_at,
            before=before.people,
            after=after.people,
            until=_until(roster, schedule, after.people, before.ends_at),
        )
        for before, after in pairwise(shifts)
        if set(before.people) != set(after.people)
    )


def changed(before: Roster, after: Roster, name: str, at: datetime) -> HandOver | None:
    """Return the hand-over that a change of the roster is at an instant; None if nobody else is on duty, or is to be told."""
    schedule = after.schedule(name)
    if schedule is None or not schedule.handover:
        return None
    old, new = (each.on_duty(schedule, at).people for each in (before, after))
    if set(old) == set(new):
        return None
    return HandOver(schedule=name, at=at, before=old, after=new, until=_until(after, schedule, new, at))


def _until(roster: Roster, schedule: Schedule, people: tuple[str, ...], at: datetime) -> datetime | None:
    """Return until when people have the duty that they have at an instant."""
    ends_at = at
    for shift in roster.shifts(schedule, begin=at, end=at + _AHEAD):
        if set(shift.people) != set(people):
            return ends_at
        ends_at = shift.ends_at
    return None
