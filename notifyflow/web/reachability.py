"""What the API gives of recipients: by which ways each can be reached, and whether that works."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from notifyflow.channels.base import Channel
from notifyflow.core.model import NotificationState
from notifyflow.core.views import KnownRecipient
from notifyflow.core.wording import text
from notifyflow.pipeline.replies import TEXTS
from notifyflow.web.responses import NotificationShape


class Verdict(StrEnum):
    """Whether a way leads to somebody."""

    WORKS = "works"
    FAILS = "fails"
    UNTRIED = "untried"


class WayShape(BaseModel):
    """One way to reach a recipient."""

    model_config = ConfigDict(title="Way")

    channel: str
    address: str = Field(description="The beginning of the address, and how long it is.")
    providers: list[str] = Field(description="Who carries the channel here, but for texts to whom they have said STOP.")
    verdict: Verdict = Field(description="`fails` where nobody carries it to them or the last page failed; of the last 30 days.")
    last_page: NotificationShape | None = Field(description="The last page that came to something.")

    @classmethod
    def of(cls, value: KnownRecipient, channel: str, carriers: Mapping[str, Channel]) -> "WayShape":
        """Show a way."""
        last = value.last_pages.get(channel)
        all_providers = carriers[channel].providers if channel in carriers else ()
        providers = [each.name for each in all_providers if channel != TEXTS or each.sender not in value.shut]
        has_failed = last is not None and last.state is NotificationState.FAILED
        tried = Verdict.WORKS if last else Verdict.UNTRIED
        return cls(
            channel=channel,
            address=text.masked(value.contact.addresses[channel]),
            providers=providers,
            verdict=Verdict.FAILS if has_failed or not providers else tried,
            last_page=None if last is None else NotificationShape.of(last),
        )


class ReachabilityShape(BaseModel):
    """How a recipient can be reached, as the newest incident that names them knows them."""

    model_config = ConfigDict(title="Reachability")

    id: str
    name: str
    timezone: str
    is_reachable: bool = Field(description="Whether there is a way that does not fail.")
    ways: list[WayShape]

    @classmethod
    def of(cls, value: KnownRecipient, carriers: Mapping[str, Channel]) -> "ReachabilityShape":
        """Show how somebody can be reached."""
        contact = value.contact
        ways = [WayShape.of(value, channel, carriers) for channel in contact.addresses]
        return cls(
            id=contact.recipient_id,
            name=contact.name,
            timezone=contact.timezone,
            is_reachable=any(way.verdict is not Verdict.FAILS for way in ways),
            ways=ways,
        )


class RecipientPage(BaseModel):
    """Everybody who was ever a recipient, by id."""

    recipients: list[ReachabilityShape]
    next_cursor: str | None = Field(description="Give it as `cursor` for what follows; null at the end.")
