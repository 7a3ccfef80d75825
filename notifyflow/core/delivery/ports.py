"""Interfaces to the clock, randomness and the broker."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from notifyflow.core.delivery.model import Severity


class Clock(Protocol):
    """The source of time."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC; that of the database, if processes share one."""
        ...


class Ids(Protocol):
    """The source of randomness."""

    def new(self) -> str:
        """Return a new id that sorts by time and cannot be guessed (UUIDv7, 32 hex digits)."""
        ...

    def fraction(self) -> float:
        """Return a random number from [0, 1), for jitter."""
        ...


class Bell(Protocol):
    """The doorbell: it wakes workers; a ring carries nothing that the rows do not hold."""

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        """Ring for notifications of one channel and one urgency (CRITICAL or not).

        Args:
            channel: The channel's name.
            severity: CRITICAL, or any other.
            rings: For each ring the ids of its notifications; one thread of a worker handles a ring.

        Raises:
            BrokerUnavailable: When the broker cannot be reached; the sweeper rings again.
        """
        ...
