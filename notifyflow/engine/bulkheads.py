"""Shares a process's threads among the providers, so that a hanging provider does not hold them all."""

import threading
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Waiting:
    """How many threads were turned away for one channel, and their notifications."""

    count: int = 0
    notification_ids: set[str] = field(default_factory=set)


class Bulkheads:
    """Limits the threads that work for one provider at a time to two thirds of all; others are turned away at once.

    With an urgent ring a thread may enter until five sixths are inside. A leaving thread takes over the work of a thread that was
    turned away, which only the bulkhead knows, unless more than two thirds are inside.

    Args:
        threads: How many threads the process has.
    """

    def __init__(self, threads: int) -> None:
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._turned_away: defaultdict[str, dict[str, _Waiting]] = defaultdict(dict)
        self._width = self._urgent_width = 1
        self.share(threads)

    def share(self, threads: int) -> None:
        """Set how many threads are shared."""
        self._width = max(1, threads * 2 // 3)
        self._urgent_width = max(1, threads * 5 // 6)

    def enter(self, bulkhead: str, channel: str, notification_ids: Collection[str], *, is_urgent: bool = False) -> bool:
        """Enter a provider's bulkhead for a channel; return False when it is full."""
        with self._lock:
            if self._inside[bulkhead] >= (self._urgent_width if is_urgent else self._width):
                waiting = self._turned_away[bulkhead].setdefault(channel, _Waiting())
                waiting.count = min(waiting.count + 1, self._width)
                waiting.notification_ids.update(notification_ids)
                return False
            self._inside[bulkhead] += 1
            return True

    def leave(self, bulkhead: str) -> tuple[str, Collection[str]] | None:
        """Leave, unless a thread was turned away.

        Returns:
            A channel for which threads were turned away, and their notifications, unless another thread has taken those: deliver
                the channel's due notifications, and call again. None if the caller has left.
        """
        with self._lock:
            is_extra = self._inside[bulkhead] > self._width  # let in for an urgent ring: its place stays free for the next
            if not is_extra and (turned_away := self._turned_away[bulkhead]):
                channel, waiting = next(iter(turned_away.items()))
                rung, waiting.notification_ids = waiting.notification_ids, set()
                waiting.count -= 1
                if not waiting.count:
                    del turned_away[channel]
                return channel, rung
            self._inside[bulkhead] -= 1
            return None

    def drop_out(self, bulkhead: str) -> Collection[str]:
        """Leave without taking over work; return the notifications of threads that were turned away, if nobody is left inside."""
        with self._lock:
            self._inside[bulkhead] -= 1
            left = {} if self._inside[bulkhead] else self._turned_away.pop(bulkhead, {})
            return {each for waiting in left.values() for each in waiting.notification_ids}
