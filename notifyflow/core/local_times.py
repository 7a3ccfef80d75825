"""Reads times as people write them, in a zone: ``18:00``, ``2026-12-24``, ``2026-12-24 18:00``, or with an offset from UTC."""

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifyflow.core import local_time
from notifyflow.core.hours import EARLIEST, LATEST
from notifyflow.errors import Fault, InvalidRequest

_DAY = timedelta(days=1)
_CLOCK = re.compile(r"\d{1,2}:\d\d", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_REMEDY = "Write 18:00, 2026-12-24, 2026-12-24 18:00, or a time with Z or an offset such as +01:00"


def read_time(written: str, zone: ZoneInfo, *, where: str, after: datetime, is_end: bool = False) -> datetime:
    """Read a time.

    Args:
        written: The text.
        zone: The zone of a time without its own.
        where: The name of the text, for the fault.
        after: A time without a date is the first one after this instant.
        is_end: Whether a date without a time means its end; otherwise it means its beginning.

    Returns:
        The instant, in UTC: of a time that the clocks skip, the first valid one after it; of one that they show twice, the first.

    Raises:
        InvalidRequest: When it is not a time.
    """
    try:
        found = _read(written.strip(), zone, after, is_end=is_end)
    except (ValueError, OverflowError):
        found = None
    if found is None or not EARLIEST <= found <= LATEST:
        raise InvalidRequest((Fault(where, "it is not a time", _REMEDY),))
    return found


def _read(written: str, zone: ZoneInfo, after: datetime, *, is_end: bool) -> datetime:
    if _CLOCK.fullmatch(written):
        hour, minute = map(int, written.split(":"))
        return _first(time(hour, minute), zone, after)
    found = datetime.fromisoformat(written)
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    return local_time.instant(found + _DAY if is_end and _DATE.fullmatch(written) else found, zone)


def _first(clock: time, zone: ZoneInfo, after: datetime) -> datetime:
    today = local_time.shown(after, zone).date()
    instants = (local_time.instant(datetime.combine(today + number * _DAY, clock), zone) for number in range(3))
    return next(each for each in instants if each > after)
