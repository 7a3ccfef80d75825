"""Reads iCalendar files (RFC 5545): who is on duty, as the events say; pure.

Somebody else writes these files, so that what they can cost is limited before anything is computed. Only the lines that say when
an event is and whose reach the parser; a fault in another line is no fault of the duty.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from notifyflow.core.copies import replace
from notifyflow.core.hours import EARLIEST
from notifyflow.core.intake import recurrences
from notifyflow.core.model import Recipient
from notifyflow.core.schedules import CALENDAR_AHEAD, Calendar, Schedule, Shift, Why
from notifyflow.core.wording import text
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

_CORRECT = "Correct the calendar; until then its last good version stays in force"
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
"""The lines that matter, by the component that they are in."""
_DEEPEST = 3
_RULE_OF_ZONE = re.compile(r"(?=.*\bFREQ=YEARLY\b)(?!.*\bCOUNT=).*", re.IGNORECASE)
_UNTIL = re.compile(r";?\bUNTIL=(\d{8})[^;]*", re.IGNORECASE | re.ASCII)
_NOT_PEOPLE = frozenset({"ROOM", "RESOURCE"})
_Span = tuple[datetime, datetime, tuple[str, ...]]
"""Begin, end and the people of an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRead:
    """The result of reading a calendar.

    Attributes:
        calendar: Its shifts, from a day before it was read to sixty days after.
        faults: Names in its events that are those of no recipient.
    """

    calendar: Calendar
    faults: tuple[Fault, ...]


def read_calendar(document: str, schedule: Schedule, recipients: Mapping[str, Recipient], *, now: datetime) -> CalendarRead:
    """Read the calendar of a schedule.

    Args:
        document: The iCalendar file.
        schedule: The schedule; times without a zone, and whole days, are local in its own.
        recipients: Those whom events can name, by id.
        now: When it was fetched.

    Raises:
        InvalidCalendar: When it cannot be read, would cost too much, or says nothing about the duty: it has no events, or none
            that names a recipient.
    """
    where = f"schedules.{schedule.name}.ical"
    events = _events(document, where, now)
    names = _Names(recipients)
    duty = [(event, names.people(event)) for event in events]
    if not any(people for _, people in duty):
        what = "none of its events names a recipient of the directory" if events else "it has no events"
        raise InvalidCalendar((Fault(where, what, _CORRECT),))
    try:
        spans = _spans(where, duty, ZoneInfo(schedule.timezone), (now - BEFORE, now + CALENDAR_AHEAD))
    except _UNREADABLE as wrong:
        raise _unreadable(where, wrong) from None
    calendar = Calendar(schedule=schedule.name, shifts=tuple(_shifts(spans)), fetched_at=now)
    return CalendarRead(calendar=calendar, faults=tuple(names.faults(where)))


_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError)
"""What the libraries raise at files that are broken in different ways."""


def _unreadable(where: str, wrong: Exception) -> InvalidCalendar:
    """Return the error of a calendar that cannot be read; the library's own words may quote it, so they are left out."""
    return InvalidCalendar((Fault(where, f"it is not a valid iCalendar file ({type(wrong).__name__})", _CORRECT),))


def _events(document: str, where: str, now: datetime) -> list["Event"]:
    if len(document) > MOST_CHARACTERS:
        raise _too_large(where, f"it has {len(document):,} characters, {MOST_CHARACTERS:,} are allowed")
    from ical.calendar_stream import IcsCalendarStream  # it takes a quarter of a second
    from ical.exceptions import CalendarError

    try:
        wanted = "\r\n".join(_wanted(document, where, last_year=(now + CALENDAR_AHEAD).year + 1))
        stream = IcsCalendarStream.from_ics(wanted)
    except (CalendarError, *_UNREADABLE) as wrong:
        raise _unreadable(where, wrong) from None
    return [event for calendar in stream.calendars for event in calendar.events]


def _wanted(document: str, where: str, *, last_year: int) -> Iterator[str]:
    """Yield the lines that matter, each unfolded."""
    inside: list[str] = []
    counted: Counter[str] = Counter()
    for line in _LINE_END.split(_FOLD.sub("", document)):
        name = _name(line)
        if name == "BEGIN":
            inside.append(line.partition(":")[2].strip().upper())
            counted[inside[-1]] += 1
        wanted = _WANTED.get(tuple(inside)) if len(inside) <= _DEEPEST else None
        if wanted is not None and (name in wanted or name in ("BEGIN", "END")):
            counted["dates"] += line.count(",") if name in ("RDATE", "EXDATE") else 0
            _limit(where, counted, line)
            yield _of_zone(line, where, last_year) if name == "RRULE" and len(inside) == _DEEPEST else line
        if name == "END" and inside:
            inside.pop()
    if not counted["VCALENDAR"]:
        raise InvalidCalendar((Fault(where, "it is not an iCalendar file", _CORRECT),))


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

    The clocks change once a year by a rule, so that two days more change nothing.
    """
    if _RULE_OF_ZONE.fullmatch(line) is None:
        raise _too_large(where, "one of its time zones changes its clocks by an unusual rule")
    until = _UNTIL.search(line)
    last = datetime.strptime(until[1], "%Y%m%d") if until else datetime(last_year, 12, 31)  # noqa: DTZ001, DTZ007 # local times
    return f"{_UNTIL.sub('', line).rstrip()};UNTIL={last + timedelta(days=2):%Y%m%dT%H%M%S}"


def _too_large(where: str, what: str) -> InvalidCalendar:
    return InvalidCalendar((Fault(where, what, "Give a smaller calendar; until then its last good version stays in force"),))


class _Names:
    """Finds the recipients whom events name."""

    def __init__(self, recipients: Mapping[str, Recipient]) -> None:
        self._mails: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._unknown: dict[str, None] = {}
        known = Counter(each.name.strip().casefold() for each in recipients.values())
        for each in recipients.values():
            if (mail := each.ways.get("email")) is not None:
                self._mails.setdefault(mail.strip().casefold(), each.id)
            if known[each.name.strip().casefold()] == 1:  # two people of one name are nobody in particular
                self._names[each.name.strip().casefold()] = each.id
        self._names |= {each.casefold(): each for each in recipients} | self._mails
        self._names.pop("", None)

    def people(self, event: "Event") -> tuple[str, ...]:
        """Return whom an event puts on duty, by id: its attendees, or else whom its title names."""
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
        """Yield the names that are those of no recipient."""
        remedy = "Give a recipient this id, name or mail address, or correct the event; it puts nobody else on duty"
        yield from (Fault(where, f"no recipient is called {name}", remedy) for name in self._unknown)


def _spans(
    where: str, duty: Iterable[tuple["Event", tuple[str, ...]]], zone: ZoneInfo, window: tuple[datetime, datetime]
) -> list[_Span]:
    """Return when each event is, repetitions included, as far as it overlaps the window."""
    events = list(duty)
    replaced = recurrences.replaced((event for event, _ in events), zone)
    steps = 0
    found: list[_Span] = []
    for event, people in events:
        if not people or event.dtstart is None or event.status == "CANCELLED":
            continue
        steps += recurrences.steps(event, window[1], zone)
        if steps > recurrences.MOST_STEPS:
            raise _too_large(where, "its events repeat too often, or by a rule that fits hardly any date")
        gone = set() if event.recurrence_id else replaced.get(event.uid, set())
        those = ((*span, people) for span in recurrences.spans(event, window, zone) if span[0] not in gone)
        found += islice(those, MOST_SHIFTS + 1)
        if len(found) > MOST_SHIFTS:
            raise _too_large(where, f"it has more than {MOST_SHIFTS:,} events within {(CALENDAR_AHEAD + BEFORE).days} days")
    return found


def _shifts(spans: list[_Span]) -> Iterator[Shift]:
    """Yield the shifts in order; where events overlap, all of their people are on duty."""
    changes: dict[datetime, Counter[str]] = {}
    for begin, end, people in spans:
        changes.setdefault(begin, Counter()).update(people)
        changes.setdefault(end, Counter()).subtract(people)
    present: Counter[str] = Counter()
    shift = Shift(people=(), begins_at=EARLIEST, ends_at=EARLIEST, why=Why.CALENDAR)
    for at in sorted(changes):
        present.update(changes[at])
        on_duty = tuple(sorted(each for each, count in present.items() if count > 0))
        if on_duty != shift.people:
            if shift.people:
                yield replace(shift, ends_at=at)
            shift = replace(shift, people=on_duty, begins_at=at)
