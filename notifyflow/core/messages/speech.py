"""The words of phone calls: text prepared for a voice that reads it aloud."""

import re
import unicodedata
from collections.abc import Callable

from notifyflow.core.messages.content import Content
from notifyflow.core.messages.replies import Choice, Effect, HandledReply
from notifyflow.core.text import DAYS, MONTHS, cut

MAX_TITLE = 300
MAX_CONTACT = 100
MAX_RISEN_TITLE = 60
MOST_RISEN = 3

_DAYS = {day[:3]: day for day in DAYS}
_MONTHS = {month[:3]: month for month in MONTHS}
_UNITS = {"h": "hour", "m": "minute", "s": "second"}
_SYMBOLS = {
    "%": " percent ",
    "&": " and ",
    "@": " at ",
    "=": " equals ",
    "<": " below ",
    ">": " above ",
    "+": " plus ",
    "°": " degrees ",
}
_SPOKEN_MARKS = frozenset(".,:;!?'()")

_Replacement = str | Callable[[re.Match[str]], str]
_RULES: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    (re.compile("“([^”]*)”?"), r" quote, \1, end of quote "),
    (re.compile(r"\b\w+://\S+"), " a link "),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), " an id "),
    (re.compile(r"\b(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE), " an id "),
    (re.compile(r"(?<![\w-])-(?=\d)"), " minus "),
    (re.compile(r"(?<=[a-z])(?=[A-Z])"), " "),
    (re.compile(r"\d+(?:\.\d+){2,}"), lambda match: match[0].replace(".", " dot ")),
    (re.compile(r"(?<=\w)\.(?=[^\W\d])"), " dot "),
    (re.compile(f"[{re.escape(''.join(_SYMBOLS))}]"), lambda match: _SYMBOLS[match[0]]),
)
_DATE = re.compile(rf"\b({'|'.join(_DAYS)}) (\d+) ({'|'.join(_MONTHS)})\b")
_SPAN = re.compile(r"\b0?(\d+) ([hms])\b")
_REPEATED_MARKS = re.compile(r"([.,:;!?'()])(?:\s*\1)+")
_BLANK_BEFORE_MARK = re.compile(r"\s+(?=[.,:;!?)])")


def sentences(content: Content) -> tuple[str, ...]:
    """Return a page as sentences: its recipient, its severity, the incident, its source and time, and who else is paged.

    The title is cut to 300 characters, and the body is left out. If the content has a notice, it is the first sentence. Only
    letters, digits and plain punctuation are left.
    """
    said = (
        aloud(content.notice),
        aloud(f"{content.severity.capitalize()} alert for {content.recipient_name}"),
        aloud(cut(content.title, MAX_TITLE)),
        aloud(f"Reported by {content.source}") if content.source else "",
        aloud(f"It happened on {content.occurred}"),
        aloud(f"This call was {content.delayed}") if content.delayed else "",
        aloud(f"Acknowledged before by {content.acknowledged}") if content.acknowledged else "",
        aloud(f"Also paged: {content.also_paged}") if content.also_paged else "",
    )
    return tuple(f"{sentence}." for sentence in said if sentence)


def stop_hint(content: Content) -> str:
    """Return the contact for people who want no more calls, as a sentence."""
    return f"{aloud(f'To get no more calls like this, ask {cut(content.ops_contact, MAX_CONTACT)}')}."


def write_key_response(handled: HandledReply | None) -> str:
    """Return the response to a pressed key, in sentences; None stands for no key.

    In a call about several incidents it says how many are acknowledged, and which stay open since they are more severe by now.
    """
    if handled is None:
        return "No key was pressed."
    if handled.content is not None and handled.content.bundled:
        told = f"Thank you. {handled.acknowledged or 'None'} of {sum(handled.content.counts.values())} are acknowledged."
        return " ".join((told, *map(_risen, handled.still_open[:MOST_RISEN])))
    match handled.effect:
        case Effect.ACKNOWLEDGED:
            return "Thank you. You acknowledged it."
        case Effect.LATE:
            return f"{aloud(handled.by)}. Nothing was changed."
        case Effect.RISEN:
            return f"It is {handled.still_open[0].risen_to} now. It stays open until you acknowledge that."
        case Effect.UNREADABLE:
            return "Nothing was acknowledged: the incident cannot be read. Tell operations."
        case Effect.EXPLAINED:
            return "Thank you. Nobody has acknowledged it yet."
        case _:
            return "Nothing was acknowledged."


def _risen(choice: Choice) -> str:
    return f"{aloud(cut(choice.title, MAX_RISEN_TITLE))} is {choice.risen_to} now. It stays open."


def aloud(text: str) -> str:
    """Return a text as one sentence that a voice reads well, without its full stop.

    Links and ids are replaced by words, symbols and abbreviated days are spelt out, and characters that cannot be read aloud
    (other symbols, emoji, control characters) are dropped.
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = "".join(each if each in _SPOKEN_MARKS or unicodedata.category(each)[0] in "LMN" else " " for each in text)
    text = " ".join(text.split())
    text = _DATE.sub(lambda match: f"{_DAYS[match[1]]} {match[2]} {_MONTHS[match[3]]}", text)
    text = _SPAN.sub(lambda match: f"{match[1]} {_UNITS[match[2]]}{'' if match[1] == '1' else 's'}", text)
    return _BLANK_BEFORE_MARK.sub("", _REPEATED_MARKS.sub(r"\1", text)).strip(" .,:;!?")
