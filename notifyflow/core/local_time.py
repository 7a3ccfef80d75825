"""Local time: when the clocks of a zone show a time, on both sides of a change of clocks; pure."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import ceil
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=4_000)  # a display of a schedule asks for the same instants again and again
def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the clocks of a zone show a local time, or a later one.

    A time that they show twice is the first of the two. A time that they skip is the first valid instant after it.

    Args:
        local: A date and time without a zone.
        zone: The zone.

    Returns:
        The instant, in UTC.
    """
    found = local.replace(tzinfo=zone).astimezone(UTC)
    if shown(found, zone) == local:
        return found
    # the clocks skip it: the change is between the two instants computed with the offsets before and after it
    earliest = local.replace(tzinfo=zone, fold=1).astimezone(UTC).replace(microsecond=0)
    seconds = range(ceil((found - earliest) / _SECOND))
    return earliest + _SECOND * bisect_left(seconds, True, key=lambda each: shown(earliest + _SECOND * each, zone) >= local)


def shown(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the local time, without its zone, that the clocks of a zone show at an instant."""
    return at.astimezone(zone).replace(tzinfo=None)
