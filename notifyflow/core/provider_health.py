"""Limits of a provider: sends per minute, a fifth of them reserved for CRITICAL, Retry-After, and a circuit breaker; pure.

``ProviderHealth`` is one provider on one channel as all processes see it; its row is locked while it changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from notifyflow.core.copies import replace
from notifyflow.core.model import Condition, DeferralReason

DEFAULT_LIMIT = 100
"""Sends per minute, unless a setting says otherwise."""

_SLICE = timedelta(seconds=5)
_KEPT = 13
"""Number of slices that count; anything in an earlier slice is at least a minute old."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Slots granted within five seconds.

    Attributes:
        number: Number of the five seconds since 1970.
        calm: Number of slots for notifications that are not CRITICAL.
        urgent: Number of slots for CRITICAL notifications.
    """

    number: int
    calm: int = 0
    urgent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """One provider on one channel, as all processes see it.

    Attributes:
        channel: The channel's registered name.
        provider: The provider's name.
        version: Number of writes; guards every update.
        spent: Slots granted in the last minute, the oldest first.
        throttled_until: Until when the provider asked us to wait; None if it did not.
        failures: How many notifications in a row found it unhealthy.
        circuit_opened_by: CIRCUIT or SUSPENSION; None while the circuit is closed.
        circuit_open_until: Until when nothing is sent; from then on one attempt at a time probes the provider.
        times_opened: How often in a row the circuit has opened; each time it stays open twice as long.
        probe_until: When the lease of the probing attempt ends.
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


def obstacle(health: ProviderHealth, *, limit: int, is_urgent: bool, now: datetime) -> Obstacle | None:
    """Return why a provider cannot take a notification now, or None if it can; the limit is in sends a minute."""
    if health.circuit_opened_by is not None:
        until = health.circuit_open_until if circuit(health, now) is Circuit.OPEN else health.probe_until
        if until is not None and now < until:
            return Obstacle(why=health.circuit_opened_by, until=until, provider=health.provider)
    if health.throttled_until is not None and now < health.throttled_until:
        return Obstacle(why=DeferralReason.RETRY_AFTER, until=health.throttled_until, provider=health.provider)
    spent = _counted(health, now)
    if _has_room(spent, limit, is_urgent=is_urgent):
        return None
    return Obstacle(why=DeferralReason.LIMIT, until=_free_at(spent, limit, is_urgent=is_urgent), provider=health.provider)


def grant(health: ProviderHealth, *, is_urgent: bool, now: datetime, lease_until: datetime) -> ProviderHealth:
    """Grant one slot; the caller has checked that there is no obstacle.

    While a circuit is half open, no other attempt begins before the lease of this one ends.
    """
    spent = _counted(health, now)
    last = spent[-1] if spent and spent[-1].number >= _number(now) else Slice(number=_number(now))
    grown = replace(last, urgent=last.urgent + 1) if is_urgent else replace(last, calm=last.calm + 1)
    kept = tuple(each for each in spent if each.number < last.number)
    return replace(health, spent=(*kept, grown), probe_until=lease_until if health.circuit_opened_by else health.probe_until)


def record_outcome(
    health: ProviderHealth, condition: Condition, *, is_new: bool, throttle_s: float | None, now: datetime
) -> ProviderHealth:
    """Return a provider's health after an attempt, by what the response says about the provider itself.

    Only a notification that did not find the provider unhealthy before (``is_new``) counts for the circuit, so that one address
    opens none. The provider may have asked us to wait for ``throttle_s`` seconds.
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


def _number(now: datetime) -> int:
    return (now - datetime(1970, 1, 1, tzinfo=UTC)) // _SLICE


def _counted(health: ProviderHealth, now: datetime) -> tuple[Slice, ...]:
    """Return the slices that still count, including those in the future, from before the clock was set back."""
    return tuple(each for each in health.spent if each.number > _number(now) - _KEPT)


def _has_room(spent: tuple[Slice, ...], limit: int, *, is_urgent: bool) -> bool:
    calm, urgent = sum(each.calm for each in spent), sum(each.urgent for each in spent)
    return calm + urgent < limit and (is_urgent or calm < max(1, limit - -(-limit // 5)))


def _free_at(spent: tuple[Slice, ...], limit: int, *, is_urgent: bool) -> datetime:
    """Return when enough of the oldest slices stop counting."""
    gone = next(place for place in range(1, len(spent) + 1) if _has_room(spent[place:], limit, is_urgent=is_urgent))
    return datetime(1970, 1, 1, tzinfo=UTC) + (spent[gone - 1].number + _KEPT) * _SLICE
