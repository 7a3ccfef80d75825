"""Stores escalations, notifications and attempts."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from peewee import Select, fn

from notifyflow.core.facts import AttemptFacts, EscalationFacts, NotificationFacts
from notifyflow.storage.models import AttemptRow, EscalationRow, NotificationRow
from notifyflow.storage.moves import Moves
from notifyflow.storage.rows import batches, first, must_exist, row_of, select
from notifyflow.storage.statements import Places, Statement

_ESCALATION = Statement(lambda param: select(EscalationFacts, EscalationRow.id == param(EscalationRow.id)))
_NOTIFICATION = Statement(lambda param: select(NotificationFacts, NotificationRow.id == param(NotificationRow.id)))
_NOTIFICATIONS = Statement(
    lambda param: select(NotificationFacts, NotificationRow.escalation_id == param(NotificationRow.escalation_id)).order_by(
        NotificationRow.id
    )
)
_CURRENT = Statement(
    lambda param: select(
        EscalationFacts, (EscalationRow.incident_id == param(EscalationRow.incident_id)) & EscalationRow.is_current
    ).order_by(EscalationRow.id)
)


class Escalations(Moves):
    """Escalations and what belongs to them."""

    def lock_escalations(self, incident_id: str) -> tuple[EscalationFacts, ...]:
        """Lock and read the current escalations of an incident, by id."""
        return tuple(self._escalations(self._locked(_CURRENT(incident_id))))

    def lock_escalation(self, escalation_id: str) -> EscalationFacts:
        """Lock and read an escalation that is known to exist.

        Raises:
            StorageError: When it does not.
        """
        return must_exist(first(self._escalations(self._locked(_ESCALATION(escalation_id)))), "escalation", escalation_id)

    def escalation(self, escalation_id: str) -> EscalationFacts:
        """Read an escalation that is known to exist; not locked.

        Raises:
            StorageError: When it does not.
        """
        return must_exist(first(self._escalations(_ESCALATION(escalation_id))), "escalation", escalation_id)

    def last_round(self, incident_id: str, recipient_id: str) -> int:
        """Return the number of a recipient's newest round, or 0."""
        rounds = EscalationRow.select(fn.MAX(EscalationRow.round)).where(
            EscalationRow.incident_id == incident_id, EscalationRow.recipient_id == recipient_id
        )
        return int(self._scalar(rounds) or 0)

    def subscribers_escalation(self, incident_id: str) -> EscalationFacts | None:
        """Return the escalation that holds the incident events, or None."""
        return first(
            self._escalations(select(EscalationFacts, EscalationRow.incident_id == incident_id, EscalationRow.round == 0))
        )

    def add_escalation(self, facts: EscalationFacts, *, event: str, detail: Mapping[str, str]) -> None:
        """Store a new escalation and log its start."""
        self._keep_policy(facts.policy, at=facts.started_at)
        self._insert(EscalationRow, [row_of(facts)])
        self._log([facts], event=event, at=facts.started_at, detail=detail)

    def notifications(self, escalation_id: str) -> tuple[NotificationFacts, ...]:
        """Read all notifications of an escalation with their attempts, by id; not locked."""
        return self._notifications(_NOTIFICATIONS(escalation_id))

    def earlier_notifications(self, escalation: EscalationFacts) -> tuple[NotificationFacts, ...]:
        """Read a recipient's notifications of earlier rounds than an escalation's, by id; not locked."""
        if escalation.round <= 1:
            return ()
        before = EscalationRow.select(EscalationRow.id).where(
            EscalationRow.incident_id == escalation.incident_id,
            EscalationRow.recipient_id == escalation.recipient_id,
            EscalationRow.round < escalation.round,
        )
        query = select(NotificationFacts, NotificationRow.escalation_id.in_(before))
        return self._notifications(query.order_by(NotificationRow.id))

    def lock_notifications(self, escalation_ids: Sequence[str]) -> tuple[NotificationFacts, ...]:
        """Lock and read all notifications of some escalations with their attempts, by id."""
        if not escalation_ids:
            return ()
        return self._notifications(self._locked(_notifications_of(len(escalation_ids))(*escalation_ids)))

    def lock_notification(self, notification_id: str) -> NotificationFacts:
        """Lock and read a notification that is known to exist, with its attempts.

        Raises:
            StorageError: When it does not.
        """
        found = self._notifications(self._locked(_NOTIFICATION(notification_id)))
        return must_exist(first(found), "notification", notification_id)

    def add_notifications(self, facts: Sequence[NotificationFacts], *, event: str) -> tuple[NotificationFacts, ...]:
        """Store new notifications and log their initial states.

        Returns:
            Those that were stored, without those that the escalation already has on the same tier and channel.
        """
        if self.is_gathering and facts:  # their escalations are new, too
            self._insert(NotificationRow, [row_of(each) for each in facts])
            self._log(facts, event=event, at=facts[0].created_at)
            return tuple(facts)
        added: set[str] = set()
        for batch in batches(facts):
            query = (
                NotificationRow.insert_many([row_of(each) for each in batch]).on_conflict_ignore().returning(NotificationRow.id)
            )
            added.update(row["id"] for row in self._rows(query))
        stored = tuple(each for each in facts if each.id in added)
        for created_at in dict.fromkeys(each.created_at for each in stored):
            self._log([each for each in stored if each.created_at == created_at], event=event, at=created_at)
        return stored

    def add_attempt(self, facts: AttemptFacts) -> None:
        """Store a new attempt, before its provider is called."""
        self._insert(AttemptRow, [row_of(facts)])


@lru_cache(maxsize=64)
def _notifications_of(escalations: int) -> Statement:
    def build(param: Places) -> Select:
        ids = [param(NotificationRow.escalation_id) for _ in range(escalations)]
        return select(NotificationFacts, NotificationRow.escalation_id.in_(ids)).order_by(NotificationRow.id)

    return Statement(build)
