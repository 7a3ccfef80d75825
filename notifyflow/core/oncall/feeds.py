"""Feeds: the duty of a schedule or a person as a calendar, to which other programs subscribe at a secret address; pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from notifyflow.core import text
from notifyflow.core.forms import unknown
from notifyflow.core.oncall import icalendar
from notifyflow.core.oncall.icalendar import CalendarEvent
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedule_forms import MARK
from notifyflow.core.oncall.schedules import DutyReason, Schedule, Shift
from notifyflow.errors import Fault

BACK = timedelta(days=60)
AHEAD = timedelta(days=180)
"""How far before and ahead of now the shifts of a feed reach."""

MOST = 2_000
"""How many feeds there are at most."""
MOST_OF_ONE = 500
"""How many feeds one person may make."""

_REFRESH = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed as stored; exactly one of schedule and recipient is given.

    Attributes:
        id: Opaque; appears in logs.
        digest: The SHA-256 of the token in its address, in hex digits.
        schedule: The name of the schedule that it shows, without ``@``; None for a person's.
        recipient_id: The person whose duties it shows; None for a schedule's.
        expires_at: When it expires; None for never.
    """

    id: str
    digest: str = field(repr=False)
    schedule: str | None
    recipient_id: str | None
    made_by: str
    made_at: datetime
    expires_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Return whether it has expired."""
        return self.expires_at is not None and now >= self.expires_at


def too_many(feeds: Iterable[Feed], by: str) -> Iterator[Fault]:
    """Yield the fault of one more feed by a person, beside their feeds that have not expired."""
    counts = Counter(each.made_by == by for each in feeds)
    if counts[True] >= MOST_OF_ONE:
        yield Fault("feed", f"you have made {MOST_OF_ONE:,} already", "Revoke those that nobody reads")
    elif counts.total() >= MOST:
        yield Fault("feed", f"there are {MOST:,} already", "Revoke those that nobody reads")


def faults(roster: Roster, schedule: str, recipient_id: str) -> Iterator[Fault]:
    """Yield the faults of a new feed's subject; one of the two texts is empty."""
    if bool(schedule) == bool(recipient_id):
        yield Fault("feed", "it is of neither or of both", "Name one schedule or one recipient")
    elif schedule and roster.schedule(schedule) is None:
        yield unknown("feed", "schedule", schedule, [MARK + name for name in roster.directory.schedules])
    elif recipient_id and recipient_id not in roster.directory.recipients:
        yield unknown("feed", "recipient", recipient_id, roster.directory.recipients)


def write(feed: Feed, roster: Roster, today: date) -> str:
    """Write a feed as of a day (UTC); if the directory no longer has its subject, it is a calendar without events."""
    begin = datetime.combine(today, time.min, UTC)
    events = (
        _of_person(feed.recipient_id, roster, begin) if feed.recipient_id else _of_schedule(feed.schedule or "", roster, begin)
    )
    return icalendar.write(title(feed, roster), events, stamp=begin, refresh=_REFRESH)


def title(feed: Feed, roster: Roster) -> str:
    """Return the title of a feed."""
    return f"On call: {roster.name_of(feed.recipient_id) if feed.recipient_id else MARK + (feed.schedule or '')}"


def _of_schedule(name: str, roster: Roster, begin: datetime) -> Iterator[CalendarEvent]:
    schedule = roster.schedule(name)
    for shift in _shifts(schedule, roster, begin) if schedule else ():
        yield _event(name, shift, f"{_names(shift.people, roster)} ({MARK}{name})")


def _of_person(recipient_id: str, roster: Roster, begin: datetime) -> Iterator[CalendarEvent]:
    for name, schedule in sorted(roster.directory.schedules.items()):
        for shift in _shifts(schedule, roster, begin):
            if recipient_id in shift.people:
                others = [each for each in shift.people if each != recipient_id]
                yield _event(name, shift, f"On call: {MARK}{name}{f' with {_names(others, roster)}' if others else ''}")


def _shifts(schedule: Schedule, roster: Roster, begin: datetime) -> Iterator[Shift]:
    found = roster.shifts(schedule, begin=begin - BACK, end=begin + AHEAD)
    return (each for each in found if each.people and each.why is not DutyReason.LAST_KNOWN)


def _event(schedule: str, shift: Shift, summary: str) -> CalendarEvent:
    return CalendarEvent(
        uid=f"{shift.begins_at:%Y%m%dT%H%M%SZ}-{schedule}@notifyflow",
        begins_at=shift.begins_at,
        ends_at=shift.ends_at,
        summary=summary,
        description="By an override." if shift.why is DutyReason.OVERRIDE else "",
    )


def _names(people: Iterable[str], roster: Roster) -> str:
    return text.listed([roster.name_of(each) for each in people])


def address(public_url: str | None, token: str) -> str:
    """Return the address of a feed; without a public URL, the path below the dashboard's."""
    return f"{(public_url or '').rstrip('/')}/oncall/feeds/{token}.ics"
