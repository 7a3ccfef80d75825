"""Writes times to the second, for pages and the terminal: ``03:12:05``, ``Sat 28 Nov 03:12:05``, ``Sat 28 Nov 03:12:05 CET``."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from notifyflow.core import text


@dataclass(frozen=True, slots=True)
class Times:
    """Writes times in one zone, with a date only if it differs from the incident's beginning.

    Attributes:
        zone: The zone; None for that of this machine.
        now: The time of reading; dates of its year have no year. None keeps all years.
        began_at: A time whose date is left out; None writes every date.
    """

    zone: tzinfo | None
    now: datetime | None
    began_at: datetime | None = None

    def brief(self, at: datetime) -> str:
        """Return a time, after its date if that is not the date of the beginning."""
        here = at.astimezone(self.zone)
        is_same_day = self.began_at is not None and self.began_at.astimezone(self.zone).date() == here.date()
        return f"{here:%H:%M:%S}" if is_same_day else f"{text.day(here, now=self.now)} {here:%H:%M:%S}"

    def local(self, at: datetime) -> str:
        """Return a date and time with its zone: ``Sat 28 Nov 03:12:05 CET``."""
        here = at.astimezone(self.zone)
        return f"{text.day(here, now=self.now)} {here:%H:%M:%S} {text.zone_name(here)}"

    def full(self, at: datetime) -> str:
        """Return a date and time with its zone, and in UTC if that differs: ``Sat 28 Nov 03:12:05 CET (02:12:05 UTC)``."""
        here, utc = at.astimezone(self.zone), at.astimezone(UTC)
        written = self.local(at)
        if not here.utcoffset():
            return written
        date = "" if utc.date() == here.date() else f"{text.day(utc, now=self.now)} "
        return f"{written} ({date}{utc:%H:%M:%S} UTC)"
