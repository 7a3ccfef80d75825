"""What people answer where a message reached them, and what they are told then; pure.

A wrong acknowledgement means that nobody wakes up: what is not plainly one is none, and STOP never is. What we said ourselves and
what comes back to us is no answer: two machines that answer each other would never end.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifyflow.core.wording.text import cut

_TAKING = "ack|acked|acknowledge|acknowledged|ok|okay|on it|yes|1"
_ACKNOWLEDGE = re.compile(rf"(?:(?:{_TAKING})(?:[ ,:#-]+(?:1|(?P<code>[0-9]{{2,9}})))?|#?(?P<alone>[0-9]{{2,9}}))[.!]?", re.ASCII)
_TITLE_LIMIT = 60
_LISTED = 5
# Twilio help, "Twilio support for opt-out keywords (SMS STOP filtering)": one word alone, in any case
_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"})
_START = frozenset({"start", "unstop"})
_YES = "yes"  # the third keyword by which Twilio takes somebody in again; what it is depends on whether they were out
_HELP = frozenset({"help", "info"})

_TAKEN = "You have it: "
_LATE = " Nothing was changed."
_AMBIGUOUS = " are open, nothing was taken. Reply with a code: "
_UNKNOWN = "Nothing was taken: nothing of that kind is open for this number. Use the link in the message."
_UNBLOCKED = "You get texts from this number again. Reply STOP to end them."
_EXPLAINED = "Reply ACK to take what you were paged for, or the code in the message. STOP ends all texts from this number."
_OURS = re.compile(
    rf"(?s)(?:\[[^\]]*\] )?(?:{re.escape(_TAKEN)}|{re.escape(_UNKNOWN)}|{re.escape(_UNBLOCKED)}|{re.escape(_EXPLAINED)}"
    rf"|[0-9]+{re.escape(_AMBIGUOUS)}|[^\n]*\.{re.escape(_LATE)}\s*\Z)"
)
"""What we answer, as it looks when it comes back."""


class Verb(StrEnum):
    """What somebody wants who answers."""

    ACKNOWLEDGE = "acknowledge"
    YES = "yes"
    STOP = "stop"
    START = "start"
    HELP = "help"
    UNCLEAR = "unclear"
    ECHO = "echo"


DOING = frozenset({Verb.ACKNOWLEDGE, Verb.YES, Verb.STOP, Verb.START})
"""What changes something, and therefore may never be done a second time by the same event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What somebody answered, as its provider brought it.

    Attributes:
        provider: Who brought it.
        event_id: The provider's; the same event counts once.
        verb: What is wanted.
        theirs: The number that it comes from; personal; empty where a token names the incident.
        ours: The number of ours that it was sent to.
        code: The short code that was given; empty without.
        token: The signed token of the button that was pressed; empty without.
        who: Who pressed, by the provider's opaque id.
    """

    provider: str
    event_id: str
    verb: Verb
    theirs: str = ""
    ours: str = ""
    code: str = ""
    token: str = ""
    who: str = ""


class Effect(StrEnum):
    """What an answer led to."""

    TAKEN = "taken"
    LATE = "late"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    EXPLAINED = "explained"
    REPEATED = "repeated"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An incident that was meant, or may have been.

    Attributes:
        code: Its short code for whoever answered; empty where there is none.
        title: What happened; personal.
        incident_id: For the log.
    """

    code: str
    title: str
    incident_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What became of an answer.

    Attributes:
        effect: What it led to.
        choices: The incident that was meant; where it is not clear, those that are open.
        by: Who took it, or that it is over, where nothing was changed.
        cancelled: How many pages are cancelled by it.
        on_their_way: How many pages had left already.
        notice: A mark that what is said about it shows, as every message does.
        is_withheld: Whether nothing may be said about it: no message may leave for whoever answered, they said STOP, or they were
            answered often enough.
    """

    effect: Effect
    choices: Sequence[Choice] = ()
    by: str = ""
    cancelled: int = 0
    on_their_way: int = 0
    notice: str = ""
    is_withheld: bool = False


def read(text: str) -> tuple[Verb, str]:
    """Read a text message: what is wanted, and the code in it."""
    if _OURS.match(text.strip()):
        return Verb.ECHO, ""
    said = " ".join(text.split()).casefold()
    word = said.rstrip(".!")
    for verb, words in ((Verb.STOP, _STOP), (Verb.START, _START), (Verb.YES, {_YES}), (Verb.HELP, _HELP)):
        if word in words:
            return verb, ""
    match = _ACKNOWLEDGE.fullmatch(said)
    return (Verb.ACKNOWLEDGE, match["code"] or match["alone"] or "") if match else (Verb.UNCLEAR, "")


def answer(heard: Heard) -> str:
    """Say what became of an answer, in a text message; empty where nothing is to be said.

    To STOP nothing may be answered: the number is blocked, and whoever filters for the carrier has answered itself.
    """
    said = "" if heard.is_withheld else _said(heard)
    return f"[{heard.notice}] {said}" if said and heard.notice else said


def _said(heard: Heard) -> str:
    first = cut(heard.choices[0].title, _TITLE_LIMIT) if heard.choices else ""
    match heard.effect:
        case Effect.TAKEN:
            stopped = f" {heard.cancelled} more cancelled." if heard.cancelled else ""
            left = f" {heard.on_their_way} had left already." if heard.on_their_way else ""
            return f"{_TAKEN}{first}.{stopped}{left}"
        case Effect.LATE:
            return f"{heard.by}: {first}.{_LATE}"
        case Effect.AMBIGUOUS:
            listed = "; ".join(f"{each.code} {cut(each.title, _TITLE_LIMIT)}" for each in heard.choices[:_LISTED])
            return f"{len(heard.choices)}{_AMBIGUOUS}{listed}"
        case Effect.UNKNOWN:
            return _UNKNOWN
        case Effect.UNBLOCKED:
            return _UNBLOCKED
        case Effect.EXPLAINED:
            return _EXPLAINED
        case _:  # blocked, repeated or ignored
            return ""
