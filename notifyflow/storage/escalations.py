"""Stores escalations, notifications and attempts."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from peewee import SQL, Select, fn

from notifyflow.core.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.storage.incidents import Incidents
from notifyflow.storage.models import EscalationRow, NotificationRow
from notifyflow.storage.rows import first, must_exist, select
from notifyflow.storage.statements import Places, Statement
from notifyflow.storage.work import AttemptRef

_ESCALATION = Statement(lambda param: select(EscalationFacts, EscalationRow.id == param(EscalationRow.id)))
_ESCALATIONS = Statement(lambda param: select(EscalationFacts, param.among(EscalationRow.id)).order_by(EscalationRow.id))
_LOCKED = Statement(
    lambda param: NotificationRow.select(NotificationRow.id).where(param.among(NotificationRow.id)).order_by(NotificationRow.id)
)
_NOTIFICATION = Statement(lambda param: select(NotificationFacts, NotificationRow.id == param(NotificationRow.id)))
_NOTIFICATIONS = Statement(
    lambda param: select(NotificationFacts, param.among(NotificationRow.escalation_id)).order_by(NotificationRow.id)
)
_CURRENT = Statement(
    lambda param: select(EscalationFacts, param.among(EscalationRow.incident_id) & EscalationRow.is_current).order_by(
        EscalationRow.id
    )
)
_OF_SUBSCRIBERS = Statement(
    lambda param: select(EscalationFacts, param.among(EscalationRow.incident_id), EscalationRow.round == SQL("0"))
)
_LAST_ROUNDS = Statement(
    lambda param: (
        EscalationRow.select(EscalationRow.recipient_id, fn.MAX(EscalationRow.round).alias("round"))
        .where(EscalationRow.incident_id == param(EscalationRow.incident_id))
        .group_by(EscalationRow.recipient_id)
    ),
    columns=(EscalationRow.recipient_id, EscalationRow.round),
)


def _earlier(param: Places) -> Select:
    """Select the escalations of earlier rounds of the same recipients, each with its later one."""
    earlier = EscalationRow.alias()
    is_earlier = (
        (earlier.incident_id == EscalationRow.incident_id)
        & (earlier.recipient_id == EscalationRow.recipient_id)
        & (earlier.round < EscalationRow.round)
    )
    columns = (earlier.id.alias("earlier_id"), EscalationRow.id.alias("later_id"))
    return EscalationRow.select(*columns).join(earlier, on=is_earlier).where(param.among(EscalationRow.id))


_EARLIER = Statement(_earlier)


class Escalations(Incidents):
    """Escalations and what belongs to them."""

    def lock_escalations(self, incident_id: str) -> tuple[EscalationFacts, ...]:
        """Lock and read the current escalations of an incident, by id."""
        if incident_id not in self._escalations_of:
            self._lock_current([incident_id])
        kept = (self._kept[EscalationFacts, each].now for each in sorted(self._escalations_of[incident_id]))
        return tuple(each for each in kept if each.is_current)

    def load_repeated(self, incident_ids: Collection[str]) -> None:
        """Lock and keep the current escalations of locked incidents, by id; read and keep what repeated keys need besides."""
        if incident_ids:
            self._lock_current(sorted(incident_ids))
            self.load_contents(incident_ids)
            self.load_all_contacts(incident_ids)

    def lock_many(self, escalation_ids: Collection[str]) -> None:
        """Lock and keep escalations, by id."""
        if escalation_ids:
            self._escalations(self._locked(_ESCALATIONS(sorted(escalation_ids))))

    def lock_escalation(self, escalation_id: str) -> EscalationFacts:
        """Lock and read an escalation that is known to exist.

        Raises:
            StorageError: When it does not.
        """
        found = self._known(EscalationFacts, escalation_id, is_locked=True)
        found = found or first(self._escalations(self._locked(_ESCALATION(escalation_id))))
        return must_exist(found, "escalation", escalation_id)

    def escalation(self, escalation_id: str) -> EscalationFacts:
        """Read an escalation that is known to exist; not locked.

        Raises:
            StorageError: When it does not.
        """
        found = self._known(EscalationFacts, escalation_id, is_locked=False)
        return must_exist(found or first(self._escalations(_ESCALATION(escalation_id))), "escalation", escalation_id)

    def load_attempts(self, refs: Collection[AttemptRef]) -> None:
        """Lock and keep the escalations and notifications of attempts; see ``load_escalations``."""
        self.load_escalations({ref.escalation_id for ref in refs}, moving={ref.notification_id for ref in refs})

    def load_escalations(self, escalation_ids: Collection[str], *, moving: Collection[str] = ()) -> None:
        """Lock and keep escalations, then notifications that may move, by id; read and keep what a decision needs besides."""
        ids = sorted(escalation_ids)
        if not ids:
            return
        self.lock_many(ids)
        is_locking = self._is_shared and bool(moving)
        locked = {row["id"] for row in self._rows(self._locked(_LOCKED(sorted(moving))))} if is_locking else set()
        self._note_notifications(ids, self._notifications(_NOTIFICATIONS(ids), locked=locked))
        known = (self._known(EscalationFacts, each, is_locked=True) for each in ids)
        self.load_incidents({each.incident_id for each in known if each is not None})
        self.load_contacts(ids)

    def load_pages(self, rows: Collection[NotificationFacts]) -> None:
        """Read and keep what sending notifications needs: their escalations, contacts and content; not locked."""
        ids = sorted({row.escalation_id for row in rows})
        if ids:
            self._escalations(_ESCALATIONS(ids))
            self.load_contacts(ids)
            self.load_contents({row.incident_id for row in rows})

    def last_rounds(self, incident_id: str) -> Mapping[str, int]:
        """Return the number of each recipient's newest round, without those who have had none."""
        return {row["recipient_id"]: row["round"] for row in self._rows(_LAST_ROUNDS(incident_id))}

    def subscribers_escalations(self, incident_ids: Collection[str]) -> Mapping[str, EscalationFacts]:
        """Return the escalations that hold incidents' events, by incident, without those of new incidents; not locked."""
        stored = [each for each in sorted(incident_ids) if not self._is_added(IncidentFacts, each)]
        return {each.incident_id: each for each in self._escalations(_OF_SUBSCRIBERS(stored))} if stored else {}

    def add_escalation(self, facts: EscalationFacts, *, event: str, detail: Mapping[str, str]) -> None:
        """Store a new escalation and log its start."""
        self._keep_policy(facts.policy, at=facts.started_at)
        self._add([facts])
        self._notifications_of[facts.id] = set()
        if facts.incident_id in self._escalations_of:
            self._escalations_of[facts.incident_id].add(facts.id)
        self._log([facts], event=event, at=facts.started_at, detail=detail)

    def notifications(self, escalation_id: str) -> tuple[NotificationFacts, ...]:
        """Read all notifications of an escalation with their attempts, by id; not locked."""
        if escalation_id not in self._notifications_of:
            self._note_notifications([escalation_id], self._notifications(_NOTIFICATIONS([escalation_id])))
        return self._kept_notifications([escalation_id])

    def earlier_notifications(self, escalations: Collection[EscalationFacts]) -> Mapping[str, Sequence[NotificationFacts]]:
        """Read, for each escalation, its recipient's notifications of earlier rounds, by id; not locked."""
        found: dict[str, list[NotificationFacts]] = defaultdict(list)
        if ids := sorted(each.id for each in escalations if each.round > 1):
            later = {row["earlier_id"]: row["later_id"] for row in self._rows(_EARLIER(ids))}
            for row in self._notifications(_NOTIFICATIONS(sorted(later))):
                found[later[row.escalation_id]].append(row)
        return found

    def lock_notifications(self, escalation_ids: Sequence[str]) -> tuple[NotificationFacts, ...]:
        """Lock and read all notifications of some escalations with their attempts, by id."""
        if not all(map(self._has_locked_notifications, escalation_ids)):
            self._note_notifications(escalation_ids, self._notifications(self._locked(_NOTIFICATIONS(escalation_ids))))
        return self._kept_notifications(escalation_ids)

    def lock_notification(self, notification_id: str) -> NotificationFacts:
        """Lock and read a notification that is known to exist, with its attempts.

        Raises:
            StorageError: When it does not.
        """
        found = self._known(NotificationFacts, notification_id, is_locked=True)
        found = found or first(self._notifications(self._locked(_NOTIFICATION(notification_id))))
        return must_exist(found, "notification", notification_id)

    def add_notifications(self, facts: Sequence[NotificationFacts], *, event: str) -> tuple[NotificationFacts, ...]:
        """Store new notifications and log their initial states.

        Returns:
            Those that were stored, without those that the escalation already has on the same tier and channel.
        """
        stored = []
        for each in facts:
            if each.tier is None or not self._has_page(each):
                stored.append(each)
                self._add([each])
                if each.escalation_id in self._notifications_of:
                    self._notifications_of[each.escalation_id].add(each.id)
        for created_at in dict.fromkeys(each.created_at for each in stored):
            self._log([each for each in stored if each.created_at == created_at], event=event, at=created_at)
        return tuple(stored)

    def _lock_current(self, incident_ids: Sequence[str]) -> None:
        found = self._escalations(self._locked(_CURRENT(incident_ids)))
        self._escalations_of.update({each: set() for each in incident_ids})
        for each in found:
            self._escalations_of[each.incident_id].add(each.id)

    def _has_locked_notifications(self, escalation_id: str) -> bool:
        kept = self._notifications_of.get(escalation_id)
        return kept is not None and all(self._kept[NotificationFacts, each].is_locked for each in kept)

    def _kept_notifications(self, escalation_ids: Collection[str]) -> tuple[NotificationFacts, ...]:
        ids = sorted(chain.from_iterable(self._notifications_of[each] for each in escalation_ids))
        return tuple(self._kept[NotificationFacts, each].now for each in ids)

    def _has_page(self, page: NotificationFacts) -> bool:
        return any((row.tier, row.channel) == (page.tier, page.channel) for row in self.notifications(page.escalation_id))

    def _note_notifications(self, escalation_ids: Sequence[str], found: Sequence[NotificationFacts]) -> None:
        """Note that all notifications of some escalations are kept."""
        self._notifications_of.update({each: set() for each in escalation_ids})
        for row in found:
            self._notifications_of[row.escalation_id].add(row.id)
