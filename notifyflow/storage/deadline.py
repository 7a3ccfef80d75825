"""How long the database is waited for, and how long is paused between two tries."""

import time

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.25


class Deadline:
    """The instant by which something must have been done."""

    def __init__(self, timeout_s: float) -> None:
        self._started = time.monotonic()
        self._ends = self._started + timeout_s

    @property
    def waited_s(self) -> float:
        """How long it has been running, in tenths of a second."""
        return round(time.monotonic() - self._started, 1)

    @property
    def left_s(self) -> float:
        """How long it still runs, in seconds; 0 when it is over."""
        return max(0.0, self._ends - time.monotonic())


class Pauses:
    """The pauses between tries: each twice as long as the one before, up to a longest one, and shortened by up to a half.

    The shortening draws apart those who failed at the same instant. It comes from the nanoseconds of the clock, which nobody can
    foresee either.
    """

    def __init__(self, *, first_s: float = FIRST_PAUSE_S, longest_s: float = LONGEST_PAUSE_S) -> None:
        self._next_s = first_s
        self._longest_s = longest_s

    def draw_s(self) -> float:
        """Return the length of the next pause, in seconds."""
        pause_s = self._next_s
        self._next_s = min(2 * self._next_s, self._longest_s)
        return pause_s * (1 - time.monotonic_ns() % 1000 / 2000)
