"""Writes times in the zone of a visitor, which their browser names in a cookie."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from fastapi import Request

from notifyflow.core.wording import text

COOKIE = "notifyflow_zone"
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Times:
    """Writes times in one zone.

    Attributes:
        zone: The zone.
        began_at: A time whose date is left out of others; None writes every date.
    """

    zone: tzinfo
    began_at: datetime | None = None

    def brief(self, at: datetime) -> str:
        """Return a time to the second, after its date if that is another than that of the beginning."""
        here = at.astimezone(self.zone)
        is_same_day = self.began_at is not None and self.began_at.astimezone(self.zone).date() == here.date()
        return f"{here:%H:%M:%S}" if is_same_day else f"{here.day} {text.MONTHS[here.month - 1][:3]} {here:%H:%M:%S}"

    def full(self, at: datetime) -> str:
        """Return a date and time with its zone, and in UTC: ``Sat 28 Nov 03:12 CET (02:12 UTC)``."""
        return text.moment(at, self.zone)


def zone_of(request: Request) -> tzinfo:
    """Return the zone of the visitor's browser; UTC if it is unknown."""
    name = request.cookies.get(COOKIE, "")
    if not name or len(name) > _LONGEST:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # no such zone, or no name of one
        return UTC
