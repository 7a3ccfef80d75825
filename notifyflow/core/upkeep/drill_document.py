"""What a drill showed, as one document, which ``notifyflow drill`` prints in words or as JSON."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Self

from pydantic import Field

from notifyflow.core import text
from notifyflow.core.delivery.model import Severity
from notifyflow.core.document import Document, Text
from notifyflow.core.insight.timeline import Explain, TimelineEntry, timeline
from notifyflow.core.insight.timeline_words import sentence
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.messages.looks import MARKS, Tone
from notifyflow.core.messages.ways import way
from notifyflow.core.upkeep.drill import FirstArrival, Rehearsed, rehearsed
from notifyflow.core.upkeep.forecast_document import span
from notifyflow.core.upkeep.storm_document import StormDocument


class FirstArrivalDocument(Document):
    """The first page that arrived, was sent where no receipt can come, or made a phone ring."""

    channel: str
    provider: str
    after_s: float = Field(description="Seconds after the incident was opened.")
    is_after_quiet: bool = Field(description="Whether it waited until the recipient's quiet hours were over.")


class RehearsedDocument(Document):
    """What became of one recipient."""

    recipient: str
    name: str
    is_passed: bool = Field(description="Whether the recipient was reached, operations was told, or a later step paged others.")
    reached: FirstArrivalDocument | None = Field(description="How the recipient was reached first; null if they were not.")
    operations_alerted_after_s: float | None = Field(description="When a page about it arrived at operations; null if none did.")
    is_followed: bool = Field(description="Whether a later step of the chain has paged others.")


class StepDocument(Document):
    """One thing that happened, as in the timeline of an incident."""

    after_s: float
    text: str = Field(description="What happened, in words.")
    tone: Tone
    is_of_operations: bool = Field(description="Whether it happened to the operations incident.")
    event: str
    state: Text
    recipient: str | None
    channel: Text
    provider: Text
    attempt: int | None
    code: Text


class DrilledDocument(Document):
    """One incident of a drill, or a storm of many: durations count from its beginning, in virtual seconds."""

    name: str = Field(description="Who is paged: a recipient, or the route.")
    policy: str
    severity: Severity
    begins_at: datetime | None = Field(description="When it begins, if --at says so; quiet hours count then.")
    is_passed: bool
    is_settled: bool = Field(description="Whether everything came to rest; false after six virtual hours, with --at after 30.")
    recipients: list[RehearsedDocument] = Field(description="In a storm, by the incident about which each was reached last.")
    timeline: list[StepDocument] = Field(description="In a storm, that of the incident about which somebody was reached last.")
    storm: StormDocument | None = Field(default=None, description="The messages about all incidents of a storm; null for one.")

    @classmethod
    def of_incidents(
        cls,
        name: str,
        statuses: Sequence[IncidentStatus],
        operations: IncidentStatus | None,
        *,
        calling: Collection[str],
        explain: Explain,
        is_settled: bool,
        begins_at: datetime | None = None,
        storm: StormDocument | None = None,
    ) -> Self:
        """Build it from the rows of its incident, or those of a storm, and of the operations incident that it is linked to."""
        found = [
            (_recipient(each, status.facts.opened_at), status)
            for status in statuses
            for each in rehearsed(status, operations, calling)
        ]
        found.sort(key=lambda pair: _lateness(pair[0]))
        last = found[-1][1] if found else statuses[-1]
        people = dict.fromkeys(each.recipient_id for each in last.escalations)
        latest = {each.recipient: each for each, _ in found}
        recipients = [latest[each] for each in people]
        start = last.facts.opened_at
        steps = [step for each in (last, operations) if each for step in _steps(each, explain, start)]
        return cls(
            name=name,
            policy=last.facts.policy.name,
            severity=last.facts.severity,
            begins_at=begins_at,
            is_passed=bool(recipients) and all(each.is_passed for each in recipients),
            is_settled=is_settled,
            recipients=recipients,
            timeline=sorted(steps, key=lambda step: step.after_s),
            storm=storm,
        )

    def lines(self) -> Iterator[str]:
        """Yield the incident in words: what happened when, and what became of each recipient."""
        begins = f", at {text.instant(self.begins_at.astimezone(UTC), now=None)}" if self.begins_at else ""
        many = f", {self.storm.incidents} incidents at once; below, the one of which somebody was told last" if self.storm else ""
        yield f"{self.name}: {self.severity}, policy {self.policy}{begins}{many}"
        for step in self.timeline:
            place = "operations: " if step.is_of_operations else ""
            yield f"  {f'+ {span(step.after_s)}':<12} {MARKS[step.tone]} {place}{step.text}"
        if self.storm:
            yield from self.storm.lines()
        for each in self.recipients:
            yield f"  {MARKS[_verdict_tone(each)]} {_verdict(each, 'at the latest' if self.storm else '')}"
        if not self.is_settled:
            yield "  ! it had not come to rest when the drill ended"


class DrillDocument(Document):
    """A drill: every incident that was rehearsed."""

    is_passed: bool
    failing: list[str] = Field(description="The providers and channels that failed.")
    incidents: list[DrilledDocument]
    warnings: list[str] = Field(description="What was not rehearsed.")

    def lines(self) -> Iterator[str]:
        """Yield the drill in words, its result last."""
        for each in self.incidents:
            yield from each.lines()
        yield from (f"! {each}" for each in self.warnings)
        people = [each for incident in self.incidents for each in incident.recipients]
        failed = [each.name for each in people if not each.is_passed]
        failing = f" while {', '.join(self.failing)} failed" if self.failing else ""
        if failed:
            yield f"{MARKS[Tone.BAD]} Failed{failing}: nobody knows of the incident of {', '.join(dict.fromkeys(failed))}."
        elif self.is_passed:
            yield f"{MARKS[Tone.GOOD]} Passed{failing}: {len(people)} of {len(people)} recipients{_instead(people)}."
        else:
            yield f"{MARKS[Tone.BAD]} Failed{failing}: an incident has no recipient."


def _recipient(each: Rehearsed, start: datetime) -> RehearsedDocument:
    return RehearsedDocument(
        recipient=each.recipient_id,
        name=each.name,
        is_passed=each.is_passed,
        reached=_arrival(each.arrival, start) if each.arrival else None,
        operations_alerted_after_s=(each.alerted_at - start).total_seconds() if each.alerted_at else None,
        is_followed=each.is_followed,
    )


def _arrival(arrival: FirstArrival, start: datetime) -> FirstArrivalDocument:
    after_s = (arrival.at - start).total_seconds()
    return FirstArrivalDocument(
        channel=arrival.channel, provider=arrival.provider, after_s=after_s, is_after_quiet=arrival.is_after_quiet
    )


def _steps(status: IncidentStatus, explain: Explain, start: datetime) -> Sequence[StepDocument]:
    entries = [each for each in timeline(status, explain=explain) if not each.is_minor]
    return [_step(each, status, start) for each in entries]


def _step(entry: TimelineEntry, status: IncidentStatus, start: datetime) -> StepDocument:
    def after_s(at: datetime) -> float:
        return (at - start).total_seconds()

    return StepDocument(
        after_s=after_s(entry.at),
        text=sentence(entry, name=status.name_of, brief=lambda at: f"+ {span(after_s(at))}"),
        tone=entry.tone,
        is_of_operations=status.facts.is_operations,
        event=entry.event,
        state=entry.state,
        recipient=entry.recipient_id,
        channel=entry.channel,
        provider=entry.provider,
        attempt=entry.attempt,
        code=entry.code,
    )


def _instead(people: Sequence[RehearsedDocument]) -> str:
    """Return the consequence for the people who were not reached."""
    missed = [each for each in people if each.reached is None]
    alerted = sum(each.operations_alerted_after_s is not None for each in missed)
    instead = f"; for {alerted} of them operations was told instead" if alerted else ""
    followed = len(missed) - alerted
    return f"{instead}; after {followed} of them the next step paged others" if followed else instead


def _verdict_tone(each: RehearsedDocument) -> Tone:
    if each.reached is None and each.operations_alerted_after_s is None and each.is_followed:
        return Tone.UNSURE
    return Tone.GOOD if each.is_passed else Tone.BAD


def _lateness(each: RehearsedDocument) -> tuple[bool, bool, float]:
    """Return how late a recipient was reached; not at all is the latest."""
    after_s = each.operations_alerted_after_s or 0 if each.reached is None else each.reached.after_s
    return not each.is_passed, each.reached is None, after_s


def _verdict(each: RehearsedDocument, latest: str) -> str:
    """Return a recipient's result in words."""
    at = f" {latest}" if latest else ""
    if (found := each.reached) is not None:
        waited = ", when their quiet hours are over" if found.is_after_quiet else ""
        return f"{each.name} is reached after {span(found.after_s)}{at}{waited}: {way(found.channel)} over {found.provider}"
    if each.operations_alerted_after_s is not None:
        return f"{each.name} is not reached; operations is told after {span(each.operations_alerted_after_s)}{at}"
    if each.is_followed:
        return f"{each.name} is not reached; the next step pages others"
    return f"{each.name} is not reached, and operations is not told"
