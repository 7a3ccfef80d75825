"""The notifications of a bundle: those that waited in one recipient's quiet hours; pure."""

import zlib
from collections.abc import Sequence

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.lifecycle import counted
from notifyflow.core.delivery.model import DeferralReason, Kind, Severity

MOST = 20
"""How many notifications one message carries at most: every channel has room for as many lines."""


def waits_together(row: NotificationFacts) -> bool:
    """Return whether a queued notification may leave with others: quiet hours deferred it, or its last call carried others."""
    if row.kind is not Kind.PAGE or row.severity is Severity.CRITICAL:
        return False
    return row.deferred_by is DeferralReason.QUIET or any(each.sent_with is not None for each in counted(row)[-1:])


def order(row: NotificationFacts) -> tuple[object, ...]:
    """Return the place of a notification in its message: the most severe and oldest first."""
    return row.severity.rank, row.created_at, row.id


def jitter(sent_with: str) -> float:
    """Return the jitter of one call's retries, between 0 and 1: all its attempts are due again at the same time."""
    return zlib.crc32(sent_with.encode()) / 2**32


def split(count: int) -> Sequence[slice]:
    """Return the parts of ``count`` notifications that fit into one message each."""
    return [slice(start, start + MOST) for start in range(0, count, MOST)]
