"""The values that all modules share: what users give, the states, and how strong each result is.

What the machines decide on stands in ``facts``; what a policy is made of in ``policy``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from notifyflow.errors import Fault

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Severity(StrEnum):
    """How bad it is; the order of the members is the order of urgency."""

    CRITICAL = "CRITICAL"
    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"

    @property
    def rank(self) -> int:
        """Urgency as a number for sorting, 0 for the most urgent."""
        return list(Severity).index(self)

    def is_above(self, other: "Severity") -> bool:
        """Tell whether this is more urgent than ``other``."""
        return self.rank < other.rank


class NotificationState(StrEnum):
    """The state of a notification."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class EscalationState(StrEnum):
    """The state of an escalation."""

    ACTIVE = "ACTIVE"
    REACHED = "REACHED"
    EXHAUSTED = "EXHAUSTED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    CANCELLED = "CANCELLED"


class IncidentState(StrEnum):
    """The state of an incident."""

    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


class Via(StrEnum):
    """How an incident was acknowledged, resolved or paged again; a reply names the channel that it came through instead."""

    LINK = "link"
    KEY = "key"
    CLI = "cli"
    API = "api"
    LIBRARY = "library"
    ALERTMANAGER = "alertmanager"
    PAGERDUTY = "pagerduty"
    CLOUDEVENTS = "cloudevents"


IN_PROGRESS = frozenset({NotificationState.QUEUED, NotificationState.SENDING})
"""States of a notification that is being sent, or will be."""

AT_REST = frozenset(NotificationState) - IN_PROGRESS
"""States of a notification that is not sent any more unless a receipt says that it failed."""

REACHING = frozenset({NotificationState.SENT, NotificationState.DELIVERED})
"""States of a page that makes its escalation REACHED."""

ON_THEIR_WAY = frozenset({NotificationState.SENDING, NotificationState.SENT})
"""States of a notification that can no longer be cancelled, and that is not known to have arrived."""

CLOSED = frozenset({EscalationState.ACKNOWLEDGED, EscalationState.CANCELLED})
"""States of an escalation that nothing moves any more."""

LIVE = frozenset(EscalationState) - CLOSED
"""States of an escalation that may still move."""


class Kind(StrEnum):
    """What a notification is for: only a page escalates; an incident event is for another system."""

    PAGE = "page"
    STATUS_UPDATE = "status_update"
    INCIDENT_EVENT = "incident_event"


class Result(StrEnum):
    """How an attempt ended, as far as is known; of several reports on one attempt the strongest counts."""

    IN_DOUBT = "in_doubt"
    ACCEPTED = "accepted"
    TEMPORARY_FAILURE = "temporary_failure"
    DELIVERED = "delivered"
    PERMANENT_FAILURE = "permanent_failure"

    @property
    def strength(self) -> int:
        """How strong it is among the results of one attempt, 1 for the weakest."""
        return list(Result).index(self) + 1


class Evidence(StrEnum):
    """Who vouches for a result, weakest first."""

    ACCEPTED = "accepted"
    CARRIER = "carrier"
    DEVICE = "device"
    HUMAN = "human"


class AttemptState(StrEnum):
    """Where an attempt stands: its call is running, was recorded (also as a doubt), or was never made."""

    RUNNING = "RUNNING"
    RECORDED = "RECORDED"
    NOT_SENT = "NOT_SENT"


class Ended(StrEnum):
    """Why we ended a notification ourselves, without a provider's report."""

    EXPIRED = "expired"
    BEYOND_WINDOW = "beyond_retry_window"
    NO_PROVIDER = "no_provider"
    CAPPED = "capped"
    OPTED_OUT = "opted_out"


class DeferralReason(StrEnum):
    """Why a notification that is due is deferred."""

    LIMIT = "limit"
    RETRY_AFTER = "retry_after"
    CIRCUIT = "circuit"
    SUSPENSION = "suspension"
    PAUSE = "pause"


class Condition(StrEnum):
    """What an attempt says about its provider itself, whatever it says about the message."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    REFUSING = "refusing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What happened, as a caller says it.

    While the key is unresolved, the same key again replaces the fields that are set and keeps the others: None means not set, an
    empty text or mapping empties the field.

    Attributes:
        key: The dedup key; it names one unresolved incident of its namespace. 1 to 255 characters.
        title: One line; 1 to 1,000 characters.
        body: More lines, plain text; up to 65,536 characters.
        severity: How bad it is.
        source: What reported it; up to 255 characters.
        url: Where to look, http or https; up to 2,000 characters.
        labels: Free facts, name to value; up to 50, with names up to 100 and values up to 1,000 characters.
        occurred_at: When it happened (aware); None means when we heard of it. The first value is kept.
    """

    key: str
    title: str
    body: str | None = None
    severity: Severity = Severity.ERROR
    source: str | None = None
    url: str | None = None
    labels: Mapping[str, str] | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A person, with at most one address a channel; any text is accepted here; ``notify()`` validates it.

    Attributes:
        id: Who it is; opaque to us, stands in logs.
        name: How messages speak of them; the id where empty.
        email: A mail address.
        phone: A number in international form; gives ``sms`` and ``voice``.
        slack: An incoming webhook's URL, or a channel or user id for the bot.
        teams: A Workflows URL.
        push: An SNS platform endpoint's ARN.
        addresses: Addresses of further channels, channel to address; it wins over the fields above.
        timezone: IANA name; UTC where None.
    """

    id: str
    name: str = ""
    email: str | None = None
    phone: str | None = None
    slack: str | None = None
    teams: str | None = None
    push: str | None = None
    addresses: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    timezone: str | None = None

    @property
    def ways(self) -> Mapping[str, str]:
        """Every way to reach them, channel to address."""
        by_channel = {
            "email": self.email,
            "slack": self.slack,
            "teams": self.teams,
            "push": self.push,
            "sms": self.phone,
            "voice": self.phone,
            **self.addresses,
        }
        return {channel: address for channel, address in by_channel.items() if address is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A recipient as an incident keeps them: validated, with normalised addresses. Personal data.

    Attributes:
        recipient_id: Who it is.
        name: How messages speak of them; never empty.
        addresses: Channel to normalised address; may be empty (EXHAUSTED from the start).
        timezone: IANA name.
    """

    recipient_id: str
    name: str
    addresses: Mapping[str, str]
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """What ``notify()`` did.

    Attributes:
        incident_id: The incident that the key names now.
        is_new: Whether this call opened it.
        added: Recipients who got an escalation by this call, in their order.
        repeated: Recipients who had one already.
        faults: What was wrong with single recipients; the others are paged all the same.
    """

    incident_id: str
    is_new: bool
    added: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page, in a few words.

    Attributes:
        recipient_id: Who is paged.
        channel: On which channel.
        notification_id: For logs.
    """

    recipient_id: str
    channel: str
    notification_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What acknowledging or resolving led to; true where it changed anything.

    Attributes:
        has_changed: Whether it changed anything; False when it was so already.
        cancelled: Pages that were queued and are sent no more.
        on_their_way: Pages that had left already, and of which nobody knows yet whether they arrived.
    """

    has_changed: bool
    cancelled: tuple[Page, ...] = ()
    on_their_way: tuple[Page, ...] = ()

    def __bool__(self) -> bool:
        return self.has_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a provider reports later about one attempt.

    Attributes:
        provider: Who reports it.
        event_id: What makes the event unique at that provider; a repetition has the same.
        result: What it means for the attempt; None where it is only noted.
        attempt_id: Our attempt, where the callback carried it.
        provider_ref: The provider's id of the message, where it gave one.
        evidence: Who vouches for it.
        code: The provider's code or status.
        reason: What that means, from our table; nothing personal.
        is_acknowledgement: Whether a human acknowledged the incident with it (key 1).
        is_key_press: Whether a human pressed a key on the call.
        is_our_fault: Whether it blames *us*: an unregistered number, filtered content, a suspended account.
        is_general: For a fault of ours, whether every message would be refused, whomever it is for.
        is_fetched: Whether it was fetched from the provider, and did not come by callback.
    """

    provider: str
    event_id: str
    result: Result | None
    attempt_id: str | None = None
    provider_ref: str | None = None
    evidence: Evidence | None = None
    code: str = ""
    reason: str = ""
    is_acknowledgement: bool = False
    is_key_press: bool = False
    is_our_fault: bool = False
    is_general: bool = False
    is_fetched: bool = False
