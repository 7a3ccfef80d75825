"""Reads people's replies, and writes the responses to them; pure.

A false acknowledgement means that nobody wakes up, so only a clear one counts, and STOP never does. A text that is one of our own
responses is not a reply; otherwise two machines could respond to each other for ever.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from notifyflow.core.delivery.model import Severity
from notifyflow.core.messages.quoting import quoted
from notifyflow.core.text import cut

if TYPE_CHECKING:
    from notifyflow.core.messages.content import Content

ALL = "ALL"
"""The word before a reply code that acknowledges all that its message carried, named or not."""

# A thumb may have a skin tone, or a mark that it is to be drawn as an emoji.
_THUMB = "\U0001f44d[\U0001f3fb-\U0001f3ff\ufe0f]?"
_ACKNOWLEDGING = f"ack|acked|acknowledge|acknowledged|ok|okay|got it|on it|on my way|yes|1|{_THUMB}"
# Patterns are compiled with the first reply: half of the processes read none.
_ACKNOWLEDGE = rf"(?a)(?:(?:{_ACKNOWLEDGING})(?:[ ,:#-]+(?:1|(?P<code>[0-9]{{2,9}})))?|#?(?P<alone>[0-9]{{2,9}}))[.,!…]*"
_ALL = rf"(?a)(?:(?:{_ACKNOWLEDGING})[ ,:#-]+)?all(?:[ ,:#-]*(?P<code>[0-9]{{2,9}}))?[.,!…]*"
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

_ACKNOWLEDGED = "You acknowledged {count}: "
_LATE = " Nothing was changed."
_STILL_OPEN = "Still open: "
_AMBIGUOUS = " open, nothing was acknowledged. Reply with a code: "
_UNKNOWN = "Nothing was acknowledged: nothing of that kind is open for this number. Use the link in the message."
_UNREADABLE = "Nothing was acknowledged: the incident cannot be read in the database. Tell operations."
_UNBLOCKED = "You get texts from this number again. Reply STOP to end them."
_EXPLAINED = "Reply ACK to acknowledge what you were paged for, or the code in the message. STOP ends all texts from this number."
_OURS = (
    rf"(?s)(?:\[[^\]]*\] )?(?:{_ACKNOWLEDGED.format(count='(?:it|[0-9]+)')}"
    rf"|{'|'.join(map(re.escape, (_UNKNOWN, _UNREADABLE, _UNBLOCKED, _EXPLAINED)))}"
    rf"|[0-9]+ (?:is|are){re.escape(_AMBIGUOUS)}|[^\n]*\.{re.escape(_LATE)}\s*\Z)"
)
"""Matches every response of ours."""


class Intent(StrEnum):
    """The intent of a reply."""

    ACKNOWLEDGE = "acknowledge"
    ACKNOWLEDGE_ALL = "acknowledge_all"
    YES = "yes"
    STOP = "stop"
    START = "start"
    HELP = "help"
    UNCLEAR = "unclear"
    ECHO = "echo"


CHANGING = frozenset({Intent.ACKNOWLEDGE, Intent.ACKNOWLEDGE_ALL, Intent.YES, Intent.STOP, Intent.START})
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
        shown: The severity that the button's message showed; None if it is not known.
        who: The provider's opaque id of the person who pressed the button.
    """

    provider: str
    event_id: str
    intent: Intent
    number: str = ""
    our_number: str = ""
    code: str = ""
    token: str = ""
    shown: Severity | None = None
    who: str = ""


class Effect(StrEnum):
    """The effect of a reply."""

    ACKNOWLEDGED = "acknowledged"
    LATE = "late"
    RISEN = "risen"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    EXPLAINED = "explained"
    REPEATED = "repeated"
    IGNORED = "ignored"


_FIXED = {
    Effect.UNKNOWN: _UNKNOWN,
    Effect.UNREADABLE: _UNREADABLE,
    Effect.UNBLOCKED: _UNBLOCKED,
    Effect.EXPLAINED: _EXPLAINED,
}
"""The responses that are the same for every incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An incident, or a message about several, that a reply means or may mean.

    Attributes:
        code: Its reply code for the number, if it has one.
        title: The incident's title; of several, that of the most severe; personal.
        incident_id: The id of that incident, for the log.
        more: How many other incidents the message stands for.
        is_all: Whether only ``ALL`` with the code acknowledges them, since the message did not name all that it carried.
        risen_to: The severity to which the incident has risen since the message showed it; None if it has not.
    """

    code: str
    title: str
    incident_id: str
    more: int = 0
    is_all: bool = False
    risen_to: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandledReply:
    """The result of a reply.

    Attributes:
        choices: The incidents that the reply means; if that is not clear, what it may mean.
        open_incidents: If it is not clear, how many open incidents it may mean.
        still_open: Incidents that the reply means and that stay open, since they have risen or could not be changed.
        by: If nothing was changed: who had acknowledged the incident, or that it is over.
        cancelled: Number of pages that the reply cancelled.
        on_their_way: Number of pages that had been sent already.
        notice: The mark that every message shows.
        is_withheld: Whether no response may be sent: the delivery mode excludes the number, it sent STOP, or it has used up its
            responses.
        acknowledged: In a call about several incidents, how many of them are acknowledged by now.
        content: The content of the call, to go on with it or to repeat it; None if it cannot be read.
    """

    effect: Effect
    choices: Sequence[Choice] = ()
    open_incidents: int = 0
    still_open: Sequence[Choice] = ()
    by: str = ""
    cancelled: int = 0
    on_their_way: int = 0
    notice: str = ""
    is_withheld: bool = False
    acknowledged: int = 0
    content: "Content | None" = None


def read_text(text: str) -> tuple[Intent, str]:
    """Return the intent of a text message, and its reply code."""
    if re.match(_OURS, text.strip()):
        return Intent.ECHO, ""
    word = _in_one_line(text).rstrip(".!")
    for intent, words in ((Intent.STOP, _STOP), (Intent.START, _START), (Intent.YES, {_YES}), (Intent.HELP, _HELP)):
        if word in words:
            return intent, ""
    line = _in_one_line(_without_signature(text))
    if match := re.fullmatch(_ACKNOWLEDGE, line):
        return Intent.ACKNOWLEDGE, match["code"] or match["alone"] or ""
    if match := re.fullmatch(_ALL, line):
        return Intent.ACKNOWLEDGE_ALL, match["code"] or ""
    return Intent.UNCLEAR, ""


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
    match handled.effect:
        case Effect.ACKNOWLEDGED:
            count = len(handled.choices) if len(handled.choices) > 1 else "it"
            stopped = f" {handled.cancelled} more cancelled." if handled.cancelled else ""
            left = f" {handled.on_their_way} had left already." if handled.on_their_way else ""
            still_open = f" {_still_open(handled)}" if handled.still_open else ""
            return f"{_ACKNOWLEDGED.format(count=count)}{_first(handled.choices)}.{stopped}{left}{still_open}"
        case Effect.LATE:
            return f"{handled.by}: {_first(handled.choices)}.{_LATE}"
        case Effect.RISEN:
            return f"{_still_open(handled)} Use the link in the message.{_LATE}"
        case Effect.AMBIGUOUS:
            count = handled.open_incidents or len(handled.choices)
            listed = "; ".join(map(_choice, handled.choices[:_LISTED]))
            return f"{count} {'is' if count == 1 else 'are'}{_AMBIGUOUS}{listed}"
        case _:  # without one: blocked, repeated or ignored
            return _FIXED.get(handled.effect, "")


def _first(choices: Sequence[Choice]) -> str:
    return _with_more(choices[0], len(choices) - 1) if choices else ""


def _choice(choice: Choice) -> str:
    return f"{ALL} {_coded(choice)}" if choice.is_all else _coded(choice)


def _coded(choice: Choice) -> str:
    return f"{choice.code} {_with_more(choice, choice.more)}"


def _with_more(choice: Choice, more: int) -> str:
    title = _title(choice)
    return f"{title} and {more} more" if more else title


def _title(choice: Choice) -> str:
    return quoted(cut(choice.title, _TITLE_LIMIT))


def _still_open(handled: HandledReply) -> str:
    """Return which incidents stay open, and why."""
    told = [
        f"{_title(each)} {f'is {each.risen_to} now' if each.risen_to else 'could not be changed'}" for each in handled.still_open
    ]
    more = f"; {len(told) - _LISTED} more" if len(told) > _LISTED else ""
    return f"{_STILL_OPEN}{'; '.join(told[:_LISTED])}{more}."
