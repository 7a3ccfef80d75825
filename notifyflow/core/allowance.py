"""How many requests somebody may make: a steady rate, and a burst of as many as a minute allows.

The generic cell rate algorithm (ITU-T I.371, annex A): one instant says it all, the one at which everything taken so far would
have come at the steady rate.
"""

from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)


def take(earliest_at: datetime | None, *, a_minute: int, now: datetime) -> tuple[datetime, timedelta]:
    """Take one request.

    Args:
        earliest_at: What the last call returned; None at first.
        a_minute: How many are allowed in a minute; at least 1.
        now: The time.

    Returns:
        What to remember, and how long to wait first: zero where the request may be made now. One that has to wait is not taken.
    """
    start = max(earliest_at or now, now)
    wait = start + _MINUTE / a_minute - now - _MINUTE
    if wait > timedelta(0):
        return start, wait
    return start + _MINUTE / a_minute, timedelta(0)
