"""When a job is expected to ping: every so often, or by a cron expression in a time zone; pure.

``cronsim`` evaluates the expressions as Debian's cron does, also on days on which clocks change: a job whose time is skipped runs
just after, and one whose time comes twice runs once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from notifyflow.core import text
from notifyflow.core.intake.validation import is_time_zone
from notifyflow.errors import Fault

EARLY = timedelta(seconds=10)
"""How long before its time a success counts for it: clocks of other machines are a little ahead."""
GRACE = timedelta(hours=1)
_SHORTEST = timedelta(minutes=1)
_LONGEST = timedelta(days=366)
_FIELDS = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """When a job is expected to ping.

    Attributes:
        every: The time between two successes; None with a cron expression.
        cron: A cron expression of five fields; empty with ``every``.
        timezone: The zone of the cron expression.
        grace: How long after its time a job is missed; also how long a run that has said that it starts may take.
    """

    every: timedelta | None = None
    cron: str = ""
    timezone: str = "UTC"
    grace: timedelta = GRACE

    @property
    def early(self) -> timedelta:
        """How long before an expected time the job may ping."""
        return EARLY if self.every is None else min(self.grace, self.every / 2)

    def after(self, at: datetime) -> datetime:
        """Return the first time after an instant at which the job is expected."""
        if self.every is not None:
            return at + self.every
        zone = ZoneInfo(self.timezone)
        ticks = CronSim(self.cron, at.astimezone(zone))
        # on a day on which clocks change, the library counts local times, and may begin before the instant
        found = next(tick for each in ticks if (tick := each.astimezone(UTC)) > at)
        offsets = {each.astimezone(zone).utcoffset() for each in (at - _DAY, at, found - _DAY, found)}
        if len(offsets) > 1 and ticks.fixup_tz is None:  # it is no time of day, which has rules of its own
            found = min(self._first(at, found, offset or timedelta()) for offset in offsets)
        return found

    def _first(self, at: datetime, found: datetime, offset: timedelta) -> datetime:
        """Return the first time before a known one at which local time has an offset from UTC, else the known one.

        The library goes on by whole hours, and passes times over where clocks change by half an hour.
        """
        ticks = (each.astimezone(UTC) for each in CronSim(self.cron, at.astimezone(timezone(offset))))
        earlier = takewhile(lambda each: each < found, ticks)
        return next((each for each in earlier if each.astimezone(ZoneInfo(self.timezone)).utcoffset() == offset), found)

    def after_success(self, at: datetime) -> datetime:
        """Return when the job is expected again after a success; one that came a little early counts for its time."""
        return self.after(at if self.every is not None else at + EARLY)

    def not_over(self, expected_at: datetime, at: datetime) -> datetime:
        """Return an expected time, or the first one after it whose grace is not over at an instant."""
        if expected_at + self.grace > at:
            return expected_at
        if self.every is None:
            return self.after(at - self.grace)
        return expected_at + ((at - self.grace - expected_at) // self.every + 1) * self.every


def timetable_faults(where: str, timetable: Timetable) -> Iterator[Fault]:
    """Yield the faults of a timetable."""
    if (timetable.every is None) == (not timetable.cron):
        remedy = 'Give one of them: every = "1d", or cron = "0 3 * * *"'
        yield Fault(where, "it has neither `every` nor `cron`, or both", remedy)
    elif timetable.every is not None and not _SHORTEST <= timetable.every <= _LONGEST:
        yield Fault(f"{where}.every", "it is not between a minute and a year", 'Write a duration such as "1d"')
    elif timetable.cron:
        yield from _cron_faults(where, timetable)
    if not _SHORTEST <= timetable.grace <= _LONGEST:
        yield Fault(f"{where}.grace", "it is not between a minute and a year", 'Write a duration such as "1h"')


def _cron_faults(where: str, timetable: Timetable) -> Iterator[Fault]:
    if not is_time_zone(timetable.timezone):
        what = f"{text.quoted(timetable.timezone)} is not a time zone"
        yield Fault(f"{where}.timezone", what, "Use an IANA name such as Europe/Berlin")
    elif not _is_cron(timetable.cron):
        what = f"{text.quoted(timetable.cron)} is not a cron expression of five fields that comes true"
        yield Fault(f"{where}.cron", what, "Write minute, hour, day, month and day of the week, as in 0 3 * * *")


def _is_cron(written: str) -> bool:
    try:
        return len(written.split()) == _FIELDS and next(CronSim(written, datetime(2000, 1, 1, tzinfo=UTC))) is not None
    except (CronSimError, StopIteration):
        return False
