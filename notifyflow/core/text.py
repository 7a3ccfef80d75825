"""Text for people: cleaned, cut to whole words, durations and instants in words."""

import re
import reprlib
from datetime import datetime, timedelta

# In English whatever the process's locale; the first three letters are the usual abbreviation.
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

# What XML 1.0 forbids (section 2.2, production Char); a lone surrogate is no UTF-8 and NUL is no PostgreSQL text either.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\u007e\u0085\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_BLANKS = re.compile(r"\s+")

_QUOTED = 80
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _QUOTED


def clean(text: str) -> str:
    """Keep what every channel and database can carry: any line end becomes a line feed, other control characters U+FFFD."""
    return _FORBIDDEN.sub("\ufffd", _LINE_ENDS.sub("\n", text))


def one_line(text: str) -> str:
    """Make one clean line of it, single-spaced."""
    return _BLANKS.sub(" ", clean(text)).strip()


def paragraphs(text: str) -> str:
    """Make clean lines of it, none with blanks at its end, the first and the last not empty."""
    return "\n".join(line.rstrip() for line in clean(text).split("\n")).strip("\n")


def cut(text: str, limit: int) -> str:
    """Cut at the end of a word, so that no more than ``limit`` characters are left, ``…`` included.

    Args:
        text: Any text.
        limit: At least 1.

    Returns:
        The text itself where it is short enough.
    """
    if len(text) <= limit:
        return text
    room = text[: limit - 1]
    whole = room if text[limit - 1].isspace() else room.rpartition(" ")[0]
    return f"{(whole or room).rstrip()}…"


def masked(text: str) -> str:
    """Show enough of something personal to find it again, and no more: its beginning and its length."""
    return f"{text[: min(3, len(text) // 3)] + '…'!r} ({len(text)} characters)"


def quoted(value: object) -> str:
    """Show a value that somebody gave, cut to a readable length."""
    return cut(_BRIEF.repr(value), _QUOTED)


def duration(span: timedelta) -> str:
    """Say how long something takes, in whole minutes, or seconds below one: ``2 h 03 m``, ``7 m``, ``45 s``."""
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m"


def instant(at: datetime) -> str:
    """Say when something was, in the zone that ``at`` carries: ``Wed 25 Nov 2026, 03:14 CET``."""
    zone = at.tzname() or ""
    named = zone if zone[:1].isalpha() else f"UTC{zone}"
    return f"{DAYS[at.weekday()][:3]} {at.day} {MONTHS[at.month - 1][:3]} {at.year}, {at:%H:%M} {named}"
