"""Shares the slots of a provider's minute between CRITICAL and other notifications, and between namespaces; pure.

A fifth of the minute is reserved for CRITICAL. If several namespaces have sent in the last hour, a fifth of the reserve and a
fifth of the rest are kept for namespaces with less than an even part of the minute. The namespace of operations is not counted,
and may always take a kept slot.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from notifyflow.core.copies import replace
from notifyflow.core.namespaces import OPERATIONS

_SLICE = timedelta(seconds=5)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 13
"""Number of slices that count; anything in an earlier slice is at least a minute old."""
_HOUR = timedelta(hours=1) // _SLICE


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The slots that one namespace was granted within five seconds.

    Attributes:
        number: Number of the five seconds since 1970.
        calm: Number of slots for notifications that are not CRITICAL.
        urgent: Number of slots for CRITICAL notifications.
        kept_calm: How many of ``calm`` were slots kept for namespaces with few.
        kept_urgent: How many of ``urgent`` were such slots.
    """

    number: int
    namespace: str
    calm: int = 0
    urgent: int = 0
    kept_calm: int = 0
    kept_urgent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The claimant of a slot.

    Attributes:
        is_urgent: Whether the notification is CRITICAL.
    """

    namespace: str
    is_urgent: bool


class Room(Enum):
    """Whether there is a slot: none, one for anybody, or one kept for namespaces with few."""

    NONE = "none"
    OPEN = "open"
    KEPT = "kept"


def number(now: datetime) -> int:
    """Return the number of the five seconds that an instant is in."""
    return (now - _START) // _SLICE


def counted(spent: Iterable[Slice], now: datetime) -> tuple[Slice, ...]:
    """Return the slices that still count, including those in the future, from before the clock was set back."""
    return tuple(each for each in spent if each.number > number(now) - _MINUTE)


def stops_counting_at(slice_number: int) -> datetime:
    """Return when a slice stops counting."""
    return _START + (slice_number + _MINUTE) * _SLICE


def room(spent: Sequence[Slice], taken: Sequence[Taken], wanted: Wanted, *, limit: int, now: datetime) -> Room:
    """Return whether there is a slot.

    Args:
        spent: The slices that count.
        taken: The namespaces' slots of the last hour. Those older than ``spent`` only show that the namespace has sent.
        wanted: The claimant.
        limit: Slots a minute.
        now: The current instant.
    """
    calm, urgent = sum(each.calm for each in spent), sum(each.urgent for each in spent)
    reserve = min(-(-limit // 5), limit - 1)
    share = limit - reserve
    if calm + urgent >= limit or (not wanted.is_urgent and calm >= share):
        return Room.NONE
    senders = {each.namespace for each in taken if each.number > number(now) - _HOUR} | {wanted.namespace}
    senders.discard(OPERATIONS)
    if len(senders) < 2:
        return Room.OPEN
    calm_kept, urgent_kept = max(1, share // 5), min(reserve, max(1, reserve // 5))
    numbers = {each.number for each in spent}
    recent = [each for each in taken if each.number in numbers]
    from_calm, from_urgent = sum(each.kept_calm for each in recent), sum(each.kept_urgent for each in recent)
    is_open = calm + urgent - min(from_calm + from_urgent, calm_kept + urgent_kept) < limit - calm_kept - urgent_kept
    if is_open and (wanted.is_urgent or calm - min(from_calm, calm_kept) < share - calm_kept):
        return Room.OPEN
    has_kept = wanted.is_urgent or calm + urgent + max(0, urgent_kept - from_urgent) < limit
    return Room.KEPT if has_kept and _has_had_little(recent, wanted, len(senders), limit, reserve) else Room.NONE


def add(taken: Sequence[Taken], slice_number: int, wanted: Wanted, *, is_kept: bool) -> tuple[Taken, ...]:
    """Return the namespaces' slots with one more.

    Slots over an hour old are dropped, and those over a minute old unless they are the newest of their namespace.
    """
    newest = {each.namespace: each.number for each in taken} | {wanted.namespace: slice_number}
    had = Taken(number=slice_number, namespace=wanted.namespace)
    others = []
    for each in taken:
        if (each.number, each.namespace) == (had.number, had.namespace):
            had = each
        elif each.number > slice_number - (_HOUR if newest[each.namespace] == each.number else _MINUTE):
            others.append(each)
    if wanted.is_urgent:
        grown = replace(had, urgent=had.urgent + 1, kept_urgent=had.kept_urgent + is_kept)
    else:
        grown = replace(had, calm=had.calm + 1, kept_calm=had.kept_calm + is_kept)
    return (*others, grown)


def _has_had_little(recent: Iterable[Taken], wanted: Wanted, senders: int, limit: int, reserve: int) -> bool:
    """Return whether a namespace has had less than an even part of the minute, or of the reserve for a slot of the reserve.

    So a namespace's own flood of mails does not keep its CRITICAL ones from the reserve.
    """
    its = [each for each in recent if each.namespace == wanted.namespace]
    calm, urgent = sum(each.calm for each in its), sum(each.urgent for each in its)
    is_little = (calm + urgent) * senders < limit or (wanted.is_urgent and urgent * senders < reserve)
    return is_little or wanted.namespace == OPERATIONS
