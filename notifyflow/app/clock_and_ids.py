"""The one clock, and the one source of ids and randomness."""

import secrets  # noqa: TID251 - the one place
import threading
import time
from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from notifyflow.app.forks import FORKED
from notifyflow.core.delivery.ports import Clock
from notifyflow.errors import StorageUnavailable
from notifyflow.log import get_logger
from notifyflow.storage.store import Store

_log = get_logger("notifyflow.app")

_MEASURE_EVERY_S = 60.0
_MEASURE_AGAIN_AFTER_S = 1.0
_SAMPLES = 2
"""How often the offset is measured at a time: the first measurement may include opening a connection, and is inexact then."""
_LARGE_OFFSET = timedelta(seconds=2)
_DRAWN_BYTES = 1_024


def system_now() -> datetime:
    """Return the system's time, for uses without a database."""
    return datetime.now(UTC)  # noqa: TID251 - the one place


def new_secret() -> str:
    """Draw a secret of 256 bits: letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(32)


class DatabaseClock:
    """The database's time, which all leases use: the system's, with an offset that is measured once a minute.

    It is zero unless the measurement shows that the clocks differ. Otherwise the clocks of two processes on one machine would
    differ by the error, and a page queued by one of them might not be due yet for the other.
    """

    def __init__(
        self,
        store: Store,
        *,
        system_now: Callable[[], datetime] = system_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._system_now = system_now
        self._monotonic = monotonic
        self._offset = timedelta()
        self._is_measured = store.is_embedded
        self._measure_at = 0.0 if not store.is_embedded else float("inf")
        self._lock = threading.Lock()
        FORKED.add(self)

    def now(self) -> datetime:
        """Return the time, aware and in UTC; wait for the first measurement of the offset while the database answers.

        Until that is made, each call tries it again; the wait for another thread's try is part of a call's time.
        """
        if self._is_measured:
            self._measure_if_due(patience_s=0.0)
        else:
            with self._store.within(self._store.left_s) as deadline:
                self._measure_if_due(patience_s=deadline.left_s)
        return self._system_now() + self._offset

    def _measure_if_due(self, *, patience_s: float) -> None:
        if self._monotonic() >= self._measure_at and self._lock.acquire(timeout=patience_s):
            try:
                if self._monotonic() >= self._measure_at:
                    self._measure()
            finally:
                self._lock.release()

    def begin_anew(self) -> None:
        """Renew the lock in a forked child: the thread that holds it stayed with the parent."""
        self._lock = threading.Lock()

    def _measure(self) -> None:
        try:
            before, database_now, after = min((self._sample() for _ in range(_SAMPLES)), key=lambda sample: sample[2] - sample[0])
        except StorageUnavailable:
            self._measure_at = self._monotonic() + (_MEASURE_AGAIN_AFTER_S if self._is_measured else 0.0)
            return
        self._measure_at = self._monotonic() + _MEASURE_EVERY_S
        self._offset = timedelta() if before <= database_now <= after else database_now - (before + (after - before) / 2)
        self._is_measured = True
        if abs(self._offset) > _LARGE_OFFSET:
            _log.warning("app.clock_offset_large", offset_s=round(self._offset.total_seconds(), 3))

    def _sample(self) -> tuple[datetime, datetime, datetime]:
        """Return the database's time, between the system's times before and after the query."""
        before = self._system_now()
        return before, self._store.now(), self._system_now()


class RandomIds:
    """Makes UUIDv7 (RFC 9562, section 5.7), with the fraction of the millisecond as its method 3 has it.

    The system is asked for many random numbers at a time: during each question, another thread takes the interpreter.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.begin_anew()
        FORKED.add(self)

    def begin_anew(self) -> None:
        """Forget, in a forked child, the numbers that the parent uses."""
        self._drawn: list[int] = []

    def new(self) -> str:
        """Make an id: 32 hex digits."""
        ms, us = divmod(int(self._clock.now().timestamp() * 1_000_000), 1000)
        return f"{ms << 80 | 0x7 << 76 | (us * 4096 // 1000) << 64 | 0b10 << 62 | self._draw() >> 2:032x}"

    def fraction(self) -> float:
        """Draw a number from [0, 1)."""
        return (self._draw() >> 11) / 2**53

    def _draw(self) -> int:
        """Draw 64 random bits."""
        while True:
            try:
                return self._drawn.pop()
            except IndexError:
                self._drawn.extend(array("Q", secrets.token_bytes(_DRAWN_BYTES)))
