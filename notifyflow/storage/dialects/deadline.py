"""How long to wait for the database, in all and between two tries."""

import time

from notifyflow.core.delivery.retry import pause_s

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.25


class Deadline:
    """The instant by which a call must be done.

    Args:
        timeout_s: How long the call may take from now on, in seconds.
        within: The deadline of a larger call. This one ends no later, and counts its waiting from the larger call's start.

    Attributes:
        is_let_in: Whether a server has accepted the login of the connection that is opened within it.
    """

    def __init__(self, timeout_s: float, *, within: "Deadline | None" = None) -> None:
        now = time.monotonic()
        self.is_let_in = False
        self._started: float = within._started if within else now
        self._ends: float = min(now + timeout_s, within._ends) if within else now + timeout_s

    @property
    def waited_s(self) -> float:
        """Seconds since its start, to a tenth."""
        return round(time.monotonic() - self._started, 1)

    @property
    def left_s(self) -> float:
        """Seconds left; 0 after its end."""
        return max(0.0, self._ends - time.monotonic())


class RetryWaits:
    """The pauses between the tries of one transaction."""

    def __init__(self) -> None:
        self._tries = 0

    def draw_s(self) -> float:
        """Return the length of the next pause in seconds; its random part comes from the clock's nanoseconds."""
        self._tries += 1
        fraction = time.monotonic_ns() % 1000 / 1000
        return pause_s(self._tries, fraction, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
