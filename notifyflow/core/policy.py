"""What a policy is made of: tiers, rules, retry schedules, freshness, acknowledgement; plain data that compares by value.

``intake.documents`` reads one from TOML and ``intake.policy_validation`` validates it; ``rules`` applies it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from notifyflow.core.model import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Opens a tier when at least so many notifications of the tier in force are FAILED or suspected.

    Attributes:
        at_least: 1 or more; never counts as more than the tier has notifications.
    """

    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unacknowledged:
    """Opens a tier when nobody has acknowledged so long after the round started.

    Attributes:
        after: More than zero.
    """

    after: timedelta


Rule = Failed | Unacknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A step of a policy: channels that are tried in parallel, and what opens it.

    Attributes:
        name: ``primary``, ``secondary``, ``fallback``, or one's own.
        channels: Names of channels; a recipient without an address in any is passed on to the next tier at once.
        rules: Any one that is met opens the tier; empty for the first tier only.
        shut_for: Severities for which it never opens.
    """

    name: str
    channels: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    shut_for: tuple[Severity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a temporary failure is tried again.

    Attributes:
        delays: The wait before the 2nd, 3rd, … attempt; one more attempt than there are delays.
        jitter: Each wait is drawn from ``delay × (1 ± jitter)``; 0 to 1.
        window: How long after its first attempt a notification is still tried; a ``Retry-After`` beyond it ends the row.
    """

    delays: tuple[timedelta, ...]
    jitter: float = 0.1
    window: timedelta = timedelta(minutes=10)

    @property
    def attempts(self) -> int:
        """How many attempts there are at most."""
        return len(self.delays) + 1


class Acknowledgement(StrEnum):
    """Whose acknowledgement ends what: anyone's all, or each one's their own."""

    ANY = "any"
    EACH = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Page again, round after round, while the incident is OPEN.

    Attributes:
        every: Time between the starts of two rounds.
        rounds: How many rounds there are in all; ``every`` after the last, whoever has not acknowledged is a critical failure.
        never_for: Severities that are paged once.
    """

    every: timedelta
    rounds: int
    never_for: tuple[Severity, ...] = (Severity.INFO,)


def _seconds(*seconds: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=each) for each in seconds)


NORMAL_SCHEDULE = Schedule(delays=_seconds(30, 60, 120, 240))
CRITICAL_SCHEDULE = Schedule(delays=_seconds(2, 10, 60, 480))
VOICE_SCHEDULE = Schedule(delays=_seconds(60, 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """The schedules of a policy, found by channel first and severity then.

    Attributes:
        normal: For ERROR, WARNING and INFO.
        critical: For CRITICAL.
        by_channel: For channels that have one of their own, whatever the severity.
    """

    normal: Schedule = NORMAL_SCHEDULE
    critical: Schedule = CRITICAL_SCHEDULE
    by_channel: Mapping[str, Schedule] = field(default_factory=lambda: {"voice": VOICE_SCHEDULE})

    def schedule(self, channel: str, severity: Severity) -> Schedule:
        """Find the schedule of one notification."""
        if channel in self.by_channel:
            return self.by_channel[channel]
        return self.critical if severity is Severity.CRITICAL else self.normal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one recipient is paged; snapshotted into each escalation.

    Attributes:
        name: What callers ask for it by.
        tiers: At least one; the first opens at once.
        retries: When temporary failures are tried again.
        is_suspicion_on: Whether a suspected notification counts as failed when a tier's rule is looked at.
        suspected_after_attempts: With CRITICAL, a row is suspected once so many attempts have failed.
        suspected_after_deferral: A CRITICAL row that is deferred for longer is suspected; others after their retry window.
        acknowledgement: Whose acknowledgement ends what.
        repeat: Further rounds; None for one round only.
        delayed_after: A page that leaves later than this after it was due for the first time says so.
        fresh_for: A page whose round started longer ago is not sent any more.
        fresh_for_critical: The same for CRITICAL.
        escalate_within: A failure opens a tier only if its attempt began less than this before.
        overdue_after: Channel to the time after which a receipt that decides is overdue.
        unconfirmed_after: After this without such a receipt a SENT row holds up nothing.
        critical_channels: A recipient whose notifications on all of these are FAILED is a critical failure.
    """

    name: str
    tiers: tuple[Tier, ...]
    retries: Retries = field(default_factory=Retries)
    is_suspicion_on: bool = True
    suspected_after_attempts: int = 2
    suspected_after_deferral: timedelta = timedelta(seconds=30)
    acknowledgement: Acknowledgement = Acknowledgement.ANY
    repeat: Repeat | None = None
    delayed_after: timedelta = timedelta(minutes=5)
    fresh_for: timedelta = timedelta(hours=24)
    fresh_for_critical: timedelta = timedelta(hours=72)
    escalate_within: timedelta = timedelta(hours=1)
    overdue_after: Mapping[str, timedelta] = field(
        default_factory=lambda: {
            "sms": timedelta(seconds=60),
            "voice": timedelta(seconds=60),
            "email": timedelta(minutes=5),
            "push": timedelta(minutes=5),
        }
    )
    unconfirmed_after: timedelta = timedelta(minutes=30)
    critical_channels: tuple[str, ...] = ("email", "sms")

    @property
    def is_insistent(self) -> bool:
        """Whether it pages on while nobody has acknowledged; without that an accepted message is the end of it."""
        rules = (rule for tier in self.tiers for rule in tier.rules)
        return self.repeat is not None or any(isinstance(rule, Unacknowledged) for rule in rules)

    def freshness(self, severity: Severity) -> timedelta:
        """Tell how long after its round started a page is still worth sending."""
        return self.fresh_for_critical if severity is Severity.CRITICAL else self.fresh_for


_PRIMARY = Tier(name="primary", channels=("email", "slack", "teams", "push"))
_NOT_FOR_INFO = (Severity.INFO,)

DEFAULT = Policy(
    name="default",
    tiers=(
        _PRIMARY,
        Tier(name="secondary", channels=("sms",), rules=(Failed(at_least=2),), shut_for=_NOT_FOR_INFO),
        Tier(name="fallback", channels=("voice",), rules=(Failed(at_least=1),), shut_for=_NOT_FOR_INFO),
    ),
)

INSISTENT = Policy(
    name="insistent",
    tiers=(
        _PRIMARY,
        Tier(
            name="secondary",
            channels=("sms",),
            rules=(Failed(at_least=2), Unacknowledged(after=timedelta(minutes=5))),
            shut_for=_NOT_FOR_INFO,
        ),
        Tier(
            name="fallback",
            channels=("voice",),
            rules=(Failed(at_least=1), Unacknowledged(after=timedelta(minutes=10))),
            shut_for=_NOT_FOR_INFO,
        ),
    ),
    repeat=Repeat(every=timedelta(minutes=15), rounds=3),
)

_NOT_FOR_NOTICES = (Severity.INFO, Severity.WARNING)
OPERATIONS = replace(
    INSISTENT,
    name="operations",
    tiers=tuple(replace(tier, shut_for=_NOT_FOR_NOTICES if tier.rules else ()) for tier in INSISTENT.tiers),
)
"""How operations is told, unless a policy of this name takes its place: notices alone, a WARNING, text and ring up nobody."""

INCIDENT_EVENTS = Policy(
    name="incident_events",
    tiers=(Tier(name="subscribers", channels=("webhook",)),),
    retries=Retries(
        normal=Schedule(
            delays=(
                *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
                *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
            ),
            window=timedelta(days=4),
        )
    ),
    fresh_for=timedelta(days=5),
)
"""How subscribers are told: nobody names it, and no tier of it is ever opened; the delays are those of Standard Webhooks."""

SHIPPED: Mapping[str, Policy] = {policy.name: policy for policy in (DEFAULT, INSISTENT, OPERATIONS)}
