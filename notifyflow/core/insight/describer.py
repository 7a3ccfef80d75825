"""Describes one incident for its page and the terminal: its recipients, round by round and tier by tier, in plain words; pure.

Pages and the terminal only draw what stands here.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice

from notifyflow.core import text
from notifyflow.core.delivery import tier_rules
from notifyflow.core.delivery.attempts import was_accepted
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts, Transition
from notifyflow.core.delivery.model import IN_PROGRESS, EscalationState, IncidentState, Kind, NotificationState
from notifyflow.core.delivery.policy import Failed, OpeningRule, Tier, opening_rules
from notifyflow.core.insight import silence_words, told
from notifyflow.core.insight.attempt_words import AttemptView, AttemptWords, Brief
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.next_words import sentence, sentences
from notifyflow.core.insight.series_words import firings
from notifyflow.core.insight.timeline import Explain
from notifyflow.core.insight.timeline_words import how
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.messages import failures
from notifyflow.core.messages.looks import ESCALATIONS, NOTIFICATIONS, StateLook
from notifyflow.core.messages.ways import message, messages, way

_REASONS: Mapping[str, str] = {
    "failed": "since the pages before it failed",
    "unacknowledged": "since nobody acknowledged in time",
    "no_address": "since there is no address for the tier before it",
    "shut": "since the tier before it is not used for this severity",
}
_ENDINGS = frozenset({"acknowledged", "resolved", "replaced"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationView:
    """One notification.

    Attributes:
        facts: The notification.
        look: The look of its state.
        name: Its way, and its kind unless it is a page of a tier; of an incident event, the subscriber.
        address: Its address, masked; empty for an incident event.
        because: Why it is in its state; may be empty.
        line: How it went, in a line.
        last_at: When it was queued, or last tried.
        attempts: Its attempts, by number.
        coming: Its next events, while it is in progress.
    """

    facts: NotificationFacts
    look: StateLook
    name: str
    address: str
    because: str
    line: str
    last_at: datetime
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
        status_text: Why it is open, or when it opens.
        notifications: Its pages.
    """

    number: int
    name: str
    channels: tuple[str, ...]
    is_open: bool
    status_text: str
    notifications: tuple[NotificationView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundView:
    """One recipient in one round.

    Attributes:
        facts: The escalation.
        look: The look of its state.
        summary: What was sent and what failed, in a sentence, with the remarks.
        remarks: Why nothing could be sent, and since when all is held up or failed.
        tiers: The tiers of its policy.
        updates: The status updates.
        coming: Its next events, or why there are none.
        damaged: The rows of it that are damaged and not shown.
    """

    facts: EscalationFacts
    look: StateLook
    summary: str
    remarks: tuple[str, ...]
    tiers: tuple[TierView, ...]
    updates: tuple[NotificationView, ...]
    coming: tuple[str, ...]
    damaged: tuple[LeftOut, ...]

    @property
    def notifications(self) -> tuple[NotificationView, ...]:
        """Its pages, by tier, and its status updates."""
        return (*(page for tier in self.tiers for page in tier.notifications), *self.updates)


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
        next_events: Its next events; None describes none.
        brief: Writes a time.
        explain: Returns the meaning of a code from the tables of a channel.
    """

    def __init__(self, status: IncidentStatus, next_events: NextEvents | None, *, brief: Brief, explain: Explain) -> None:
        self._status = status
        self._next_events = next_events
        self._brief = brief
        self._words = AttemptWords(brief=brief, explain=explain, notes=status.notes, others=status.others)
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
            RecipientView(id=recipient_id, name=rounds[0].contact.name, rounds=tuple(map(self.round, reversed(rounds))))
            for recipient_id, rounds in islice(self._by_recipient.items(), after, after + most)
        )

    @property
    def incident_events(self) -> tuple[NotificationView, ...]:
        """What other systems are told of the incident."""
        return tuple(self._notification(None, row) for row in self._status.incident_events)

    def round(self, escalation: EscalationStatus) -> RoundView:
        """Describe one recipient in one round."""
        facts, remarks = escalation.facts, tuple(self._remarks(escalation))
        updates = [row for row in escalation.notifications if row.kind is not Kind.PAGE]
        return RoundView(
            facts=facts,
            look=ESCALATIONS[facts.state],
            summary="; ".join((*self._summary(escalation), *remarks)) or "it has no pages",
            remarks=remarks,
            tiers=(
                *self._wished(escalation),
                *(self._tier(escalation, number, tier) for number, tier in enumerate(facts.policy.tiers, start=1)),
            ),
            updates=tuple(self._notification(escalation, row) for row in updates),
            coming=self._next(facts) or self._ended(facts),
            damaged=tuple(each for each in self._status.damaged if each.escalation_id == facts.id),
        )

    def _next(self, facts: EscalationFacts) -> tuple[str, ...]:
        if (next_events := self._next_events) is None:
            return ()
        coming, told_so = next_events.escalations.get(facts.id, ()), told.of_one(self._status, facts, brief=self._brief)
        is_too_late = facts.id in next_events.too_late
        return sentences(coming, facts, told=told_so, is_too_late=is_too_late, now=next_events.now, brief=self._brief)

    def _summary(self, escalation: EscalationStatus) -> Iterator[str]:
        pages = [row for row in escalation.notifications if row.kind is Kind.PAGE]
        sent = messages([row.channel for row in pages if was_accepted(row)])
        failed = messages([row.channel for row in pages if row.state is NotificationState.FAILED])
        if sent:
            yield f"{sent} went out"
        elif pages:
            yield "nothing has been sent yet" if any(row.state in IN_PROGRESS for row in pages) else "nothing was sent"
        if failed:
            yield f"{failed} failed"

    def _remarks(self, escalation: EscalationStatus) -> Iterator[str]:
        facts = escalation.facts
        if facts.reason:
            yield facts.reason
        if facts.held_up_at is not None:
            yield f"every way left was held up at {self._brief(facts.held_up_at)}"
        if facts.critical_at is not None:
            yield f"since {self._brief(facts.critical_at)} a {failures.critical_failure(escalation.critical_reason)}"

    def _ended(self, facts: EscalationFacts) -> tuple[str, ...]:
        """Return why an escalation has no next events, if a person or a newer round has ended it."""
        line = next((each for each in reversed(self._lines[facts.id]) if each.event in _ENDINGS), None)
        if line is None:
            return ()
        who, at = self._status.name_of(line.detail.get("by", "")) or "somebody", self._brief(line.at)
        via = how(line.detail.get("via", ""))
        match line.event:
            case "acknowledged":
                return (f"nothing more: {who} acknowledged it{via} at {at}",)
            case "resolved":
                return (f"nothing more: {who} resolved it{via} at {at}",)
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
                status_text=f"sent from {self._brief(min(row.created_at for row in rows))} on; no tier waits for them",
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
            status_text=self._opened(escalation.facts, number, rows) if is_open else self._shut(escalation, number, tier),
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
        if self._next_events is not None and facts.id in self._next_events.too_late:
            return "opens no more: the pages before it are too old"
        ways = len(set(facts.policy.tiers[number - 2].channels) & set(escalation.contact.addresses))
        ahead = tier_rules.leading(facts.policy.tiers[number - 1 :], partial(_pages, escalation))
        return "opens if " + " or ".join(_condition(rule, ways) for rule in opening_rules(ahead))

    def _notification(self, escalation: EscalationStatus | None, row: NotificationFacts) -> NotificationView:
        """Describe a notification; the events for other systems belong to no escalation."""
        address = escalation.contact.addresses.get(row.channel, "") if escalation else ""
        return NotificationView(
            facts=row,
            look=NOTIFICATIONS[row.state],
            name=_name(row),
            address="" if escalation is None else text.masked(address) if address else "no address",
            because=self._words.because(row),
            line=self._words.line(row, is_reached=escalation is not None and escalation.facts.state is EscalationState.REACHED),
            last_at=max([row.created_at, *(each.ended_at or each.started_at for each in row.attempts)]),
            attempts=tuple(self._words.attempt(row, each) for each in row.attempts),
            coming=() if escalation is None else tuple(self._coming(escalation.facts.id, row)),
        )

    def _coming(self, escalation_id: str, row: NotificationFacts) -> Iterator[str]:
        if self._next_events is not None and row.state in IN_PROGRESS:
            for each in self._next_events.escalations.get(escalation_id, ()):
                if each.notification_id == row.id:
                    yield sentence(each, now=self._next_events.now, brief=self._brief)


def head(status: IncidentStatus, times: Times) -> tuple[tuple[str, str], ...]:
    """Return what stands above the recipients of an incident: terms and texts."""
    facts = status.facts
    rows = [("Opened", times.full(facts.opened_at))]
    if facts.times_seen > 1:
        rows.append(("Came again", f"{facts.times_seen - 1:,} times, last at {times.brief(facts.last_seen_at)}"))
    if series := firings(facts):
        rows.append(("Series", series))
    if facts.acknowledged_at is not None:
        at = times.brief(facts.acknowledged_at)
        rows.append(("Acknowledged", _by(status, facts.acknowledged_by, facts.acknowledged_via, at)))
    if facts.resolved_at is not None:
        lines = (line for line in reversed(status.transitions) if (line.row_id, line.event) == (facts.id, "resolved"))
        via = next((line.detail.get("via", "") for line in lines), "")
        rows.append(("Resolved", _by(status, facts.resolved_by, via, times.brief(facts.resolved_at))))
    rows += [("Silenced", silence_words.of_incident(each, at=times.brief)) for each in status.silences]
    rows += [("Key", facts.key), ("Policy", facts.policy.name)]
    more = (("Namespace", facts.namespace), ("Source", status.content.source or ""))
    return (*rows, *((name, value) for name, value in more if value))


def _by(status: IncidentStatus, who: str, via: str, at: str) -> str:
    return f"by {status.name_of(who) or 'notifyflow'}{how(via)} at {at}"


def _name(row: NotificationFacts) -> str:
    if row.incident_event is not None:
        return f"{row.incident_event.subscriber} ({row.incident_event.event})"
    if row.kind is Kind.PAGE:
        return way(row.channel) if row.tier else f"{way(row.channel)} (as wished)"
    return f"{way(row.channel)} (status update)"


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
