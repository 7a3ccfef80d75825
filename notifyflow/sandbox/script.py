"""The script language, which tells a stand-in how to react to requests, in text such as ``slack: 500 twice, then ok``.

Pure: text in, values out; who has been asked how often stands in ``playbook``. The language is described in
``docs/how-to/try-a-policy-in-the-sandbox.rst``.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from notifyflow.errors import Fault, InvalidScript

ALL = "all"
_ALIASES = {"call": "voice"}


class Kind(StrEnum):
    """The kinds of reaction to a request."""

    OK = "ok"
    STATUS = "status"
    CODE = "code"
    HANG = "hang"
    CUT = "cut"
    GARBAGE = "garbage"
    REFUSE = "refuse"
    RECEIPT = "receipt"
    CALLEE = "callee"
    REPLY = "reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """The reaction of a stand-in to a request.

    Attributes:
        kind: What sort of thing.
        words: As the script says it.
        code: The HTTP or SMTP status, the provider's own code, what the receipt says, what the callee does, or what is replied.
        detail: The error code of a receipt, or the key that the callee presses.
        is_accepted: Whether the message is accepted and reaches its reader.
        delay_s: How long the response takes, in seconds.
        retry_after_s: What ``Retry-After`` says, in seconds; None without.
    """

    kind: Kind
    words: str = "ok"
    code: str = ""
    detail: str = ""
    is_accepted: bool = False
    delay_s: float = 0.0
    retry_after_s: int | None = None


OK = Reaction(kind=Kind.OK, is_accepted=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A reaction, and for how many requests; None for all that follow."""

    reaction: Reaction
    times: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of a script.

    Attributes:
        channel: Whom it is for, or ``all``.
        address: The one address it is for; empty for every address.
        steps: In order; never empty.
    """

    channel: str
    address: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        """Return the line that reads as this rule."""
        steps = [f"{step.reaction.words}{'' if step.times is None else f' {step.times} times'}" for step in self.steps]
        return f"{self.channel}{f' to {self.address}' if self.address else ''}: {', then '.join(steps)}"

    def reaction(self, number: int) -> Reaction:
        """Return the reaction to a request by its number, counted from 0; ok after the last step."""
        for step in self.steps:
            if step.times is None or number < step.times:
                return step.reaction
            number -= step.times
        return OK


def short_name(address: str) -> str:
    """Shorten a webhook URL or an endpoint ARN to the name at its end; anything else stays as it is."""
    path = address.casefold().partition("?")[0].rstrip("/")
    _, is_workflow, workflow = path.partition("/workflows/")
    return workflow.partition("/")[0] if is_workflow else path.rpartition("/")[2]


def is_for(address: str, to: str) -> bool:
    """Return whether a script's address means this one: the same, its short name, or its part before the ``@``."""
    wanted, recipient = short_name(address), short_name(to)
    return wanted in {recipient, recipient.partition("@")[0]}


def read_script(text: str, channels: Collection[str]) -> tuple[Rule, ...]:
    """Read a script: lines of ``WHO [to ADDRESS]: STEP[, then STEP …]``, where WHO is a channel or ``all``.

    Lines are separated by line ends or semicolons.

    Raises:
        InvalidScript: With everything that is wrong.
    """
    rules: list[Rule] = []
    faults: list[Fault] = []
    for number, line in enumerate(re.split(r"[\n;]", text), start=1):
        said = line.strip()
        if not said or said.startswith("#"):
            continue
        try:
            rules.append(_read_line(said, (ALL, *_ALIASES, *channels)))
        except _Unclear as unclear:
            faults.append(Fault(f"line {number}", unclear.what, unclear.remedy))
    if faults:
        raise InvalidScript(tuple(faults))
    return tuple(rules)


class _Unclear(Exception):
    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


_STATUS = r"(?P<code>[45]\d\d)"
_SLOW = r"slow (?P<delay>\d{1,4}(?:\.\d{1,3})?) ?(?P<unit>ms|s)"
_RETRY = _STATUS + r" retry after (?P<retry>\d{1,6}) ?s"
_ACCEPT = r"accept-then (?P<after>hang|cut|garbage|[45]\d\d)"
_UNDELIVERED = r"(?P<code>undelivered|failed)(?: (?P<detail>\d{5}))?"
_SLACK_ERROR = r"(?P<code>[a-z]+(?:_[a-z]+)+|ratelimited)"
_LINE = re.compile(r"(?P<who>\w+)(?:\s+to\s+(?P<address>\S+?)\s*:\s+|\s*:\s*)(?P<steps>\S.*)")
_COUNT = re.compile(r"(?P<words>.+?)(?:\s+(?P<count>once|twice|(?P<number>[1-9][0-9]{0,5})\s+times))?")


def _read_line(line: str, targets: Collection[str]) -> Rule:
    match = _LINE.fullmatch(line)
    if match is None:
        raise _Unclear(f"{line!r} is not a line of a script", "Write WHO: STEP, then STEP, as in 'slack: 500 twice, then ok'")
    who = match["who"].casefold()
    if who not in targets:
        raise _Unclear(f"{match['who']!r} is nobody here", f"Write one of {', '.join(targets)}")
    channel = _ALIASES.get(who, who)
    address = match["address"] or ""
    texts = re.split(r"\s*,?\s+then\s+", re.sub(r"\baccept\s*,?\s+then\s+", "accept-then ", match["steps"]))
    steps = tuple(
        _read_step(text, channel=channel, address=address, is_last=number == len(texts))
        for number, text in enumerate(texts, start=1)
    )
    return Rule(channel=channel, address=address, steps=steps)


def _read_step(text: str, *, channel: str, address: str, is_last: bool) -> Step:
    match = _COUNT.fullmatch(text.strip().rstrip(",").strip())
    if match is None:
        raise _Unclear("a step is missing", "Write something between 'then' and 'then'")
    reaction = _read_reaction(" ".join(match["words"].split()), channel)
    times = None if is_last else 1
    if match["count"]:
        times = int(match["number"] or {"once": 1, "twice": 2}[match["count"]])
    if reaction.kind is Kind.REFUSE and (address or times is not None):
        raise _Unclear(
            "a refused connection cannot be told an address or a number of times, since nobody is there to look or to count",
            "Let 'refuse' be the last step, without either, and end it with another script; or use a status such as 503",
        )
    return Step(reaction=reaction, times=times)


def _read_reaction(words: str, channel: str) -> Reaction:
    known = [phrase for phrase in PHRASES if phrase.suits(channel)]
    for phrase in known:
        if match := re.fullmatch(phrase.pattern, words, re.ASCII):
            return phrase.make(match)
    raise _Unclear(f"{channel} cannot do {words!r}", f"Use one of: {'; '.join(phrase.example for phrase in known)}")


def _react(kind: Kind, code: str = "") -> Callable[[re.Match[str]], Reaction]:
    """Make reactions of one kind; the pattern's groups ``code`` and ``detail`` are fields of the reaction."""

    def make(match: re.Match[str]) -> Reaction:
        found = match.groupdict()
        return Reaction(
            kind=kind,
            words=match[0],
            code=found.get("code") or code,
            detail=found.get("detail") or "",
            is_accepted=kind in _ACCEPTED,
            retry_after_s=int(found["retry"]) if "retry" in found else None,
        )

    return make


def _slow(match: re.Match[str]) -> Reaction:
    delay_s = float(match["delay"]) / (1000 if match["unit"] == "ms" else 1)
    return Reaction(kind=Kind.OK, words=match[0], is_accepted=True, delay_s=delay_s)


def _accept(match: re.Match[str]) -> Reaction:
    after = match["after"]
    kind, code = (Kind.STATUS, after) if after.isdigit() else (Kind(after), "")
    return Reaction(kind=kind, words=f"accept, then {after}", code=code, is_accepted=True)


def _carrier_code(match: re.Match[str]) -> Reaction:
    return _react(Kind.RECEIPT, "failed" if match["detail"] in _NEVER_SENT else "undelivered")(match)


_ACCEPTED = frozenset({Kind.OK, Kind.RECEIPT, Kind.CALLEE, Kind.REPLY})
# With these no carrier was reached; the other 30xxx come back as "undelivered" (Twilio docs, "Error and Warning Dictionary").
_NEVER_SENT = frozenset({"30001", "30002"})

_SMS, _VOICE = frozenset({"sms"}), frozenset({"voice"})
_TWILIO, _AMAZON, _SLACK = _SMS | _VOICE, frozenset({"email", "push"}), frozenset({"slack"})
_ANY = None


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of the script language: an example, its meaning, its channels (None for all), and how it is parsed."""

    example: str
    meaning: str
    channels: frozenset[str] | None
    pattern: str
    make: Callable[[re.Match[str]], Reaction]

    def suits(self, channel: str) -> bool:
        """Return whether it can be said of a channel."""
        return self.channels is None or channel in self.channels


PHRASES: tuple[Phrase, ...] = (
    Phrase("ok", "accepted and delivered; a call is heard and a key (3) is pressed", _ANY, r"ok", _react(Kind.OK)),
    Phrase("slow 3 s", "ok, after that long (also 500 ms)", _ANY, _SLOW, _slow),
    Phrase("500", "answered with this status, 400 to 599 (mail: this SMTP reply)", _ANY, _STATUS, _react(Kind.STATUS)),
    Phrase("429 retry after 30 s", "the same, with a Retry-After header", _ANY, _RETRY, _react(Kind.STATUS)),
    Phrase("hang", "never answered, and not accepted", _ANY, r"hang", _react(Kind.HANG)),
    Phrase("cut", "the connection is cut without a response, and nothing is accepted", _ANY, r"cut", _react(Kind.CUT)),
    Phrase("garbage", "answered with nonsense, and not accepted", _ANY, r"garbage", _react(Kind.GARBAGE)),
    Phrase("accept, then hang", "accepted, but never answered (also cut, garbage, 500)", _ANY, _ACCEPT, _accept),
    Phrase("refuse", "nobody listens: the connection is refused, until the next script", _ANY, r"refuse", _react(Kind.REFUSE)),
    Phrase("21610", "refused with this Twilio error code", _TWILIO, r"(?P<code>(?!30)[1-9]\d{4})", _react(Kind.CODE)),
    Phrase("30006", "accepted, then reported undelivered with this carrier code", _SMS, r"(?P<detail>30\d{3})", _carrier_code),
    Phrase(
        "undelivered",
        "accepted, then reported undelivered (also failed; also with a code)",
        _SMS,
        _UNDELIVERED,
        _react(Kind.RECEIPT),
    ),
    Phrase("no receipt", "accepted, without any receipt", _SMS, r"no receipt", _react(Kind.RECEIPT)),
    Phrase("reply ack", "delivered, and answered with these words", _SMS, r"reply (?P<code>.+)", _react(Kind.REPLY)),
    Phrase("rings", "it rings on and on, until the call is ended", _VOICE, r"rings", _react(Kind.CALLEE, "rings")),
    Phrase("nobody answers", "it rings, and nobody picks up", _VOICE, r"nobody answers", _react(Kind.CALLEE, "no-answer")),
    Phrase("busy", "the line is busy", _VOICE, r"busy", _react(Kind.CALLEE, "busy")),
    Phrase("failed", "the call cannot be connected", _VOICE, r"failed", _react(Kind.CALLEE, "failed")),
    Phrase("machine", "a voicemail picks up and records", _VOICE, r"machine", _react(Kind.CALLEE, "machine")),
    Phrase(
        "hangs up",
        "somebody picks up and hangs up before pressing a key (also at 3: when the third title is said)",
        _VOICE,
        r"hangs up(?: at (?P<detail>\d{1,2}))?",
        _react(Kind.CALLEE, "hangs-up"),
    ),
    Phrase(
        "key 1",
        "somebody listens to the end and presses this key (also at 3: when the third title is said)",
        _VOICE,
        r"key (?P<detail>[0-9*#](?: at \d{1,2})?)",
        _react(Kind.CALLEE, "key"),
    ),
    Phrase("MessageRejected", "refused with this Amazon error code", _AMAZON, r"(?P<code>[A-Z][A-Za-z]+)", _react(Kind.CODE)),
    Phrase("channel_not_found", "refused with this Slack error", _SLACK, _SLACK_ERROR, _react(Kind.CODE)),
)
