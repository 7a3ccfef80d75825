"""Puts words of an incident in quotes that resemble ours on how to answer a message; pure.

Titles, bodies and labels come from all who may send alerts. None may read as the line that says what to reply or to press.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

# Letters of other scripts that look like those of our words, once case and styles such as full width are undone.
_LOOKALIKES: Mapping[str, str] = {
    "a": "аαɑᴀ",
    "c": "сϲᴄ",
    "d": "ԁᴅ",
    "e": "еεᴇꓰᎬ",
    "g": "ɡԍɢ",
    "i": "іιı",
    "k": "кκᴋ",
    "l": "ӏʟꓡᏞ",
    "n": "пηɴ",
    "o": "оοᴏ",
    "p": "рρᴘꓑᏢ",
    "r": "гʀꓣᎡᏒ",
    "s": "ѕꜱ",
    "t": "тτᴛ",
    "w": "ѡԝωᴡ",
    "x": "хχ",
    "y": "уүγυʏꓬᎩ",
}
_LETTERS = str.maketrans({sign: letter for letter, signs in _LOOKALIKES.items() for sign in signs})
_BLANKS = frozenset("\u115f\u1160\u2800")  # drawn as blanks, though the first two are letters
_MARKS = frozenset(("Mn", "Me", "Cf"))
_SIGNS: Mapping[str, str] = {"e": "[e3]", "i": "[i1l|!]", "l": "[l1i|!]", "o": "[o0]"}
"""Digits and signs that pass for a letter."""


def _said(words: str) -> str:
    """Return a pattern for words whose letters may stand apart."""
    return r"[^\w\n]*".join(_SIGNS.get(each, each) for each in words if each != " ")


_OURS = re.compile(
    "|".join(
        (
            rf"{_said('reply')}(?!\w)",
            rf"{_said('acknowledge')}(?!\w)",
            *(rf"(?<!\w){_said(words)}(?!\w)" for words in ("ack", "press", "respond")),
            rf"(?<!\w){_said('text')}[^\w\n]*(?:\d|{_said('back')}|{_said('stop')}|{_said('all')}(?!\w))",
            _said("to end texts"),
            *(_said(f"no more {words}") for words in ("messages", "texts", "calls")),
            r";\s*(?:all\s+)?\d{2,9}\s",  # the choices of a response
        )
    ),
    re.IGNORECASE,
)
_QUOTES = str.maketrans(dict.fromkeys('"“”„‟«»″', "'"))


def quoted(line: str) -> str:
    """Return a line as it is, or in quotes if it resembles our words on how to answer."""
    return f"“{line.translate(_QUOTES)}”" if _resembles(line) else line


def quoted_lines(lines: str) -> str:
    """Return lines, those in quotes that resemble our words on how to answer."""
    return "\n".join(map(quoted, lines.split("\n"))) if _resembles(lines) else lines


def _resembles(text: str) -> bool:
    return _OURS.search(text if text.isascii() else _as_seen(text)) is not None


def _as_seen(text: str) -> str:
    """Return the text as a reader sees it: without marks and what is invisible, lookalikes as the letters that they look like."""
    return "".join(each if each.isascii() else _sign_as_seen(each) for each in text)


@lru_cache(4096)
def _sign_as_seen(sign: str) -> str:
    # one sign at a time, since normalizing a run of marks takes time that grows with the square of its length
    seen = "".join(each for each in unicodedata.normalize("NFKD", sign) if unicodedata.category(each) not in _MARKS)
    return " " if seen in _BLANKS else seen.casefold().translate(_LETTERS)
