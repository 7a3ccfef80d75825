"""Ids sort by time, so that a time has a place among them; pure."""

from datetime import UTC, datetime

_RANDOM = "0" * 20


def lowest(at: datetime) -> str:
    """Return the lowest id that may be made at an instant (UUIDv7: RFC 9562, section 5.7), to the millisecond."""
    return f"{max(0, int(at.timestamp() * 1000)):012x}{_RANDOM}"


def made_at(row_id: str) -> datetime:
    """Return when an id was made, to the millisecond."""
    return datetime.fromtimestamp(int(row_id[: -len(_RANDOM)], 16) / 1000, UTC)
