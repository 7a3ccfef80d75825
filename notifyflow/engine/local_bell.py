"""Handles rings in this process while the broker accepts none."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from notifyflow.core.delivery.model import Severity
from notifyflow.engine.actors import Deliver, handle_ring
from notifyflow.errors import BrokerUnavailable


class LocalBell:
    """A bell whose rings are handled by threads of this process; those for CRITICAL notifications have threads of their own.

    Args:
        deliver: Handles a ring.
        threads: How many threads there are of each kind, at most. They are started when needed.
    """

    def __init__(self, deliver: Deliver, threads: int) -> None:
        self._deliver = deliver
        self._urgent = ThreadPoolExecutor(threads, thread_name_prefix="notifyflow-urgent")
        self._patient = ThreadPoolExecutor(threads, thread_name_prefix="notifyflow-patient")

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        """Let a thread handle each ring.

        Raises:
            BrokerUnavailable: When it has been stopped.
        """
        is_urgent = severity is Severity.CRITICAL
        pool = self._urgent if is_urgent else self._patient
        try:
            for notification_ids in rings:
                pool.submit(handle_ring, self._deliver, channel, notification_ids, is_urgent=is_urgent)
        except RuntimeError as error:
            raise BrokerUnavailable from error

    def stop(self) -> None:
        """Accept nothing more, and wait for the threads; a deliverer that was stopped before gives waiting rings back."""
        self._urgent.shutdown()
        self._patient.shutdown()
