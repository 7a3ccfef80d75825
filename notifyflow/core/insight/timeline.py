"""The history of an incident, line by line, from its transition log and its rows; pure.

``timeline_words`` says each entry in a sentence. Nothing is decided here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.copies import replace
from notifyflow.core.delivery.attempts import was_accepted
from notifyflow.core.delivery.facts import NotificationFacts, StepFacts, Transition
from notifyflow.core.delivery.model import DeferralReason, EscalationState, Kind, NotificationState, Severity
from notifyflow.core.delivery.policy import Failed
from notifyflow.core.insight.chain_steps import Because, because
from notifyflow.core.insight.views import EscalationStatus, IncidentSilence, IncidentStatus, Note
from notifyflow.core.messages.looks import Tone

NOTED = "noted"
CRITICAL = "became_critical"
ALERTED = "operations_alerted"
HELD_UP = "held_up"
UNTOLD = "operations_to_be_told"
UNHEARD = "operations_missing"
SILENCED = "silenced"

Explain = Callable[[str, str], str]
"""Returns the meaning of a code from the tables of a channel; empty if no table has it."""


@dataclass(frozen=True, kw_only=True)
class TimelineEntry:
    """One event in the history; fields without a value are empty.

    Attributes:
        machine: The kind of its row: ``incident``, ``escalation``, ``notification`` or ``step``.
        event: The machine's event; or ``noted``, ``became_critical``, ``held_up``; ``operations_alerted`` when operations was
            told, ``operations_to_be_told`` while it was not, ``operations_missing`` where it has no recipients; or ``silenced``.
            No state changes.
        state: The state after it; empty for these.
        tone: Whether it is good news.
        is_minor: Whether it is only the cause or the consequence of another entry.
        recipient_id: The recipient; None if it concerns all, or a subscriber.
        severity: The severity from now on, if an incident is opened or its severity raised.
        tier: The name of the tier.
        channels: The channels on which pages are queued with it: those of a tier, or those that replace a failed one.
        accepted: Those of them on which a provider accepted the page, by now.
        adopted: The channels whose pages from the start of the round count for the tier from now on.
        why: Why the tier opened.
        failed: How many pages of the tier before had failed.
        suspected: How many more counted as failed.
        pages: How many pages the tier before had.
        channel: The notification's channel.
        kind: The notification's kind.
        subscriber: The subscriber of an incident event.
        provider: The attempt's provider, or the one that defers it.
        attempt: The attempt's number.
        code: The provider's code or status.
        reason: What the code means, or why a notification was ended; nothing personal.
        is_our_fault: Whether the provider refused *us*.
        others: How many other pages the attempt's call carries, in a bundle.
        is_named: Whether the message names the incident; False if it only counts it among the others.
        is_repeated: Whether the attempt follows one in doubt, so that the message may arrive twice.
        is_halved: Whether the attempt's message of several leaves again in two halves, since its content was refused.
        because: Why the step began.
        before: The ids of the people that the step before paged.
        by: Who did it: a recipient's id, or any other name.
        via: How: a ``Via``, or the channel of a reply.
    """

    at: datetime
    machine: str
    event: str
    row_id: str
    state: str = ""
    tone: Tone = Tone.PLAIN
    is_minor: bool = False
    recipient_id: str | None = None
    severity: Severity | None = None
    round: int | None = None
    tier: str = ""
    channels: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    why: str = ""
    failed: int = 0
    suspected: int = 0
    pages: int = 0
    channel: str = ""
    kind: Kind | None = None
    subscriber: str = ""
    incident_event: str = ""
    provider: str = ""
    attempt: int | None = None
    code: str = ""
    reason: str = ""
    is_our_fault: bool = False
    others: int = 0
    is_named: bool = True
    is_repeated: bool = False
    is_halved: bool = False
    deferred_by: DeferralReason | None = None
    until: datetime | None = None
    step: StepFacts | None = None
    because: Because | None = None
    before: tuple[str, ...] = ()
    by: str = ""
    via: str = ""


_TONES: Mapping[tuple[str, str], Tone] = {
    ("incident", "severity_raised"): Tone.BAD,
    ("incident", "acknowledged"): Tone.GOOD,
    ("incident", "resolved"): Tone.GOOD,
    ("step", "step_due"): Tone.UNSURE,
    ("step", "chain_over"): Tone.BAD,
    ("escalation", "tier_opened"): Tone.UNSURE,
    ("escalation", "round_due"): Tone.UNSURE,
    ("notification", "deferred"): Tone.UNSURE,
    ("notification", "refused"): Tone.UNSURE,
    ("notification", "doubted"): Tone.UNSURE,
    ("notification", "lease_expired"): Tone.UNSURE,
    ("notification", "temporary_failure_reported"): Tone.UNSURE,
    ("notification", "permanent_failure_reported"): Tone.UNSURE,
}
_TONES_OF_STATES: Mapping[str, Tone] = {
    EscalationState.REACHED: Tone.GOOD,
    EscalationState.EXHAUSTED: Tone.BAD,
    NotificationState.SENT: Tone.GOOD,
    NotificationState.DELIVERED: Tone.GOOD,
    NotificationState.FAILED: Tone.BAD,
}
_STOPS = frozenset({"acknowledged", "resolved", "replaced"})
_SEVERE = frozenset({"opened", "severity_raised"})


def timeline(status: IncidentStatus, *, explain: Explain) -> tuple[TimelineEntry, ...]:
    """Return the history of an incident, by time.

    Each line of the transition log is an entry, and so is each note of a provider, each critical failure, each alert and each
    silence.

    Args:
        status: The incident.
        explain: Returns the meaning of codes that were stored without one.
    """
    return tuple(sorted(_LogReader(status, explain).entries(), key=lambda each: each.at))


class _LogReader:
    """Reads an incident's log from the beginning, and remembers the state of each row so far."""

    def __init__(self, status: IncidentStatus, explain: Explain) -> None:
        self._status = status
        self._explain = explain
        self._escalations = {each.facts.id: each for each in status.escalations}
        self._recipients = {row.id: each.facts.recipient_id for each in status.escalations for row in each.notifications}
        paged = [row for each in status.escalations for row in each.notifications]
        self._rows = {row.id: row for row in (*paged, *status.incident_events)}
        self._attempts = {attempt.id: (row, attempt) for row in self._rows.values() for attempt in row.attempts}
        self._others = status.others
        self._steps = {each.id: each for each in status.steps}
        self._paged = {(each.run_number, each.number): each.paged for each in status.steps}
        self._because = because(status.transitions, status.steps)
        self._states: dict[str, str] = {}
        self._instead: dict[tuple[str, datetime], tuple[NotificationFacts, ...]] = defaultdict(tuple)
        for line in status.transitions:
            if line.detail.get("why") == "failed":
                self._instead[line.row_id, line.at] += self._queued(line, int(line.detail["tier"]))

    def entries(self) -> Iterator[TimelineEntry]:
        """Yield the entries in the order of the log; then the notes, and the alerts."""
        tell = {
            "incident": self._of_incident,
            "escalation": self._of_escalation,
            "notification": self._of_notification,
            "step": self._of_step,
        }
        for line in self._status.transitions:
            self._states[line.row_id] = line.target
            yield tell[line.machine](line)
        for note in self._status.notes:
            yield self._of_note(note)
        for each in self._status.escalations:
            yield from _alerts(self._status, each)
        for silence in self._status.silences:
            yield _silenced(self._status, silence)

    def _of_incident(self, line: Transition) -> TimelineEntry:
        severity = self._severity_at(line.at) if line.event in _SEVERE else None
        is_minor = line.event == "step_due"  # the step's entry says it
        return replace(_entry(line), recipient_id=line.detail.get("recipient"), severity=severity, is_minor=is_minor)

    def _severity_at(self, at: datetime) -> Severity:
        """Return the severity of the first round from an instant on."""
        rounds = sorted((each.facts for each in self._status.escalations), key=lambda facts: facts.started_at)
        return next((facts.severity for facts in rounds if facts.started_at >= at), self._status.facts.severity)

    def _of_escalation(self, line: Transition) -> TimelineEntry:
        escalation, number = self._escalations[line.row_id], int(line.detail.get("tier") or 0)
        facts = escalation.facts
        entry = replace(_entry(line), recipient_id=facts.recipient_id, round=facts.round)
        if number:
            entry = replace(entry, tier=facts.policy.tiers[number - 1].name)
        if line.event == "started":
            return replace(entry, channels=_channels(self._queued(line)), reason=facts.reason)
        if line.event == "tier_opened":
            adopted = tuple(line.detail.get("adopted", "").split())
            entry = replace(entry, channels=_channels(self._queued(line, number)), adopted=adopted)
            return self._with_failures(entry, escalation, number)
        is_resumed = line.target == EscalationState.ACTIVE and line.event != "round_due"
        return replace(entry, is_minor=is_resumed or line.event in _STOPS)

    def _queued(self, line: Transition, tier: int | None = None) -> tuple[NotificationFacts, ...]:
        """Return the pages that are queued at the instant of a line: in a tier, or in all."""
        rows = (row for row in self._escalations[line.row_id].notifications if row.kind is Kind.PAGE)
        return tuple(row for row in rows if tier in (None, row.tier) and row.created_at == line.at)

    def _with_failures(self, entry: TimelineEntry, escalation: EscalationStatus, number: int) -> TimelineEntry:
        """Add how many pages of the tier before have failed by now, and how many more must have counted as failed."""
        before = [row for row in escalation.notifications if row.tier == number - 1 and row.id in self._states]
        failed = sum(self._states[row.id] == NotificationState.FAILED for row in before)
        rules = [rule for rule in escalation.facts.policy.tiers[number - 1].rules if isinstance(rule, Failed)]
        needed = min(min((rule.at_least for rule in rules), default=0), len(before))
        return replace(entry, failed=failed, suspected=max(0, needed - failed), pages=len(before))

    def _of_step(self, line: Transition) -> TimelineEntry:
        step = self._steps[line.row_id]
        return replace(
            _entry(line),
            step=step,
            because=self._because.get(step.id),
            before=self._paged.get((step.run_number, step.number - 1), ()),
            reason=line.detail.get("reason", ""),
            is_minor=line.event in (*_STOPS, "planned") or step.number == 1,
        )

    def _of_notification(self, line: Transition) -> TimelineEntry:
        row, detail = self._rows[line.row_id], line.detail
        entry = replace(self._about(row, _entry(line)), code=detail.get("code", ""), reason=detail.get("reason", ""))
        if line.event == "deferred":
            why, until = DeferralReason(detail["why"]), datetime.fromisoformat(detail["until"])
            return replace(entry, why="", deferred_by=why, until=until, provider=detail["provider"])
        if line.event == "postponed":
            return replace(entry, until=datetime.fromisoformat(detail["until"]))
        if "attempt" in detail:
            entry = self._of_attempt(detail["attempt"], entry)
        if line.target == NotificationState.FAILED:
            instead = self._instead.get((row.escalation_id, line.at), ())
            entry = replace(entry, channels=_channels(instead), accepted=_channels(filter(was_accepted, instead)))
        is_minor = line.event in _STOPS or (line.event in ("queued", "claimed") and not entry.is_repeated)
        return replace(entry, is_minor=is_minor)

    def _about(self, row: NotificationFacts, entry: TimelineEntry) -> TimelineEntry:
        """Add the notification and its recipient."""
        entry = replace(entry, channel=row.channel, kind=row.kind)
        if row.incident_event is not None:
            return replace(entry, subscriber=row.incident_event.subscriber, incident_event=row.incident_event.event)
        return replace(entry, recipient_id=self._recipients[row.id])

    def _of_attempt(self, attempt_id: str, entry: TimelineEntry) -> TimelineEntry:
        """Add the attempt that an entry is about, and the meaning of its code."""
        row, attempt = self._attempts[attempt_id]
        return replace(
            entry,
            provider=attempt.provider,
            attempt=attempt.number,
            others=self._others.get(attempt_id, 0),
            is_named=attempt.is_named,
            reason=entry.reason or (self._explain(row.channel, entry.code) if entry.code else ""),
            is_our_fault=attempt.is_our_fault and entry.event == "refused",
        )

    def _of_note(self, note: Note) -> TimelineEntry:
        row, _ = self._attempts[note.attempt_id]
        noted = TimelineEntry(
            at=note.received_at,
            machine="notification",
            event=NOTED,
            row_id=row.id,
            tone=Tone.UNSURE,
            code=note.code,
            reason=note.reason,
        )
        return self._of_attempt(note.attempt_id, self._about(row, noted))


def _channels(rows: Iterable[NotificationFacts]) -> tuple[str, ...]:
    return tuple(row.channel for row in rows)


def _entry(line: Transition) -> TimelineEntry:
    """Return the values that every log line has: the row, the event, its tone, and who did it."""
    detail = line.detail
    return TimelineEntry(
        at=line.at,
        machine=line.machine,
        event=line.event,
        row_id=line.row_id,
        state=line.target,
        tone=_tone(line),
        why=detail.get("why", ""),
        is_repeated="after_doubt" in detail,
        is_halved="half" in detail,
        by=detail.get("by", ""),
        via=detail.get("via", ""),
    )


def _tone(line: Transition) -> Tone:
    """Return the tone of a line: a failure is always bad, and most events say more than the state they end in."""
    by_state = _TONES_OF_STATES.get(line.target, Tone.PLAIN)
    if by_state is Tone.BAD:
        return by_state
    return Tone.UNSURE if "after_doubt" in line.detail else _TONES.get((line.machine, line.event), by_state)


def _silenced(status: IncidentStatus, silence: IncidentSilence) -> TimelineEntry:
    """Return when a silence began to hold the incident, with its end for it, which may be still to come."""
    return TimelineEntry(
        at=silence.began_at,
        machine="incident",
        event=SILENCED,
        row_id=status.facts.id,
        tone=Tone.UNSURE,
        by=silence.author,
        reason=silence.reason,
        until=silence.ended_at,
    )


def _alerts(status: IncidentStatus, escalation: EscalationStatus) -> Iterator[TimelineEntry]:
    """Yield when an escalation was held up, became a critical failure (unless operations is paged for it), and was told."""
    facts, told_at = escalation.facts, status.told_at(escalation.facts)
    alerted = ALERTED if told_at else UNTOLD if status.has_operations_recipients else UNHEARD
    critical_at = None if facts.critical_at == facts.alerted_at else facts.critical_at
    for at, event in ((facts.held_up_at, HELD_UP), (critical_at, CRITICAL), (told_at or facts.alerted_at, alerted)):
        if at is not None:
            yield TimelineEntry(
                at=at,
                machine="escalation",
                event=event,
                row_id=facts.id,
                tone=Tone.BAD,
                recipient_id=facts.recipient_id,
                round=facts.round,
            )
