"""What the page Health shows: the sweeper, the queues, the pauses and the providers, as frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.pauses import Pause
from notifyflow.core.provider_health import ProviderHealth

COUNTED = 10_000
"""How many due notifications are counted at most."""
CALLS = 2_000
"""How many of the newest calls are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Notifications of one channel and urgency that are due and not sent yet.

    Attributes:
        channel: The channel.
        is_urgent: Whether they are CRITICAL.
        count: How many.
        oldest_due_at: When the oldest became due.
    """

    channel: str
    is_urgent: bool
    count: int
    oldest_due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The recent calls to one provider on one channel.

    Attributes:
        channel: The channel.
        provider: The provider.
        count: How many.
        accepted: How many it accepted, whatever receipts said later.
        refused_us: How many failed by a fault of ours.
        doubted: Of how many the outcome was unknown.
        median: How long half of them took at most.
        slow: How long 95 of 100 took at most.
    """

    channel: str
    provider: str
    count: int
    accepted: int
    refused_us: int
    doubted: int
    median: timedelta
    slow: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderVitals:
    """One provider on one channel.

    Attributes:
        health: Its circuit and what it was sent in the last minute.
        limit: How many messages it accepts a minute.
        calls: Its recent calls; None if it had none.
    """

    health: ProviderHealth
    limit: int
    calls: Calls | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """The health of the whole system.

    Attributes:
        now: When it was read.
        swept_at: When the last noted sweep was; None before the first.
        queues: What is due, by channel, the urgent first.
        is_queue_cut: Whether more is due than was counted.
        pauses: The pauses in force, the oldest first.
        providers: The providers that were ever used, by channel.
        calls_since: When the oldest of the recent calls began; None without any.
        unreached: How many people the newest round of each did not reach.
    """

    now: datetime
    swept_at: datetime | None
    queues: tuple[Queue, ...]
    is_queue_cut: bool
    pauses: tuple[Pause, ...]
    providers: tuple[ProviderVitals, ...]
    calls_since: datetime | None
    unreached: int


def quantile(ordered: Sequence[timedelta], share: float) -> timedelta:
    """Return the span that a share of the spans does not exceed; they are in order, and there is at least one."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
