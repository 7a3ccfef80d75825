"""Shares a process's threads among the channels, so that one whose provider hangs does not hold them all."""

import threading
from collections import Counter


class Lanes:
    """Lets half of the threads at most work for one channel at a time; the others are turned away and wait for nothing.

    Whoever was let in goes on for those who were turned away, since nobody else knows that they came.

    Args:
        threads: How many there are.
    """

    def __init__(self, threads: int) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._turned_away: set[str] = set()
        self._width = 1
        self.share(threads)

    def share(self, threads: int) -> None:
        """Share so many threads."""
        self._width = max(1, threads // 2)

    def enter(self, channel: str) -> bool:
        """Ask to be let in; False when the channel holds as many threads as it may."""
        with self._lock:
            if self._inside[channel] >= self._width:
                self._turned_away.add(channel)
                return False
            self._inside[channel] += 1
            return True

    def leave(self, channel: str) -> bool:
        """Leave, unless somebody was turned away: then look again for whatever is due, and ask again.

        Returns:
            Whether the caller is out.
        """
        with self._lock:
            if channel in self._turned_away:
                self._turned_away.discard(channel)
                return False
            self._inside[channel] -= 1
            return True

    def drop_out(self, channel: str) -> None:
        """Leave whatever is due to others."""
        with self._lock:
            self._inside[channel] -= 1
