"""Detects that an incident, or the database as a whole, has changed, without reading it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from peewee import JOIN, SQL, Case, Select, fn

from notifyflow.core.delivery.model import Evidence, Result
from notifyflow.core.insight.views import ETag
from notifyflow.storage.dialects import execute
from notifyflow.storage.session.conditions import QUEUED, RUNNING
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.session.statements import Run, Statement
from notifyflow.storage.tables import (
    AttemptRow,
    EscalationRow,
    InboundEntryRow,
    IncidentRow,
    NotificationRow,
    ReceiptRow,
    SilencedIncidentRow,
    StepRow,
)

_RESULT = Case(AttemptRow.result, [(result.value, result.strength * 10) for result in Result], 0)
_EVIDENCE = Case(AttemptRow.evidence, [(evidence.value, rank) for rank, evidence in enumerate(Evidence, start=1)], 0)
_INCIDENT = Statement(
    lambda param: IncidentRow.select(IncidentRow.namespace, IncidentRow.version).where(IncidentRow.id == param(IncidentRow.id))
)
_ESCALATIONS = Statement(
    lambda param: EscalationRow.select(
        fn.COUNT(EscalationRow.id).alias("count"),
        fn.SUM(EscalationRow.version).alias("versions"),
        fn.MIN(EscalationRow.next_decision_at).filter(EscalationRow.is_current).alias("decision_at"),
        fn.MIN(EscalationRow.next_round_at).filter(EscalationRow.is_current).alias("round_at"),
    ).where(EscalationRow.incident_id == param(EscalationRow.incident_id))
)
_STEPS = Statement(
    lambda param: StepRow.select(
        fn.COUNT(StepRow.id).alias("count"), fn.SUM(StepRow.version).alias("versions"), fn.MIN(StepRow.due_at).alias("due_at")
    ).where(StepRow.incident_id == param(StepRow.incident_id))
)
_NOTIFICATIONS = Statement(  # the changing columns of attempts, which have no versions; results only grow stronger
    lambda param: (
        NotificationRow.select(
            fn.COUNT(1).alias("rows"),
            fn.SUM(NotificationRow.version).alias("versions"),
            fn.COUNT(AttemptRow.ended_at).alias("ended"),
            fn.COUNT(AttemptRow.receipt_due_at).alias("awaited"),
            fn.SUM(_RESULT + _EVIDENCE).alias("strength"),
            fn.MIN(NotificationRow.due_at).filter(QUEUED).alias("due_at"),
            fn.MIN(AttemptRow.lease_until).filter(RUNNING).alias("lease_at"),
        )
        .join(AttemptRow, JOIN.LEFT_OUTER, on=(AttemptRow.notification_id == NotificationRow.id))
        .where(NotificationRow.incident_id == param(NotificationRow.incident_id))
    )
)
_REPORTS = Statement(
    lambda param: (
        ReceiptRow.select(fn.COUNT(1).alias("reports"))
        .join(AttemptRow, on=(AttemptRow.id == ReceiptRow.matched_attempt_id))
        .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        .where(NotificationRow.incident_id == param(NotificationRow.incident_id), ReceiptRow.result.is_null())
    )
)
_ARRIVALS = Statement(
    lambda param: InboundEntryRow.select(fn.COUNT(1).alias("kinds"), fn.SUM(InboundEntryRow.times).alias("times")).where(
        InboundEntryRow.incident_id == param(InboundEntryRow.incident_id)
    )
)
_ENDED_AT = SilencedIncidentRow.ended_at
_SILENCES = Statement(
    lambda param: SilencedIncidentRow.select(
        fn.COUNT(1).alias("silences"), fn.MIN(_ENDED_AT).alias("first"), fn.MAX(_ENDED_AT).alias("last")
    ).where(SilencedIncidentRow.incident_id == param(SilencedIncidentRow.incident_id))
)
_OF_ALL = Select(columns=(SQL("concat(pg_current_snapshot(), ' ', pg_postmaster_start_time())"),))
_OF_REPLICA = "SELECT CASE WHEN pg_is_in_recovery() THEN concat(pg_last_wal_replay_lsn(), ' ', pg_postmaster_start_time()) END"
_IDENTITY = """SELECT concat(s.system_identifier, ' ', d.oid) FROM pg_control_system() s, pg_database d
    WHERE d.datname = current_database()
"""


class ETags(Reader):
    """The etags of incidents, and of the whole database."""

    def of_all(self) -> str | None:
        """Return a text that differs between any two states of the database; None on SQLite, which has no such text.

        A snapshot of PostgreSQL names the transactions that have ended: equal snapshots see the same rows. It also differs
        after a write elsewhere, such as to another database of the server. Another server may count its transactions from
        the beginning; it has another start time.
        """
        return str(self._source.scalar(_OF_ALL)) if self._source.db.for_update else None

    def of_replica(self) -> str | None:
        """Return such a text for a replica, as of its last change before now; None if the server is no replica.

        Its snapshots do not name the running transactions, so that one might end without a difference. Its place in the
        write-ahead log names all that it has replayed, which later transactions see.
        """
        found: str | None = execute(self._source.db, _OF_REPLICA).fetchone()[0]
        return found

    def identity(self) -> str | None:
        """Return a text that a database of PostgreSQL shares with its replicas alone; None if the user may not read it."""
        (may_read,) = execute(self._source.db, "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')").fetchone()
        return str(execute(self._source.db, _IDENTITY).fetchone()[0]) if may_read else None

    def of(self, incident_id: str) -> ETag | None:
        """Return the etag of an incident, or None."""
        incidents = self._source.rows(_INCIDENT(incident_id))
        if not incidents:
            return None
        figures: list[Any] = [incidents[0]["version"]]
        times: list[datetime] = []
        for statement in (_ESCALATIONS, _NOTIFICATIONS, _STEPS, _REPORTS, _ARRIVALS, _SILENCES):
            row = self._figures(statement(incident_id))
            times += [at for name, at in row.items() if name.endswith("_at") and at is not None]
            figures += row.values()
        return ETag(
            namespace=incidents[0]["namespace"],
            escalations=figures[1],
            figures=tuple(map(str, figures)),
            soonest_at=min(times, default=None),
        )

    def _figures(self, run: Run) -> Mapping[str, Any]:
        """Return the only row of a statement; values that cannot be read are left out."""
        rows = self._source.rows(run)
        return rows[0] if rows else self._source.unread[-1].values
