"""Hand-overs: when a duty changes hands, between whom, and who is told; pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from notifyflow.core.copies import replace
from notifyflow.core.hours import EARLIEST
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedules import Schedule

TOLD_WITHIN = timedelta(hours=1)
"""People are told of a hand-over up to this long after it, and not later."""
QUIET_FOR = timedelta(minutes=2)
"""People are told once nothing has changed for this long."""
AT_THE_LATEST = timedelta(minutes=10)
"""People are told at the latest this long after the first change."""

_AHEAD = timedelta(days=60)
"""How far ahead the next hand-over is searched."""
_RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """A change of the people on duty in a schedule.

    Attributes:
        before: The ids of the people on duty until then; empty for nobody.
        after: The ids of the people on duty from then on; empty for nobody.
        until: When the duty changes hands again; None if that is not within sixty days.
    """

    schedule: str
    at: datetime
    before: tuple[str, ...]
    after: tuple[str, ...]
    until: datetime | None

    @property
    def people(self) -> tuple[str, ...]:
        """The ids of the people whose duty begins, then of those whose duty ends; people who stay are left out."""
        stay = set(self.before) & set(self.after)
        return tuple(dict.fromkeys(each for each in (*self.after, *self.before) if each not in stay))


def to_tell(roster: Roster, handled: Mapping[str, datetime], now: datetime) -> tuple[HandOver, ...]:
    """Return the hand-overs that people are to be told about now: recent ones, of schedules that want it.

    Changes in close succession are one hand-over, from the people before the first to the people after the last. If these are the
    same, it concerns nobody.

    Args:
        roster: The roster.
        handled: Schedule → its newest hand-over that people were told about, or that concerned nobody.
        now: The instant.
    """
    found: list[HandOver] = []
    for schedule in (each for each in roster.directory.schedules.values() if each.handover):
        since = max(now - TOLD_WITHIN, handled.get(schedule.name, EARLIEST))
        for run in _runs(_changes(roster, schedule, since=since, until=now)):
            if _is_over_at(run) <= now:
                found.append(_with_end(roster, schedule, replace(run[-1], before=run[0].before)))
    return tuple(found)


def _runs(changes: Iterable[HandOver]) -> Iterator[Sequence[HandOver]]:
    """Yield the changes in groups that follow each other closely."""
    run: list[HandOver] = []
    for each in changes:
        if run and _is_over_at(run) < each.at:
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _is_over_at(run: Sequence[HandOver]) -> datetime:
    return min(run[-1].at + QUIET_FOR, run[0].at + AT_THE_LATEST)


def hand_overs(roster: Roster, schedule: Schedule, *, since: datetime, until: datetime) -> tuple[HandOver, ...]:
    """Return the hand-overs of a schedule after an instant and until another one, in order."""
    return tuple(_with_end(roster, schedule, each) for each in _changes(roster, schedule, since=since, until=until))


def _changes(roster: Roster, schedule: Schedule, *, since: datetime, until: datetime) -> Iterator[HandOver]:
    """Yield the hand-overs as ``hand_overs`` returns them, but for their ``until``: to find it takes most of the time."""
    shifts = roster.shifts(schedule, begin=since, end=until + _RESOLUTION)
    for before, after in pairwise(shifts):
        if set(before.people) != set(after.people):
            yield HandOver(schedule=schedule.name, at=before.ends_at, before=before.people, after=after.people, until=None)


def _with_end(roster: Roster, schedule: Schedule, found: HandOver) -> HandOver:
    return replace(found, until=_until(roster, schedule, found.after, found.at))


def _until(roster: Roster, schedule: Schedule, people: tuple[str, ...], at: datetime) -> datetime | None:
    """Return until when people keep the duty that they have at an instant."""
    ends_at = at
    for shift in roster.shifts(schedule, begin=at, end=at + _AHEAD):
        if set(shift.people) != set(people):
            return ends_at
        ends_at = shift.ends_at
    return None
