"""A rate limit: a steady rate, and a burst of as many requests as a minute allows.

The generic cell rate algorithm (ITU-T I.371, annex A) keeps one instant: the one at which everything consumed so far would have
arrived at the steady rate.
"""

from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)


def consume(earliest_at: datetime | None, *, a_minute: int, now: datetime, count: int = 1) -> tuple[datetime, timedelta]:
    """Count one request, or several at once.

    Args:
        earliest_at: The instant returned by the last call; None at first.
        a_minute: The requests allowed in a minute; at least 1.
        now: The time.
        count: How many requests; more than ``a_minute`` are never allowed.

    Returns:
        The instant for the next call, and how long to wait: zero if the request is allowed. A request that has to wait counts
            nothing.
    """
    start = max(earliest_at or now, now)
    cost = count * (_MINUTE / a_minute)
    wait = start + cost - now - _MINUTE
    if wait > timedelta(0):
        return start, wait
    return start + cost, timedelta(0)
