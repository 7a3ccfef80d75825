"""Policies: tiers, rules, retry schedules, freshness and acknowledgement; plain data that compares by value.

``intake.documents`` reads one from TOML and ``intake.policy_validation`` validates it; ``tier_rules`` applies it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Opens a tier when enough notifications of the tier in force are FAILED or suspected.

    Attributes:
        at_least: How many, from 1; a tier with fewer notifications needs all of them.
    """

    at_least: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unacknowledged:
    """Opens a tier when the incident is not acknowledged in time.

    Attributes:
        after: Time since the round started; more than zero.
    """

    after: timedelta


OpeningRule = Failed | Unacknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A step of a policy: channels that are used in parallel, and the rules that open it.

    Attributes:
        name: ``primary``, ``secondary``, ``fallback``, or another name.
        channels: Names of channels; the next tier opens at once for a recipient without an address on any of them.
        rules: The tier opens when one of them is met; empty for the first tier only.
        shut_for: Severities for which the tier pages nobody and the next one opens at once.
    """

    name: str
    channels: tuple[str, ...]
    rules: tuple[OpeningRule, ...] = ()
    shut_for: tuple[Severity, ...] = ()


def timers(tiers: Iterable[Tier]) -> tuple[Unacknowledged, ...]:
    """Return the timers of tiers; each opens its tier with all before it."""
    return tuple(rule for tier in tiers for rule in tier.rules if isinstance(rule, Unacknowledged))


def opening_rules(ahead: Sequence[Tier]) -> tuple[OpeningRule, ...]:
    """Return the rules that open the first of some tiers: its own, and a later tier's timer if that is over before its own."""
    own = [rule.after for rule in timers(ahead[:1])]
    sooner = [rule for rule in timers(ahead[1:]) if all(rule.after < each for each in own)]
    return (*ahead[0].rules, *sorted(sooner, key=lambda rule: rule.after)[:1])


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """When an attempt is repeated after a temporary failure.

    Attributes:
        delays: The waits before the 2nd, 3rd, … attempt.
        jitter: Share by which each wait varies at random: ``delay × (1 ± jitter)``; 0 to 1.
        window: Time after the first attempt in which a ``Retry-After`` is honoured; a later one ends the notification.
    """

    delays: tuple[timedelta, ...]
    jitter: float = 0.1
    window: timedelta = timedelta(minutes=10)

    @property
    def attempts(self) -> int:
        """The largest number of attempts."""
        return len(self.delays) + 1


class Acknowledgement(StrEnum):
    """Whether one acknowledgement ends all escalations, or each recipient's only their own."""

    ANY = "any"
    EACH = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Page again, round after round, while the incident is OPEN.

    Attributes:
        every: Time between the starts of two rounds.
        rounds: Number of rounds in all. A recipient who has not acknowledged ``every`` after the last one is a critical failure.
        never_for: Severities with one round only.
    """

    every: timedelta
    rounds: int
    never_for: tuple[Severity, ...] = (Severity.INFO,)


def _seconds(*seconds: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=each) for each in seconds)


NORMAL_SCHEDULE = RetrySchedule(delays=_seconds(30, 60, 120, 240))
CRITICAL_SCHEDULE = RetrySchedule(delays=_seconds(2, 10, 60, 480))
VOICE_SCHEDULE = RetrySchedule(delays=_seconds(60, 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """The schedules of a policy, by channel or else by severity.

    Attributes:
        normal: For ERROR, WARNING and INFO.
        by_channel: For these channels, whatever the severity.
    """

    normal: RetrySchedule = NORMAL_SCHEDULE
    critical: RetrySchedule = CRITICAL_SCHEDULE
    by_channel: Mapping[str, RetrySchedule] = field(default_factory=lambda: {"voice": VOICE_SCHEDULE})

    def schedule(self, channel: str, severity: Severity) -> RetrySchedule:
        """Return the schedule for a channel and severity."""
        if channel in self.by_channel:
            return self.by_channel[channel]
        return self.critical if severity is Severity.CRITICAL else self.normal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a recipient is paged; each escalation refers to a snapshot of its policy.

    Attributes:
        name: The policy's name.
        tiers: The tiers in order, at least one; the first opens at once.
        retries: When temporary failures are retried.
        is_suspicion_on: Whether a suspected notification counts as failed for the rules of tiers.
        suspected_after_attempts: Number of failed attempts after which a CRITICAL notification is suspected.
        suspected_after_deferral: Time after which a deferred CRITICAL notification is suspected; others after their retry window.
        acknowledgement: Whether one acknowledgement ends all escalations, or each recipient's only their own.
        repeat: Further rounds; None for one round only.
        delayed_after: A page that leaves later than this after it was first due says so.
        fresh_for: Pages expire this long after their round started.
        fresh_for_critical: The same for CRITICAL.
        escalate_within: A failure opens a tier only if its attempt began less than this ago.
        overdue_after: Channel to the time after which a missing receipt is overdue.
        unconfirmed_after: Time after which a SENT notification without a receipt is no longer waited for.
        critical_channels: A recipient whose notifications on all of these are FAILED is a critical failure.
        bundling: Whether its pages wait for others in a storm, and leave with them in one message.
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
    bundling: bool = True

    @property
    def is_insistent(self) -> bool:
        """Whether it pages until someone acknowledges; otherwise an accepted message ends it."""
        rules = (rule for tier in self.tiers for rule in tier.rules)
        return self.repeat is not None or any(isinstance(rule, Unacknowledged) for rule in rules)

    def freshness(self, severity: Severity) -> timedelta:
        """Return the time after the start of the round at which its pages expire."""
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
"""How operations is paged, unless a policy of this name replaces it; notices alone are a WARNING, without texts or calls."""

INCIDENT_EVENTS = Policy(
    name="incident_events",
    tiers=(Tier(name="subscribers", channels=("webhook",)),),
    retries=Retries(
        normal=RetrySchedule(
            delays=(
                *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
                *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
            ),
            window=timedelta(days=4),
        )
    ),
    fresh_for=timedelta(days=5),
)
"""How incident events are sent to subscribers; its delays are those of Standard Webhooks. No escalation uses it."""

SHIPPED: Mapping[str, Policy] = {policy.name: policy for policy in (DEFAULT, INSISTENT, OPERATIONS)}
