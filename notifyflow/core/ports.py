"""The interfaces to clock, randomness and broker: whoever composes NotifyFlow gives the real ones, the simulation its own."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from notifyflow.core.model import Severity


class Clock(Protocol):
    """The one owner of time."""

    def now(self) -> datetime:
        """Tell the time, aware and in UTC; the database's, where there is one to share."""
        ...


class Ids(Protocol):
    """The one owner of randomness."""

    def new(self) -> str:
        """Make an id that sorts by the time it was made and cannot be guessed (UUIDv7, 32 hex digits)."""
        ...

    def fraction(self) -> float:
        """Draw a number from [0, 1), for jitter."""
        ...


class Bell(Protocol):
    """The doorbell: tells workers to look; says nothing that a row does not say."""

    def ring(self, channel: str, severity: Severity, notification_ids: Sequence[str]) -> None:
        """Ring for notifications of one channel and one urgency (CRITICAL or not).

        Raises:
            BrokerUnavailable: When nobody can be told now; the sweeper rings again.
        """
        ...
