"""What the web application needs from the house; whoever composes NotifyFlow fills it in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from notifyflow.channels.base import Channel
from notifyflow.core.doors.asked import Asked
from notifyflow.core.keys import ApiKey, Scope
from notifyflow.core.links import LinkClaim
from notifyflow.core.model import Receipt
from notifyflow.core.views import IncidentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one application; every call is made from a worker thread and may block.

    Attributes:
        channels: Name to channel; its providers verify and read their callbacks.
        receive: Commits one receipt with the raw body it came in, and rings for what became due; returning means committed.
        check_link: Reads a token; raises ``InvalidLink``.
        status: Finds an incident by its id; None where there is none.
        acknowledge: Takes an incident: its id, then the recipient's; late ones change nothing.
        admit: Lets in whoever presents an API key with a scope, and gives the key; raises ``AccessDenied``.
        ask: Does what is asked through a door: what, by whom, through which; returning means committed.
        new_id: Makes an id.
    """

    channels: Mapping[str, Channel]
    receive: Callable[[Receipt, str], object]
    check_link: Callable[[str], LinkClaim]
    status: Callable[[str], IncidentStatus | None]
    acknowledge: Callable[[str, str], object]
    admit: Callable[[str, Scope], ApiKey]
    ask: Callable[[Asked, str, str], object]
    new_id: Callable[[], str]
