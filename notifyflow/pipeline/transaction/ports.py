"""The dependencies of the use cases, and the values that they return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from notifyflow.core.capabilities import NO_CAPABILITIES, ChannelCapabilities
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.incident_events import Subscriber
from notifyflow.core.delivery.intervals import Outage
from notifyflow.core.delivery.model import Contact, Incident, Recipient, Severity
from notifyflow.core.delivery.policy import OPERATIONS, Policy
from notifyflow.core.delivery.ports import Clock, Ids
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.limits import lanes
from notifyflow.core.limits.cap_counts import Caps
from notifyflow.core.limits.mode import LIVE, Delivery
from notifyflow.core.limits.provider_health import DEFAULT_LIMIT, ProviderHealth
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.pipeline.transaction.pressure import Pressure
from notifyflow.storage.ledger import AttemptRef, Due, Ledger

if TYPE_CHECKING:
    from notifyflow.pipeline.transaction.running import Transaction

T = TypeVar("T")
NO_CAPS = Caps()


class Transactions(Protocol):
    """The interface to the database."""

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        """Run a use case in one transaction, and again from its start if it lost a race.

        Raises:
            Contended: When it lost ``tries`` times in a row for the same reason.
            StorageUnavailable: When the database does not answer in time.
        """
        ...

    def join(self, connection: object, use_case: Callable[[Ledger], T]) -> T:
        """Run a use case in the open transaction of the application's connection.

        Raises:
            UnsuitableConnection: When that cannot be done on this connection.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """The parts of the pipeline that a transaction calls although they are built on it.

    Attributes:
        at_end: The work at the end of each transaction, in this order.
        decide: (transaction, escalation's id) → decides the escalation after one of its pages has come to count as failed.
        word_hand_over: (transaction, incident, content, reader) → the content of a hand-over for its reader; None if the incident
            reports none.
        whom: (transaction, names) → each directory name's recipients now.
    """

    at_end: tuple[Callable[["Transaction"], None], ...]
    decide: Callable[["Transaction", str], None]
    word_hand_over: Callable[["Transaction", IncidentFacts, Incident, Contact], Incident | None]
    whom: Callable[["Transaction", Sequence[str]], Mapping[str, Sequence[Recipient]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The dependencies of every use case, built once where NotifyFlow is composed.

    Attributes:
        transactions: The store.
        wiring: The parts of the pipeline that a transaction calls although they are built on it.
        clock: The only source of time.
        ids: The only source of randomness.
        channels: Every registered channel: its name and its capabilities.
        check_address: (channel, address) → the normalised address; raises ValueError with the fault as a sentence.
        operations: The recipients of critical failures, validated; empty if none is configured.
        operations_policy: The policy of the operations incident.
        public_url: The URL of the web service; None means that messages have no link.
        secret_keys: Keys for links; the first one signs. Empty means that messages have no link.
        notice: A text that every message shows.
        ops_contact: The contact in every message for people who want no more messages; empty for the operations team.
        lease: How long a claimed row belongs to its claimer.
        limits: How many messages each provider accepts a minute, on each of its channels; ``DEFAULT_LIMIT`` for others.
        doubt_resolution_times: How soon a provider's own events resolve a doubt, if they do.
        caps: How many calls and texts an hour may bring.
        delivery: Which messages may leave, and where to.
        senders: The number that each provider texts from, by channel and provider.
        replying: The providers, as (channel, provider), at whose numbers replies come in.
        polled: The providers that are polled for missing receipts.
        sends_status_updates: Whether other recipients get status updates; messages are edited in place in any case.
        is_bundling: Whether pages leave together in a storm, or after they were deferred; a policy may also forbid it.
        subscribers: The systems that are sent incident events.
        set_size: How many attempts one transaction claims or records at most. More cost less each, but if only one transaction
            writes at a time, a submission waits for all of them.
        pressure: How many items one transaction of each use case takes under contention.
    """

    transactions: Transactions
    wiring: Wiring
    clock: Clock
    ids: Ids
    channels: Mapping[str, ChannelCapabilities]
    check_address: Callable[[str, str], str]
    operations: tuple[Contact, ...] = ()
    operations_policy: Policy = OPERATIONS
    public_url: str | None = None
    secret_keys: tuple[str, ...] = ()
    notice: str = ""
    ops_contact: str = ""
    lease: timedelta = timedelta(seconds=60)
    limits: Mapping[str, int] = field(default_factory=dict)
    doubt_resolution_times: Mapping[str, timedelta] = field(default_factory=dict)
    caps: Caps = NO_CAPS
    delivery: Delivery = LIVE
    senders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    replying: frozenset[tuple[str, str]] = frozenset()
    polled: frozenset[str] = frozenset()
    sends_status_updates: bool = True
    is_bundling: bool = True
    subscribers: tuple[Subscriber, ...] = ()
    set_size: int = 100
    pressure: Pressure = field(default_factory=Pressure)

    def capabilities(self, channel: str) -> ChannelCapabilities:
        """Return a channel's capabilities; the defaults if it is not registered (any more)."""
        return self.channels.get(channel, NO_CAPABILITIES)

    @property
    def calling(self) -> frozenset[str]:
        """The channels that ring a phone."""
        return frozenset(name for name, capabilities in self.channels.items() if capabilities.is_call)

    def lane_of(self, channel: str, address: str) -> str:
        """Return the lane of a message, by where it really goes; empty if it may not leave."""
        final = self.delivery.final(channel, address)
        return "" if final is None else lanes.lane_of(self.secret_keys[0].encode() if self.secret_keys else b"", channel, final)

    def limit_of(self, provider: str) -> int:
        """Return how many messages a provider accepts a minute."""
        return self.limits.get(provider, DEFAULT_LIMIT)

    def doubt_resolution_time(self, provider: str) -> timedelta:
        """Return how soon a provider's events resolve a doubt; zero if they do not."""
        return self.doubt_resolution_times.get(provider, timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """An attempt to be stopped on its way, such as a ringing call.

    Attributes:
        provider_ref: The provider's id of its message.
    """

    attempt_id: str
    channel: str
    provider: str
    provider_ref: str


class MovedIncident(NamedTuple):
    """An event of an incident, as the transition log has it under the incident's version."""

    incident_id: str
    event: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUps:
    """The follow-ups of a transaction; the caller reports them.

    Attributes:
        due: Notifications that may be sent now; the caller rings for them.
        failed: Notifications that became FAILED; the caller logs each at WARNING.
        critical: Escalations that became critical failures; the caller logs each at ERROR.
        health_updates: Providers whose circuit opened or closed; the caller logs each.
        outages: Outages that this sweep ended; the caller logs each.
        changes: Incidents that were opened or changed; the caller logs each.
        recalls: Attempts to stop on their way; the caller recalls those whose provider can.
        broken: Errors from damaged rows or bugs of ours; the caller logs each at ERROR.
        set_aside: Damaged rows that were set aside; the caller logs each at ERROR.
        cut_short: The error that ended a sweep early; the caller raises it after reporting the rest.
    """

    due: tuple[Due, ...] = ()
    failed: tuple[NotificationFacts, ...] = ()
    critical: tuple[EscalationFacts, ...] = ()
    health_updates: tuple[ProviderHealth, ...] = ()
    outages: tuple[Outage, ...] = ()
    recalls: tuple[Recall, ...] = ()
    changes: tuple[MovedIncident, ...] = ()
    broken: tuple[Exception, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    cut_short: BaseException | None = None

    def __add__(self, other: "FollowUps") -> "FollowUps":
        return FollowUps(
            due=self.due + other.due,
            failed=self.failed + other.failed,
            critical=self.critical + other.critical,
            health_updates=self.health_updates + other.health_updates,
            outages=self.outages + other.outages,
            recalls=self.recalls + other.recalls,
            changes=self.changes + other.changes,
            broken=self.broken + other.broken,
            set_aside=self.set_aside + other.set_aside,
            cut_short=self.cut_short or other.cut_short,
        )


NOTHING = FollowUps()


class Committed(NamedTuple, Generic[T]):
    """The result of a committed use case.

    Attributes:
        follow_ups: The caller reports them.
    """

    value: T
    follow_ups: FollowUps = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """The call of the previous attempt, whose result is unknown.

    Attributes:
        provider: Its provider, which may be asked for its message.
        attempt_id: The attempt that made it; it may have carried others, of other notifications.
        notification_id: The notification at hand, which it carried.
    """

    provider: str
    attempt_id: str
    notification_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The lease of a claimed attempt; ``record`` and ``release`` require it.

    Attributes:
        unsure: The follow-ups of an earlier call whose commit is unknown; None without one.
    """

    ref: AttemptRef
    token: str
    unsure: FollowUps | None = None

    @property
    def attempt_id(self) -> str:
        """The attempt."""
        return self.ref.attempt_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An attempt that its claimer may make now; its row is committed.

    Attributes:
        channel: The channel that carries the message.
        message: The message to send.
        lease_until: The claimer must have recorded or released the attempt by then.
        severity: The round's.
        doubt: The call that this attempt and the others of its call repeat; None for any other attempt.
        carried: The other attempts of the same call; the message is a bundle then, and theirs are not sent.
    """

    lease: Lease
    channel: str
    message: OutboundMessage
    lease_until: datetime
    severity: Severity
    doubt: Doubt | None = None
    carried: tuple["Claimed", ...] = ()

    @property
    def attempts(self) -> tuple["Claimed", ...]:
        """The attempt and the others of its call; each is recorded or released."""
        return (self, *self.carried)

    @property
    def provider(self) -> str:
        """Which of the channel's providers."""
        return self.lease.ref.provider

    def ids(self) -> dict[str, str]:
        """Return its ids for the log."""
        return {
            "attempt_id": self.message.attempt_id,
            "notification_id": self.message.notification_id,
            "incident_id": self.message.incident_id,
            "channel": self.channel,
            "provider": self.provider,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The result of a claim.

    Attributes:
        claimed: Attempts to make, the most urgent first, each with the others of its call.
        follow_ups: The follow-ups for rows that were deferred or can no longer be sent; the caller reports them.
        put_off: The ids of those that were deferred each by itself or can no longer be sent, also if another process was faster.
        locked: The requested notifications that are due and that another transaction has locked: they need another ring.
        interruption: The error that cut the claim short after some of it was stored; the caller raises it after its report.
    """

    claimed: tuple[Claimed, ...] = ()
    follow_ups: FollowUps = NOTHING
    put_off: frozenset[str] = frozenset()
    locked: frozenset[str] = frozenset()
    interruption: BaseException | None = None


class ReceiptMatch(StrEnum):
    """The state of a receipt after it was received."""

    MATCHED = "matched"
    REPEATED = "repeated"
    WAITING = "waiting"
    FOREIGN = "foreign"
