"""How many requests somebody may make: a steady rate, and a burst of as many as a minute allows.

The generic cell rate algorithm (ITU-T I.371, annex A): one instant says it all, the one at which everything taken so far would
have come at the steady rate.
"""

from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)


def take(earliest_at: datetime | None, *, a_minute: int, now: datetime, count: int = 1) -> tuple[datetime, timedelta]:
    """Take one request, or so many at once.

    Args:
        earliest_at: What the last call returned; None at first.
        a_minute: How many are allowed in a minute; at least 1.
        now: The time.
        count: How many are taken together; more than a minute allows are never taken.

    Returns:
        What to remember, and how long to wait first: zero where the request may be made now. One that has to wait is not taken.
    """
    start = max(earliest_at or now, now)
    cost = count * (_MINUTE / a_minute)
    wait = start + cost - now - _MINUTE
    if wait > timedelta(0):
        return start, wait
    return start + cost, timedelta(0)
