"""Text for people: cleaned, cut where words or characters end, durations and instants in words."""

import json
import re
import reprlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Any

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
# Unicode's property Bidi_Control: characters that show a line in another order than written (UAX #9, section 2).
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FLAG_LETTERS = re.compile("[\U0001f1e6-\U0001f1ff]")
# No character in real text is longer; the tables of flags and families in emoji-test.txt end below it.
_LONGEST_CHARACTER = 64

HEADLINE_LIMIT = 150
"""The length of a title above a button, which must be on a phone's first screen in any script; the whole title is below."""

_MOST_NAMES = 4
_NAME_LIMIT = 60
_QUOTED = 80


class _Written(reprlib.Repr):
    """Writes values as documents do, not as Python does."""

    def repr_str(self, value: str, level: int) -> str:
        return super().repr_str(value, level) if level == self.maxlevel else json.dumps(value, ensure_ascii=False)

    def repr_bool(self, value: bool, level: int) -> str:
        del level
        return "true" if value else "false"

    def repr_NoneType(self, value: None, level: int) -> str:  # noqa: N802 - reprlib finds it by the name of the type
        del value, level
        return "null"

    def repr_datetime(self, value: date | time, level: int) -> str:
        del level
        return value.isoformat()

    repr_date = repr_time = repr_datetime


_BRIEF = _Written()
_BRIEF.maxstring = _BRIEF.maxother = _QUOTED


def clean(text: str) -> str:
    """Keep the characters that all channels and databases can carry: line ends become line feeds, other controls U+FFFD."""
    if _is_plain(text):
        return text
    return _FORBIDDEN.sub("\ufffd", _LINE_ENDS.sub("\n", text))


def one_line(text: str) -> str:
    """Return the text as one clean line, single-spaced and without direction marks."""
    if _is_plain(text):
        return " ".join(text.split()) if " " in text else text
    return _BLANKS.sub(" ", _DIRECTIONS.sub("", clean(text))).strip()


def short_line(text: str, limit: int) -> str:
    """Return the text as one clean line of at most ``limit`` characters; fast for plain text."""
    if len(text) <= limit and text.isascii() and text.isprintable() and " " not in text:
        return text
    return cut(one_line(text), limit)


def _is_plain(text: str) -> bool:
    """Return whether the text is printable ASCII, as most is, so that nothing must be replaced."""
    return text.isascii() and text.isprintable()


def paragraphs(text: str) -> str:
    """Return the text as clean lines without trailing blanks, and without empty lines at the start and end."""
    return "\n".join(line.rstrip() for line in clean(text).split("\n")).strip("\n")


def cut(text: str, limit: int) -> str:
    """Cut a text, so that no more than ``limit`` characters are left, ``…`` included; the limit is at least 1."""
    return text if len(text) <= limit else f"{text[: find_cut(text, limit - 1)].rstrip()}…"


def beginning(text: str, kept: int) -> str:
    """Return the first ``kept`` characters of a longer text with ``…`` after them, in the middle of a word if need be."""
    return text if len(text) <= kept else f"{text[: find_character_end(text, kept)].rstrip()}…"


def find_cut(text: str, room: int, *, at_least: int = 0) -> int:
    """Return where to cut a text that is longer than the room: after a word, or after a character.

    A character's end is used if no word's end leaves half of the room and ``at_least`` characters.
    """
    for end in range(room, max((room + 1) // 2, at_least) - 1, -1):
        if text[end].isspace() and not text[end - 1 : end].isspace():
            return end
    return find_character_end(text, room)


def find_character_end(text: str, at: int) -> int:
    """Return the last place, at ``at`` or before, at which a visible character ends: a grapheme cluster (UAX #29).

    It looks no further back than the longest character reaches, since a run of marks may be as long as the text; if none ends
    there, it returns ``at``.
    """
    begin = max(0, at - _LONGEST_CHARACTER)
    if _FLAG_LETTERS.match(text, begin):  # two make a flag, counted from where their run begins
        run = begin
        while run and _FLAG_LETTERS.match(text, run - 1):
            run -= 1
        begin -= (begin - run) % 2
    ends = [match.end() for match in _characters().finditer(text, begin, at + 1)]
    return next((end for end in reversed(ends) if end <= at), at)


@cache
def _characters() -> Any:
    import regex  # only where something is cut: it loads slowly

    return regex.compile(r"\X")


def masked(text: str) -> str:
    """Return the beginning and the length of a personal text: enough to find it again."""
    return f"{text[: min(3, len(text) // 3)] + '…'!r} ({len(text)} characters)"


def quoted(value: object) -> str:
    """Return a value as documents write it, cut to a readable length."""
    return cut(_BRIEF.repr(value), _QUOTED)


def quantity(count: int, noun: str) -> str:
    """Return a number with its noun, in the singular or plural: ``1 notification``, ``2,000 notifications``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(span: timedelta) -> str:
    """Return a duration in whole minutes, or in seconds below one minute: ``2 h 03 m``, ``7 m``, ``45 s``."""
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m"


def span(time: timedelta) -> str:
    """Return a duration to the second: ``1 h 05 m``, ``7 m 30 s``, ``22 s``; from an hour on to the minute."""
    seconds = round(time.total_seconds())
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    if hours:
        return f"{hours} h {minutes:02} m" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} m {rest:02} s" if rest else f"{minutes} m"
    return f"{rest} s"


def day(at: datetime, *, now: datetime | None) -> str:
    """Return a date in the zone of ``at``: ``Sat 28 Nov``; with the year unless it is that of ``now``."""
    year = "" if now is not None and at.year == now.astimezone(at.tzinfo).year else f" {at.year}"
    return f"{DAYS[at.weekday()][:3]} {at.day} {MONTHS[at.month - 1][:3]}{year}"


def zone_name(at: datetime) -> str:
    """Return the name of a time's zone: ``CET``, ``UTC+03``."""
    zone = at.tzname() or ""
    return zone if zone[:1].isalpha() else f"UTC{zone}"


def instant(at: datetime, *, now: datetime | None) -> str:
    """Return a date and time in the zone of ``at``: ``Sat 28 Nov 03:12 CET``; with the year unless it is that of ``now``."""
    return f"{day(at, now=now)} {at:%H:%M} {zone_name(at)}"


def in_utc(at: datetime) -> str:
    """Return the same time in UTC, short: ``02:12 UTC``, or ``Fri 23:12 UTC`` on another day; empty in UTC."""
    utc = at.astimezone(UTC)
    day = "" if utc.date() == at.date() else f"{DAYS[utc.weekday()][:3]} "
    return f"{day}{utc:%H:%M} UTC" if at.utcoffset() else ""


def moment(at: datetime, zone: tzinfo) -> str:
    """Return a recent time in a zone, and in UTC: ``Sat 28 Nov 03:12 CET (02:12 UTC)``."""
    local = at.astimezone(zone)
    utc = in_utc(local)
    return f"{instant(local, now=at)} ({utc})" if utc else instant(local, now=at)


def listed(names: Sequence[str]) -> str:
    """Return names in a row: ``Ben``, ``Ben and Cleo``; of more than four the first four ``and others``."""
    shown = [cut(one_line(name), _NAME_LIMIT) for name in names[:_MOST_NAMES]]
    last = "others" if len(names) > _MOST_NAMES else shown.pop() if shown else ""
    return f"{', '.join(shown)} and {last}" if shown else last
