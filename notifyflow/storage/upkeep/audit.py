"""Reads everything for the checker: by pages of one consistent state, and a few rounds at a time."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from peewee import SQL, IntegerField, PeeweeException, Tuple, fn

from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts, StepFacts, Transition
from notifyflow.core.upkeep import audit
from notifyflow.core.upkeep.audit import Finding, Round, Rule
from notifyflow.core.upkeep.lost import Mention
from notifyflow.storage.delivery.set_aside import SetAsideReads
from notifyflow.storage.delivery.silences import SilenceReads
from notifyflow.storage.delivery.steps import StepReads
from notifyflow.storage.session.rows import BY_ID, NOTIFICATIONS_OF, Reader
from notifyflow.storage.session.statements import Statement, finds
from notifyflow.storage.tables import (
    AttemptRow,
    CriticalRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    ReceiptRow,
    StepRow,
    TransitionRow,
)
from notifyflow.storage.upkeep.adoption import Adopted

T = TypeVar("T")

_INCIDENTS_A_PAGE = 100
_ROUNDS_AT_A_TIME = 100
_TO_ITSELF: Mapping[str, str] = MappingProxyType({})
_PAGE = Statement(
    lambda param: (
        IncidentRow.select(IncidentRow.id)
        .where(IncidentRow.id > param(IncidentRow.id))
        .order_by(IncidentRow.id)
        .limit(param(IntegerField()))
    )
)
_PLACE = (EscalationRow.incident_id, EscalationRow.recipient_id, EscalationRow.round)
_ROUNDS = Statement(
    lambda param: (
        EscalationRow.select(EscalationRow.id, *_PLACE)
        .where(Tuple(*_PLACE) > Tuple(*map(param, _PLACE)), EscalationRow.incident_id <= param(EscalationRow.incident_id))
        .order_by(*_PLACE)
        .limit(param(IntegerField()))
    )
)
_LINES = Statement(
    lambda param: (
        TransitionRow.select(*(getattr(TransitionRow, name) for name in Transition.__dataclass_fields__))
        .where(param.any_of(TransitionRow.row_id))
        .order_by(TransitionRow.id)
    )
)


def _stored(model: Any) -> Statement:
    """Build the search for which of some rows are stored."""
    return Statement(lambda param: model.select(model.id).where(param.any_of(model.id)))


_STORED = {
    "incident": _stored(IncidentRow),
    "escalation": _stored(EscalationRow),
    "notification": _stored(NotificationRow),
    "attempt": _stored(AttemptRow),
}
_MOVES = Statement(
    lambda param: TransitionRow.select(TransitionRow.row_id, TransitionRow.version, TransitionRow.event).where(
        param.any_of(TransitionRow.row_id)
    )
)
_LINKS = Statement(
    lambda param: CriticalRow.select(CriticalRow.escalation_id, CriticalRow.operations_incident_id).where(
        param.any_of(CriticalRow.escalation_id)
    )
)


def _missing(machine: str, model: Any) -> Statement:
    """Build the search for log lines of some incidents whose rows are missing from a table."""
    is_there = finds(model.select(SQL("1")).where(model.id == TransitionRow.row_id))
    return Statement(
        lambda param: (
            TransitionRow.select(TransitionRow.row_id, TransitionRow.incident_id)
            .where(param.any_of(TransitionRow.incident_id), TransitionRow.machine == machine, ~is_there)
            .distinct()
            .order_by(TransitionRow.row_id)
        )
    )


_MISSING = {
    machine: _missing(machine, model)
    for machine, model in (("escalation", EscalationRow), ("notification", NotificationRow), ("step", StepRow))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """The result of checking a page.

    Attributes:
        count: How many incidents it had.
        last_id: The incident after which the next page begins; empty after the last page.
    """

    count: int
    last_id: str
    findings: tuple[Finding, ...]


class Lacking(NamedTuple):
    """What is named somewhere and not stored: rows, and moves of incidents that are stored."""

    gone: tuple[Mention, ...]
    undone: tuple[Mention, ...]


class _Chained(NamedTuple):
    """An incident's steps, and their log."""

    incident_id: str
    steps: Sequence[StepFacts]
    log: Sequence[Transition]


class Audits(Reader):
    """The checker's reads; they walk primary keys and indexes only."""

    def incident_count(self) -> int:
        """Count all incidents."""
        return int(self._source.scalar(IncidentRow.select(fn.COUNT(1))))

    def whole(self, *, now: datetime) -> tuple[Finding, ...]:
        """Check what belongs to no one incident: that at most one operations incident is open, and the silences."""
        silences, known = SilenceReads(self._source), len(self._source.unread)
        held = silences.held_after_end()
        found = (audit.check_silence(each, held.get(each.id, ()), now=now) for each in silences.every())
        findings = [finding for each in found for finding in each]
        findings += [audit.unreadable("silence", each.row_id, "", each.why) for each in self._source.unread[known:]]
        return (*self._operations(), *findings)

    def _operations(self) -> tuple[Finding, ...]:
        query = IncidentRow.select(IncidentRow.id).where(IncidentRow.is_operations, IncidentRow.state != SQL("'RESOLVED'"))
        ids = [row["id"] for row in self._source.rows(query.order_by(IncidentRow.id))]
        return tuple(audit.check_operations(ids))

    def lacking(self, named: Sequence[Mention]) -> Lacking:
        """Return which of some rows, and of their moves, are not stored."""
        stored = {
            str(row["id"])
            for kind, statement in _STORED.items()
            if (wanted := sorted({each.row_id for each in named if each.kind == kind}))
            for row in self._source.rows(statement(wanted))
        }
        moved = [each for each in named if each.change and each.row_id in stored]
        rows = self._source.rows(_MOVES(sorted({each.row_id for each in moved}))) if moved else ()
        logged = {(row["row_id"], row["version"], row["event"]) for row in rows}
        return Lacking(
            gone=tuple(each for each in named if each.row_id not in stored),
            undone=tuple(each for each in moved if (each.row_id, each.version, each.change) not in logged),
        )

    def unmatched_attempts(self, *, since: datetime) -> Mapping[str, str]:
        """Return the attempts, with their providers, of which genuine receipts tell and no row has been found."""
        query = ReceiptRow.select(ReceiptRow.attempt_id, ReceiptRow.provider).where(
            ReceiptRow.state == SQL("'foreign'"), ReceiptRow.received_at > since, ReceiptRow.attempt_id.is_null(False)
        )
        return {row["attempt_id"]: row["provider"] for row in self._source.rows(query)}

    def page(self, after_id: str, *, now: datetime, limit: int = _INCIDENTS_A_PAGE) -> Audited:
        """Check the next incidents, by id, with all their rows.

        Args:
            after_id: The last incident that was checked; empty at the start.
            now: The instant; work due long before is overdue.
            limit: How many at most.
        """
        ids = [str(row["id"]) for row in self._source.rows(_PAGE(after_id, limit))]
        findings = [] if after_id else [audit.aside(each) for each in SetAsideReads(self._source).all()]
        findings += self._missing(ids)
        incidents: dict[str, IncidentFacts] = {}
        for incident, log in self._readable(ids, self._incidents_with_logs, "incident", lambda each: each, findings):
            incidents[incident.id] = incident
            findings += audit.check_incident(incident, log, now=now)
        for chained in self._readable(
            [each for each in incidents if incidents[each].run_number], self._chains, "incident", str, findings
        ):
            findings += audit.check_chain(incidents[chained.incident_id], chained.steps, chained.log, now=now)
        read = partial(self._stood, incidents)
        for incident_ids in self._rounds(ids) if ids else ():
            wanted = [each for each, incident_id in incident_ids.items() if incident_id in incidents]
            for stood in self._readable(wanted, read, "escalation", incident_ids.__getitem__, findings):
                findings += audit.check_round(stood, now=now)
        last_id = ids[-1] if len(ids) == limit else ""
        quarantined = Adopted(self._source).quarantined_among(ids)
        late = [each for each in findings if each.rule is Rule.OVERDUE and each.incident_id in quarantined]
        return Audited(count=len(ids), last_id=last_id, findings=tuple(each for each in findings if each not in late))

    def _rounds(self, incident_ids: Sequence[str]) -> Iterator[dict[str, str]]:
        """List the escalations of consecutive incidents, a few at a time: id to incident."""
        place: tuple[Any, ...] = (incident_ids[0], "", -1)
        while rows := self._source.rows(_ROUNDS(*place, incident_ids[-1], _ROUNDS_AT_A_TIME)):
            yield {row["id"]: row["incident_id"] for row in rows}
            place = tuple(rows[-1][field.name] for field in _PLACE)

    def _readable(
        self,
        ids: Sequence[str],
        read: Callable[[Sequence[str]], list[T]],
        machine: str,
        incident_id_of: Callable[[str], str],
        findings: list[Finding],
    ) -> list[T]:
        """Return the readable rows; find the unreadable ones by halving, and add a finding for each."""
        known = len(self._source.unread)
        try:
            found = read(ids) if ids else []
            if len(self._source.unread) == known:
                return found
            why = self._source.unread[known].why
        except PeeweeException:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged row may raise anything
            why = type(error).__name__
        if len(ids) == 1:
            findings.append(audit.unreadable(machine, ids[0], incident_id_of(ids[0]), why))
            return []
        half = len(ids) // 2
        return [
            each for some in (ids[:half], ids[half:]) for each in self._readable(some, read, machine, incident_id_of, findings)
        ]

    def _incidents_with_logs(self, ids: Sequence[str]) -> list[tuple[IncidentFacts, list[Transition]]]:
        logs = self._logs(ids)
        return [(incident, logs[incident.id]) for incident in self._source.read(IncidentFacts, BY_ID[IncidentFacts](ids))]

    def _stood(self, incidents: Mapping[str, IncidentFacts], ids: Sequence[str]) -> list[Round]:
        escalations = self._source.read(EscalationFacts, BY_ID[EscalationFacts](ids))
        notifications: dict[str, list[NotificationFacts]] = defaultdict(list)
        for row in self._source.read(NotificationFacts, NOTIFICATIONS_OF(ids)):
            notifications[row.escalation_id].append(row)
        belongs_to = {row.id: escalation_id for escalation_id, rows in notifications.items() for row in rows}
        logs = self._logs([*ids, *belongs_to], belongs_to)
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

    def _chains(self, incident_ids: Sequence[str]) -> list[_Chained]:
        steps = StepReads(self._source).of(incident_ids)
        logs = self._logs([step.id for each in steps.values() for step in each])
        return [_Chained(each, own, [line for step in own for line in logs[step.id]]) for each, own in steps.items()]

    def _operations_of(self, escalation_ids: Sequence[str]) -> Mapping[str, IncidentFacts]:
        links = self._source.rows(_LINKS(escalation_ids))
        linked = {row["operations_incident_id"] for row in links}
        found = {each.id: each for each in (self._source.read(IncidentFacts, BY_ID[IncidentFacts](linked)) if linked else ())}
        return {row["escalation_id"]: found[row["operations_incident_id"]] for row in links}

    def _logs(self, row_ids: Sequence[str], belongs_to: Mapping[str, str] = _TO_ITSELF) -> Mapping[str, list[Transition]]:
        """Read log lines as they were written, by the rows that they belong to."""
        logs: dict[str, list[Transition]] = defaultdict(list)
        for row in self._source.rows(_LINES(row_ids)):
            logs[belongs_to.get(row["row_id"], row["row_id"])].append(Transition(**row))
        return logs

    def _missing(self, incident_ids: Sequence[str]) -> Iterator[Finding]:
        """Find logged rows that no table has."""
        for machine, statement in _MISSING.items():
            for row in self._source.rows(statement(incident_ids)):
                yield audit.missing(machine, row["row_id"], row["incident_id"])
