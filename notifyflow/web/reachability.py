"""The response schemas about recipients: over which channels each can be reached, and whether that works."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, Field

from notifyflow.channels.base import Channel
from notifyflow.core.model import NotificationState
from notifyflow.core.schemas import NotificationDocument
from notifyflow.core.views import KnownRecipient
from notifyflow.core.wording import text


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
            is_reachable=any(way.verdict is not Verdict.FAILS for way in ways),
            ways=ways,
        )


class RecipientListResponse(BaseModel):
    """All recipients of past and present incidents, by id."""

    recipients: list[ReachabilityResponse]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")
