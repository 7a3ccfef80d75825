"""The notifications of a bundle, which leave in one message; pure."""

import zlib
from collections.abc import Sequence
from typing import TypeVar

from notifyflow.core.delivery.attempts import BROKE_OFF
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Severity

Item = TypeVar("Item")


def company(row: NotificationFacts) -> str:
    """Return the call that carried a notification with others, which its retry joins again; empty if it leaves alone.

    What was in doubt leaves together again, so that its provider is asked once, and the answer holds for all. Of a message that
    was refused for its content, it is the half. What a channel broke off on leaves alone, so that one that cannot be rendered
    stops no other.
    """
    last = row.attempts[-1] if row.attempts else None
    if last is None or (last.is_doubted and last.code == BROKE_OFF):
        return ""
    return last.half or last.sent_with or ""


def apart(row: NotificationFacts) -> str:
    """Return what keeps a notification out of messages with others: its half, or its own id; empty if nothing does."""
    last = row.attempts[-1] if row.attempts else None
    if last is not None and last.is_doubted and last.code == BROKE_OFF:
        return row.id
    return (last.half if last is not None else None) or ""


def halves(refused: Sequence[Item]) -> Sequence[Sequence[Item]]:
    """Return the halves of a message of several that was refused for its content; neither is empty."""
    middle = (len(refused) + 1) // 2
    return refused[:middle], refused[middle:]


def order(severity: Severity, row: NotificationFacts) -> tuple[object, ...]:
    """Return the place of a notification in its message, by the severity of its round: the most severe and oldest come first.

    A status update has no severity of its own: its row is INFO, whatever it tells of.
    """
    return severity.rank, row.created_at, row.id


def jitter(sent_with: str) -> float:
    """Return the jitter of one call's retries, between 0 and 1: all its attempts are due again at the same time."""
    return zlib.crc32(sent_with.encode()) / 2**32
