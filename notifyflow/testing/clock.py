"""A clock that stands still unless it is moved, and ids that count up."""

from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2030, 1, 7, 9, 0, tzinfo=UTC)


class VirtualClock:
    """The time of a test; it moves forwards only.

    Args:
        at: When the test begins, aware.
    """

    def __init__(self, at: datetime = START) -> None:
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return self._at

    def move_to(self, at: datetime) -> None:
        """Let it be a later time; an earlier one changes nothing."""
        self._at = max(self._at, at)

    def pass_time(self, span: timedelta) -> None:
        """Let a span of time pass."""
        self.move_to(self._at + span)


class CountingIds:
    """Counts up ids, and draws the middle of every jitter, so that each run of a test is like the one before."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self) -> str:
        """Return the next id, 32 hex digits."""
        return f"{next(self._numbers):032x}"

    def fraction(self) -> float:
        """Return 0.5: retries wait exactly as long as the policy says."""
        return 0.5
