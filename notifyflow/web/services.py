"""The services that the web application calls; filled in where NotifyFlow is composed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from notifyflow.channels.base import Channel
from notifyflow.channels.sns_messages import SnsReceiver
from notifyflow.core.intake.integrations.inbound import InboundRequest
from notifyflow.core.intake.requests import Submission
from notifyflow.core.keys import ApiKey, Scope
from notifyflow.core.links import LinkClaim
from notifyflow.core.model import Contact, Incident, Notified, Receipt, Stopped
from notifyflow.core.replies import HandledReply, Reply
from notifyflow.core.views import IncidentFilter, IncidentStatus, IncidentSummary, KnownRecipient
from notifyflow.errors import Fault
from notifyflow.pipeline.idempotency import Once


class Api(Protocol):
    """What the routes of the API call; an incident that is acted on is known to exist."""

    def submit(self, submission: Submission, once: Once | None, namespace: str, /) -> Notified:
        """Store an incident of a namespace; raises ``InvalidIncident``, ``IdempotencyMismatch``."""
        ...

    def incidents(self, wanted: IncidentFilter, /, *, before_id: str | None, limit: int) -> tuple[IncidentSummary, ...]:
        """List incidents, the newest first."""
        ...

    def acknowledge(self, incident_id: str, by: str, /) -> Stopped:
        """Acknowledge an incident; return what that stopped."""
        ...

    def resolve(self, incident_id: str, by: str, /) -> Stopped:
        """End an incident; tell what that stopped."""
        ...

    def page_again(self, incident_id: str, recipient_id: str, by: str, /) -> None:
        """Start a new round for one recipient; raises ``RecipientNotFound``, ``IncidentResolved``."""
        ...

    def recipients(self, namespaces: frozenset[str] | None, /, *, after_id: str, limit: int) -> tuple[KnownRecipient, ...]:
        """List everybody who was ever a recipient in some namespaces, or in any where it is None, by id."""
        ...

    def recipient(self, recipient_id: str, namespaces: frozenset[str] | None, /) -> KnownRecipient | None:
        """Show one recipient as some namespaces, or any where it is None, know them; None where nobody has the id there."""
        ...

    def find_what_is_wrong(self) -> tuple[Fault, ...]:
        """Find what keeps notifyflow from delivering, and what is quarantined (`quarantine`)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one application; every call is made from a worker thread and may block.

    Attributes:
        channels: Name to channel; its providers verify and read their callbacks.
        sns: Verifies and reads what SNS posts; None where no topic is allowed.
        receive: Commits one receipt with the raw body it came in, and rings for what became due; returning means committed.
            Where somebody pressed a key it tells how things are then.
        handle_reply: Does what a reply on a channel asks for, with the raw body it came in; returning means committed.
        check_link: Reads a token; raises ``InvalidLink``.
        status: Finds an incident by its id; None where there is none.
        acknowledge: Acknowledges an incident: its id, then the recipient's; late ones change nothing.
        admit: Lets in whoever presents an API key with a scope, and gives the key; raises ``AccessDenied``.
        handle_inbound: Handles what came through an integration: the requests, the API key, which one; returning means committed.
        new_id: Makes an id.
        api: What the routes of the API call.
        most_recipients: How many recipients one request may name.
        notice: A mark that every page about an incident shows.
        word: Gives an incident's content as one of its recipients is told it.
    """

    channels: Mapping[str, Channel]
    sns: SnsReceiver | None
    receive: Callable[[Receipt, str], HandledReply | None]
    handle_reply: Callable[[str, Reply, str], HandledReply]
    check_link: Callable[[str], LinkClaim]
    status: Callable[[str], IncidentStatus | None]
    acknowledge: Callable[[str, str], object]
    admit: Callable[[str, Scope], ApiKey]
    handle_inbound: Callable[[Sequence[InboundRequest], ApiKey, str], object]
    new_id: Callable[[], str]
    api: Api
    most_recipients: int
    notice: str = ""
    word: Callable[[IncidentStatus, Contact], Incident] = lambda status, contact: status.content
