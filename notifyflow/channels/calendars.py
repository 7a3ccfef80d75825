"""Fetches the iCalendar files of schedules. Their URLs are secrets, and may lead to public addresses only."""

import re
from dataclasses import dataclass

from notifyflow.channels.http import STATUSES, Http, refusal
from notifyflow.channels.http.guard import Guard
from notifyflow.errors import PermanentProviderError
from notifyflow.settings import Settings

LIMIT_BYTES = 4_000_000
_NOT_MODIFIED = 304
_ENDS = re.compile(rb"END:VCALENDAR\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A calendar as its server answered.

    Attributes:
        document: The iCalendar file.
        etag: Its ``ETag``; empty without one.
        last_modified: Its ``Last-Modified``; empty without one.
    """

    document: str
    etag: str = ""
    last_modified: str = ""


class CalendarClient:
    """Fetches calendars; threads may share it."""

    def __init__(self, settings: Settings) -> None:
        self._http = Http(settings, guard=Guard(trusted_endpoints=settings.trusted_endpoints))

    def fetch(self, url: str, *, etag: str = "", last_modified: str = "") -> Fetched | None:
        """Fetch a calendar, unless it is still the one that was answered with this ``etag`` or ``last_modified``.

        Returns:
            The calendar; None if it has not changed.

        Raises:
            ProviderError: When it cannot be fetched, or not as a whole; the texts do not have the URL.
        """
        validators = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {"Accept": "text/calendar", **{name: value for name, value in validators.items() if value}}
        response = self._http.get(url, headers=headers, limit_bytes=LIMIT_BYTES + 1)
        if response.status == _NOT_MODIFIED and (etag or last_modified):
            return None
        if not response.is_success:
            raise refusal(response.status, STATUSES)
        if len(response.body) > LIMIT_BYTES:
            raise PermanentProviderError(f"has more than {LIMIT_BYTES:,} bytes", code="too_large")
        if not _ENDS.search(response.body):
            raise PermanentProviderError("is not a whole iCalendar file", code="incomplete")
        document = response.body.decode("utf-8-sig", "replace")
        found = {name: response.headers.get(header, "") for name, header in _VALIDATORS.items()}
        return Fetched(document=document, **{name: value for name, value in found.items() if len(value) <= _LONGEST_VALIDATOR})

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


_VALIDATORS = {"etag": "ETag", "last_modified": "Last-Modified"}
_LONGEST_VALIDATOR = 500
