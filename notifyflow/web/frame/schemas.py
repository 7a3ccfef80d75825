"""The schemas of the API's responses; the documents about incidents stand in ``core.insight.schemas``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from notifyflow.channels.base import Channel
from notifyflow.core import text
from notifyflow.core.delivery.model import NotificationState, Notified
from notifyflow.core.document import Document
from notifyflow.core.insight.list_documents import MessageDocument
from notifyflow.core.insight.schemas import (
    FaultDocument,
    IncidentSummaryDocument,
    NotificationDocument,
    NotifiedDocument,
    SilenceDocument,
)
from notifyflow.core.insight.views import KnownRecipient
from notifyflow.core.intake import validation
from notifyflow.core.oncall.duty_documents import DutyDocument
from notifyflow.core.oncall.watched_job_documents import HeartbeatDocument
from notifyflow.errors import named


def _plausible(at: datetime) -> datetime:
    if not validation.is_plausible(at):
        raise ValueError("is not a plausible time; say another one, or leave it out")
    return at


Plausible = AfterValidator(_plausible)
"""An instant of a query that every zone and database can express."""
Bound = Annotated[AwareDatetime, Plausible]

_LONGEST_LIST = 10_000  # characters: two such lists and 20 faults stay below 64 KB


def notified(value: Notified) -> NotifiedDocument:
    """Return the document about a submission, with lists that are short enough for a response."""
    whole = NotifiedDocument.of(value)
    return whole.model_copy(
        update={
            "added": _beginning(value.added),
            "repeated": _beginning(value.repeated),
            "faults": [FaultDocument.of(fault) for fault in named(value.faults)],
        }
    )


def _beginning(ids: Sequence[str]) -> list[str]:
    """Return as many ids as a response has room for."""
    lengths = accumulate(len(each) for each in ids)
    return [each for each, length in zip(ids, lengths, strict=True) if length <= _LONGEST_LIST]


class IncidentListResponse(BaseModel):
    """Incidents, the newest first."""

    incidents: list[IncidentSummaryDocument]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class MessageListResponse(BaseModel):
    """Messages, the newest first."""

    messages: list[MessageDocument]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")
    searched_to: datetime | None = Field(
        description="How far back a filter without an index has searched, if the page is not full for that reason."
    )


class DutyListResponse(BaseModel):
    """Who is on duty, in each schedule."""

    schedules: list[DutyDocument]


class HeartbeatListResponse(BaseModel):
    """The watched jobs, by name."""

    heartbeats: list[HeartbeatDocument]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class ActResponse(Document):
    """The result of an action on an incident."""

    has_changed: bool = Field(description="Whether this request changed anything; false if it had been done before.")
    incident: IncidentSummaryDocument


class StoppedPageResponse(Document):
    """A page that was cancelled, or that had been sent already."""

    recipient: str = Field(validation_alias="recipient_id")
    channel: str
    notification: str = Field(validation_alias="notification_id", description="Its id.")


class StoppedResponse(ActResponse):
    """The result of acknowledging or resolving an incident, with its pages."""

    cancelled: list[StoppedPageResponse] = Field(description="Pages that were queued and are not sent.")
    on_their_way: list[StoppedPageResponse] = Field(description="Pages that had been sent already and may still arrive.")
    left: list[str] = Field(
        description="The ids of rows that the database refuses to write, and that are set aside; nearly always empty."
    )


class ChannelVerdict(StrEnum):
    """Whether a recipient can be reached over a channel."""

    WORKS = "works"
    FAILS = "fails"
    UNTRIED = "untried"


class WayResponse(BaseModel):
    """One channel over which a recipient has an address."""

    channel: str
    address: str = Field(description="The beginning of the address, and its length.")
    providers: list[str] = Field(description="The channel's providers, without those to which the recipient texted STOP.")
    verdict: ChannelVerdict = Field(description="`fails` if no provider is left or the last page of the last 30 days failed.")
    last_page: NotificationDocument | None = Field(description="The last page that was sent or failed.")

    @classmethod
    def of(cls, value: KnownRecipient, channel: str, channels: Mapping[str, Channel]) -> "WayResponse":
        """Build it for one channel."""
        last = value.last_pages.get(channel)
        known = channels.get(channel)
        opted_out_of = value.opted_out_of if known and known.capabilities.has_text_replies else ()
        providers = [each.name for each in known.providers if each.sender not in opted_out_of] if known else []
        has_failed = last is not None and last.state is NotificationState.FAILED
        tried = ChannelVerdict.WORKS if last else ChannelVerdict.UNTRIED
        return cls(
            channel=channel,
            address=text.masked(value.contact.addresses[channel]),
            providers=providers,
            verdict=ChannelVerdict.FAILS if has_failed or not providers else tried,
            last_page=None if last is None else NotificationDocument.of(last),
        )


class ReachabilityResponse(BaseModel):
    """How a recipient can be reached, by the contact data of the newest incident that names them."""

    id: str
    name: str
    timezone: str
    quiet: str | None = Field(description="Their quiet hours in that zone; null if they have none.")
    channels: dict[str, list[str]] | None = Field(
        description="Severity to the channels that they prefer, in order; null without a preference."
    )
    is_reachable: bool = Field(description="Whether there is a channel that does not fail.")
    ways: list[WayResponse]

    @classmethod
    def of(cls, value: KnownRecipient, channels: Mapping[str, Channel]) -> "ReachabilityResponse":
        """Build it from the value."""
        contact = value.contact
        ways = [WayResponse.of(value, channel, channels) for channel in contact.addresses]
        return cls(
            id=contact.recipient_id,
            name=contact.name,
            timezone=contact.timezone,
            quiet=contact.quiet,
            channels=None if contact.channels is None else {each: list(names) for each, names in contact.channels.items()},
            is_reachable=any(way.verdict is not ChannelVerdict.FAILS for way in ways),
            ways=ways,
        )


class RecipientListResponse(BaseModel):
    """All recipients of past and present incidents, by id."""

    recipients: list[ReachabilityResponse]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class SilenceListResponse(BaseModel):
    """Silences, the newest first."""

    silences: list[SilenceDocument]
    damaged: list[str] = Field(description="The ids of those that cannot be read; they hold what they held until they end.")
