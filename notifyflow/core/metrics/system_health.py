"""The values of the page Health: the sweeper, the queues, the pauses and the providers, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.limits.pauses import Pause
from notifyflow.core.limits.provider_health import ProviderHealth

COUNTED = 10_000
"""How many due notifications, and how many postponed ones, are counted at most."""

POSTPONED_FOR = timedelta(minutes=5)
"""How long a notification is postponed at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Notifications of one channel and urgency that are due and not sent yet.

    Attributes:
        is_urgent: Whether they are CRITICAL.
        count: How many.
    """

    channel: str
    is_urgent: bool
    count: int
    oldest_due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """One provider on one channel.

    Attributes:
        health: Its circuit, and how many messages it was sent in the last minute.
        limit: How many messages it accepts a minute.
    """

    health: ProviderHealth
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemHealth:
    """The health of the whole system.

    Attributes:
        now: When it was read.
        swept_at: When the last noted sweep was; None before the first.
        queues: The due notifications, by channel, the urgent first.
        is_queue_cut: Whether more is due than was counted.
        storms: How many addresses are in a storm, by channel; a channel without one is left out.
        postponed: How many notifications wait for others or for a call to end, by channel; at most ``COUNTED`` in all.
        pauses: The pauses in force, the oldest first.
        providers: The providers that were ever used, by channel.
        unreached: How many people were not reached by their newest round.
    """

    now: datetime
    swept_at: datetime | None
    queues: tuple[Queue, ...]
    is_queue_cut: bool
    storms: Mapping[str, int]
    postponed: Mapping[str, int]
    pauses: tuple[Pause, ...]
    providers: tuple[ProviderStatus, ...]
    unreached: int
