"""The notifications of a bundle, which leave in one message; pure."""

import zlib

from notifyflow.core.delivery.facts import NotificationFacts


def company(row: NotificationFacts) -> str:
    """Return the call that carried a notification with others, which its retry joins again; empty if it was alone."""
    return (row.attempts[-1].sent_with or "") if row.attempts else ""


def order(row: NotificationFacts) -> tuple[object, ...]:
    """Return the place of a notification in its message: the most severe and oldest first."""
    return row.severity.rank, row.created_at, row.id


def jitter(sent_with: str) -> float:
    """Return the jitter of one call's retries, between 0 and 1: all its attempts are due again at the same time."""
    return zlib.crc32(sent_with.encode()) / 2**32
