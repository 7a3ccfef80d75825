"""Reads iCalendar files (RFC 5545) for who is on duty; pure.

Others write these files, so the cost of reading one is limited before anything is computed. Only the lines with the times and
people of events reach the parser; a fault in another line is not a fault of the duty.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Recipient
from notifyflow.core.hours import EARLIEST, LATEST
from notifyflow.core.intake.validation import is_time_zone
from notifyflow.core.oncall import recurrences
from notifyflow.core.oncall.schedules import CALENDAR_AHEAD, Calendar, DutyReason, Schedule, Shift
from notifyflow.errors import Fault, InvalidCalendar

if TYPE_CHECKING:
    from ical.event import Event

MOST_CHARACTERS = 2_000_000
LONGEST_LINE = 20_000
MOST_PARAMETERS = 200
MOST_EVENTS = 5_000
MOST_SHIFTS = 5_000
MOST_CHANGES = 200
BEFORE = timedelta(days=1)
"""How far before the instant of reading shifts are known."""

_FOLD = re.compile(r"(?:\r\n|\r|\n)[ \t]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_EVENT = "UID DTSTAMP DTSTART DTEND DURATION SUMMARY ATTENDEE RRULE RDATE EXDATE RECURRENCE-ID STATUS"
_CHANGE = "DTSTART TZOFFSETTO TZOFFSETFROM RRULE RDATE TZNAME"
_WANTED: Mapping[tuple[str, ...], frozenset[str]] = {
    ("VCALENDAR",): frozenset({"VERSION", "PRODID"}),
    ("VCALENDAR", "VEVENT"): frozenset(_EVENT.split()),
    ("VCALENDAR", "VTIMEZONE"): frozenset({"TZID"}),
    ("VCALENDAR", "VTIMEZONE", "STANDARD"): frozenset(_CHANGE.split()),
    ("VCALENDAR", "VTIMEZONE", "DAYLIGHT"): frozenset(_CHANGE.split()),
}
"""The lines that matter, by their component."""
_DEEPEST = 3
_RULE_OF_ZONE = re.compile(r"(?=.*\bFREQ=YEARLY\b)(?!.*\bCOUNT=).*", re.IGNORECASE)
_UNTIL = re.compile(r";?\bUNTIL=(\d{8})[^;]*", re.IGNORECASE | re.ASCII)
_TIMES = frozenset({"DTSTART", "DTEND", "RDATE", "EXDATE", "RECURRENCE-ID"})
_ZONE = re.compile(r'(?:[^:"]|"[^"]*")*?;TZID=(?P<value>"(?P<quoted>[^"]*)"|(?P<zone>[^";:]*))', re.IGNORECASE)
_NOT_PEOPLE = frozenset({"ROOM", "RESOURCE"})
_Span = tuple[datetime, datetime, tuple[str, ...]]
"""The beginning, the end and the people of an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRead:
    """The result of reading a calendar.

    Attributes:
        calendar: Its shifts, from a day before it was read to sixty days after.
        faults: Names in its events that match no recipient.
    """

    calendar: Calendar
    faults: tuple[Fault, ...]


def read_calendar(document: str, schedule: Schedule, recipients: Mapping[str, Recipient], *, now: datetime) -> CalendarRead:
    """Read the calendar of a schedule.

    Args:
        document: The iCalendar file.
        schedule: The schedule; times without a zone, and whole days, are local in its own.
        recipients: The recipients that events can name, by id.
        now: When it was fetched.

    Raises:
        InvalidCalendar: When it cannot be read, would cost too much, or says nothing about the duty: it has no event that names a
            recipient and ended less than a day ago or not yet.
    """
    where = f"schedules.{schedule.name}.ical"
    try:
        return _read(document, where, schedule, _Names(recipients), now)
    except InvalidCalendar:
        raise
    except Exception as wrong:  # noqa: BLE001 - the libraries raise what they come across: OSError at a zone that is a folder
        # the library's messages may quote the calendar
        raise _refused(where, f"it is not a valid iCalendar file ({type(wrong).__name__})") from None


def _read(document: str, where: str, schedule: Schedule, names: "_Names", now: datetime) -> CalendarRead:
    events = _events(document, where, now)
    duty = _Duty(events, where, ZoneInfo(schedule.timezone), (now - BEFORE, now + CALENDAR_AHEAD))
    spans = duty.spans(names)
    if not duty.is_anybodys:
        what = "none of its events from yesterday on names a recipient of the directory" if events else "it has no events"
        raise _refused(where, what)
    calendar = Calendar(schedule=schedule.name, shifts=tuple(_shifts(spans)), fetched_at=now)
    return CalendarRead(calendar=calendar, faults=tuple(names.faults(where)))


def _refused(where: str, what: str) -> InvalidCalendar:
    return InvalidCalendar((Fault(where, what, "Correct the calendar; until then its last good version stays in force"),))


def _events(document: str, where: str, now: datetime) -> list["Event"]:
    if len(document) > MOST_CHARACTERS:
        raise _too_large(where, f"it has {len(document):,} characters, {MOST_CHARACTERS:,} are allowed")
    from ical.calendar_stream import IcsCalendarStream  # it takes a quarter of a second

    wanted = "\r\n".join(_wanted(document, where, last_year=(now + CALENDAR_AHEAD).year + 1))
    return [event for calendar in IcsCalendarStream.from_ics(wanted).calendars for event in calendar.events]


def _wanted(document: str, where: str, *, last_year: int) -> Iterator[str]:
    """Yield the lines that matter, each unfolded."""
    inside: list[str] = []
    counted: Counter[str] = Counter()
    lines = _LINE_END.split(_FOLD.sub("", document))
    own_zones = frozenset(line.partition(":")[2].strip() for line in lines if _name(line) == "TZID")
    for line in lines:
        name = _name(line)
        if name == "BEGIN":
            inside.append(line.partition(":")[2].strip().upper())
            counted[inside[-1]] += 1
        wanted = _WANTED.get(tuple(inside)) if len(inside) <= _DEEPEST else None
        if wanted is not None and (name in wanted or name in ("BEGIN", "END")):
            counted["dates"] += line.count(",") if name in ("RDATE", "EXDATE") else 0
            _limit(where, counted, line)
            if name == "RRULE" and len(inside) == _DEEPEST:
                yield _of_zone(line, where, last_year)
            else:
                yield _with_known_zone(line, where, own_zones) if name in _TIMES and len(inside) < _DEEPEST else line
        if name == "END" and inside:
            inside.pop()
    if not counted["VCALENDAR"]:
        raise _refused(where, "it is not an iCalendar file")


def _name(line: str) -> str:
    """Return the name of a line's property, without its parameters and its value."""
    return line.partition(":")[0].partition(";")[0].strip().upper()


def _limit(where: str, counted: Counter[str], line: str) -> None:
    if counted["VEVENT"] > MOST_EVENTS:
        raise _too_large(where, f"it has more than {MOST_EVENTS:,} events")
    if counted["STANDARD"] + counted["DAYLIGHT"] > MOST_CHANGES:
        raise _too_large(where, f"its time zones have more than {MOST_CHANGES} rules")
    if counted["dates"] > MOST_EVENTS or len(line) > LONGEST_LINE or line.count(";") > MOST_PARAMETERS:
        raise _too_large(where, "one of its lines is too long, or its events have too many single dates")


def _of_zone(line: str, where: str, last_year: int) -> str:
    """Return the rule of a time zone with an end that the library reads: it follows the rule, and refuses one in UTC.

    The clocks change once a year by a rule, so two more days change nothing.
    """
    if _RULE_OF_ZONE.fullmatch(line) is None:
        raise _too_large(where, "one of its time zones changes its clocks by an unusual rule")
    until = _UNTIL.search(line)
    last = datetime.strptime(until[1], "%Y%m%d") if until else datetime(last_year, 12, 31)  # noqa: DTZ001, DTZ007 # local times
    return f"{_UNTIL.sub('', line).rstrip()};UNTIL={last + timedelta(days=2):%Y%m%dT%H%M%S}"


def _with_known_zone(line: str, where: str, own_zones: frozenset[str]) -> str:
    """Return the line of a time with a zone that the library knows.

    Outlook and Exchange name zones as Windows does. The rules for such a name come from the file itself, or else from the CLDR's
    table.
    """
    found = _ZONE.match(line)
    name = "" if found is None else (found["zone"] or found["quoted"])
    if found is None or not name or name in own_zones or is_time_zone(name):
        return line
    from tzlocal.windows_tz import win_tz  # few calendars need it

    zone = win_tz.get(name, "")
    if not is_time_zone(zone):
        raise _refused(where, f"its time zone {text.quoted(name)} is not known, and the file does not say what it is")
    return f"{line[: found.start('value')]}{zone}{line[found.end('value') :]}"


def _too_large(where: str, what: str) -> InvalidCalendar:
    return InvalidCalendar((Fault(where, what, "Give a smaller calendar; until then its last good version stays in force"),))


class _Names:
    """Finds the recipients of events."""

    def __init__(self, recipients: Mapping[str, Recipient]) -> None:
        self._mails: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._unknown: dict[str, None] = {}
        known = Counter(each.name.strip().casefold() for each in recipients.values())
        for each in recipients.values():
            if (mail := each.ways.get("email")) is not None:
                self._mails.setdefault(mail.strip().casefold(), each.id)
            if known[each.name.strip().casefold()] == 1:  # a name of two people means neither
                self._names[each.name.strip().casefold()] = each.id
        self._names |= {each.casefold(): each for each in recipients} | self._mails
        self._names.pop("", None)

    def people(self, event: "Event") -> tuple[str, ...]:
        """Return the people that an event puts on duty, by id: its attendees, or else the people in its title."""
        invited = [
            each.uri.strip().casefold().removeprefix("mailto:")
            for each in event.attendees
            if (each.status or "").upper() != "DECLINED" and (each.user_type or "").upper() not in _NOT_PEOPLE
        ]
        found = [self._mails[mail] for mail in invited if mail in self._mails]
        self._unknown |= {text.masked(mail): None for mail in invited if mail not in self._mails}
        return tuple(dict.fromkeys(found)) or self._titled(event.summary or "")

    def _titled(self, title: str) -> tuple[str, ...]:
        whole = self._names.get(title.strip().casefold())
        parts = [self._names.get(part.strip().casefold()) for part in title.split(",")] if whole is None else [whole]
        found = tuple(each for each in dict.fromkeys(parts) if each is not None)
        if len(found) < len(set(parts)):
            self._unknown[text.quoted(title)] = None
        return found

    def faults(self, where: str) -> Iterator[Fault]:
        """Yield the names that match no recipient."""
        remedy = "Give a recipient this id, name or mail address, or correct the event; it puts nobody else on duty"
        yield from (Fault(where, f"no recipient is called {name}", remedy) for name in self._unknown)


class _Duty:
    """The events of a calendar, and their times.

    Attributes:
        is_anybodys: Whether an event that is not over puts somebody on duty.
    """

    def __init__(self, events: Sequence["Event"], where: str, zone: ZoneInfo, window: tuple[datetime, datetime]) -> None:
        """Take the events, the schedule's place for faults, the zone of times without one, and the period."""
        self._events, self._where, self._zone, self._window = events, where, zone, window
        self._replaced = recurrences.replaced(events, zone)
        self._steps = 0
        self.is_anybodys = False

    def spans(self, names: _Names) -> list[_Span]:
        """Return the times of each event and its repetitions that overlap the window; events that are over are left out.

        Raises:
            InvalidCalendar: When the events cost too much, or one of them changes a repetition and all later ones.
        """
        continued = {event.uid for event in self._events if recurrences.is_for_all_later(event)}
        found: list[_Span] = []
        for event in self._events:
            if event.dtstart is None or event.status == "CANCELLED" or recurrences.is_over(event, self._window[0], self._zone):
                continue
            people = names.people(event)
            if not people and event.uid not in continued:
                continue
            within = self._within(event)
            is_current = bool(within) or next(self._times(event, (self._window[0], LATEST)), None) is not None
            if is_current and event.uid in continued:
                raise _refused(self._where, "an event changes a repetition and all later ones (RANGE=THISANDFUTURE)")
            self.is_anybodys = self.is_anybodys or is_current
            found += ((*each, people) for each in within)
            if len(found) > MOST_SHIFTS:
                days = (CALENDAR_AHEAD + BEFORE).days
                raise _too_large(self._where, f"it has more than {MOST_SHIFTS:,} events within {days} days")
        return found

    def _within(self, event: "Event") -> list[tuple[datetime, datetime]]:
        self._steps += recurrences.steps(event, self._window[1], self._zone)
        if self._steps > recurrences.MOST_STEPS:
            raise _too_large(self._where, "its events repeat too often, or by a rule that fits hardly any date")
        return list(islice(self._times(event, self._window), MOST_SHIFTS + 1))

    def _times(self, event: "Event", window: tuple[datetime, datetime]) -> Iterator[tuple[datetime, datetime]]:
        gone = set() if event.recurrence_id else self._replaced.get(event.uid, set())
        return (each for each in recurrences.spans(event, window, self._zone) if each[0] not in gone)


def _shifts(spans: list[_Span]) -> Iterator[Shift]:
    """Yield the shifts in order; when events overlap, all of their people are on duty."""
    changes: dict[datetime, Counter[str]] = {}
    for begin, end, people in spans:
        changes.setdefault(begin, Counter()).update(people)
        changes.setdefault(end, Counter()).subtract(people)
    present: Counter[str] = Counter()
    shift = Shift(people=(), begins_at=EARLIEST, ends_at=EARLIEST, why=DutyReason.CALENDAR)
    for at in sorted(changes):
        present.update(changes[at])
        on_duty = tuple(sorted(each for each, count in present.items() if count > 0))
        if on_duty != shift.people:
            if shift.people:
                yield replace(shift, ends_at=at)
            shift = replace(shift, people=on_duty, begins_at=at)
