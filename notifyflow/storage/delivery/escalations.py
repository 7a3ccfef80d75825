"""Stores escalations."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from peewee import SQL, Select, fn

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.storage.delivery.attempts import AttemptRef
from notifyflow.storage.delivery.incidents import Contacts, Incidents
from notifyflow.storage.delivery.notifications import Notifications
from notifyflow.storage.session.repositories import MachineRepository
from notifyflow.storage.session.rows import NOTIFICATIONS_OF, select
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.tables import EscalationRow, NotificationRow

_LOCKED = Statement(
    lambda param: NotificationRow.select(NotificationRow.id).where(param.any_of(NotificationRow.id)).order_by(NotificationRow.id)
)
_CURRENT = Statement(
    lambda param: select(EscalationFacts, param.any_of(EscalationRow.incident_id) & EscalationRow.is_current).order_by(
        EscalationRow.id
    )
)
_OF_SUBSCRIBERS = Statement(
    lambda param: select(EscalationFacts, param.any_of(EscalationRow.incident_id), EscalationRow.round == SQL("0"))
)
_LATER = EscalationRow.alias("later")
_LAST = Statement(
    lambda param: select(
        EscalationFacts,
        EscalationRow.incident_id == param(EscalationRow.incident_id),
        EscalationRow.round > SQL("0"),
        ~fn.EXISTS(
            _LATER.select(_LATER.id).where(
                _LATER.incident_id == EscalationRow.incident_id,
                _LATER.recipient_id == EscalationRow.recipient_id,
                _LATER.round > EscalationRow.round,
            )
        ),
    ).order_by(EscalationRow.id)
)
_LAST_ROUNDS = Statement(
    lambda param: (
        EscalationRow.select(EscalationRow.recipient_id, fn.MAX(EscalationRow.round).alias("round"))
        .where(EscalationRow.incident_id == param(EscalationRow.incident_id))
        .group_by(EscalationRow.recipient_id)
    ),
    columns=(EscalationRow.recipient_id, EscalationRow.round),
)


def _timed(param: Parameters) -> Select:
    """Search for the current escalations with a running timer."""
    decides, starts = (each > param(each) for each in (EscalationRow.next_decision_at, EscalationRow.next_round_at))
    return select(EscalationFacts, (decides | starts) & EscalationRow.is_current).order_by(EscalationRow.id)


_TIMED = Statement(_timed)
_TIMED_OF = Statement(lambda param: _timed(param).where(param.any_of(EscalationRow.incident_id)))


class Escalations(MachineRepository[EscalationFacts]):
    """Escalations with their notifications, contacts and contents."""

    facts = EscalationFacts

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(unit)
        self._incidents, self._contacts, self._notifications = Incidents(unit), Contacts(unit), Notifications(unit)

    def lock_current(self, incident_id: str) -> tuple[EscalationFacts, ...]:
        """Lock and read the current escalations of an incident, by id."""
        if incident_id not in self._unit.escalations_of:
            self._lock_current([incident_id])
        loaded = self._unit.loaded(EscalationFacts, self._unit.escalations_of[incident_id])
        return tuple(each for each in loaded if each.is_current)

    def load_repeated(self, incident_ids: Collection[str]) -> None:
        """Lock the current escalations of locked incidents, by id, and load the rows that a repeated key needs."""
        if incident_ids:
            self._lock_current(sorted(incident_ids))
            self._incidents.load_contents(incident_ids)
            self._contacts.load_all(incident_ids)

    def lock_all_current(self, incident_ids: Collection[str]) -> None:
        """Lock the current escalations of locked incidents, then their notifications, each by id; load the contacts."""
        self._lock_current(sorted(incident_ids))
        if ids := sorted(each for incident_id in incident_ids for each in self._unit.escalations_of[incident_id]):
            self._notifications.lock_of(ids)
        self._contacts.load_all(incident_ids)

    def load_attempts(self, refs: Collection[AttemptRef]) -> None:
        """Lock and load the escalations and notifications of attempts; see ``load``."""
        self.load({ref.escalation_id for ref in refs}, moving={ref.notification_id for ref in refs})

    def load(self, escalation_ids: Collection[str], *, moving: Collection[str] = ()) -> None:
        """Lock and load escalations, then the notifications that may move, by id; load the other rows that a decision needs."""
        ids = sorted(escalation_ids)
        if not ids:
            return
        self.lock_many(ids)
        is_locking = self._unit.is_shared and bool(moving)
        locked = {row["id"] for row in self._unit.rows(self._unit.locked(_LOCKED(sorted(moving))))} if is_locking else set()
        self._notifications.note(ids, self._unit.read(NotificationFacts, NOTIFICATIONS_OF(ids), locked=locked))
        known = (self._unit.known(EscalationFacts, each, is_locked=True) for each in ids)
        self._incidents.read_many({each.incident_id for each in known if each is not None})
        self._contacts.load(ids)

    def load_pages(self, rows: Collection[NotificationFacts]) -> None:
        """Load the rows that sending notifications needs: their escalations, contacts and contents; not locked."""
        ids = sorted({row.escalation_id for row in rows})
        if ids:
            self.read_many(ids)
            incident_ids = {row.incident_id for row in rows}
            self._incidents.load_contents(incident_ids)
            known = (self._unit.known(EscalationFacts, each, is_locked=False) for each in ids)
            self._contacts.load_first(incident_ids, {each.recipient_id for each in known if each is not None})

    def last_of(self, incident_id: str) -> tuple[EscalationFacts, ...]:
        """Read each recipient's newest escalation of an incident, by id; not locked."""
        return tuple(self._unit.read(EscalationFacts, _LAST(incident_id)))

    def last_rounds(self, incident_id: str) -> Mapping[str, int]:
        """Return the number of each recipient's newest round; recipients without a round are left out."""
        return {row["recipient_id"]: row["round"] for row in self._unit.rows(_LAST_ROUNDS(incident_id))}

    def of_subscribers(self, incident_ids: Collection[str]) -> Mapping[str, EscalationFacts]:
        """Return the escalations that hold incidents' events, by incident; new incidents are left out; not locked."""
        stored = [each for each in sorted(incident_ids) if not self._unit.is_added(IncidentFacts, each)]
        return {each.incident_id: each for each in self._unit.read(EscalationFacts, _OF_SUBSCRIBERS(stored))} if stored else {}

    def add(self, facts: EscalationFacts, *, event: str, detail: Mapping[str, str]) -> None:
        """Store a new escalation and log its start."""
        self._unit.store_policy(facts.policy, at=facts.started_at)
        self._unit.add([facts])
        self._unit.notifications_of[facts.id] = set()
        if facts.incident_id in self._unit.escalations_of:
            self._unit.escalations_of[facts.incident_id].add(facts.id)
        self._unit.log([facts], event=event, at=facts.started_at, detail=detail)

    def decide_again(self, *, now: datetime, incident_ids: Collection[str] | None = None) -> None:
        """Decide every current escalation with a running timer again, of some incidents or of all: its deadlines may differ."""
        waiting = _TIMED(now, now) if incident_ids is None else _TIMED_OF(now, now, sorted(incident_ids))
        for each in self._unit.read(EscalationFacts, self._unit.locked(waiting)):
            self._unit.save(each, replace(each, next_decision_at=now))

    def _lock_current(self, incident_ids: Sequence[str]) -> None:
        found = self._unit.read(EscalationFacts, self._unit.locked(_CURRENT(incident_ids)))
        self._unit.escalations_of.update({each: set() for each in incident_ids})
        for each in found:
            self._unit.escalations_of[each.incident_id].add(each.id)
