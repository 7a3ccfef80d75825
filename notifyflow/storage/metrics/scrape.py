"""Reads for a scrape, each from an index and few rows, however much is stored."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from peewee import SQL, Expression, fn

from notifyflow.core.delivery.model import EscalationState, IncidentState, Severity
from notifyflow.core.limits.provider_health import ProviderHealth
from notifyflow.storage.dialects import execute
from notifyflow.storage.session.conditions import IS_CALM, IS_UNRESOLVED, IS_URGENT, QUEUED, is_free
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.session.statements import Parameters, Run, Statement
from notifyflow.storage.tables import CriticalRow, EscalationRow, IncidentRow, NotificationRow, ProviderHealthRow

_WITH_OUTCOME = (EscalationState.REACHED, EscalationState.EXHAUSTED, EscalationState.ACKNOWLEDGED)


def _oldest_due(urgency: Expression) -> Statement:
    def build(param: Parameters) -> Any:
        is_due = (NotificationRow.channel == param(NotificationRow.channel)) & (
            NotificationRow.due_at <= param(NotificationRow.due_at)
        )
        query = NotificationRow.select(NotificationRow.due_at).where(QUEUED, urgency, is_due, is_free(NotificationRow))
        return query.order_by(NotificationRow.due_at).limit(1)

    return Statement(build)


_OLDEST_DUE = (_oldest_due(IS_URGENT), _oldest_due(IS_CALM))
_OLDEST_UNACKNOWLEDGED = Statement(
    lambda param: (
        IncidentRow.select(IncidentRow.opened_at)
        .where(IS_UNRESOLVED, IncidentRow.state == IncidentState.OPEN, IncidentRow.severity == Severity.CRITICAL)
        .order_by(IncidentRow.id)
        .limit(1)
    )
)
_OLDEST_UNTOLD = Statement(
    lambda param: (
        CriticalRow.select(fn.MIN(CriticalRow.at).alias("at"))
        .join(IncidentRow, on=(IncidentRow.id == CriticalRow.operations_incident_id))
        .where(
            IS_UNRESOLVED,
            IncidentRow.is_operations,
            CriticalRow.is_paging,
            ~CriticalRow.is_reported,
            ~fn.EXISTS(
                EscalationRow.select(SQL("1")).where(
                    EscalationRow.incident_id == CriticalRow.operations_incident_id, EscalationRow.reported_at >= CriticalRow.at
                )
            ),
        )
    )
)
_HEALTH = Statement(lambda param: ProviderHealthRow.select())
_NEWEST = """SELECT {place}, (
        SELECT e.state FROM notifyflow_escalation e WHERE e.recipient_id = {place} AND e.state IN ({states})
        ORDER BY e.started_at DESC LIMIT 1
    ) FROM {people}
"""
_STATES = ", ".join(f"'{state}'" for state in _WITH_OUTCOME)
_NEWEST_ON_SERVER = _NEWEST.format(place="p.id", states=_STATES, people="unnest(%s::text[]) AS p(id)")
_NEWEST_IN_FILE = _NEWEST.format(place="p.value", states=_STATES, people="json_each(?) AS p")


class ScrapeReader(Reader):
    """Reads of the current moment for a scrape."""

    def oldest_due_at(self, channels: Collection[str], now: datetime) -> datetime | None:
        """Return when the oldest due notification of some channels became due; None if nothing is due."""
        found = [self._first(query(channel, now)) for channel in channels for query in _OLDEST_DUE]
        return min((each for each in found if each is not None), default=None)

    def oldest_unacknowledged_at(self) -> datetime | None:
        """Return when the oldest OPEN CRITICAL incident was opened; None if there is none."""
        return self._first(_OLDEST_UNACKNOWLEDGED())

    def oldest_untold_at(self) -> datetime | None:
        """Return when the oldest failure happened for which operations is to be paged and no page was accepted, or None."""
        return self._first(_OLDEST_UNTOLD())

    def _first(self, run: Run) -> datetime | None:
        """Return a statement's instant; None if there is none or it cannot be read."""
        found = (at for row in self._source.rows(run) for at in row.values())
        return next(found, None)

    def health(self) -> tuple[ProviderHealth, ...]:
        """Read the health of every provider that was ever used."""
        return tuple(ProviderHealth(**row) for row in self._source.rows(_HEALTH()))

    def unreached(self, recipient_ids: Sequence[str]) -> frozenset[str]:
        """Return the people whose newest round with an outcome has reached nobody."""
        return frozenset(each for each, state in self._newest(recipient_ids).items() if state == EscalationState.EXHAUSTED)

    def _newest(self, recipient_ids: Sequence[str]) -> Mapping[str, str]:
        db = self._source.db
        if not recipient_ids:
            return {}
        if db.for_update:
            return dict(execute(db, _NEWEST_ON_SERVER, list(recipient_ids)).fetchall())
        return dict(execute(db, _NEWEST_IN_FILE, json.dumps(list(recipient_ids))).fetchall())
