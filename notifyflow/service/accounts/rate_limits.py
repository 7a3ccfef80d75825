"""Rate limits by name, counted in this process: of API keys, of namespaces, of people who log in."""

import math
import threading
from datetime import datetime

from notifyflow.core.accounts.rate_limit import consume
from notifyflow.core.delivery.ports import Clock

_TIDIED_AT = 10_000


class RateLimits:
    """A rate limit for each name; threads may share it. Names that have used nothing of theirs are forgotten."""

    def __init__(self, clock: Clock, a_minute: int) -> None:
        self.a_minute = a_minute
        self._clock = clock
        self._earliest_at: dict[str, datetime] = {}
        self._tidied_at = _TIDIED_AT
        self._lock = threading.Lock()

    def consume(self, name: str, count: int = 1) -> int:
        """Count requests; return 0, or the whole seconds to wait, in which case nothing is counted."""
        with self._lock:
            before, now = self._earliest_at.get(name), self._clock.now()
            self._earliest_at[name], wait = consume(before, a_minute=self.a_minute, now=now, count=count)
            if len(self._earliest_at) >= self._tidied_at:
                self._earliest_at = {each: at for each, at in self._earliest_at.items() if at > now}
                self._tidied_at = max(_TIDIED_AT, 2 * len(self._earliest_at))
        return math.ceil(wait.total_seconds())
