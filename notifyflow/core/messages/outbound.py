"""One message on its way to a provider."""

from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.messages.content import Content


@dataclass(frozen=True, kw_only=True)
class OutboundMessage:
    """One message to one address, ready to render and send.

    Attributes:
        attempt_id: Our id of the attempt; it goes out with the message wherever the provider allows it.
        notification_id: The notification; the same for each of its attempts.
        incident_id: The incident; empty where it is not known.
        address: The recipient's, as ``check_address`` normalised it; personal.
        content: The content; personal.
        at: When the attempt began.
        valid_for_s: How long the provider may hold the message, in seconds (validity period); None for the provider's default.
        replaces: The provider's id of an earlier message that this one may replace; empty for a new message.
    """

    attempt_id: str
    notification_id: str
    address: str
    content: Content
    at: datetime
    incident_id: str = ""
    valid_for_s: int | None = None
    replaces: str = ""
