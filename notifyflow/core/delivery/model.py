"""The values that all modules share: input, states, and the strength of results.

The machines' rows are in ``facts``, the parts of a policy in ``policy``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from notifyflow.core.file_value import FileValue
from notifyflow.core.frozen import FrozenDict, freeze
from notifyflow.errors import Fault


class Severity(StrEnum):
    """How urgent an incident is; the members are in order, CRITICAL first. It is read in any case, and written in capitals."""

    CRITICAL = "CRITICAL"
    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"

    @classmethod
    def _missing_(cls, value: object) -> "Severity | None":
        return next((each for each in cls if isinstance(value, str) and value.lower() == each.lower()), None)

    @property
    def rank(self) -> int:
        """Urgency as a number for sorting, 0 for the most urgent."""
        return list(Severity).index(self)

    def is_above(self, other: "Severity") -> bool:
        """Return whether this is more urgent than ``other``."""
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


class StepState(StrEnum):
    """The state of a step of a chain."""

    WAITING = "WAITING"
    STARTED = "STARTED"
    SKIPPED = "SKIPPED"
    STOPPED = "STOPPED"


class Via(StrEnum):
    """How an incident was acknowledged, resolved or paged again; a reply names the channel that it came through instead."""

    LINK = "link"
    KEY = "key"
    CLI = "cli"
    API = "api"
    LIBRARY = "library"
    DASHBOARD = "dashboard"
    ALERTMANAGER = "alertmanager"
    PAGERDUTY = "pagerduty"
    CLOUDEVENTS = "cloudevents"
    HEARTBEAT = "heartbeat"
    DIRECTORY = "directory"


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
    """The kind of a notification; only pages escalate, and incident events go to other systems."""

    PAGE = "page"
    STATUS_UPDATE = "status_update"
    INCIDENT_EVENT = "incident_event"


class Result(StrEnum):
    """The result of an attempt, as far as known; of several reports on one attempt the strongest counts."""

    IN_DOUBT = "in_doubt"
    ACCEPTED = "accepted"
    TEMPORARY_FAILURE = "temporary_failure"
    DELIVERED = "delivered"
    PERMANENT_FAILURE = "permanent_failure"

    @property
    def strength(self) -> int:
        """Rank among the results of one attempt; 1 is the weakest."""
        return list(Result).index(self) + 1


class Evidence(StrEnum):
    """The source of a result, weakest first."""

    ACCEPTED = "accepted"
    CARRIER = "carrier"
    DEVICE = "device"
    HUMAN = "human"


class AttemptState(StrEnum):
    """The state of an attempt: its call is running, its result was recorded (also as a doubt), or it was not sent."""

    RUNNING = "RUNNING"
    RECORDED = "RECORDED"
    NOT_SENT = "NOT_SENT"


class Ended(StrEnum):
    """Why notifyflow ended a notification without a result from a provider."""

    EXPIRED = "expired"
    BEYOND_WINDOW = "beyond_retry_window"
    NO_PROVIDER = "no_provider"
    CAPPED = "capped"
    OPTED_OUT = "opted_out"


NO_ADDRESS = "no_address"
"""Why there is no provider for a notification: its address was removed after it was queued."""


class DeferralReason(StrEnum):
    """Why a due notification is deferred."""

    LIMIT = "limit"
    RETRY_AFTER = "retry_after"
    CIRCUIT = "circuit"
    SUSPENSION = "suspension"
    PAUSE = "pause"
    QUIET = "quiet"
    SILENCE = "silence"


class Condition(StrEnum):
    """The health of a provider, as an attempt shows it."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    REFUSING = "refusing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(FileValue):
    """An incident as the caller passes it to ``notify()``.

    Notifying again under the key of an unresolved incident replaces the fields that are set and keeps the others. None means not
    set; an empty text or mapping empties the field.

    Attributes:
        key: The dedup key. It names one unresolved incident of its namespace; 1 to 255 characters.
        title: One line; 1 to 1,000 characters.
        body: More lines, plain text; up to 65,536 characters.
        source: The system that reported it; up to 255 characters.
        url: An http or https link to more information; up to 2,000 characters.
        labels: Names and values of your choice; up to 50, with names up to 100 and values up to 1,000 characters.
        occurred_at: When it happened (aware); None for the time at which it is opened. The first value is kept.
    """

    key: str
    title: str
    body: str | None = None
    severity: Severity = Severity.ERROR
    source: str | None = None
    url: str | None = None
    labels: Mapping[str, str] | None = None
    occurred_at: datetime | None = None

    def __post_init__(self) -> None:
        freeze(self, "labels")


DETAILS: tuple[str, ...] = ("source",)
"""Fields of an incident that hold one short line, which messages and pages show by the field's name, like a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient(FileValue):
    """A person to notify, with at most one address for each channel; ``notify()`` validates the fields.

    A recipient whom the incident knows already keeps what is not given: each address, ``timezone``, ``quiet`` and ``channels``.
    None means not given; an empty text or mapping removes what is stored.

    Attributes:
        id: A stable id of your choice; it appears in logs.
        name: The name that messages use; if empty, the id.
        email: A mail address.
        phone: A number in international form, for the channels ``sms`` and ``voice``.
        slack: The URL of an incoming webhook, or a channel or user id for the bot.
        teams: The URL of a Workflow.
        push: The ARN of an SNS platform endpoint.
        addresses: Channel to address, for other channels; takes precedence over the fields above.
        timezone: IANA name; UTC if there is none.
        quiet: Quiet hours of every day in that time zone, such as ``22:00-07:00``: only CRITICAL pages in them.
        channels: Severity to the channels that page them one after another, in this order; without, the policy decides. For
            CRITICAL they page at the start as well.
    """

    id: str
    name: str = ""
    email: str | None = None
    phone: str | None = None
    slack: str | None = None
    teams: str | None = None
    push: str | None = None
    addresses: Mapping[str, str] = FrozenDict()
    timezone: str | None = None
    quiet: str | None = None
    channels: Mapping[str, tuple[str, ...]] | None = None

    def __post_init__(self) -> None:
        freeze(self, "addresses")
        if isinstance(self.channels, Mapping):
            given: Mapping[str, Any] = self.channels
            preferred = {severity: tuple(each) if isinstance(each, list) else each for severity, each in given.items()}
            object.__setattr__(self, "channels", FrozenDict(preferred))

    @property
    def ways(self) -> Mapping[str, str]:
        """All addresses, by channel."""
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
class Step(FileValue):
    """A step of a chain, as the caller passes it to ``notify()``: who is paged next if nobody acknowledges.

    Attributes:
        to: Whom it pages: recipients; or names of the directory's recipients, groups and schedules (``@primary``); or
            ``operations``.
        after: How long after the step before it starts; None for 15 minutes. It starts at once when every way to everybody in the
            step before has failed.
    """

    to: tuple[Recipient | str, ...]
    after: timedelta | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "to", tuple(self.to))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A recipient as stored with an incident: validated, with normalised addresses; personal data.

    Attributes:
        name: The name that messages use; never empty.
        addresses: Channel to normalised address; if empty, the escalation starts as EXHAUSTED.
        timezone: IANA name.
        quiet: The quiet hours of every day, as ``quiet.read_quiet`` reads them; None for none.
        channels: Severity to the preferred channels, in order; None for no preference.
    """

    recipient_id: str
    name: str
    addresses: Mapping[str, str]
    timezone: str = "UTC"
    quiet: str | None = None
    channels: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """The result of ``notify()``.

    Attributes:
        is_new: Whether this call opened the incident.
        added: Recipients for whom this call started an escalation, in their order.
        repeated: Recipients who had an escalation already.
        faults: Faults of single recipients; the other recipients are paged.
    """

    incident_id: str
    is_new: bool
    added: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a recipient.

    Attributes:
        notification_id: The notification's id, as in logs.
    """

    recipient_id: str
    channel: str
    notification_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The result of acknowledging or resolving an incident; true if it changed anything.

    Attributes:
        has_changed: Whether anything changed; False if the incident had been acknowledged or resolved before.
        cancelled: Queued pages that were cancelled.
        on_their_way: Pages that had been sent already and are not known to have arrived.
        left: Rows, by id, that the database refuses to write: they are set aside, and end when they are mended.
        risen_to: The severity of an incident that stays open because it is more severe now than its message showed; else None.
    """

    has_changed: bool
    cancelled: tuple[Page, ...] = ()
    on_their_way: tuple[Page, ...] = ()
    left: tuple[str, ...] = ()
    risen_to: Severity | None = None

    def __bool__(self) -> bool:
        return self.has_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A report of a provider about one attempt, after the call.

    Attributes:
        event_id: The event's unique id at the provider; a repeated event has the same one.
        result: The result for the attempt; None if the event is only noted.
        attempt_id: The attempt, if the callback named it.
        provider_ref: The provider's id of the message, if it gave one.
        evidence: Who vouches for the result.
        code: The provider's code or status.
        reason: The meaning of the code, from the provider's table; nothing personal.
        is_acknowledgement: Whether a human acknowledged the incident with it (key 1).
        is_key_press: Whether a human pressed a key on the call.
        is_our_fault: Whether the sender is at fault: an unregistered number, filtered content, a suspended account.
        is_general: For a fault of ours, whether the provider would refuse every message, to any recipient.
        is_about_content: For a failure, whether the message was refused for its content, and another one might arrive; one of
            several notifications is then halved.
        is_fetched: Whether it was fetched from the provider instead of coming by callback.
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
    is_about_content: bool = False
    is_fetched: bool = False
