"""The schemas of the API: those of its requests, which are only published, and those of its responses.

``core.intake.requests`` parses the requests and reports every fault; a test keeps both in step. The documents about incidents
stand in ``core.insight.schemas``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from notifyflow.channels.base import Channel
from notifyflow.core import text
from notifyflow.core.delivery.chain import MOST_STEPS
from notifyflow.core.delivery.model import NotificationState, Notified, Severity
from notifyflow.core.document import Document
from notifyflow.core.forms import MAX_KEY
from notifyflow.core.insight.list_documents import MessageDocument
from notifyflow.core.insight.schemas import FaultDocument, IncidentSummaryDocument, NotificationDocument, NotifiedDocument
from notifyflow.core.insight.views import KnownRecipient
from notifyflow.core.intake import validation
from notifyflow.core.oncall.duty_documents import DutyDocument
from notifyflow.errors import named


def _plausible(at: datetime) -> datetime:
    if not validation.is_plausible(at):
        raise ValueError("is not a plausible time; say another one, or leave it out")
    return at


Plausible = AfterValidator(_plausible)
"""An instant of a query that every zone and database can express."""
Bound = Annotated[AwareDatetime, Plausible]

_LONGEST_LIST = 10_000  # characters: two such lists and 20 faults stay below 64 KB
Who = Annotated[str, Field(max_length=MAX_KEY)]


class RequestBody(BaseModel):
    """The body of a request: an unknown field is a fault, and null is the same as leaving a field out."""

    model_config = ConfigDict(extra="forbid")


class NewRecipient(RequestBody):
    """A recipient of an incident; an invalid address is reported as a fault, and everyone else is paged.

    A recipient whom the incident knows already keeps each address, `timezone`, `quiet` and `channels` that is left out; an empty
    one is removed.
    """

    id: str = Field(description="The recipient's id; opaque, and written to logs.", min_length=1, max_length=MAX_KEY)
    name: str | None = Field(None, description="The name used in messages; by default the id.")
    email: str | None = Field(None, description="A mail address.")
    phone: str | None = Field(None, description="A number in international form; gives `sms` and `voice`.")
    slack: str | None = Field(None, description="An incoming webhook's URL, or a channel or user id for the bot.")
    teams: str | None = Field(None, description="A Workflows URL.")
    push: str | None = Field(None, description="An SNS platform endpoint's ARN.")
    addresses: dict[str, str] | None = Field(None, description="Addresses of further channels: channel to address.")
    timezone: str | None = Field(None, description="An IANA name; by default UTC.")
    quiet: str | None = Field(None, description="Quiet hours in that zone, such as `22:00-07:00`, in which only CRITICAL pages.")
    channels: dict[str, list[str]] | None = Field(
        None,
        description="Severity to the channels that page them one after another; for CRITICAL they page at the start as well.",
    )


class NewStep(RequestBody):
    """A step of a chain."""

    to: list[NewRecipient | str] = Field(
        description="Whom it pages: recipients, names of the directory (`@primary` is a schedule), or only `operations`.",
        min_length=1,
    )
    after: str | None = Field(None, description="How long after the step before it starts, such as `10m`; by default 15m.")


class NewIncident(RequestBody):
    """An incident to notify about: the fields of an incident file (`notifyflow send`), and how to deliver it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "db-1",
                    "title": "orders db is down",
                    "severity": "CRITICAL",
                    "url": "https://grafana.example/d/orders",
                    "labels": {"team": "orders"},
                    "recipients": [{"id": "ada", "email": "ada@example.com", "phone": "+15005550006"}],
                }
            ]
        }
    )

    key: str = Field(
        description="The dedup key; it names one unresolved incident of the API key's namespace.",
        min_length=1,
        max_length=MAX_KEY,
    )
    title: str = Field(description="One line.", min_length=1, max_length=validation.MAX_TITLE)
    body: str | None = Field(
        None,
        description="More lines, plain text; if left out, a repeated key keeps what is stored.",
        max_length=validation.MAX_BODY,
    )
    severity: Severity | None = Field(None, description="By default ERROR.")
    source: str | None = Field(None, description="What reported it; if left out, what is stored is kept.", max_length=MAX_KEY)
    url: str | None = Field(
        None,
        description="A link, http or https; what is stored is kept if left out, removed if empty.",
        max_length=validation.MAX_URL,
    )
    labels: dict[str, str] | None = Field(
        None,
        description="Replaced as a whole; if left out, what is stored is kept.",
        max_length=validation.MAX_LABELS,
    )
    occurred_at: AwareDatetime | None = Field(None, description="When it happened; by default now.")
    recipients: list[NewRecipient] = Field(description="Whom to notify; at least one must be reachable.", min_length=1)
    then: list[NewStep] | None = Field(
        None,
        description="Who is paged next when nobody acknowledges, or every way to those before has failed.",
        max_length=MOST_STEPS,
    )
    over_after: str | None = Field(
        None,
        description="The time of the last step of `then`, after which operations is told, such as `30m`; by default 15m.",
    )
    policy: str | None = Field(None, description="The policy's name: `default`, `insistent`, or one of your own.")
    strict: bool | None = Field(None, description="Whether a fault of one recipient refuses the whole request.")


class ActRequest(RequestBody):
    """Who acknowledges or resolves."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "ada"}]})

    by: Who | None = Field(None, description="A recipient's id or any other name; by default the API key's name.")


class PageAgainRequest(ActRequest):
    """Which recipient to page again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"recipient": "ada"}]})

    recipient: str = Field(description="The recipient's id.")


class DutyChangeRequest(ActRequest):
    """Who is on duty in a schedule for some time."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"people": ["ada"], "ends_at": "2026-12-24T18:00:00+01:00"}]})

    people: list[str] = Field(description="Who is to be on duty, by recipient id.", min_length=1)
    instead_of: str | None = Field(None, description="The one person whose duty they take; by default, the whole duty.")
    begins_at: AwareDatetime | None = Field(None, description="From when on; by default, now.")
    ends_at: AwareDatetime = Field(description="Until when; at most a year later.")
    with_open: bool | None = Field(
        None, description="Whether they are paged for open incidents, too, whose chain has paged those on duty; by default not."
    )


REQUESTS = (NewIncident, ActRequest, PageAgainRequest, DutyChangeRequest)
"""The schemas of bodies that are parsed by hand."""


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


class Verdict(StrEnum):
    """Whether a recipient can be reached over a channel."""

    WORKS = "works"
    FAILS = "fails"
    UNTRIED = "untried"


class WayResponse(BaseModel):
    """One channel over which a recipient has an address."""

    channel: str
    address: str = Field(description="The beginning of the address, and its length.")
    providers: list[str] = Field(description="The channel's providers, without those to which the recipient texted STOP.")
    verdict: Verdict = Field(description="`fails` if no provider is left or the last page of the last 30 days failed.")
    last_page: NotificationDocument | None = Field(description="The last page that was sent or failed.")

    @classmethod
    def of(cls, value: KnownRecipient, channel: str, channels: Mapping[str, Channel]) -> "WayResponse":
        """Build it for one channel."""
        last = value.last_pages.get(channel)
        known = channels.get(channel)
        opted_out_of = value.opted_out_of if known and known.traits.has_text_replies else ()
        providers = [each.name for each in known.providers if each.sender not in opted_out_of] if known else []
        has_failed = last is not None and last.state is NotificationState.FAILED
        tried = Verdict.WORKS if last else Verdict.UNTRIED
        return cls(
            channel=channel,
            address=text.masked(value.contact.addresses[channel]),
            providers=providers,
            verdict=Verdict.FAILS if has_failed or not providers else tried,
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
            is_reachable=any(way.verdict is not Verdict.FAILS for way in ways),
            ways=ways,
        )


class RecipientListResponse(BaseModel):
    """All recipients of past and present incidents, by id."""

    recipients: list[ReachabilityResponse]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")
