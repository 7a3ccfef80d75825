"""The JSON documents about who is on duty, which the REST API and ``--json`` share; people appear as recipient ids."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

from notifyflow.core.document import Document, Text
from notifyflow.core.hours import EARLIEST, LATEST
from notifyflow.core.oncall.duty_report import Duty
from notifyflow.core.oncall.schedules import DutyReason

Begin = Annotated[datetime | None, BeforeValidator(lambda at: None if at is None or at <= EARLIEST else at)]
End = Annotated[datetime | None, BeforeValidator(lambda at: None if at is None or at >= LATEST else at)]


class ShiftDocument(Document):
    """A period in which the duty of a schedule does not change."""

    people: list[str] = Field(description="The ids of the people on duty; empty for nobody.")
    begins_at: Begin = Field(description="When it begins; null if it has no begin.")
    ends_at: End = Field(description="When it ends; null if it has no end.")
    why: DutyReason = Field(description="What it follows from: layer, calendar, override, last_known or nobody.")


class OverrideDocument(Document):
    """A change of the duty of a schedule for some time."""

    id: str
    schedule: str = Field(description="The name of the schedule.")
    people: list[str] = Field(description="The ids of the people on duty instead.")
    instead_of: Text = Field(description="The one person whose duty it replaces; null for the whole duty.")
    begins_at: datetime
    ends_at: datetime
    made_by: str
    made_at: datetime


class FeedDocument(Document):
    """A feed of a calendar, without its address."""

    id: str
    schedule: Text = Field(description="The name of the schedule that it shows; null for a person's.")
    recipient: Text = Field(
        validation_alias="recipient_id", description="The person whose duties it shows; null for a schedule's."
    )
    made_by: str
    made_at: datetime
    expires_at: datetime | None = Field(description="When it expires; null for never.")


class DutyDocument(Document):
    """Who is on duty in a schedule."""

    schedule: str = Field(description="The name of the schedule.")
    timezone: str = Field(description="Its time zone, an IANA name.")
    at: datetime = Field(description="The instant that all of it is about.")
    on_duty: ShiftDocument = Field(description="The shift at the instant.")
    next: ShiftDocument | None = Field(description="The first shift of other people after it within a year; null without one.")
    shifts: list[ShiftDocument] = Field(description="The shifts from the instant on, for as many weeks as were asked for.")
    overrides: list[OverrideDocument] = Field(description="The overrides that are in force at the instant, or begin after it.")
    calendar_fetched_at: datetime | None = Field(description="When its calendar could be read last; null without one.")


def duty_document(found: Duty) -> DutyDocument:
    """Return the document about who is on duty in a schedule."""
    return DutyDocument(
        schedule=found.schedule.name,
        timezone=found.schedule.timezone,
        at=found.at,
        on_duty=ShiftDocument.of(found.on_duty),
        next=None if found.next is None else ShiftDocument.of(found.next),
        shifts=[ShiftDocument.of(each) for each in found.shifts],
        overrides=[OverrideDocument.of(each) for each in found.overrides],
        calendar_fetched_at=found.calendar_fetched_at,
    )
