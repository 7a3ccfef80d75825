"""What people answer where a message reached them, and what they are told then; pure.

A wrong acknowledgement means that nobody wakes up: what is not plainly one is none, and STOP never is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifyflow.core.text import cut

_ACKNOWLEDGE = re.compile(r"(?:(?:ack|acknowledge|1)(?:[\s,:#-]+(?P<code>\d{2,9}))?|#?(?P<alone>\d{2,9}))[.!]?", re.ASCII)
_TITLE_LIMIT = 60
_LISTED = 5
# Twilio help, "Twilio support for opt-out keywords (SMS STOP filtering)": one word alone, in any case
_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"})
_START = frozenset({"start", "yes", "unstop"})
_HELP = frozenset({"help", "info"})


class Verb(StrEnum):
    """What somebody wants who answers."""

    ACKNOWLEDGE = "acknowledge"
    STOP = "stop"
    START = "start"
    HELP = "help"
    UNCLEAR = "unclear"


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
        is_withheld: Whether nothing may be said about it, since no message may leave for whoever answered, or they said STOP.
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
    said = text.strip().casefold()
    word = said.rstrip(".!")
    for verb, words in ((Verb.STOP, _STOP), (Verb.START, _START), (Verb.HELP, _HELP)):
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
            return f"You have it: {first}.{stopped}{left}"
        case Effect.LATE:
            return f"{heard.by}: {first}. Nothing was changed."
        case Effect.AMBIGUOUS:
            listed = "; ".join(f"{each.code} {cut(each.title, _TITLE_LIMIT)}" for each in heard.choices[:_LISTED])
            return f"{len(heard.choices)} are open, nothing was taken. Reply with a code: {listed}"
        case Effect.UNKNOWN:
            return "Nothing was taken: nothing of that kind is open for this number. Use the link in the message."
        case Effect.UNBLOCKED:
            return "You get texts from this number again. Reply STOP to end them."
        case Effect.EXPLAINED:
            return "Reply ACK to take what you were paged for, or the code in the message. STOP ends all texts from this number."
        case _:  # blocked, or repeated
            return ""
