"""What a provider is given: a limit a minute with a fifth kept for CRITICAL, the wait it asked for, and rest while it is ill.

Values only. A carrier is one provider on one channel as all processes see it; whoever changes one holds its row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from notifyflow.core.model import Hold, Standing

DEFAULT_LIMIT = 100
"""Sends a minute, where no setting says otherwise."""

_SLICE = timedelta(seconds=5)
_KEPT = 13
"""Slices that are counted: what began in the one before them is a minute old at least."""

_ILL_AFTER = 5
_NARROWED_AT_MOST = timedelta(hours=1)
_REST: Mapping[Hold, tuple[timedelta, timedelta]] = {
    Hold.CIRCUIT: (timedelta(seconds=30), timedelta(minutes=5)),
    Hold.SUSPENSION: (timedelta(minutes=1), timedelta(minutes=15)),
}


class Circuit(StrEnum):
    """Whether a carrier is used: as always, not at all, or by one attempt that finds out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What was granted within five seconds.

    Attributes:
        number: Which five seconds, counted from 1970.
        calm: How many attempts that are not CRITICAL.
        urgent: How many CRITICAL ones.
    """

    number: int
    calm: int = 0
    urgent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """One provider on one channel, as all processes see it.

    Attributes:
        channel: The channel's registered name.
        provider: The provider's name.
        version: Counts its writes; the guard of every update.
        spent: What was granted in the last minute, the oldest first.
        narrowed_until: Until when the provider asked to be left alone; None where it did not.
        failures: How many notifications in a row found it ill.
        shut_by: Why it rests, CIRCUIT or SUSPENSION; None while it does not.
        shut_until: Until when it rests; from then on one attempt at a time finds out whether it is well.
        times_shut: How often in a row; each rest is twice as long as the one before.
        probe_until: Until when the attempt that finds out may take.
    """

    channel: str
    provider: str
    version: int = 1
    spent: tuple[Slice, ...] = ()
    narrowed_until: datetime | None = None
    failures: int = 0
    shut_by: Hold | None = None
    shut_until: datetime | None = None
    times_shut: int = 0
    probe_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why somebody does not carry a notification now.

    Attributes:
        why: What is in the way.
        until: When it is worth looking again: an estimate, nothing is reserved.
        provider: Who it is.
    """

    why: Hold
    until: datetime
    provider: str


def circuit(carrier: Carrier, now: datetime) -> Circuit:
    """Tell whether a carrier may be used."""
    if carrier.shut_until is None:
        return Circuit.CLOSED
    return Circuit.OPEN if now < carrier.shut_until else Circuit.HALF_OPEN


def obstacle(carrier: Carrier, *, limit: int, is_urgent: bool, now: datetime) -> Obstacle | None:
    """Find what keeps a carrier from taking one notification now; None where nothing does.

    Args:
        carrier: As it is now.
        limit: How many it takes a minute, from 1.
        is_urgent: Whether the notification is CRITICAL.
        now: The time of the decision.
    """
    if carrier.shut_by is not None:
        until = carrier.shut_until if circuit(carrier, now) is Circuit.OPEN else carrier.probe_until
        if until is not None and now < until:
            return Obstacle(why=carrier.shut_by, until=until, provider=carrier.provider)
    if carrier.narrowed_until is not None and now < carrier.narrowed_until:
        return Obstacle(why=Hold.RETRY_AFTER, until=carrier.narrowed_until, provider=carrier.provider)
    spent = _counted(carrier, now)
    if _has_room(spent, limit, is_urgent=is_urgent):
        return None
    return Obstacle(why=Hold.LIMIT, until=_free_at(spent, limit, is_urgent=is_urgent), provider=carrier.provider)


def grant(carrier: Carrier, *, is_urgent: bool, now: datetime, lease_until: datetime) -> Carrier:
    """Give one slot away; the caller has seen that nothing is in the way.

    Args:
        carrier: As it is now.
        is_urgent: Whether the notification is CRITICAL.
        now: The time of the decision.
        lease_until: When the attempt is over at the latest; only one finds out whether a carrier that rests is well.
    """
    spent = _counted(carrier, now)
    last = spent[-1] if spent and spent[-1].number >= _number(now) else Slice(number=_number(now))
    grown = replace(last, urgent=last.urgent + 1) if is_urgent else replace(last, calm=last.calm + 1)
    kept = tuple(each for each in spent if each.number < last.number)
    return replace(carrier, spent=(*kept, grown), probe_until=lease_until if carrier.shut_by else carrier.probe_until)


def hear(carrier: Carrier, standing: Standing, *, is_new: bool, narrows_s: float | None, now: datetime) -> Carrier:
    """Learn from what came of an attempt.

    Args:
        carrier: As it is now.
        standing: What the answer says about the provider itself.
        is_new: Whether it is the notification's first attempt that found the provider ill: one address alone opens no circuit.
        narrows_s: For how many seconds the provider asked to be left alone; None where it did not.
        now: The time of the decision.
    """
    if narrows_s is not None:
        until = now + min(timedelta(seconds=narrows_s), _NARROWED_AT_MOST)
        carrier = replace(carrier, narrowed_until=max(until, carrier.narrowed_until or until))
    if standing is Standing.WELL:
        return replace(carrier, failures=0, shut_by=None, shut_until=None, times_shut=0, probe_until=None)
    state = circuit(carrier, now)
    if state is Circuit.OPEN:  # it began before, and tells nothing new
        return carrier
    if standing is Standing.REFUSING:
        return _shut(carrier, Hold.SUSPENSION, now)
    failures = carrier.failures + is_new
    is_shut = state is Circuit.HALF_OPEN or failures >= _ILL_AFTER
    carrier = replace(carrier, failures=failures)
    return _shut(carrier, Hold.CIRCUIT, now) if is_shut else carrier


def _shut(carrier: Carrier, why: Hold, now: datetime) -> Carrier:
    first, longest = _REST[why]
    rest = min(first * 2 ** min(carrier.times_shut, 10), longest)
    return replace(carrier, shut_by=why, shut_until=now + rest, times_shut=carrier.times_shut + 1, probe_until=None)


def _number(now: datetime) -> int:
    return (now - datetime(1970, 1, 1, tzinfo=UTC)) // _SLICE


def _counted(carrier: Carrier, now: datetime) -> tuple[Slice, ...]:
    """List what counts still; a slice of the future, from before the clock was put right, does too."""
    return tuple(each for each in carrier.spent if each.number > _number(now) - _KEPT)


def _has_room(spent: tuple[Slice, ...], limit: int, *, is_urgent: bool) -> bool:
    calm, urgent = sum(each.calm for each in spent), sum(each.urgent for each in spent)
    return calm + urgent < limit and (is_urgent or calm < max(1, limit - -(-limit // 5)))


def _free_at(spent: tuple[Slice, ...], limit: int, *, is_urgent: bool) -> datetime:
    """Find when the oldest slices that are in the way count no more."""
    gone = next(place for place in range(1, len(spent) + 1) if _has_room(spent[place:], limit, is_urgent=is_urgent))
    return datetime(1970, 1, 1, tzinfo=UTC) + (spent[gone - 1].number + _KEPT) * _SLICE
