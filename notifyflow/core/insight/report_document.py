"""The report of an incident as one JSON document: all that belongs to it, what happened, and what comes next."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import Field

from notifyflow.core.delivery.model import EscalationState
from notifyflow.core.document import Document, Text
from notifyflow.core.insight import chain_words
from notifyflow.core.insight import timeline_words as timeline
from notifyflow.core.insight.next_events import NextEventKind, NextEventPremise, NextEvents, Wait
from notifyflow.core.insight.next_words import sentence
from notifyflow.core.insight.schemas import IncidentDocument, in_utc, of_status, values
from notifyflow.core.insight.timeline import TimelineEntry
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.messages.looks import Tone


class NextStepDocument(Document):
    """The step of an incident's chain that comes next if nobody acknowledges."""

    number: int
    at: datetime = Field(description="When it starts; now, if it is due.")
    late_since: datetime | None = Field(description="When it was due, if it is late.")
    people: list[str] = Field(description="The ids of the people it would page now; empty if nobody is left or on duty.")
    waits_for: list[str] = Field(
        description="The ids of the people it waits for: it starts at once when all ways to them have failed."
    )
    spent_at: datetime | None = Field(
        validation_alias="all_failed_at",
        description="When all ways to these people count as failed if no receipt comes, so that it starts; null if a later"
        " attempt decides it.",
    )
    text: str = Field(description="The same in words, with times in UTC.")

    @classmethod
    def coming(cls, status: IncidentStatus, next_events: NextEvents) -> Self | None:
        """Build it from what comes next for an incident."""
        if (found := next_events.step) is None:
            return None
        words = chain_words.coming(found, name=chain_words.names(status, next_events), now=next_events.now, brief=in_utc)
        return cls.model_validate(values(found) | {"number": found.step.number, "people": list(found.people), "text": words})


class NextEventDocument(Document):
    """One event that comes next if no result, receipt or reply comes in."""

    recipient: str = Field(description="The recipient's id.")
    round: int = Field(description="The recipient's round that it belongs to.")
    what: NextEventKind
    at: datetime | None = Field(description="When it comes; null if a person decides when.")
    late_since: datetime | None = Field(description="When it was due, if it is late.")
    channels: list[str] = Field(description="The channels that it concerns.")
    provider: Text = Field(description="The provider of the latest attempt.")
    attempt: int | None = Field(description="The number of the attempt.")
    tier: int | None = Field(description="The number of the tier that opens.")
    repetition: int | None = Field(description="The number of the policy's round that starts.")
    state: EscalationState | None = Field(description="The state in which the escalation settles.")
    wait: Wait | None = Field(description="The reason why an attempt waits.")
    premise: NextEventPremise | None = Field(description="The condition on which it comes.")
    text: str = Field(description="The event in words, with times in UTC.")

    @classmethod
    def all_of(cls, status: IncidentStatus, next_events: NextEvents) -> list[Self]:
        """Build the events of all escalations of an incident."""
        return [
            cls.model_validate(
                {
                    **values(event),
                    "recipient": each.facts.recipient_id,
                    "round": each.facts.round,
                    "text": sentence(event, now=next_events.now, brief=in_utc),
                }
            )
            for each in status.escalations
            for event in next_events.escalations.get(each.facts.id, ())
        ]


class TimelineEntryDocument(Document):
    """One thing that happened."""

    at: datetime
    machine: str = Field(description="The kind of the row: incident, escalation, notification or step.")
    row: str = Field(validation_alias="row_id", description="Its id.")
    event: str = Field(description="The machine's event, or noted, became_critical, operations_alerted, silenced and so on.")
    recipient: str | None = Field(validation_alias="recipient_id", description="The recipient that it is about.")
    channel: Text
    provider: Text
    code: Text = Field(description="The provider's code or status.")
    tone: Tone = Field(description="Whether it is good news.")
    is_minor: bool = Field(description="Whether it is only the cause or the consequence of another entry.")
    text: str = Field(description="The same in words, with times in UTC.")

    @classmethod
    def all_of(cls, status: IncidentStatus, entries: Sequence[TimelineEntry]) -> list[Self]:
        """Build the entries of an incident."""
        name = status.name_of
        return [cls.model_validate(values(each) | {"text": timeline.sentence(each, name=name, brief=in_utc)}) for each in entries]


class IncidentReportDocument(IncidentDocument):
    """One incident with all that belongs to it, what happened, and what comes next."""

    next: list[NextEventDocument] = Field(description="The next events if no result, receipt or reply comes in.")
    next_step: NextStepDocument | None = Field(description="The step of its chain that comes next if nobody acknowledges.")
    timeline: list[TimelineEntryDocument] = Field(description="The events so far, by time, in plain words.")

    @classmethod
    def of_all(cls, status: IncidentStatus, next_events: NextEvents, entries: Sequence[TimelineEntry]) -> Self:
        """Build it from an incident, what comes next for it, and what happened to it."""
        report = {
            "next": NextEventDocument.all_of(status, next_events),
            "next_step": NextStepDocument.coming(status, next_events),
            "timeline": TimelineEntryDocument.all_of(status, entries),
        }
        return cls.model_validate(of_status(status) | report)
