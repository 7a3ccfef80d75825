"""The inbox: every message that a stand-in received, accepted or not, as frozen values."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate

URL = re.compile(r"https?://[^\s<>\"|]*[^\s<>\"|.,;:!?)]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail as a mail program parses it."""

    sender: str
    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text message as the phone shows it."""

    sender: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One part of a card.

    Attributes:
        kind: ``heading``, ``text``, ``note``, ``fact``, ``button``, ``divider`` or ``source``.
        text: What it says; of a fact its value.
        title: Of a fact.
        url: Where a button leads.
        value: What a button that acts in place gives back.
    """

    kind: str
    text: str = ""
    title: str = ""
    url: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A post in Slack or Teams: the text of the notification, and the parts of the post."""

    summary: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """Its whole text, line by line."""
        lines = (" ".join(filter(None, (piece.title, piece.text, piece.url))) for piece in self.pieces)
        return "\n".join(filter(None, (self.summary, *lines)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A push message as the lock screen shows it."""

    title: str
    text: str
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A phone call: the spoken lines, and the pressed keys.

    Attributes:
        urls: For each line, where a key is reported that is pressed while it is said; empty where none is asked for.
    """

    sender: str
    said: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    key: str = ""

    @property
    def questions(self) -> tuple[tuple[int, str, bool], ...]:
        """Each line with its number, from 0, and whether a key can be pressed after it; of a repeated line only at its end."""
        lines = list(zip(self.said, self.urls, strict=True))
        return tuple(
            (number, line, bool(url) and lines[number + 1 : number + 2] != [(line, url)])
            for number, (line, url) in enumerate(lines)
        )

    @property
    def text(self) -> str:
        """The whole spoken text."""
        return "\n".join(self.said)


Content = Mail | Text | Card | Push | Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message that a stand-in received.

    Attributes:
        number: From 1, in the order of arrival.
        after_s: When it arrived, in seconds since the sandbox started.
        date: The same as a date, as HTTP and mail write it (RFC 2822).
        channel: How it came.
        provider: The stand-in that received it.
        to: The address; of a webhook or an endpoint its short name.
        attempt_id: Ours, where the message carries it.
        reference: The stand-in's id of it.
        reaction: What the script said to do.
        is_accepted: Whether it was accepted, and reached its reader.
        status: What became of it, in the provider's words: ``sent``, ``delivered``, ``no-answer``, ….
        content: What it says.
    """

    number: int = 0
    after_s: float = 0.0
    date: str = ""
    channel: str
    provider: str
    to: str
    attempt_id: str = ""
    reference: str = ""
    reaction: str = ""
    is_accepted: bool = False
    status: str = ""
    content: Content

    @property
    def text(self) -> str:
        """Its text for its reader, without markup."""
        content = self.content
        return "\n".join((content.subject, content.text)) if isinstance(content, Mail) else content.text

    @property
    def links(self) -> tuple[str, ...]:
        """Every URL in it, in order, each once."""
        beside = self.content.urls if isinstance(self.content, Push) else ()
        return tuple(dict.fromkeys((*beside, *URL.findall(self.text))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many messages a stand-in received, and how many of them it accepted."""

    seen: int = 0
    accepted: int = 0


class Inbox:
    """All messages since the sandbox started; safe for many threads."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic, date: Callable[[], str] = formatdate) -> None:
        self._changed = threading.Condition()
        self._messages: dict[int, Message] = {}
        self._now_s = now_s
        self._date = date
        self._started_s = now_s()

    def add(self, message: Message) -> Message:
        """Add a message under the next number."""
        with self._changed:
            number = len(self._messages) + 1
            after_s = round(self._now_s() - self._started_s, 3)
            kept = replace(message, number=number, after_s=after_s, date=self._date())
            self._messages[number] = kept
            self._changed.notify_all()
        return kept

    def update(self, number: int, change: Callable[[Message], Message]) -> Message:
        """Replace a message by its newer version."""
        with self._changed:
            changed = self._messages[number] = change(self._messages[number])
            self._changed.notify_all()
        return changed

    def messages(
        self, *, channel: str = "", to: str = "", attempt_id: str = "", is_accepted: bool | None = None
    ) -> tuple[Message, ...]:
        """Return the messages that the stand-ins received, oldest first.

        Args:
            channel: Only this one.
            to: Only to this address.
            attempt_id: Only of this attempt of ours.
            is_accepted: Only those that were accepted, or only the others.
        """
        with self._changed:
            everything = tuple(self._messages.values())
        return tuple(
            message
            for message in everything
            if channel in {"", message.channel}
            and to in {"", message.to}
            and attempt_id in {"", message.attempt_id}
            and is_accepted in {None, message.is_accepted}
        )

    def search(self, *, channel: str = "", to: str = "", text: str = "") -> tuple[Message, ...]:
        """Return the messages of a channel whose address and text hold these words, in either case; empty words fit all."""
        wanted, words = to.casefold(), text.casefold()
        found = self.messages(channel=channel)
        return tuple(each for each in found if wanted in each.to.casefold() and words in each.text.casefold())

    def counts(self) -> Mapping[str, Count]:
        """Return how many messages each channel's stand-in received and accepted."""
        counts: dict[str, Count] = {}
        for message in self.messages():
            count = counts.get(message.channel, Count())
            counts[message.channel] = Count(seen=count.seen + 1, accepted=count.accepted + message.is_accepted)
        return counts

    def wait_for(self, predicate: Callable[[Message], bool], timeout_s: float = 30.0) -> Message:
        """Wait for a message that fits, and return the first.

        Raises:
            TimeoutError: When none is in time; it says what is there.
        """

        def found() -> Message | None:
            return next((message for message in self._messages.values() if predicate(message)), None)

        with self._changed:
            message = self._changed.wait_for(found, timeout_s)
        if message is None:
            seen = ", ".join(f"{there.channel} to {there.to} ({there.reaction}, {there.status})" for there in self.messages())
            raise TimeoutError(f"no such message within {timeout_s:g} s; there are: {seen or 'none'}")
        return message
