"""The values of one incident's page: its recipients, round by round and tier by tier, in plain words.

It reads no rows and renders nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice

from notifyflow.core import text
from notifyflow.core.delivery import tier_rules
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, NotificationFacts, Transition
from notifyflow.core.delivery.lifecycle import counted, was_accepted
from notifyflow.core.delivery.model import (
    IN_PROGRESS,
    AttemptState,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
)
from notifyflow.core.delivery.policy import Failed, OpeningRule, Tier, opening_rules
from notifyflow.core.insight import told
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.insight.next_events import NextEvent, NextEvents
from notifyflow.core.insight.next_words import sentence, sentences
from notifyflow.core.insight.timeline import Explain
from notifyflow.core.insight.timeline_words import HOW
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.messages import failures
from notifyflow.core.messages.evidence import VOUCHERS
from notifyflow.core.messages.looks import ESCALATIONS, NOTIFICATIONS, StateLook, Tone
from notifyflow.core.messages.ways import message, messages

Brief = Callable[[datetime], str]
"""Writes a time."""

_REASONS: Mapping[str, str] = {
    "failed": "since the pages before it failed",
    "unacknowledged": "since nobody acknowledged in time",
    "no_address": "since there is no address for the tier before it",
    "shut": "since the tier before it is not used for this severity",
}
_RESULTS: Mapping[Result, tuple[str, Tone]] = {
    Result.IN_DOUBT: ("in doubt", Tone.UNSURE),
    Result.ACCEPTED: ("accepted", Tone.GOOD),
    Result.TEMPORARY_FAILURE: ("failed for now", Tone.BAD),
    Result.DELIVERED: ("delivered", Tone.GOOD),
    Result.PERMANENT_FAILURE: ("failed for good", Tone.BAD),
}
_ENDINGS = frozenset({"acknowledged", "resolved", "replaced"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt.

    Attributes:
        facts: The attempt.
        result: Its result in a word or two.
        tone: The tone of the result.
        details: Further facts about it.
    """

    facts: AttemptFacts
    result: str
    tone: Tone
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationView:
    """One notification.

    Attributes:
        facts: The notification.
        look: The look of its state.
        address: Its address, masked.
        because: Why it is in its state; may be empty.
        attempts: Its attempts, by number.
        coming: Its next events, while it is in progress.
    """

    facts: NotificationFacts
    look: StateLook
    address: str
    because: str
    attempts: tuple[AttemptView, ...]
    coming: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierView:
    """One tier of a round.

    Attributes:
        number: Its number, from 1; 0 for wished pages that belong to no tier.
        name: Its name.
        channels: Its channels.
        is_open: Whether it was opened.
        standing: Why it is open, or when it opens.
        notifications: Its pages.
    """

    number: int
    name: str
    channels: tuple[str, ...]
    is_open: bool
    standing: str
    notifications: tuple[NotificationView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundView:
    """One recipient in one round.

    Attributes:
        facts: The escalation.
        look: The look of its state.
        summary: Its state, in a sentence.
        tiers: The tiers of its policy.
        updates: The status updates.
        coming: Its next events, or why there are none.
        damaged: The rows of it that are damaged and not shown.
    """

    facts: EscalationFacts
    look: StateLook
    summary: str
    tiers: tuple[TierView, ...]
    updates: tuple[NotificationView, ...]
    coming: tuple[str, ...]
    damaged: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientView:
    """One recipient, with the newest round first.

    Attributes:
        id: The recipient's id.
        name: The recipient's name.
        rounds: The rounds; there is at least one.
    """

    id: str
    name: str
    rounds: tuple[RoundView, ...]


class Describer:
    """Describes one incident.

    Args:
        status: The incident.
        next_events: Its next events.
        brief: Writes a time.
        explain: Returns the meaning of a code from the tables of a channel.
    """

    def __init__(self, status: IncidentStatus, next_events: NextEvents, *, brief: Brief, explain: Explain) -> None:
        self._status = status
        self._next_events = next_events
        self._brief = brief
        self._explain = explain
        self._lines: dict[str, list[Transition]] = defaultdict(list)
        for line in status.transitions:
            self._lines[line.row_id].append(line)
        self._by_recipient: dict[str, list[EscalationStatus]] = defaultdict(list)
        for each in status.escalations:
            self._by_recipient[each.contact.recipient_id].append(each)

    @property
    def count(self) -> int:
        """The number of recipients."""
        return len(self._by_recipient)

    def recipients(self, *, most: int, after: int = 0) -> tuple[RecipientView, ...]:
        """Describe some recipients, in the order in which they were added: ``most`` of them, after the first ``after``."""
        return tuple(
            RecipientView(id=recipient_id, name=rounds[0].contact.name, rounds=tuple(map(self._round, reversed(rounds))))
            for recipient_id, rounds in islice(self._by_recipient.items(), after, after + most)
        )

    def _round(self, escalation: EscalationStatus) -> RoundView:
        facts = escalation.facts
        updates = [row for row in escalation.notifications if row.kind is not Kind.PAGE]
        return RoundView(
            facts=facts,
            look=ESCALATIONS[facts.state],
            summary=self._summary(escalation),
            tiers=(
                *self._wished(escalation),
                *(self._tier(escalation, number, tier) for number, tier in enumerate(facts.policy.tiers, start=1)),
            ),
            updates=tuple(self._notification(escalation, row) for row in updates),
            coming=self._next(facts) or self._ended(facts),
            damaged=tuple(each for each in self._status.damaged if each.escalation_id == facts.id),
        )

    def _next(self, facts: EscalationFacts) -> tuple[str, ...]:
        coming, told_so = self._next_events.escalations.get(facts.id, ()), told.of_one(self._status, facts, brief=self._brief)
        return sentences(
            coming,
            facts,
            told=told_so,
            is_too_late=facts.id in self._next_events.too_late,
            now=self._next_events.now,
            brief=self._brief,
        )

    def _summary(self, escalation: EscalationStatus) -> str:
        facts = escalation.facts
        pages = [row for row in escalation.notifications if row.kind is Kind.PAGE]
        sent = messages([row.channel for row in pages if was_accepted(row)])
        failed = messages([row.channel for row in pages if row.state is NotificationState.FAILED])
        parts = []
        if facts.reason:
            parts.append(facts.reason)
        if sent:
            parts.append(f"{sent} went out")
        elif pages:
            parts.append("nothing has been sent yet" if any(row.state in IN_PROGRESS for row in pages) else "nothing was sent")
        if failed:
            parts.append(f"{failed} failed")
        if facts.held_up_at is not None:
            parts.append(f"every way left was held up at {self._brief(facts.held_up_at)}")
        if facts.critical_at is not None:
            why = failures.critical_failure(escalation.critical_reason)
            parts.append(f"since {self._brief(facts.critical_at)} a {why}")
        return "; ".join(parts) or "it has no pages"

    def _ended(self, facts: EscalationFacts) -> tuple[str, ...]:
        """Return why an escalation has no next events, if a person or a newer round has ended it."""
        line = next((each for each in reversed(self._lines[facts.id]) if each.event in _ENDINGS), None)
        if line is None:
            return ()
        who, at = self._status.name_of(line.detail.get("by", "")) or "somebody", self._brief(line.at)
        how = way(line.detail.get("via", ""))
        match line.event:
            case "acknowledged":
                return (f"nothing more: {who} acknowledged it{how} at {at}",)
            case "resolved":
                return (f"nothing more: {who} resolved it{how} at {at}",)
            case _:
                return (f"nothing more: a newer round replaced this one at {at}",)

    def _wished(self, escalation: EscalationStatus) -> Iterator[TierView]:
        """Yield the wished pages that belong to no tier."""
        rows = [row for row in escalation.notifications if row.tier == 0 and row.kind is Kind.PAGE]
        if rows:
            yield TierView(
                number=0,
                name="as wished",
                channels=tuple(row.channel for row in rows),
                is_open=True,
                standing=f"sent from {self._brief(min(row.created_at for row in rows))} on; no tier waits for them",
                notifications=tuple(self._notification(escalation, row) for row in rows),
            )

    def _tier(self, escalation: EscalationStatus, number: int, tier: Tier) -> TierView:
        rows = [row for row in escalation.notifications if row.tier == number and row.kind is Kind.PAGE]
        is_open = bool(rows)
        return TierView(
            number=number,
            name=tier.name,
            channels=tier.channels,
            is_open=is_open,
            standing=self._opened(escalation.facts, number, rows) if is_open else self._shut(escalation, number, tier),
            notifications=tuple(self._notification(escalation, row) for row in rows),
        )

    def _opened(self, facts: EscalationFacts, number: int, rows: Sequence[NotificationFacts]) -> str:
        lines = (line for line in self._lines[facts.id] if line.event == "tier_opened")
        line = next((each for each in lines if each.detail.get("tier") == str(number)), None)
        at = min(row.created_at for row in rows) if line is None else line.at
        detail = {} if line is None else line.detail
        adopted = [f"the {message(channel)} from the start" for channel in detail.get("adopted", "").split()]
        counts = f"{text.listed(adopted)} {'counts' if len(adopted) == 1 else 'count'} for it" if adopted else ""
        opened = " ".join(filter(None, (f"opened at {self._brief(at)}", _REASONS.get(detail.get("why", ""), ""))))
        return "; ".join(filter(None, (opened, counts)))

    def _shut(self, escalation: EscalationStatus, number: int, tier: Tier) -> str:
        facts = escalation.facts
        if facts.severity in tier.shut_for:
            return f"not used for {facts.severity}"
        if not set(tier.channels) & set(escalation.contact.addresses):
            return "no address"
        if (
            not facts.is_current
            or facts.state is EscalationState.ACKNOWLEDGED
            or self._status.facts.state is not IncidentState.OPEN
        ):
            return "was not needed"
        if number <= facts.tier:
            return "no page"
        if facts.id in self._next_events.too_late:
            return "opens no more: the pages before it are too old"
        ways = len(set(facts.policy.tiers[number - 2].channels) & set(escalation.contact.addresses))
        ahead = tier_rules.leading(facts.policy.tiers[number - 1 :], partial(_pages, escalation))
        return "opens if " + " or ".join(_condition(rule, ways) for rule in opening_rules(ahead))

    def _notification(self, escalation: EscalationStatus, row: NotificationFacts) -> NotificationView:
        address = escalation.contact.addresses.get(row.channel, "")
        is_waiting = row.state in IN_PROGRESS
        found = self._next_events.escalations.get(escalation.facts.id, ()) if is_waiting else ()
        coming = [each for each in found if each.notification_id == row.id]
        return NotificationView(
            facts=row,
            look=NOTIFICATIONS[row.state],
            address=text.masked(address) if address else "no address",
            because=self._because(row),
            attempts=tuple(self._attempt(row, each) for each in row.attempts),
            coming=tuple(self._sentence(each) for each in coming),
        )

    def _sentence(self, event: NextEvent) -> str:
        return sentence(event, now=self._next_events.now, brief=self._brief)

    def _because(self, row: NotificationFacts) -> str:
        """Return why a notification is in its state, by its latest attempt."""
        latest = counted(row)[-1:]
        if not latest:
            return row.reason or ("was not sent" if row.state is NotificationState.CANCELLED else "")
        last = latest[0]
        match row.state:
            case NotificationState.SENT | NotificationState.DELIVERED:
                return _vouched(last.evidence) if last.evidence else ""
            case NotificationState.SENDING:
                return f"being sent over {last.provider}"
            case _:
                reason = self._reason(row, last)
                return f"{row.reason}; the last attempt: {reason}" if row.ended and reason else reason or row.reason

    def _attempt(self, row: NotificationFacts, attempt: AttemptFacts) -> AttemptView:
        if attempt.state is AttemptState.NOT_SENT:
            return AttemptView(facts=attempt, result="not sent", tone=Tone.PLAIN, details=())
        if attempt.result is None:
            until = f"counts as in doubt at {self._brief(attempt.lease_until)} unless its result is recorded"
            return AttemptView(facts=attempt, result="running", tone=Tone.UNSURE, details=(until,))
        result, tone = _RESULTS[attempt.result]
        return AttemptView(facts=attempt, result=result, tone=tone, details=tuple(self._details(row, attempt)))

    def _details(self, row: NotificationFacts, attempt: AttemptFacts) -> Iterator[str]:
        if reason := self._reason(row, attempt):
            yield reason
        if attempt.evidence is not None:
            yield _vouched(attempt.evidence)
        yield from (words for words, holds in self._remarks(attempt) if holds)
        for note in self._status.notes:
            if note.attempt_id == attempt.id:
                yield f"noted at {self._brief(note.received_at)}: {_coded(note.code, note.reason)}"
        if attempt.ended_at is not None:
            yield f"took {(attempt.ended_at - attempt.started_at).total_seconds():.1f} s"

    def _remarks(self, attempt: AttemptFacts) -> Iterator[tuple[str, bool]]:
        awaited_at = attempt.receipt_due_at if attempt.result is Result.ACCEPTED else None
        yield "" if awaited_at is None else f"a receipt is due by {self._brief(awaited_at)}", awaited_at is not None
        yield "in one message with others", attempt.sent_with is not None
        yield "was in doubt", attempt.is_doubted and attempt.result is not Result.IN_DOUBT
        yield "the provider refuses us, not the recipient", attempt.is_our_fault
        yield f"the provider asked to wait {attempt.retry_after_s or 0:g} s", attempt.retry_after_s is not None

    def _reason(self, row: NotificationFacts, attempt: AttemptFacts) -> str:
        """Return the meaning of an attempt's code; empty if it has none."""
        return _coded(attempt.code, attempt.reason or (self._explain(row.channel, attempt.code) if attempt.code else ""))


def way(via: str) -> str:
    """Return how somebody did something, after a blank; empty if it is unknown."""
    return f" {HOW.get(via, f'through {via}')}" if via else ""


def _vouched(evidence: Evidence) -> str:
    """Return the source of a result: ``confirmed by the carrier``."""
    how = "accepted" if evidence is Evidence.ACCEPTED else "confirmed"
    return f"{how} by {VOUCHERS[evidence]}"


def _coded(code: str, meaning: str) -> str:
    return f"{code}: {meaning}" if code and meaning else code or meaning


def _pages(escalation: EscalationStatus, tier: Tier) -> bool:
    """Return whether a tier pages the recipient."""
    is_shut = escalation.facts.severity in tier.shut_for
    return not is_shut and not escalation.contact.addresses.keys().isdisjoint(tier.channels)


def _condition(rule: OpeningRule, ways: int) -> str:
    """Return when a rule opens a tier, if the tier before has that many ways; more than these cannot fail."""
    if isinstance(rule, Failed):
        needed = min(rule.at_least, ways)
        return f"{needed} fail" if needed > 1 else "one fails"
    return f"nobody acknowledges within {text.duration(rule.after)} of the start"
