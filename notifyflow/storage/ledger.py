"""All writes. A ledger lives for one transaction; whoever holds it has the transaction."""
# CONTRACT, to be implemented by the storage work; bodies are missing on purpose until then.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.model import Contact, Incident, Receipt, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where an attempt lives: the ids to lock, in the order of the locks."""

    incident_id: str
    escalation_id: str
    notification_id: str
    attempt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A notification that may be sent now: what a ring says."""

    notification_id: str
    channel: str
    severity: Severity


class Ledger:
    # -- asked for by the pipeline: reads that do not lock (NO KEY UPDATE locks elsewhere, so that inserts never wait for a parent)
    def incident(self, incident_id: str) -> IncidentFacts: ...
    def escalation(self, escalation_id: str) -> EscalationFacts: ...
    def waiting_receipts(self, provider: str, provider_ref: str) -> tuple[Receipt, ...]: ...  # of the inbox, unmatched so far
    def disown_receipts(self, *, before: datetime) -> None: ...  # those still unmatched that came before: foreign
    # -- incidents: locked reads lock the row (SELECT … FOR UPDATE on PostgreSQL; SQLite holds the only writer)
    def lock_unresolved(self, key: str) -> IncidentFacts | None: ...
    def lock_newest(self, key: str) -> IncidentFacts | None: ...
    def lock_incident(self, incident_id: str) -> IncidentFacts: ...
    def content(self, incident_id: str) -> Incident: ...
    def contacts(self, incident_id: str) -> Mapping[str, Contact]: ...  # recipient id -> contact, in order of addition
    def add_incident(self, facts: IncidentFacts, content: Incident) -> None: ...  # IntegrityError of a racing key -> StaleRow
    def set_content(self, incident_id: str, content: Incident) -> None: ...
    def put_contact(self, incident_id: str, contact: Contact) -> None: ...  # insert or replace
    # -- escalations and notifications
    def lock_escalations(self, incident_id: str) -> tuple[EscalationFacts, ...]: ...  # those that are current, by id
    def lock_escalation(self, escalation_id: str) -> EscalationFacts: ...
    def last_round(self, incident_id: str, recipient_id: str) -> int: ...  # 0 where none
    def add_escalation(self, facts: EscalationFacts, *, event: str, detail: Mapping[str, str]) -> None: ...  # also logs the birth
    def lock_notifications(self, escalation_ids: Sequence[str]) -> tuple[NotificationFacts, ...]: ...  # with attempts, by id
    def lock_notification(self, notification_id: str) -> NotificationFacts: ...
    def add_notifications(self, facts: Sequence[NotificationFacts], *, event: str) -> tuple[NotificationFacts, ...]: ...
    #    bulk, logs the births; what stands already (UNIQUE escalation, tier, channel) is left out of the answer
    # -- moves: compare-and-set on (id, state, version); version of the stored row = before.version + 1; StaleRow when no row matched
    def move(self, before, after, *, event: str, at: datetime, detail: Mapping[str, str] = {}): ...  # with its line in the log; returns after with its new version
    def save(self, before, after): ...  # the same without a line (due_at, look_at, held_since …)
    #    before/after: IncidentFacts, EscalationFacts or NotificationFacts (attempts are not looked at)
    def add_attempt(self, facts: AttemptFacts) -> None: ...
    def save_attempt(self, before: AttemptFacts, after: AttemptFacts) -> None: ...  # guarded by id, state, token and word; StaleRow
    # -- finding work
    def take_due(self, channel: str, ids: Sequence[str], *, now: datetime, limit: int) -> tuple[NotificationFacts, ...]: ...
    #    QUEUED, due, of the channel: CRITICAL first, then the ids named, then by due_at; locked, SKIP LOCKED; the ids only express a wish
    def ring_due(self, *, now: datetime, again_after: timedelta, limit: int) -> tuple[Due, ...]: ...
    #    guarded update of rung_at: QUEUED, due, and never rung or rung longer than again_after ago; CRITICAL first
    def expired_leases(self, *, now: datetime, limit: int) -> tuple[Home, ...]: ...
    def escalations_to_look_at(self, *, now: datetime, limit: int) -> tuple[tuple[str, str], ...]: ...  # (incident id, escalation id) with look_at <= now, current
    def rounds_due(self, *, now: datetime, limit: int) -> tuple[str, ...]: ...  # incident ids with round_at <= now, not RESOLVED
    def next_wake_at(self) -> datetime | None: ...  # the earliest due_at, lease_until, look_at, round_at
    # -- what comes back
    def home(self, attempt_id: str) -> Home | None: ...  # not locked
    def home_by_reference(self, provider: str, provider_ref: str) -> Home | None: ...
    def add_receipt(self, receipt: Receipt, *, raw: str, at: datetime) -> bool: ...  # the inbox; False where UNIQUE(provider, event id) has it
    def settle_receipt(self, receipt: Receipt, *, attempt_id: str | None) -> None: ...  # matched, or foreign
    # -- operations
    def lock_operations(self) -> IncidentFacts | None: ...  # the unresolved operations incident
    def link_critical(self, escalation_id: str, operations_incident_id: str, *, reason: str, at: datetime) -> bool: ...  # once per escalation
    def add_notice(self, reason: str, provider: str, *, at: datetime) -> bool: ...  # once a day per reason and provider
    def count_uncounted(self, operations_incident_id: str) -> int: ...  # critical failures and notices linked since its last round
    def mark_counted(self, operations_incident_id: str) -> None: ...
