"""Reads people's replies, and writes the responses to them; pure.

A false acknowledgement means that nobody wakes up, so only a clear one counts, and STOP never does. A text that is one of our own
responses is not a reply; otherwise two machines could respond to each other for ever.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifyflow.core.text import cut

# A thumb may have a skin tone, or a mark that it is to be drawn as an emoji.
_THUMB = "\U0001f44d[\U0001f3fb-\U0001f3ff\ufe0f]?"
_ACKNOWLEDGING = f"ack|acked|acknowledge|acknowledged|ok|okay|got it|on it|on my way|yes|1|{_THUMB}"
# Patterns are compiled with the first reply: half of the processes read none.
_ACKNOWLEDGE = rf"(?a)(?:(?:{_ACKNOWLEDGING})(?:[ ,:#-]+(?:1|(?P<code>[0-9]{{2,9}})))?|#?(?P<alone>[0-9]{{2,9}}))[.,!…]*"
# A signature added by a phone or a mail program: ``--``, a name beside it or on up to four lines (RFC 3676, section 4.3), or the
# program's own line. If any of it may be meant, the reply is unclear.
_SIGNATURE = r"(?i)\n(?:--(?: [^\n]{1,60})?(?:\n[^\n]{1,60}){0,4}|sent from [^\n]{1,60})\Z"
_MEANT = r"(?i)[>?]|\b(?:no|not|nope|never|cannot|cant|dont|wont|\w+n['’]t)\b|\bwrote:|\bauto(?:matic|-?reply)|out of office"
_TITLE_LIMIT = 60
_LISTED = 5
# Twilio help, "Twilio support for opt-out keywords (SMS STOP filtering)": one word alone, in any case
_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"})
_START = frozenset({"start", "unstop"})
_YES = "yes"  # Twilio's third keyword for opting in; an acknowledgement from somebody who has not opted out
_HELP = frozenset({"help", "info"})

_ACKNOWLEDGED = "You acknowledged it: "
_LATE = " Nothing was changed."
_AMBIGUOUS = " are open, nothing was acknowledged. Reply with a code: "
_UNKNOWN = "Nothing was acknowledged: nothing of that kind is open for this number. Use the link in the message."
_UNBLOCKED = "You get texts from this number again. Reply STOP to end them."
_EXPLAINED = "Reply ACK to acknowledge what you were paged for, or the code in the message. STOP ends all texts from this number."
_OURS = (
    rf"(?s)(?:\[[^\]]*\] )?(?:{re.escape(_ACKNOWLEDGED)}|{re.escape(_UNKNOWN)}|{re.escape(_UNBLOCKED)}|{re.escape(_EXPLAINED)}"
    rf"|[0-9]+{re.escape(_AMBIGUOUS)}|[^\n]*\.{re.escape(_LATE)}\s*\Z)"
)
"""Matches every response of ours."""


class Intent(StrEnum):
    """The intent of a reply."""

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
        event_id: The provider's id of the event; a repeated event is handled once.
        intent: What the reply asks for.
        number: The number that it comes from; personal; empty if a token names the incident.
        our_number: Our number that it was sent to.
        code: The reply code in it, if any.
        token: The signed token of the pressed button, if any.
        who: The provider's opaque id of the person who pressed the button.
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
    """An incident that the reply means, or may mean.

    Attributes:
        code: Its reply code for the number, if it has one.
        title: The incident's title; personal.
        incident_id: The incident's id, for the log.
    """

    code: str
    title: str
    incident_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandledReply:
    """The result of a reply.

    Attributes:
        choices: The incident that the reply means; if that is not clear, the open incidents.
        by: If nothing was changed: who had acknowledged the incident, or that it is over.
        cancelled: Number of pages that the reply cancelled.
        on_their_way: Number of pages that had been sent already.
        notice: The mark that every message shows.
        is_withheld: Whether no response may be sent: the delivery mode excludes the number, it sent STOP, or it has used up its
            responses.
    """

    effect: Effect
    choices: Sequence[Choice] = ()
    by: str = ""
    cancelled: int = 0
    on_their_way: int = 0
    notice: str = ""
    is_withheld: bool = False


def read_text(text: str) -> tuple[Intent, str]:
    """Return the intent of a text message, and its reply code."""
    if re.match(_OURS, text.strip()):
        return Intent.ECHO, ""
    word = _in_one_line(text).rstrip(".!")
    for intent, words in ((Intent.STOP, _STOP), (Intent.START, _START), (Intent.YES, {_YES}), (Intent.HELP, _HELP)):
        if word in words:
            return intent, ""
    match = re.fullmatch(_ACKNOWLEDGE, _in_one_line(_without_signature(text)))
    return (Intent.ACKNOWLEDGE, match["code"] or match["alone"] or "") if match else (Intent.UNCLEAR, "")


def _in_one_line(text: str) -> str:
    return " ".join(text.split()).casefold()


def _without_signature(text: str) -> str:
    """Return the text without the signature below it, unless that may say something about the page."""
    lines = "\n".join(stripped for line in text.splitlines() if (stripped := line.strip()))
    signature = re.search(_SIGNATURE, lines)
    return lines if signature is None or re.search(_MEANT, signature[0]) else lines[: signature.start()]


def write_response(handled: HandledReply) -> str:
    """Return the text message that responds to a reply; empty if none is sent.

    STOP gets no response from us: the number is blocked, and the carrier's filter has sent its own.
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
