"""Counts the segments of a text message and cuts it to fit, with its link whole.

The alphabet is 3GPP TS 23.038, clauses 6.2.1 and 6.2.1.1; a message with any other character goes out whole in UCS-2. One
segment holds 160 septets or 70 UTF-16 units, each of several 153 or 67 (Twilio, "How long can a message be?"); neither an
escaped character nor a surrogate pair is split between two.
"""

from bisect import bisect_left
from collections.abc import Sequence

from notifyflow.core.wording.text import find_cut

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = frozenset("^{}\\[~]|€\f")
_GSM_7 = _BASIC | _ESCAPED
_GSM_7_ROOM = (160, 153)
_UCS_2_ROOM = (70, 67)

# Typography that would double the price of a message says the same in the basic alphabet.
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
    """Count the segments that a message takes; an empty one takes one."""
    if _GSM_7.issuperset(message):
        return _packed([2 if character in _ESCAPED else 1 for character in message], _GSM_7_ROOM)
    return _packed([2 if character > "\uffff" else 1 for character in message], _UCS_2_ROOM)


def plain(text: str) -> str:
    """Write typographic characters in those that GSM-7 has."""
    return text.translate(_PLAIN)


def fit(text: str, link: str | None = None, *, segments: int = 2) -> str:
    """Make a message of a text and a link on a line of its own.

    Args:
        text: What is said; cut where a word or a character ends, ``...`` included, where it is too long.
        link: Kept whole; left out only where it leaves no room for any text.
        segments: How many the message may take; at least 1.

    Returns:
        A message of no more than so many segments.
    """
    said = plain(text).strip()
    tail = f"\n{link}" if link else ""

    def is_too_long(end: int) -> bool:
        return count(f"{said[:end]}...{tail}") > segments

    if count(said + tail) <= segments:
        return said + tail
    fitting = bisect_left(range(1, min(len(said), segments * _GSM_7_ROOM[0])), True, key=is_too_long)
    if fitting:
        return f"{said[: find_cut(said, fitting)]}...{tail}"
    return fit(text, None, segments=segments)


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
