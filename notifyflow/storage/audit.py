"""Reads everything for the checker: by pages of one consistent state, and a few rounds at a time."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from peewee import SQL, Expression, PeeweeException, fn

from notifyflow.core import audit
from notifyflow.core.audit import Finding, Round, Rule
from notifyflow.core.facts import EscalationFacts, IncidentFacts, NotificationFacts, Transition
from notifyflow.storage.models import CriticalRow, EscalationRow, IncidentRow, NotificationRow, QuarantineRow, TransitionRow
from notifyflow.storage.rows import Rows, select

T = TypeVar("T")

_INCIDENTS_A_PAGE = 100
_ROUNDS_AT_A_TIME = 100
_TO_ITSELF: Mapping[str, str] = MappingProxyType({})
_LOGGED: Mapping[str, Any] = {"escalation": EscalationRow, "notification": NotificationRow}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """The result of checking a page.

    Attributes:
        count: How many incidents it had.
        last_id: The incident after which the next page begins; empty after the last page.
        findings: The broken rules.
    """

    count: int
    last_id: str
    findings: tuple[Finding, ...]


class Audits(Rows):
    """The checker's reads; they walk primary keys and indexes only."""

    def incident_count(self) -> int:
        """Count all incidents."""
        return int(self._scalar(IncidentRow.select(fn.COUNT(1))))

    def audit_operations(self) -> tuple[Finding, ...]:
        """Check that at most one operations incident is open."""
        query = IncidentRow.select(IncidentRow.id).where(IncidentRow.is_operations, IncidentRow.state != SQL("'RESOLVED'"))
        ids = [row["id"] for row in self._rows(query.order_by(IncidentRow.id))]
        return tuple(audit.check_operations(ids))

    def audit(self, after_id: str, *, now: datetime, limit: int = _INCIDENTS_A_PAGE) -> Audited:
        """Check the next incidents, by id, with all that belongs to them.

        Args:
            after_id: The last incident that was checked; empty at the start.
            now: The instant; work due long before is overdue.
            limit: How many at most.
        """
        query = IncidentRow.select(IncidentRow.id).where(IncidentRow.id > after_id).order_by(IncidentRow.id).limit(limit)
        ids = [str(row["id"]) for row in self._rows(query)]
        findings = list(self._missing(ids))
        incidents: dict[str, IncidentFacts] = {}
        for incident, log in self._readable(ids, self._incidents_with_logs, "incident", lambda each: each, findings):
            incidents[incident.id] = incident
            findings += audit.check_incident(incident, log, now=now)
        for incident_ids in self._rounds(list(incidents)):
            read = partial(self._stood, incidents)
            for stood in self._readable(list(incident_ids), read, "escalation", incident_ids.__getitem__, findings):
                findings += audit.check_round(stood, now=now)
        last_id = ids[-1] if len(ids) == limit else ""
        quarantined = {row["incident_id"] for row in self._rows(QuarantineRow.select().where(QuarantineRow.incident_id.in_(ids)))}
        late = [each for each in findings if each.rule is Rule.OVERDUE and each.incident_id in quarantined]
        return Audited(count=len(ids), last_id=last_id, findings=tuple(each for each in findings if each not in late))

    def _rounds(self, incident_ids: Sequence[str]) -> Iterator[dict[str, str]]:
        """List the escalations of some incidents, a few at a time: id to incident."""
        after = ""
        while True:
            query = EscalationRow.select(EscalationRow.id, EscalationRow.incident_id).where(
                EscalationRow.incident_id.in_(incident_ids), EscalationRow.id > after
            )
            rows = self._rows(query.order_by(EscalationRow.id).limit(_ROUNDS_AT_A_TIME))
            if not rows:
                return
            yield {row["id"]: row["incident_id"] for row in rows}
            after = rows[-1]["id"]

    def _readable(
        self,
        ids: Sequence[str],
        read: Callable[[Sequence[str]], list[T]],
        machine: str,
        incident_id_of: Callable[[str], str],
        findings: list[Finding],
    ) -> list[T]:
        """Read the readable rows; find the others by halving, and add a finding for each."""
        try:
            return read(ids) if ids else []
        except PeeweeException:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged row may raise anything
            if len(ids) == 1:
                findings.append(audit.unreadable(machine, ids[0], incident_id_of(ids[0]), error))
                return []
        half = len(ids) // 2
        return [
            each for some in (ids[:half], ids[half:]) for each in self._readable(some, read, machine, incident_id_of, findings)
        ]

    def _incidents_with_logs(self, ids: Sequence[str]) -> list[tuple[IncidentFacts, list[Transition]]]:
        logs = self._logs(TransitionRow.row_id.in_(ids))
        found = self._incidents(select(IncidentFacts, IncidentRow.id.in_(ids)).order_by(IncidentRow.id))
        return [(incident, logs[incident.id]) for incident in found]

    def _stood(self, incidents: Mapping[str, IncidentFacts], ids: Sequence[str]) -> list[Round]:
        escalations = self._escalations(select(EscalationFacts, EscalationRow.id.in_(ids)).order_by(EscalationRow.id))
        notifications: dict[str, list[NotificationFacts]] = defaultdict(list)
        query = select(NotificationFacts, NotificationRow.escalation_id.in_(ids)).order_by(NotificationRow.id)
        for row in self._notifications(query):
            notifications[row.escalation_id].append(row)
        belongs_to = {row.id: escalation_id for escalation_id, rows in notifications.items() for row in rows}
        logs = self._logs(TransitionRow.row_id.in_([*ids, *belongs_to]), belongs_to)
        operations = self._operations_of(ids)
        return [
            Round(
                incident=incidents[each.incident_id],
                escalation=each,
                notifications=tuple(notifications[each.id]),
                transitions=tuple(logs[each.id]),
                operations=operations.get(each.id),
            )
            for each in escalations
        ]

    def _operations_of(self, escalation_ids: Sequence[str]) -> Mapping[str, IncidentFacts]:
        query = CriticalRow.select(CriticalRow.escalation_id, CriticalRow.operations_incident_id)
        links = self._rows(query.where(CriticalRow.escalation_id.in_(escalation_ids)))
        linked = {row["operations_incident_id"] for row in links}
        incidents = self._incidents(select(IncidentFacts, IncidentRow.id.in_(linked))) if linked else []
        found = {each.id: each for each in incidents}
        return {row["escalation_id"]: found[row["operations_incident_id"]] for row in links}

    def _logs(self, where: Expression, belongs_to: Mapping[str, str] = _TO_ITSELF) -> Mapping[str, list[Transition]]:
        """Read lines of the log as they were written, by the row to which theirs belongs."""
        columns = (getattr(TransitionRow, name) for name in Transition.__dataclass_fields__)
        logs: dict[str, list[Transition]] = defaultdict(list)
        for row in self._rows(TransitionRow.select(*columns).where(where).order_by(TransitionRow.id)):
            logs[belongs_to.get(row["row_id"], row["row_id"])].append(Transition(**row))
        return logs

    def _missing(self, incident_ids: Sequence[str]) -> Iterator[Finding]:
        """Find what the log tells of and no table has."""
        for machine, model in _LOGGED.items():
            is_there = fn.EXISTS(model.select(SQL("1")).where(model.id == TransitionRow.row_id))
            of_machine = (TransitionRow.machine == machine) & TransitionRow.incident_id.in_(incident_ids)
            query = TransitionRow.select(TransitionRow.row_id, TransitionRow.incident_id).where(of_machine, ~is_there).distinct()
            for row in self._rows(query.order_by(TransitionRow.row_id)):
                yield audit.missing(machine, row["row_id"], row["incident_id"])
