"""Reports the follow-ups of a transaction: logs failures, then rings for due notifications."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from math import ceil
from typing import Protocol

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.ports import Bell
from notifyflow.core.limits.provider_health import ProviderHealth
from notifyflow.errors import BrokerUnavailable, StorageError
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.delivery.sweep import unring
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps, MovedIncident, Recall
from notifyflow.storage.delivery.work import Due

_log = get_logger("notifyflow.engine")

RING_SIZE = 8
"""The most notifications in one ring: few enough that workers share a crowd, and a ring does not hold a thread for long."""
_SHARES = 32
"""How many rings share a few notifications, since the handler of a ring sends them one after the other."""


class Recalling(Protocol):
    """The interface to recall attempts."""

    def recall(self, recalls: Sequence[Recall], /) -> None:
        """Begin to recall attempts whose provider can; never raise."""
        ...

    def finish(self) -> None:
        """Wait for all recalls."""
        ...


class Reporter:
    """Reports follow-ups after their commit; never raises, and leaves rings that fail to the sweepers.

    Args:
        bell: Rings for due notifications.
        deps: The dependencies of the use case that removes the marks of rings that failed.
        recalling: Recalls unwanted attempts on their way; None recalls nothing.
        local_bell: The bell for rings that fail; None leaves them to the sweepers.
    """

    def __init__(
        self, bell: Bell, deps: Dependencies, recalling: Recalling | None = None, local_bell: Bell | None = None
    ) -> None:
        self._bells = (bell,) if local_bell is None else (bell, local_bell)
        self._deps = deps
        self._recalling = recalling

    def report(self, follow_ups: FollowUps) -> tuple[Due, ...]:
        """Log what has happened, and ring for due notifications.

        Returns:
            The notifications that could not be rung for, usually none. Their rows are no longer marked as rung, so that
            the next sweep of any process finds them.
        """
        _log_changes(follow_ups.changes)
        for row in follow_ups.failed:
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
        for escalation in follow_ups.critical:
            _log.error(
                "engine.critical_failure",
                escalation_id=escalation.id,
                incident_id=escalation.incident_id,
                recipient_id=escalation.recipient_id,
                severity=escalation.severity.value,
            )
        for health in follow_ups.health_updates:
            _report_circuit(health)
        for outage in follow_ups.outages:
            _log.warning(
                "engine.outage_over", began_at=outage.began_at.isoformat(), lasted_s=round(outage.length.total_seconds(), 1)
            )
        for error in follow_ups.broken:
            _log.error("engine.row_broken", error=type(error).__name__, place=source_line(error))
        for aside in follow_ups.set_aside:
            _log.error(
                "engine.row_set_aside",
                machine=aside.machine,
                row_id=aside.row_id,
                incident_id=aside.incident_id,
                table=aside.relation,
                code=aside.code,
                what=aside.what,
                times=aside.times,
                until=aside.until.isoformat(),
            )
        if self._recalling is not None:
            self._recalling.recall(follow_ups.recalls)
        return self._ring(follow_ups.due)

    def finish(self) -> None:
        """Wait for running recalls."""
        if self._recalling is not None:
            self._recalling.finish()

    def _ring(self, due: tuple[Due, ...]) -> tuple[Due, ...]:
        waiting = list(rings(due))
        for bell in self._bells:
            try:
                while waiting:
                    channel, severity, shares = waiting[0]
                    bell.ring(channel, severity, *([each.notification_id for each in share] for share in shares))
                    del waiting[0]
            except BrokerUnavailable as error:
                count = sum(len(share) for _, _, shares in waiting for share in shares)
                _log.warning("engine.ring_failed", notifications=count, error=type(error.__cause__ or error).__name__)
        unrung = tuple(each for _, _, shares in waiting for share in shares for each in share)
        self._unring(unrung)
        return unrung

    def _unring(self, unrung: tuple[Due, ...]) -> None:
        """Mark notifications as not rung for; if that fails, the sweeper rings again after its usual wait."""
        if unrung:
            with suppress(StorageError):
                unring(self._deps, [each.notification_id for each in unrung])


def _log_changes(changes: Iterable[MovedIncident]) -> None:
    for change in changes:
        _log.info("engine.incident_changed", incident_id=change.incident_id, change=change.event, version=change.version)


def _report_circuit(health: ProviderHealth) -> None:
    ids = {"channel": health.channel, "provider": health.provider}
    if health.circuit_opened_by is None or health.circuit_open_until is None:
        _log.info("engine.circuit_closed", **ids)
    else:
        _log.warning(
            "engine.circuit_opened", **ids, why=health.circuit_opened_by.value, until=health.circuit_open_until.isoformat()
        )


def rings(due: Iterable[Due]) -> Iterator[tuple[str, Severity, Sequence[tuple[Due, ...]]]]:
    """Group due notifications into the rings of each channel: urgent ones first, larger rings the more there are."""

    def line(each: Due) -> tuple[bool, str]:
        return each.severity is not Severity.CRITICAL, each.channel

    for (is_patient, channel), same in groupby(sorted(due, key=line), key=line):
        rows = tuple(same)
        size = min(RING_SIZE, ceil(len(rows) / _SHARES))
        shares = [rows[first : first + size] for first in range(0, len(rows), size)]
        yield channel, rows[0].severity if is_patient else Severity.CRITICAL, shares
