"""The roster: people, and who is on duty by the directory, its calendars and the overrides; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Recipient
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.oncall import schedules
from notifyflow.core.oncall.directory import NOBODY, Directory
from notifyflow.core.oncall.schedule_forms import MARK
from notifyflow.core.oncall.schedules import Calendar, Override, Schedule, Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The people behind some names at an instant.

    Attributes:
        recipients: The people, each once; an unknown name is a recipient without an address.
        duty: Each name of a schedule, such as ``@primary``, → the ids of the people on duty; empty for nobody.
    """

    recipients: tuple[Recipient, ...]
    duty: Mapping[str, tuple[str, ...]] = FrozenDict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The directory with its calendars and the overrides.

    Attributes:
        overrides: The overrides, the oldest first; a cancelled one ends when it was cancelled.
        calendars: Schedule → its calendar as last read.
    """

    directory: Directory
    overrides: tuple[Override, ...] = ()
    calendars: Mapping[str, Calendar] = FrozenDict()

    def of_file(self, directory: Directory) -> "Roster":
        """Return the roster with another directory; a calendar counts only for a schedule with the same URL in it."""
        known, new = self.directory.schedules, directory.schedules
        calendars = {
            name: each
            for name, each in self.calendars.items()
            if name in known and name in new and known[name].ical == new[name].ical
        }
        return replace(self, directory=directory, calendars=FrozenDict(calendars))

    def people(self, names: Iterable[str], at: datetime) -> Resolved:
        """Return the people behind names of recipients, groups and, with ``@``, schedules, at an instant."""
        ids: dict[str, None] = {}
        duty: dict[str, tuple[str, ...]] = {}
        for name in names:
            schedule = self.schedule(name) if name.startswith(MARK) else None
            if schedule is None:
                ids |= dict.fromkeys(self.directory.groups.get(name) or (name,))
            else:
                duty[name] = self.on_duty(schedule, at).people
                ids |= dict.fromkeys(duty[name])
        recipients = tuple(self.directory.recipients.get(each) or Recipient(id=each) for each in ids)
        return Resolved(recipients=recipients, duty=FrozenDict(duty))

    def schedule(self, name: str) -> Schedule | None:
        """Return the schedule with a name, with or without ``@``, or None."""
        return self.directory.schedules.get(name.removeprefix(MARK))

    def name_of(self, recipient_id: str) -> str:
        """Return the name of a recipient, or else the id; a calendar's person who is not in the directory has no name."""
        known = self.directory.recipients.get(recipient_id)
        if known is not None:
            return known.name or known.id
        return "somebody unknown" if recipient_id.startswith(MARK) else recipient_id

    def on_duty(self, schedule: Schedule, at: datetime) -> Shift:
        """Return the shift of a schedule at an instant."""
        return schedules.on_duty(schedule, at, overrides=self._overrides(schedule), calendar=self.calendars.get(schedule.name))

    def shifts(self, schedule: Schedule, *, begin: datetime, end: datetime) -> Iterator[Shift]:
        """Yield the consecutive shifts of a schedule that overlap a period, those without anybody on duty included."""
        calendar = self.calendars.get(schedule.name)
        return schedules.shifts(schedule, begin=begin, end=end, overrides=self._overrides(schedule), calendar=calendar)

    def _overrides(self, schedule: Schedule) -> tuple[Override, ...]:
        return tuple(each for each in self.overrides if each.schedule == schedule.name)


EMPTY = Roster(directory=NOBODY)
"""The roster of a database without a directory."""


def calendars_read_at(roster: Roster) -> Mapping[str, datetime | None]:
    """Return when each schedule's calendar was last read; None if never."""
    names = (name for name, schedule in roster.directory.schedules.items() if schedule.ical is not None)
    return {name: roster.calendars[name].fetched_at if name in roster.calendars else None for name in names}
