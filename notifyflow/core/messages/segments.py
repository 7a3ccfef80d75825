"""Counts the segments of a text message and cuts it to fit, with its link whole.

The alphabet is that of 3GPP TS 23.038, clauses 6.2.1 and 6.2.1.1. A message with any other character is sent in UCS-2. A single
segment holds 160 septets or 70 UTF-16 units; each of several holds 153 or 67 (Twilio, "How long can a message be?"). An escaped
character or a surrogate pair is never split between two segments.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from notifyflow.core.text import find_cut

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = frozenset("^{}\\[~]|€\f")
_GSM_7 = _BASIC | _ESCAPED
_GSM_7_ROOM = (160, 153)
_UCS_2_ROOM = (70, 67)

TITLE_KEPT = 30
"""How many characters of a title a message has at least, or all of a shorter one."""

# Typographic characters would double the price of a message; these replace them in the basic alphabet.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("‘’‚‛′`´‹›", "'"),
        **dict.fromkeys("‐‑‒–—―−•·", "-"),
        **dict.fromkeys("\t\u00a0\u2002\u2003\u2007\u2008\u2009\u200a\u202f\u3000", " "),
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
        "…": "...",
        "×": "x",
        "→": "->",
        "≤": "<=",
        "≥": ">=",
    }
)


def count(message: str) -> int:
    """Return the number of segments of a message; an empty one has one."""
    if _GSM_7.issuperset(message):
        return _packed([2 if character in _ESCAPED else 1 for character in message], _GSM_7_ROOM)
    return _packed([2 if character > "\uffff" else 1 for character in message], _UCS_2_ROOM)


def plain(text: str) -> str:
    """Replace typographic characters by characters of GSM-7."""
    return text.translate(_PLAIN)


def fit_first(texts: Iterable[str], title: str, link: str | None = None, *, segments: int = 2, more: Sequence[str] = ()) -> str:
    """Return the message of the first text that leaves room for the beginning of its title; see ``fit``.

    The message has one segment more if it would otherwise say less than ``TITLE_KEPT`` characters of the title, or lack the link.
    If the title is not in a text's first line, as with an operator's template, only the link needs room.

    Args:
        texts: The text, then shorter ones for where it is too long; at least one.
        title: The title that their first lines end in.
        link: The link.
        segments: How many segments it has as a rule.
        more: Lines to be added if they are free.
    """
    named = plain(title).strip()
    message = ""
    for text in texts:
        said = plain(text).strip()
        at = said.partition("\n")[0].rfind(named)
        at_least = 0 if at < 0 else at + min(len(named), TITLE_KEPT)
        for most in (segments, segments + 1):
            message = fit(said, link, at_least=at_least, segments=most, more=more)
            if message.startswith(said[:at_least]) and message.endswith(link or ""):
                return message
    return message


def fit_whole(messages: Iterable[tuple[str, str | None]], *, segments: int = 3, more: Sequence[str] = ()) -> str:
    """Return the first message that is whole in at most ``segments`` segments, or the last one, cut as ``fit`` does.

    Args:
        messages: A text and its link, then shorter ones for where they are too long; at least one.
        segments: How many segments it has at most.
        more: Lines to be added if they are free.
    """
    message = ""
    for text, link in messages:
        message = fit(text, link, segments=segments, more=more)
        if message.startswith(plain(text).strip()) and message.endswith(link or ""):
            break
    return message


def fit(text: str, link: str | None = None, *, at_least: int = 0, segments: int = 2, more: Sequence[str] = ()) -> str:
    """Return a message of a text, and a link on a line of its own, that has at most ``segments`` segments.

    A text that is too long is cut at the end of a word that leaves ``at_least`` characters, or else of a character, and ends in
    ``...``. The link is never cut, and left out only if there would be no room for any text. Each line of ``more`` is added
    before it, if it is free: if the text stays whole, and the message has no more segments than without it.
    """
    said = plain(text).strip()
    tail = f"\n{link}" if link else ""

    def is_too_long(end: int) -> bool:
        return count(f"{said[:end]}...{tail}") > segments

    room = count(said + tail)
    if room <= segments:
        for line in map(plain, more):
            longer = f"{said}\n{line}"
            said = longer if count(longer + tail) <= room else said
        return said + tail
    fitting = bisect_left(range(1, min(len(said), segments * _GSM_7_ROOM[0])), True, key=is_too_long)
    if fitting:
        return f"{said[: find_cut(said, fitting, at_least=at_least)]}...{tail}"
    return fit(text, None, at_least=at_least, segments=segments)


def _packed(widths: Sequence[int], room: tuple[int, int]) -> int:
    single, each = room
    if sum(widths) <= single:
        return 1
    segments, used = 1, 0
    for width in widths:
        if used + width > each:
            segments, used = segments + 1, 0
        used += width
    return segments
