"""Reads people's replies, and writes the responses to them; pure.

A false acknowledgement means that nobody wakes up: only what is plainly one counts, and STOP never does. A response of ours that
comes back is no reply: two machines that respond to each other would never end.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifyflow.core.wording.text import cut

_ACKNOWLEDGING = "ack|acked|acknowledge|acknowledged|ok|okay|on it|yes|1"
_ACKNOWLEDGE = re.compile(
    rf"(?:(?:{_ACKNOWLEDGING})(?:[ ,:#-]+(?:1|(?P<code>[0-9]{{2,9}})))?|#?(?P<alone>[0-9]{{2,9}}))[.!]?", re.ASCII
)
_TITLE_LIMIT = 60
_LISTED = 5
# Twilio help, "Twilio support for opt-out keywords (SMS STOP filtering)": one word alone, in any case
_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"})
_START = frozenset({"start", "unstop"})
_YES = "yes"  # the third keyword by which Twilio takes somebody in again; what it is depends on whether they were out
_HELP = frozenset({"help", "info"})

_ACKNOWLEDGED = "You acknowledged it: "
_LATE = " Nothing was changed."
_AMBIGUOUS = " are open, nothing was acknowledged. Reply with a code: "
_UNKNOWN = "Nothing was acknowledged: nothing of that kind is open for this number. Use the link in the message."
_UNBLOCKED = "You get texts from this number again. Reply STOP to end them."
_EXPLAINED = "Reply ACK to acknowledge what you were paged for, or the code in the message. STOP ends all texts from this number."
_OURS = re.compile(
    rf"(?s)(?:\[[^\]]*\] )?(?:{re.escape(_ACKNOWLEDGED)}|{re.escape(_UNKNOWN)}|{re.escape(_UNBLOCKED)}|{re.escape(_EXPLAINED)}"
    rf"|[0-9]+{re.escape(_AMBIGUOUS)}|[^\n]*\.{re.escape(_LATE)}\s*\Z)"
)
"""Matches every response of ours."""


class Intent(StrEnum):
    """What a reply asks for."""

    ACKNOWLEDGE = "acknowledge"
    YES = "yes"
    STOP = "stop"
    START = "start"
    HELP = "help"
    UNCLEAR = "unclear"
    ECHO = "echo"


CHANGING = frozenset({Intent.ACKNOWLEDGE, Intent.YES, Intent.STOP, Intent.START})
"""Intents that change something, and must not be handled twice for the same event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply, as its provider passed it on.

    Attributes:
        provider: Which provider.
        event_id: The provider's; the same event counts once.
        intent: What the reply asks for.
        number: The number that it comes from; personal; empty where a token names the incident.
        our_number: The number of ours that it was sent to.
        code: The reply code in it; empty without one.
        token: The signed token of the button that was pressed; empty without one.
        who: Who pressed the button, by the provider's opaque id.
    """

    provider: str
    event_id: str
    intent: Intent
    number: str = ""
    our_number: str = ""
    code: str = ""
    token: str = ""
    who: str = ""


class Effect(StrEnum):
    """The effect of a reply."""

    ACKNOWLEDGED = "acknowledged"
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
        code: Its reply code for that number; empty where it has none.
        title: What happened; personal.
        incident_id: For the log.
    """

    code: str
    title: str
    incident_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandledReply:
    """The result of a reply.

    Attributes:
        effect: What it led to.
        choices: The incident that was meant; where it is not clear, those that are open.
        by: Who acknowledged it, or that it is over, where nothing was changed.
        cancelled: How many pages are cancelled by it.
        on_their_way: How many pages had left already.
        notice: A mark that the response shows, as every message does.
        is_withheld: Whether no response may be sent: no message may leave for that number, STOP came from it, or it has had as
            many responses as it may.
    """

    effect: Effect
    choices: Sequence[Choice] = ()
    by: str = ""
    cancelled: int = 0
    on_their_way: int = 0
    notice: str = ""
    is_withheld: bool = False


def read_text(text: str) -> tuple[Intent, str]:
    """Read a text message: what it asks for, and the code in it."""
    if _OURS.match(text.strip()):
        return Intent.ECHO, ""
    said = " ".join(text.split()).casefold()
    word = said.rstrip(".!")
    for intent, words in ((Intent.STOP, _STOP), (Intent.START, _START), (Intent.YES, {_YES}), (Intent.HELP, _HELP)):
        if word in words:
            return intent, ""
    match = _ACKNOWLEDGE.fullmatch(said)
    return (Intent.ACKNOWLEDGE, match["code"] or match["alone"] or "") if match else (Intent.UNCLEAR, "")


def write_response(handled: HandledReply) -> str:
    """Write the text message that says what became of a reply; empty where none is sent.

    STOP gets no response from us: the number is blocked, and whoever filters for the carrier has sent its own.
    """
    said = "" if handled.is_withheld else _write(handled)
    return f"[{handled.notice}] {said}" if said and handled.notice else said


def _write(handled: HandledReply) -> str:
    first = cut(handled.choices[0].title, _TITLE_LIMIT) if handled.choices else ""
    match handled.effect:
        case Effect.ACKNOWLEDGED:
            stopped = f" {handled.cancelled} more cancelled." if handled.cancelled else ""
            left = f" {handled.on_their_way} had left already." if handled.on_their_way else ""
            return f"{_ACKNOWLEDGED}{first}.{stopped}{left}"
        case Effect.LATE:
            return f"{handled.by}: {first}.{_LATE}"
        case Effect.AMBIGUOUS:
            listed = "; ".join(f"{each.code} {cut(each.title, _TITLE_LIMIT)}" for each in handled.choices[:_LISTED])
            return f"{len(handled.choices)}{_AMBIGUOUS}{listed}"
        case Effect.UNKNOWN:
            return _UNKNOWN
        case Effect.UNBLOCKED:
            return _UNBLOCKED
        case Effect.EXPLAINED:
            return _EXPLAINED
        case _:  # blocked, repeated or ignored
            return ""
