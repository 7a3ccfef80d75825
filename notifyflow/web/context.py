"""What the routes work with; filled in where NotifyFlow is composed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from notifyflow.channels.base import Channel
from notifyflow.channels.sns_messages import SnsReceiver
from notifyflow.service.access import Access
from notifyflow.service.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the routes work with; every call blocks, and is made from a worker thread.

    Attributes:
        service: The use cases; a method that changes something has committed it on return.
        access: Admits the holders of API keys.
        channels: The channels by name; their providers verify and read their callbacks.
        sns: Verifies and reads the messages of SNS; None where no topic is allowed.
        new_id: Makes an id.
        most_recipients: How many recipients one request may name.
        notice: A mark that every page about an incident shows.
    """

    service: Service
    access: Access
    channels: Mapping[str, Channel]
    sns: SnsReceiver | None
    new_id: Callable[[], str]
    most_recipients: int
    notice: str = ""
