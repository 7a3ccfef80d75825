"""Limits the addresses a minute that the directory does not know, so that a stolen API key can call few numbers."""

import math
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from notifyflow.core.allowance import consume
from notifyflow.core.model import Contact
from notifyflow.core.ports import Clock
from notifyflow.errors import TooManyAddresses


class Strangers:
    """Counts the unknown addresses of each namespace, in this process.

    Args:
        known: Returns every address that the directory knows.
        a_minute: How many a namespace may submit in a minute; it may submit them all at once.
    """

    def __init__(self, known: Callable[[], frozenset[str]], clock: Clock, *, a_minute: int) -> None:
        self._known = known
        self._clock = clock
        self._a_minute = a_minute
        self._earliest_at: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def admit(self, namespace: str, contacts: Sequence[Contact]) -> None:
        """Count the unknown addresses of a request.

        Raises:
            TooManyAddresses: When they exceed the limit; none of them is counted.
        """
        known = self._known()
        count = len({address for contact in contacts for address in contact.addresses.values()} - known)
        if not count:
            return
        now = self._clock.now()
        with self._lock:
            before = self._earliest_at.get(namespace)
            self._earliest_at[namespace], wait = consume(before, a_minute=self._a_minute, now=now, count=count)
        if wait:
            raise TooManyAddresses(count, self._a_minute, math.ceil(wait.total_seconds()))
