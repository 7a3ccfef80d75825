"""Reads the zone of a user, which their browser names in a cookie."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from fastapi import Request

COOKIE = "notifyflow_zone"
SAFE_COOKIE = f"__Host-{COOKIE}"
"""Over https browsers accept the prefix from this host and a secure connection only."""
_LONGEST = 64


def zone_of(request: Request) -> tzinfo:
    """Return the zone of the user's browser; UTC if it is unknown."""
    name = request.cookies.get(SAFE_COOKIE) or request.cookies.get(COOKIE, "")
    if not name or len(name) > _LONGEST:
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError, ImportError):  # no such zone, or no name of one
        return UTC
