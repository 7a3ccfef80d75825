"""What people get in a rehearsed storm: each message with the incidents it carries, and what its answers acknowledge; pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field

from notifyflow.core import text
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Kind, Result, Severity
from notifyflow.core.delivery.proof import rang
from notifyflow.core.document import Document
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.messages.looks import MARKS, Tone
from notifyflow.core.messages.prompts import offers_all
from notifyflow.core.messages.ways import message
from notifyflow.core.upkeep.forecast_document import span


class Answer(StrEnum):
    """A way to answer a message."""

    LINK = "link"
    CODE = "code"
    ALL = "ALL"
    KEY_1 = "key 1"
    KEY_4 = "key 4"


_WORDS: Mapping[Answer, str] = {
    Answer.LINK: "the link",
    Answer.CODE: "its code",
    Answer.ALL: "ALL with its code",
    Answer.KEY_1: "key 1",
    Answer.KEY_4: "key 4",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """How people can answer messages.

    Attributes:
        has_public_url: Whether messages have links, and keys of a call come back.
        calling: The channels of calls.
        replying: The providers, as (channel, provider), to which people reply by text.
    """

    has_public_url: bool
    calling: Collection[str]
    replying: Collection[tuple[str, str]]

    def answers(self, channel: str, provider: str, carried: Sequence[AttemptFacts], *, is_critical: bool) -> Mapping[Answer, int]:
        """Return how many incidents each answer to a message acknowledges."""
        incidents, named = len(carried), sum(each.is_named for each in carried)
        found: dict[Answer, int] = {}
        if channel in self.calling:
            critical = incidents if is_critical else 0
            may_offer = incidents > 1 and offers_all(critical, min(critical, named))
            keys = {Answer.KEY_1: named, **({Answer.KEY_4: incidents} if may_offer else {})}
            return keys if self.has_public_url else {}
        if (channel, provider) in self.replying:
            found |= {Answer.CODE: incidents} if named == incidents else {Answer.ALL: incidents, Answer.CODE: 0}
        return found | ({Answer.LINK: incidents} if self.has_public_url else {})


class AnswerDocument(Document):
    """What one way to answer a message acknowledges."""

    by: Answer
    incidents: int = Field(description="How many incidents it acknowledges at most; 0 if it is answered with the choices.")


class StormMessageDocument(Document):
    """One message that was accepted, or a call that rang."""

    recipient: str
    channel: str
    provider: str
    after_s: float = Field(description="Seconds after the storm began.")
    incidents: int = Field(description="How many incidents it carried.")
    named: int = Field(description="How many of them it named, and did not only count.")
    answers: list[AnswerDocument]

    def words(self, name: str) -> str:
        """Return the message in words."""
        about = text.quantity(self.incidents, "incident")
        named = f", {self.named} of them named" if self.named < self.incidents else ""
        by_count: dict[int, list[str]] = defaultdict(list)
        for each in self.answers:
            by_count[each.incidents].append(_WORDS[each.by] if each.incidents else f"{_WORDS[each.by]} alone")
        ways = "; ".join(f"{' or '.join(some)} acknowledges {self._share(count)}" for count, some in by_count.items())
        return f"{name}: {message(self.channel)} about {about}{named}{f': {ways}' if ways else ''}"

    def _share(self, count: int) -> str:
        if count == self.incidents:
            return f"all {count}" if count > 1 else "it"
        return f"up to {count}" if count else "none"


class StormRecipientDocument(Document):
    """What one recipient gets."""

    recipient: str
    name: str
    messages: dict[str, int] = Field(description="Channel to how many messages they get, or calls that ring.")
    told: int = Field(description="Of how many incidents a message told them; a call only if a key was pressed.")
    first_told_after_s: float | None = Field(description="When they were told of the first, in seconds after the storm began.")
    last_told_after_s: float | None = Field(description="When they were told of the last of them.")

    def words(self, incidents: int) -> str:
        """Return the totals in words."""
        listed = [text.quantity(count, message(channel)) for channel, count in self.messages.items()]
        total = f"{self.name} gets {', '.join(listed) or 'no message'}; told of {self.told} of {incidents}"
        if self.first_told_after_s is None or self.last_told_after_s is None:
            return total
        first, last = span(self.first_told_after_s), span(self.last_told_after_s)
        return f"{total}, of the first after {first}, of the last after {last}"


class StormDocument(Document):
    """A storm: many incidents at once for the same people. Durations count from its beginning, in virtual seconds."""

    incidents: int
    recipients: list[StormRecipientDocument]
    messages: list[StormMessageDocument]

    @classmethod
    def of_incidents(cls, statuses: Sequence[IncidentStatus], answering: Answering) -> Self:
        """Build it from the rows of its incidents."""
        start = min(each.facts.opened_at for each in statuses)
        people = {each.recipient_id: each.contact.name for status in statuses for each in status.escalations}
        sent = list(_messages(statuses, answering, start))
        told = _told(statuses, answering.calling, start)
        return cls(
            incidents=len(statuses),
            recipients=[
                StormRecipientDocument(
                    recipient=who,
                    name=name,
                    messages=Counter(each.channel for each in sent if each.recipient == who),
                    told=len(told[who]),
                    first_told_after_s=min(told[who], default=None),
                    last_told_after_s=max(told[who], default=None),
                )
                for who, name in people.items()
            ],
            messages=sorted(sent, key=lambda each: each.after_s),
        )

    def lines(self) -> Iterator[str]:
        """Yield the messages, then what each recipient gets."""
        names = {each.recipient: each.name for each in self.recipients}
        if self.messages:
            yield f"  the messages about all {self.incidents}:"
        for sent in self.messages:
            yield f"  {f'+ {span(sent.after_s)}':<12} {MARKS[Tone.GOOD]} {sent.words(names[sent.recipient])}"
        yield from (f"  {MARKS[Tone.PLAIN]} {each.words(self.incidents)}" for each in self.recipients)


def _messages(statuses: Sequence[IncidentStatus], answering: Answering, start: datetime) -> Iterator[StormMessageDocument]:
    carried: dict[tuple[str, str, str], list[tuple[EscalationStatus, AttemptFacts]]] = defaultdict(list)
    for escalation, row, attempt in _attempts(statuses):
        is_seen = rang(attempt) if row.channel in answering.calling else _is_told(attempt)
        if is_seen:
            carried[escalation.recipient_id, row.channel, attempt.sent_with or attempt.id].append((escalation, attempt))
    for (who, channel, _), pages in carried.items():
        escalation, first = pages[0]
        attempts = [attempt for _, attempt in pages]
        is_critical = escalation.facts.severity is Severity.CRITICAL
        answers = answering.answers(channel, first.provider, attempts, is_critical=is_critical)
        yield StormMessageDocument(
            recipient=who,
            channel=channel,
            provider=first.provider,
            after_s=(first.started_at - start).total_seconds(),
            incidents=len(attempts),
            named=sum(each.is_named for each in attempts),
            answers=[AnswerDocument(by=by, incidents=count) for by, count in answers.items()],
        )


def _told(statuses: Sequence[IncidentStatus], calling: Collection[str], start: datetime) -> Mapping[str, Sequence[float]]:
    """Return for each recipient when they were first told of each incident; without those of which they were not."""
    first: dict[tuple[str, str], float] = {}
    for escalation, row, attempt in _attempts(statuses):
        if attempt.result is Result.DELIVERED if row.channel in calling else _is_told(attempt):
            key, after_s = (escalation.recipient_id, row.incident_id), (attempt.started_at - start).total_seconds()
            first[key] = min(first.get(key, after_s), after_s)
    found: dict[str, list[float]] = defaultdict(list)
    for (who, _), after_s in first.items():
        found[who].append(after_s)
    return found


def _attempts(statuses: Sequence[IncidentStatus]) -> Iterator[tuple[EscalationStatus, NotificationFacts, AttemptFacts]]:
    for status in statuses:
        for escalation in status.escalations:
            for row in escalation.notifications:
                yield from ((escalation, row, each) for each in counted(row) if row.kind is Kind.PAGE)


def _is_told(attempt: AttemptFacts) -> bool:
    return attempt.result in (Result.ACCEPTED, Result.DELIVERED)
