"""Stores the operations incident, the failures linked to it, and notices."""

from collections.abc import Collection, Mapping
from datetime import datetime

from peewee import JOIN, SQL, Case, Expression, IntegerField, fn

from notifyflow.core.delivery.escalation import AlertOperations
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.messages.failures import AT_MOST, Failure, Notice, SilentPath, Uncounted, damage, unwatched
from notifyflow.storage.delivery.incidents import Incidents
from notifyflow.storage.session.conditions import IS_UNRESOLVED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import ContactRow, CriticalRow, EscalationRow, IncidentRow, NoticeRow, SetAsideRow
from notifyflow.storage.tables.fields import instant_text

_IS_UNCOUNTED_CRITICAL = CriticalRow.is_counted == SQL("FALSE")
_HAS_PATH = CriticalRow.path != SQL("''")
_IS_UNCOUNTED_NOTICE = NoticeRow.is_counted == SQL("FALSE")
_IS_UNCOUNTED_DAMAGE = SetAsideRow.is_paging & (SetAsideRow.is_counted == SQL("FALSE"))


def _is_linked(param: Parameters) -> Expression:
    return CriticalRow.operations_incident_id == param(CriticalRow.operations_incident_id)


_OPERATIONS_AMONG = Statement(
    lambda param: IncidentRow.select(IncidentRow.id).where(param.any_of(IncidentRow.id), IncidentRow.is_operations)
)
_CRITICALS = Statement(
    lambda param: (
        CriticalRow.select(
            CriticalRow.escalation_id,
            EscalationRow.incident_id,
            CriticalRow.reason,
            CriticalRow.at,
            EscalationRow.severity,
            ContactRow.name.alias("who"),
            IncidentRow.key,
            IncidentRow.content_title.alias("title"),
            IncidentRow.content_url.alias("url"),
            IncidentRow.series,
        )
        .join(EscalationRow, on=(EscalationRow.id == CriticalRow.escalation_id))
        .join(IncidentRow, on=(IncidentRow.id == EscalationRow.incident_id))
        .join(
            ContactRow,
            on=((ContactRow.incident_id == IncidentRow.id) & (ContactRow.recipient_id == EscalationRow.recipient_id)),
        )
        .where(_is_linked(param), ~_HAS_PATH)
        .order_by(CriticalRow.at.desc(), CriticalRow.escalation_id.desc())
        .limit(param(IntegerField()))
    )
)
_DAMAGED = Statement(
    lambda param: (
        SetAsideRow.select(
            SetAsideRow.escalation_id,
            SetAsideRow.incident_id,
            SetAsideRow.at,
            SetAsideRow.severity,
            fn.COALESCE(ContactRow.name, "").alias("who"),
            IncidentRow.key,
            IncidentRow.content_title.alias("title"),
            IncidentRow.content_url.alias("url"),
        )
        .join(IncidentRow, on=(IncidentRow.id == SetAsideRow.incident_id))
        .join(EscalationRow, JOIN.LEFT_OUTER, on=(EscalationRow.id == SetAsideRow.escalation_id))
        .join(
            ContactRow,
            JOIN.LEFT_OUTER,
            on=((ContactRow.incident_id == IncidentRow.id) & (ContactRow.recipient_id == EscalationRow.recipient_id)),
        )
        .where(SetAsideRow.is_paging)
        .order_by(SetAsideRow.at.desc(), SetAsideRow.row_id)
        .limit(param(IntegerField()))
    )
)
_UNWATCHED = Statement(
    lambda param: (
        SetAsideRow.select(SetAsideRow.row_id, SetAsideRow.at)
        .where(SetAsideRow.is_paging, SetAsideRow.machine == SQL("'watched_job'"))
        .order_by(SetAsideRow.at.desc(), SetAsideRow.row_id)
        .limit(param(IntegerField()))
    )
)
_SILENT_PATHS = Statement(
    lambda param: (
        CriticalRow.select(
            CriticalRow.path.alias("provider"),
            fn.COUNT(1).alias("rounds"),
            fn.SUM(Case(None, [(_IS_UNCOUNTED_CRITICAL, 1)], 0)).alias("uncounted"),
            fn.MAX(CriticalRow.at).alias("at"),
        )
        .where(_is_linked(param), _HAS_PATH)
        .group_by(CriticalRow.path)
        .order_by(fn.MAX(CriticalRow.at).desc(), CriticalRow.path)
    )
)
_NOTICES = Statement(
    lambda param: (
        NoticeRow.select(NoticeRow.at, NoticeRow.provider, NoticeRow.reason)
        .where((NoticeRow.at >= param(NoticeRow.at)) | _IS_UNCOUNTED_NOTICE)
        .order_by(NoticeRow.at.desc(), NoticeRow.provider, NoticeRow.reason)
        .limit(AT_MOST)
    )
)
_UNCOUNTED_CRITICALS = Statement(
    lambda param: CriticalRow.select(fn.COUNT(1).alias("count")).where(_IS_UNCOUNTED_CRITICAL, _is_linked(param))
)
_UNCOUNTED_PAGING = Statement(
    lambda param: CriticalRow.select(fn.COUNT(1).alias("count")).where(
        _IS_UNCOUNTED_CRITICAL, _is_linked(param), CriticalRow.is_paging
    )
)
_UNCOUNTED_NOTICES = Statement(lambda _: NoticeRow.select(fn.COUNT(1).alias("count")).where(_IS_UNCOUNTED_NOTICE))
_UNCOUNTED_DAMAGE = Statement(lambda _: SetAsideRow.select(fn.COUNT(1).alias("count")).where(_IS_UNCOUNTED_DAMAGE))


class Operations(Repository):
    """The operations incident."""

    def lock(self) -> IncidentFacts | None:
        """Lock and read the operations incident that is not resolved; there is at most one."""
        return Incidents(self._unit).lock_newest(IncidentRow.is_operations & IS_UNRESOLVED)

    def among(self, incident_ids: Collection[str]) -> frozenset[str]:
        """Return the operations incidents among some incidents; not locked."""
        return frozenset(row["id"] for row in self._unit.rows(_OPERATIONS_AMONG(sorted(incident_ids))))

    def link(self, operations_incident_id: str, alerts: Mapping[str, AlertOperations], *, at: datetime) -> None:
        """Link failures, given as escalation id → alert, to their operations incident; it replaces an earlier link."""
        key = ("escalation_id",)
        columns = ("operations_incident_id", "reason", "at", "is_paging", "is_deferred", "path", "is_counted", "is_reported")
        rows = [
            (
                operations_incident_id,
                alert.reason,
                at,
                alert.is_paging,
                alert.is_deferred,
                alert.path,
                False,
                False,
                escalation_id,
            )
            for escalation_id, alert in sorted(alerts.items())
        ]
        new = self._unit.insert_new(CriticalRow, [dict(zip((*columns, *key), row, strict=True)) for row in rows], key)
        if linked := [row for row in rows if row[-1:] not in new]:
            self._unit.update_those(CriticalRow, columns, key, key, linked)

    def add_notice(self, reason: str, provider: str, *, at: datetime) -> bool:
        """Store a notice for operations, once a day (UTC) for each reason and provider.

        Returns:
            Whether it is new today.
        """
        notice = {"reason": reason, "provider": provider, "day": instant_text(at)[:10]}
        return self._unit.insert_once(NoticeRow, notice | {"at": at, "is_counted": False, "is_reported": False})

    def has_notice(self, reason: str, provider: str, *, at: datetime) -> bool:
        """Return whether that day's notice is stored already; not locked."""
        is_it = (NoticeRow.reason == reason) & (NoticeRow.provider == provider) & (NoticeRow.day == instant_text(at)[:10])
        return self._unit.first(NoticeRow.select(NoticeRow.reason).where(is_it)) is not None

    def criticals(self, operations_incident_id: str, *, limit: int) -> tuple[Failure, ...]:
        """Read the linked critical failures, the newest first; those of ``silent_paths`` are left out."""
        return tuple(Failure(**row) for row in self._unit.rows(_CRITICALS(operations_incident_id, limit)))

    def damaged(self, *, limit: int) -> tuple[Failure, ...]:
        """Read the set-aside rows for which operations is paged, the newest first; no value that may be damaged is read."""
        jobs = (unwatched(row["row_id"], row["at"]) for row in _UNWATCHED(limit).rows(self._unit.db))
        return (*(damage(**row) for row in _DAMAGED(limit).rows(self._unit.db, self._unit.unread)), *jobs)

    def silent_paths(self, operations_incident_id: str) -> tuple[SilentPath, ...]:
        """Read the linked callback paths that alone leave rounds unproven, the newest first."""
        return tuple(SilentPath(**row) for row in self._unit.rows(_SILENT_PATHS(operations_incident_id)))

    def path_paged_at(self, provider: str) -> datetime | None:
        """Return when the newest round that reports a provider's callback path began; None if there is none."""
        is_it = (CriticalRow.path == provider) & CriticalRow.is_counted
        newest = CriticalRow.select(CriticalRow.operations_incident_id, CriticalRow.at).where(is_it)
        found = self._unit.first(newest.order_by(CriticalRow.at.desc()).limit(1))
        if found is None:
            return None
        rounds = EscalationRow.select(fn.MIN(EscalationRow.started_at).alias("at")).where(
            EscalationRow.incident_id == found["operations_incident_id"],
            EscalationRow.started_at >= found["at"],
            EscalationRow.repetition == 1,
        )
        began_at: datetime | None = self._unit.scalar(rounds)
        linked_at: datetime = found["at"]
        return began_at or linked_at

    def notices(self, *, since: datetime) -> tuple[Notice, ...]:
        """Read the notices reported since an instant or not reported yet, the newest first.

        If a process's clock is behind, its notice may seem older than the incident that reports it.
        """
        return tuple(Notice(**row) for row in self._unit.rows(_NOTICES(since)))

    def about(self, recipient_id: str) -> tuple[str, ...]:
        """Find the operations incidents that mention a recipient, by id."""
        query = (
            CriticalRow.select(CriticalRow.operations_incident_id)
            .join(EscalationRow, on=(EscalationRow.id == CriticalRow.escalation_id))
            .where(EscalationRow.recipient_id == recipient_id)
            .distinct()
            .order_by(CriticalRow.operations_incident_id)
        )
        return tuple(row["operations_incident_id"] for row in self._unit.rows(query))

    def uncounted(self, operations_incident_id: str) -> Uncounted:
        """Count the linked critical failures and the notices that no round has reported yet."""
        damaged = int(self._unit.scalar(_UNCOUNTED_DAMAGE()))
        return Uncounted(
            failures=int(self._unit.scalar(_UNCOUNTED_CRITICALS(operations_incident_id))) + damaged,
            paging=int(self._unit.scalar(_UNCOUNTED_PAGING(operations_incident_id))) + damaged,
            notices=int(self._unit.scalar(_UNCOUNTED_NOTICES())),
        )

    def mark_counted(self, operations_incident_id: str) -> None:
        """Note that a round reports everything that ``uncounted`` counts."""
        is_linked = CriticalRow.operations_incident_id == operations_incident_id
        self._unit.execute(CriticalRow.update(is_counted=True).where(_IS_UNCOUNTED_CRITICAL, is_linked))
        self._unit.execute(NoticeRow.update(is_counted=True).where(_IS_UNCOUNTED_NOTICE))
        self._unit.execute(SetAsideRow.update(is_counted=True).where(_IS_UNCOUNTED_DAMAGE))

    def end_round(self, operations_incident_id: str, *, is_reported: bool) -> None:
        """Note that the last round's contents were reported, or that they are to be counted again."""
        is_linked = CriticalRow.operations_incident_id == operations_incident_id
        changed = {"is_reported": True} if is_reported else {"is_counted": False}
        self._unit.execute(CriticalRow.update(**changed).where(is_linked, CriticalRow.is_counted, ~CriticalRow.is_reported))
        self._unit.execute(NoticeRow.update(**changed).where(NoticeRow.is_counted, ~NoticeRow.is_reported))
        is_open = SetAsideRow.is_paging & SetAsideRow.is_counted & ~SetAsideRow.is_reported
        reported = {"is_reported": True} if is_reported else {"is_counted": False}
        self._unit.execute(SetAsideRow.update(**reported).where(is_open))

    def hand_on(self, operations_incident_id: str, following_id: str) -> None:
        """Link failures that no round has reported to the following incident."""
        is_linked = CriticalRow.operations_incident_id == operations_incident_id
        query = CriticalRow.update(operations_incident_id=following_id)
        self._unit.execute(query.where(_IS_UNCOUNTED_CRITICAL, is_linked))
