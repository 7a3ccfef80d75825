"""A running transaction: its ledger, its instant, and its follow-ups so far."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from notifyflow.core.copies import replace
from notifyflow.core.delivery import calls
from notifyflow.core.delivery.escalation import AlertOperations
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.incident import IncidentUpdate
from notifyflow.core.delivery.incident_events import IncidentEvent
from notifyflow.core.delivery.lifecycle import Moved
from notifyflow.core.delivery.model import AttemptState, EscalationState, IncidentState, Kind, NotificationState, Result, Severity
from notifyflow.core.delivery.series import Left
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.limits.provider_health import ProviderHealth
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps, MovedIncident, Recall
from notifyflow.storage.ledger import Due, Ledger

_RECALLED_WITHIN = timedelta(minutes=10)
"""Older attempts have arrived, or never will."""
_UNDELIVERED = "an incident event could not be delivered"


class Transaction:
    """Writes the core's decisions, and notes their follow-ups.

    Attributes:
        ledger: The open transaction's.
        now: The instant of the whole transaction.
        alerts: Critical failures for operations, handled at the end of the transaction.
        notices: Notices to operations: (reason, provider).
        damaged: Rows set aside for which operations is paged.
        mended: Notifications that were set aside and could be written.
        incident_events: Events for subscribers: (incident, event, detail).
        health_updates: Providers whose circuit opened or closed.
        callback_paths: The callback paths that were checked: (channel, provider).
        broken_paths: Whether a checked path seems broken.
        all_failed: Incidents with a chain in which every way to a recipient has failed.
        left: The state that recipients carry over into a new round, by incident and recipient; see ``series``.
        recalls: The messages to recall.
        shared_calls: The calls, with their channel, that carry several pages of which one is acknowledged or resolved.
        unheard: How many pages failed because no call had time for them, by channel.
    """

    def __init__(self, ledger: Ledger, deps: Dependencies) -> None:
        self.ledger = ledger
        self.deps = deps
        self.now = deps.clock.now()
        self.critical: list[EscalationFacts] = []
        self.alerts: list[tuple[EscalationFacts, AlertOperations]] = []
        self.notices: list[tuple[str, str]] = []
        self.damaged: list[SetAside] = []
        self.mended: set[str] = set()
        self.incident_events: list[tuple[IncidentFacts, str, Mapping[str, str]]] = []
        self.health_updates: list[ProviderHealth] = []
        self.callback_paths: set[tuple[str, str]] = set()
        self.broken_paths: dict[tuple[str, str], bool] = {}
        self.all_failed: set[str] = set()
        self.left: dict[tuple[str, str], Left] = {}
        self.recalls: list[Recall] = []
        self.shared_calls: dict[str, str] = {}
        self.unheard: dict[str, int] = {}
        self._namespaces: dict[str, str] = {}
        self._due: list[Due] = []
        self._failed: list[NotificationFacts] = []

    @property
    def follow_ups(self) -> FollowUps:
        """The transaction's follow-ups so far."""
        return FollowUps(
            due=tuple(self._due),
            failed=tuple(self._failed),
            critical=tuple(self.critical),
            health_updates=tuple(self.health_updates),
            recalls=tuple(self.recalls),
            changes=tuple(MovedIncident(facts.id, event, facts.version) for facts, event, _ in self.incident_events),
        )

    def update_incident(self, before: IncidentFacts, update: IncidentUpdate, **detail: str) -> IncidentFacts:
        """Write an incident that an event has changed."""
        if update.has_moved:
            after = self.ledger.move(before, update.after, event=update.event, at=self.now, detail=detail)
            self.incident_events.append((after, update.event, detail))
            return after
        return self.ledger.save(before, update.after) if update.after != before else before

    def write(self, before: NotificationFacts, moved: Moved, **detail: str) -> NotificationFacts:
        """Write a notification and its attempts after an event."""
        after = moved.after
        if before.times_aside:
            self.mended.add(before.id)
        if self._is_newly_due(before, after):
            after = replace(after, rung_at=self.now)
            self._note_due(after)
        if after.is_stopped:
            self._note_recalls(before, after, moved.event)
        if moved.has_moved:
            after = self.ledger.move(before, after, event=moved.event, at=self.now, detail=detail)
        elif after != before:
            after = self.ledger.save(before, after)
        if after.state is NotificationState.FAILED and before.state is not NotificationState.FAILED:
            self._note_failure(after)
        return after

    def new_row(
        self,
        escalation: EscalationFacts,
        channel: str,
        kind: Kind = Kind.PAGE,
        *,
        tier: int | None = None,
        incident_event: IncidentEvent | None = None,
    ) -> NotificationFacts:
        """Return a notification of an escalation, for ``queue``; a status update is never urgent, and attempted once."""
        is_update = kind is Kind.STATUS_UPDATE
        return NotificationFacts(
            id=self.deps.ids.new(),
            incident_id=escalation.incident_id,
            escalation_id=escalation.id,
            channel=channel,
            kind=kind,
            tier=tier,
            severity=Severity.INFO if is_update else escalation.severity,
            max_attempts=1 if is_update else escalation.policy.retries.schedule(channel, escalation.severity).attempts,
            created_at=self.now,
            incident_event=incident_event,
        )

    def queue(self, rows: Sequence[NotificationFacts]) -> None:
        """Add notifications that are due now; one that exists already stays as it is."""
        placed = [
            replace(
                row,
                due_at=self.now,
                rung_at=self.now,
                namespace=self._namespace(row.incident_id),
                lane=self._lane(row),
            )
            for row in rows
        ]
        for row in self.ledger.notifications.add(placed, event="queued"):
            self._note_due(row)

    def note_due(self, due: Sequence[Due]) -> None:
        """Let the caller ring for notifications that are already marked as rung for."""
        self._due += due

    def _namespace(self, incident_id: str) -> str:
        if incident_id not in self._namespaces:
            self._namespaces[incident_id] = self.ledger.incidents.get(incident_id).namespace
        return self._namespaces[incident_id]

    def _lane(self, row: NotificationFacts) -> str:
        if row.kind is Kind.INCIDENT_EVENT:
            return ""
        recipient_id = self.ledger.escalations.get(row.escalation_id).recipient_id
        address = self.ledger.contacts.get(row.incident_id, recipient_id).addresses.get(row.channel)
        return "" if address is None else self.deps.lane_of(row.channel, address)

    def _is_newly_due(self, before: NotificationFacts, after: NotificationFacts) -> bool:
        is_due = after.state is NotificationState.QUEUED and after.due_at is not None and after.due_at <= self.now
        return is_due and (before.state, before.due_at) != (after.state, after.due_at)

    def _note_due(self, row: NotificationFacts) -> None:
        self._due.append(Due(notification_id=row.id, channel=row.channel, severity=row.severity))

    def _note_failure(self, row: NotificationFacts) -> None:
        self._failed.append(row)
        if row.reason == calls.UNHEARD:
            self.unheard[row.channel] = self.unheard.get(row.channel, 0) + 1
        if row.incident_event is not None:
            self.notices.append((_UNDELIVERED, f"{row.channel} {row.incident_event.subscriber}"))

    def _note_recalls(self, before: NotificationFacts, after: NotificationFacts, event: str) -> None:
        """Note attempts to recall: those on their way at the acknowledgement, and later those accepted after it."""
        running = {attempt.id for attempt in before.attempts if attempt.state is AttemptState.RUNNING}
        is_new = event in ("acknowledged", "resolved")
        for attempt in after.attempts:
            is_on_its_way = attempt.result is Result.ACCEPTED and attempt.started_at > self.now - _RECALLED_WITHIN
            is_just_accepted = (
                attempt.id in running and attempt.state is AttemptState.RECORDED and not attempt.is_sent_with_another
            )
            if not is_on_its_way or not (is_new or (is_just_accepted and self._is_acknowledged_or_resolved(after))):
                continue
            if attempt.sent_with is None and attempt.provider_ref:
                recall = Recall(
                    attempt_id=attempt.id, channel=after.channel, provider=attempt.provider, provider_ref=attempt.provider_ref
                )
                self.recalls.append(recall)
            elif attempt.sent_with is not None and self.deps.capabilities(after.channel).is_call:
                self.shared_calls[attempt.sent_with] = after.channel  # it carries others, which may be open

    def _is_acknowledged_or_resolved(self, row: NotificationFacts) -> bool:
        """Return whether the incident of a row is acknowledged for it or resolved; a newer round is no reason to stop ringing."""
        if self.ledger.escalations.get(row.escalation_id).state is EscalationState.ACKNOWLEDGED:
            return True
        return self.ledger.incidents.get(row.incident_id).state is IncidentState.RESOLVED
