"""Writes calendars as iCalendar (RFC 5545): escaped, folded, in UTC; the meaning of the events is unknown here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.text import one_line

MEDIA_TYPE = "text/calendar; charset=utf-8"

_LONGEST_LINE = 75
"""In bytes, without the line's end (section 3.1)."""
_ESCAPED = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})
# A calendar must have a component (section 3.6); this one has no effect.
_NOTHING = (
    *("BEGIN:VTIMEZONE", "TZID:Etc/UTC", "BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0000", "TZOFFSETTO:+0000"),
    *("END:STANDARD", "END:VTIMEZONE"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEvent:
    """An event.

    Attributes:
        uid: Its id, by which a program recognises it when it reads the calendar again.
        begins_at: When it begins, to the second.
        summary: Its title, of any text.
        description: More text; may be empty.
    """

    uid: str
    begins_at: datetime
    ends_at: datetime
    summary: str
    description: str = ""


def write(name: str, events: Iterable[CalendarEvent], *, stamp: datetime, refresh: timedelta) -> str:
    """Write a calendar.

    Args:
        name: Its title.
        events: Its events.
        stamp: When it was made, in UTC.
        refresh: How often programs should read it, in whole minutes.
    """
    lines = list(_lines(events, stamp))
    every = f"PT{refresh // timedelta(minutes=1)}M"
    head = (
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//notifyflow//on call//EN", "CALSCALE:GREGORIAN"),
        *(f"NAME:{_text(name)}", f"X-WR-CALNAME:{_text(name)}"),  # RFC 7986, and the property for programs that do not know it
        *(f"REFRESH-INTERVAL;VALUE=DURATION:{every}", f"X-PUBLISHED-TTL:{every}"),
    )
    return "".join(f"{_folded(line)}\r\n" for line in (*head, *(lines or _NOTHING), "END:VCALENDAR"))


def _lines(events: Iterable[CalendarEvent], stamp: datetime) -> Iterator[str]:
    for each in events:
        yield "BEGIN:VEVENT"
        yield f"UID:{_text(each.uid)}"
        yield f"DTSTAMP:{_instant(stamp)}"
        yield f"DTSTART:{_instant(each.begins_at)}"
        yield f"DTEND:{_instant(each.ends_at)}"
        yield f"SUMMARY:{_text(each.summary)}"
        if each.description:
            yield f"DESCRIPTION:{_text(each.description)}"
        yield "TRANSP:TRANSPARENT"  # people on duty have time for a meeting
        yield "END:VEVENT"


def _instant(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    return one_line(text).translate(_ESCAPED)


def _folded(line: str) -> str:
    """Fold a line at the end of a character; each further line begins with a blank, which counts."""
    if len(line) <= _LONGEST_LINE and line.isascii():
        return line
    parts, size = [""], 0
    for character in line:
        width = len(character.encode())
        if size + width > _LONGEST_LINE:
            parts.append(" ")
            size = 1
        parts[-1] += character
        size += width
    return "\r\n".join(parts)
