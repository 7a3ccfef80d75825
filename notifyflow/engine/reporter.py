"""Passes on what a transaction led to: log lines for what failed, then rings for what became due."""

import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from math import ceil
from typing import Protocol

import structlog

from notifyflow.core.limits import ProviderHealth
from notifyflow.core.model import Severity
from notifyflow.core.ports import Bell
from notifyflow.errors import BrokerUnavailable, StorageError
from notifyflow.pipeline.ports import Consequences, Recall, Transactions
from notifyflow.storage.ledger import Due

_log = structlog.get_logger("notifyflow.engine")

RING_SIZE = 8
"""How many notifications one ring names at most: small enough that a crowd is shared, and no thread is held for long."""
_SHARES = 8
"""Among how many rings a few are shared, since whoever handles a ring sends one after the other."""


class Recalling(Protocol):
    """Who recalls what is on its way."""

    def recall(self, recalls: Sequence[Recall], /) -> None:
        """Begin to recall what can be; never raises."""
        ...

    def finish(self) -> None:
        """Wait until that is done."""
        ...


class Reporter:
    """Reports consequences after their commit; never raises: what it cannot ring is left to the sweepers.

    Args:
        bell: Rings for what is due.
        transactions: Where the marks of rings that failed are removed.
        recalling: Recalls what is on its way and not wanted any more; nobody does where None.
    """

    def __init__(self, bell: Bell, transactions: Transactions, recalling: Recalling | None = None) -> None:
        self._bell = bell
        self._transactions = transactions
        self._recalling = recalling

    def report(self, consequences: Consequences) -> tuple[Due, ...]:
        """Log what failed and ring for what is due.

        Returns:
            What could not be rung, since the broker is away; empty as a rule. Its rows are no longer marked as rung, so that
            the next sweep of any process finds them.
        """
        for row in consequences.failed:
            _log.warning(
                "engine.notification_failed",
                notification_id=row.id,
                escalation_id=row.escalation_id,
                incident_id=row.incident_id,
                channel=row.channel,
                provider=row.attempts[-1].provider if row.attempts else "",
                reason=row.reason,
                attempts=len(row.attempts),
            )
        for escalation in consequences.critical:
            _log.error(
                "engine.critical_failure",
                escalation_id=escalation.id,
                incident_id=escalation.incident_id,
                recipient_id=escalation.recipient_id,
                severity=escalation.severity.value,
            )
        for health in consequences.health_updates:
            _report_circuit(health)
        for outage in consequences.outages:
            _log.warning(
                "engine.outage_over", began_at=outage.began_at.isoformat(), lasted_s=round(outage.length.total_seconds(), 1)
            )
        for error in consequences.broken:
            _log.error("engine.row_broken", error=type(error).__name__, place=place(error))
        if self._recalling is not None:
            self._recalling.recall(consequences.recalls)
        return self._ring(consequences.due)

    def finish(self) -> None:
        """Wait for what is being recalled."""
        if self._recalling is not None:
            self._recalling.finish()

    def _ring(self, due: tuple[Due, ...]) -> tuple[Due, ...]:
        waiting = list(rings(due))
        try:
            while waiting:
                channel, severity, some = waiting[0]
                self._bell.ring(channel, severity, [each.notification_id for each in some])
                del waiting[0]
        except BrokerUnavailable as error:
            unrung = tuple(each for _, _, some in waiting for each in some)
            _log.warning("engine.ring_failed", notifications=len(unrung), error=type(error.__cause__ or error).__name__)
            self._unring(unrung)
            return unrung
        return ()

    def _unring(self, unrung: tuple[Due, ...]) -> None:
        """Take the marks back; where even that fails, the sweeper rings again after its usual wait."""
        with suppress(StorageError):
            self._transactions.run(lambda ledger: ledger.unring([each.notification_id for each in unrung]))


def _report_circuit(health: ProviderHealth) -> None:
    ids = {"channel": health.channel, "provider": health.provider}
    if health.circuit_opened_by is None or health.circuit_open_until is None:
        _log.info("engine.circuit_closed", **ids)
    else:
        _log.warning(
            "engine.circuit_opened", **ids, why=health.circuit_opened_by.value, until=health.circuit_open_until.isoformat()
        )


def rings(due: Iterable[Due]) -> Iterator[tuple[str, Severity, tuple[Due, ...]]]:
    """Gather what is due into rings: the urgent before the others, one channel each, the more in one the more there are."""

    def line(each: Due) -> tuple[bool, str]:
        return each.severity is not Severity.CRITICAL, each.channel

    for (is_patient, channel), same in groupby(sorted(due, key=line), key=line):
        rows = tuple(same)
        size = min(RING_SIZE, ceil(len(rows) / _SHARES))
        for first in range(0, len(rows), size):
            some = rows[first : first + size]
            yield channel, some[0].severity if is_patient else Severity.CRITICAL, some


def place(error: BaseException) -> str:
    """Tell where an error was raised, for a log line: its text and its traceback may hold what is personal."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
