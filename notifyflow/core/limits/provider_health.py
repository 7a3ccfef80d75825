"""Limits of a provider: sends per minute, Retry-After, and a circuit breaker; pure.

``ProviderHealth`` is one provider on one channel as all processes see it; its row is locked while it changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Condition, DeferralReason
from notifyflow.core.limits import slots
from notifyflow.core.limits.slots import Room, Slice, Taken, Wanted

DEFAULT_LIMIT = 100
"""Sends per minute, unless a setting says otherwise."""

_OPENS_AFTER = 5
_THROTTLED_AT_MOST = timedelta(hours=1)
_OPEN_FOR: Mapping[DeferralReason, tuple[timedelta, timedelta]] = {
    DeferralReason.CIRCUIT: (timedelta(seconds=30), timedelta(minutes=5)),
    DeferralReason.SUSPENSION: (timedelta(minutes=1), timedelta(minutes=15)),
}
OPEN_AT_MOST = max(longest for _, longest in _OPEN_FOR.values())
"""How long a circuit stays open at a time."""


class Circuit(StrEnum):
    """The state of a provider's circuit breaker; HALF_OPEN lets one attempt at a time through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, kw_only=True)
class ProviderHealth:
    """One provider on one channel, as all processes see it.

    Attributes:
        channel: The channel's registered name.
        provider: The provider's name.
        version: Number of writes; guards every update.
        spent: Slots granted in the last minute, the oldest first.
        throttled_until: Until when the provider asked us to wait, or None.
        failures: How many notifications in a row found the provider unhealthy.
        circuit_opened_by: CIRCUIT or SUSPENSION; None while the circuit is closed.
        circuit_open_until: Until when nothing is sent; from then on one attempt at a time probes the provider.
        times_opened: How often in a row the circuit has opened; each time it stays open twice as long.
        probe_until: When the lease of the probing attempt ends.
        namespace_slots: The slots that namespaces were granted in the last minute, and each one's last slot within the last hour.
    """

    channel: str
    provider: str
    version: int = 1
    spent: tuple[Slice, ...] = ()
    throttled_until: datetime | None = None
    failures: int = 0
    circuit_opened_by: DeferralReason | None = None
    circuit_open_until: datetime | None = None
    times_opened: int = 0
    probe_until: datetime | None = None
    namespace_slots: tuple[Taken, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why a provider cannot take a notification now.

    Attributes:
        why: The reason for the deferral.
        until: When to try again, as an estimate; nothing is reserved.
        provider: The provider's name.
    """

    why: DeferralReason
    until: datetime
    provider: str


def circuit(health: ProviderHealth, now: datetime) -> Circuit:
    """Return the state of a provider's circuit."""
    if health.circuit_open_until is None:
        return Circuit.CLOSED
    return Circuit.OPEN if now < health.circuit_open_until else Circuit.HALF_OPEN


def obstacle(health: ProviderHealth, wanted: Wanted, *, limit: int, now: datetime) -> Obstacle | None:
    """Return why a provider cannot take a notification now, or None if it can; the limit is in sends a minute."""
    if health.circuit_opened_by is not None:
        until = health.circuit_open_until if circuit(health, now) is Circuit.OPEN else health.probe_until
        if until is not None and now < until:
            return Obstacle(why=health.circuit_opened_by, until=until, provider=health.provider)
    if health.throttled_until is not None and now < health.throttled_until:
        return Obstacle(why=DeferralReason.RETRY_AFTER, until=health.throttled_until, provider=health.provider)
    spent = _counted(health, now)
    if slots.room(spent, health.namespace_slots, wanted, limit=limit, now=now) is not Room.NONE:
        return None
    return Obstacle(
        why=DeferralReason.LIMIT,
        until=_free_at(spent, health.namespace_slots, wanted, limit=limit, now=now),
        provider=health.provider,
    )


def grant(health: ProviderHealth, wanted: Wanted, *, limit: int, now: datetime, lease_until: datetime) -> ProviderHealth:
    """Grant one slot; the caller has checked that there is no obstacle.

    While a circuit is half open, no other attempt begins before the lease of this one ends.
    """
    spent = _counted(health, now)
    number = slots.number(now)
    last = spent[-1] if spent and spent[-1].number >= number else Slice(number=number)
    grown = replace(last, urgent=last.urgent + 1) if wanted.is_urgent else replace(last, calm=last.calm + 1)
    is_kept = slots.room(spent, health.namespace_slots, wanted, limit=limit, now=now) is Room.KEPT
    return replace(
        health,
        spent=(*(each for each in spent if each.number < last.number), grown),
        namespace_slots=slots.add(health.namespace_slots, last.number, wanted, is_kept=is_kept),
        probe_until=lease_until if health.circuit_opened_by else health.probe_until,
    )


def record_outcome(
    health: ProviderHealth, condition: Condition, *, is_new: bool, throttle_s: float | None, now: datetime
) -> ProviderHealth:
    """Return a provider's health after an attempt.

    Only a notification that has not found the provider unhealthy before (``is_new``) counts for the circuit, so that one address
    alone does not open it. The provider may have asked us to wait for ``throttle_s`` seconds.
    """
    if throttle_s is not None:
        until = now + min(timedelta(seconds=throttle_s), _THROTTLED_AT_MOST)
        health = replace(health, throttled_until=max(until, health.throttled_until or until))
    if condition is Condition.HEALTHY:
        return replace(health, failures=0, circuit_opened_by=None, circuit_open_until=None, times_opened=0, probe_until=None)
    state = circuit(health, now)
    if state is Circuit.OPEN:  # the attempt began before the circuit opened
        return health
    if condition is Condition.REFUSING:
        return _open(health, DeferralReason.SUSPENSION, now)
    failures = health.failures + is_new
    opens = state is Circuit.HALF_OPEN or failures >= _OPENS_AFTER
    health = replace(health, failures=failures)
    return _open(health, DeferralReason.CIRCUIT, now) if opens else health


def used(health: ProviderHealth, now: datetime) -> int:
    """Return how many slots of the limit are used up."""
    return sum(each.calm + each.urgent for each in _counted(health, now))


def _open(health: ProviderHealth, why: DeferralReason, now: datetime) -> ProviderHealth:
    first, longest = _OPEN_FOR[why]
    open_for = min(first * 2 ** min(health.times_opened, 10), longest)
    return replace(
        health, circuit_opened_by=why, circuit_open_until=now + open_for, times_opened=health.times_opened + 1, probe_until=None
    )


def _counted(health: ProviderHealth, now: datetime) -> tuple[Slice, ...]:
    return slots.counted(health.spent, now)


def _free_at(spent: Sequence[Slice], taken: Sequence[Taken], wanted: Wanted, *, limit: int, now: datetime) -> datetime:
    """Return when enough of the oldest slices stop counting."""
    places = range(1, len(spent) + 1)
    gone = next(
        (place for place in places if slots.room(spent[place:], taken, wanted, limit=limit, now=now) is not Room.NONE), len(spent)
    )
    return slots.stops_counting_at(spent[gone - 1].number)
