"""Reads for display, each of one consistent state; the checker's reads are in ``audit``."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from peewee import SQL, Database, fn

from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts, Transition
from notifyflow.core.delivery.model import Contact, Incident
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus, Note
from notifyflow.storage.delivery.carried import CarriedReads
from notifyflow.storage.delivery.intervals import SWEPT_AT
from notifyflow.storage.delivery.set_aside import DamageReads, SetAsideReads
from notifyflow.storage.delivery.silences import SilenceReads
from notifyflow.storage.delivery.steps import StepReads
from notifyflow.storage.inbound_log import InboundLogReader
from notifyflow.storage.insight.etags import ETags
from notifyflow.storage.insight.incident_list import IncidentList
from notifyflow.storage.insight.listings import Listings
from notifyflow.storage.insight.messages import Messages
from notifyflow.storage.insight.people import People
from notifyflow.storage.keys import KeyReads
from notifyflow.storage.metrics.scrape import ScrapeReader
from notifyflow.storage.metrics.system_health import SystemHealthReader
from notifyflow.storage.oncall.feeds import FeedReads
from notifyflow.storage.oncall.roster import RosterReads
from notifyflow.storage.oncall.watched_jobs import WatchedJobReads
from notifyflow.storage.session.conditions import RUNNING, is_free
from notifyflow.storage.session.rows import CONTENT_FIELDS, Rows, StoredRows, first, select
from notifyflow.storage.session.statements import Statement, left_out
from notifyflow.storage.tables import (
    AttemptRow,
    CriticalRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    OutboxRow,
    ReceiptRow,
    TransitionRow,
)
from notifyflow.storage.upkeep.adoption import Adopted
from notifyflow.storage.upkeep.audit import Audits
from notifyflow.storage.users import UserReads

if TYPE_CHECKING:
    from notifyflow.storage.metrics.rollup import MetricsReader
    from notifyflow.storage.upkeep.pruning import Prunable

_HAS_RECIPIENT = EscalationRow.recipient_id != SQL("''")
_IS_ACTIVE = EscalationRow.state == SQL("'ACTIVE'")
_NOTIFICATIONS = Statement(
    lambda param: select(NotificationFacts, NotificationRow.incident_id == param(NotificationRow.incident_id)).order_by(
        NotificationRow.tier.is_null(), NotificationRow.tier, NotificationRow.channel, NotificationRow.id
    )
)
_ESCALATIONS = Statement(
    lambda param: select(EscalationFacts, EscalationRow.incident_id == param(EscalationRow.incident_id), _HAS_RECIPIENT)
)
_TRANSITIONS = Statement(
    lambda param: (
        TransitionRow.select(*(getattr(TransitionRow, name) for name in Transition.__dataclass_fields__))
        .where(TransitionRow.incident_id == param(TransitionRow.incident_id))
        .order_by(TransitionRow.id)
    )
)
_NOTES = Statement(
    lambda param: (
        ReceiptRow.select(
            ReceiptRow.matched_attempt_id.alias("attempt_id"), ReceiptRow.code, ReceiptRow.reason, ReceiptRow.received_at
        )
        .where(param.any_of(ReceiptRow.matched_attempt_id), ReceiptRow.result.is_null())
        .order_by(ReceiptRow.received_at)
    )
)
_PAGED = Statement(
    lambda param: (
        EscalationRow.select(EscalationRow.id)
        .where(EscalationRow.incident_id == param(EscalationRow.incident_id), EscalationRow.round > 0)
        .limit(1)
    )
)
_IS_QUEUED = NotificationRow.state == SQL("'QUEUED'")
_QUEUED = Statement(lambda _: NotificationRow.select(fn.COUNT(1).alias("count")).where(_IS_QUEUED))
_DUE = Statement(
    lambda param: NotificationRow.select(fn.COUNT(1).alias("count")).where(
        _IS_QUEUED, NotificationRow.due_at <= param(NotificationRow.due_at)
    )
)
_SENDING = Statement(lambda _: AttemptRow.select(fn.COUNT(1).alias("count")).where(AttemptRow.state == SQL("'RUNNING'")))
_IN_OUTBOX = Statement(lambda _: OutboxRow.select(fn.COUNT(1).alias("count")))
_IN_OUTBOX_OF = Statement(
    lambda param: OutboxRow.select(fn.COUNT(1).alias("count")).where(OutboxRow.incident_id == param(OutboxRow.incident_id))
)
_ACTIVE_OF = Statement(
    lambda param: EscalationRow.select(fn.COUNT(1).alias("count")).where(
        EscalationRow.incident_id == param(EscalationRow.incident_id), _IS_ACTIVE
    )
)
_TOLD = Statement(
    lambda param: (
        AttemptRow.select(AttemptRow.started_at, AttemptRow.ended_at)
        .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        .where(
            NotificationRow.incident_id == param(NotificationRow.incident_id),
            NotificationRow.tier.is_null(False),
            AttemptRow.evidence.is_null(False),
        )
    )
)
_OPERATIONS = Statement(
    lambda param: (
        CriticalRow.select(IncidentRow.id, IncidentRow.key, CriticalRow.escalation_id, CriticalRow.reason)
        .join(IncidentRow, on=(IncidentRow.id == CriticalRow.operations_incident_id))
        .switch(CriticalRow)
        .join(EscalationRow, on=(EscalationRow.id == CriticalRow.escalation_id))
        .where(EscalationRow.incident_id == param(EscalationRow.incident_id))
        .order_by(CriticalRow.at.desc())
    )
)


class Reads:
    """Reads of incidents, and all other reads by subject."""

    def __init__(self, db: Database) -> None:
        self._source = source = Rows(db)
        self.adoption = Adopted(source)
        self.inbound_log = InboundLogReader(source)
        self.audits = Audits(StoredRows(db))
        self.carried = CarriedReads(source)
        self.incident_list = IncidentList(source)
        self.feeds = FeedReads(source)
        self.keys = KeyReads(source)
        self.listings = Listings(source)
        self.messages = Messages(source)
        self.people = People(source)
        self.scrape = ScrapeReader(source)
        self.roster = RosterReads(source)
        self.watched_jobs = WatchedJobReads(source)
        self.set_aside = SetAsideReads(source)
        self.damage = DamageReads(source)
        self.silences = SilenceReads(source)
        self.system_health = SystemHealthReader(source)
        self.etags = ETags(source)
        self.steps = StepReads(source)
        self.users = UserReads(source)

    @cached_property
    def metrics(self) -> "MetricsReader":
        """The reads of metrics, which few processes show."""
        from notifyflow.storage.metrics.rollup import MetricsReader

        return MetricsReader(self._source)

    @cached_property
    def prunable(self) -> "Prunable":
        """The reads of what can be pruned, for one command."""
        from notifyflow.storage.upkeep.pruning import Prunable

        return Prunable(self._source)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The rows that were left out because they cannot be read."""
        return left_out(self._source.unread)

    def status(self, key: str, *, namespace: str | None = None) -> IncidentStatus | None:
        """Return the incident of a key with its escalations, notifications and log; None if no incident has the key.

        Args:
            key: The incident's.
            namespace: The incident's; None means any.

        Raises:
            AmbiguousKey: When several namespaces have an unresolved incident with the key.
            DamagedIncident: When its row cannot be read.
        """
        incident = self._source.named(key, namespace)
        return None if incident is None else self._status(incident)

    def status_by_id(self, incident_id: str) -> IncidentStatus | None:
        """Return an incident with its escalations, notifications and log, or None; raise ``DamagedIncident`` as ``status``."""
        incident = self._source.incident(incident_id)
        return None if incident is None else self._status(incident)

    def recipient_ids(self, incident_id: str) -> list[str]:
        """Return the ids of an incident's recipients; empty if there is no such incident."""
        return self._source.recipient_ids(incident_id)

    def incidents(self, limit: int) -> tuple[IncidentFacts, ...]:
        """List incidents, the most recently seen first."""
        query = select(IncidentFacts).order_by(IncidentRow.last_seen_at.desc(), IncidentRow.id.desc()).limit(limit)
        return tuple(self._source.read(IncidentFacts, query))

    def is_settled(self, key: str, *, namespace: str | None = None) -> bool | None:
        """Return whether all escalations of a key's incident are settled, and no step of its chain waits.

        None if no incident has the key.

        Raises:
            AmbiguousKey: When several namespaces have an unresolved incident with the key.
        """
        incident = self._source.named(key, namespace)
        if incident is None:
            return None
        if any(self._source.scalar(query(incident.id)) for query in (_ACTIVE_OF, _IN_OUTBOX_OF)):
            return False
        steps = self.steps.of([incident.id])[incident.id] if incident.run_number else ()
        return all(step.due_at is None for step in steps)

    def pending_count(self, *, due_by: datetime | None = None) -> int:
        """Count the queued and sending notifications; with ``due_by``, only the queued ones that are due by then.

        A submission that no sweep has carried out since the application's commit counts as one.
        """
        queued = _QUEUED() if due_by is None else _DUE(due_by)
        return sum(int(self._source.scalar(query)) for query in (queued, _SENDING(), _IN_OUTBOX()))

    def swept_at(self) -> datetime | None:
        """Return when the last noted sweep was, or None before the first."""
        row = first(self._source.rows(SWEPT_AT()))
        return None if row is None else row["began_at"]

    def running(self) -> tuple[int, datetime | None]:
        """Count the running attempts, and return when the last of their leases ends; None without any."""
        attempts = AttemptRow.select(fn.COUNT(AttemptRow.id).alias("count"), fn.MAX(AttemptRow.lease_until).alias("until"))
        running = attempts.join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id)).where(RUNNING)
        (row,) = self._source.rows(running.where(is_free(NotificationRow)))
        return row["count"], row["until"]

    def _status(self, incident: IncidentFacts) -> IncidentStatus:
        known = len(self._source.unread)
        rows = self._source.read(NotificationFacts, _NOTIFICATIONS(incident.id))
        links = self._source.rows(_OPERATIONS(incident.id))
        reasons = {row["escalation_id"]: row["reason"] for row in links}
        escalations = self._escalation_statuses(incident.id, rows, reasons)
        events = tuple(sorted((row for row in rows if row.incident_event), key=lambda row: row.created_at))
        operations = first(links)
        content = self._source.contents([incident.id]).get(incident.id)
        steps = self.steps.of([incident.id])[incident.id] if incident.run_number else ()
        arrivals = self.inbound_log.of(incident.id)
        paged = [row.id for each in escalations for row in each.notifications]
        others = [*(row.id for row in events), *(step.id for step in steps)]
        shown = {incident.id, *(each.facts.id for each in escalations), *paged, *others}
        return IncidentStatus(
            facts=incident,
            content=content or self._readable_content(incident),
            escalations=escalations,
            steps=steps,
            notes=self._notes([attempt.id for row in rows for attempt in row.attempts]),
            incident_events=events,
            transitions=tuple(line for line in self._transitions(incident.id) if line.row_id in shown),
            operations_key=None if operations is None else str(operations["key"]),
            has_operations_recipients=operations is None or bool(self._source.rows(_PAGED(operations["id"]))),
            operations_told_at=() if operations is None else self._told_at(operations["id"]),
            arrivals=arrivals,
            damaged=left_out(self._source.unread[known:]),
            is_quarantined=self.adoption.is_quarantined(incident.id),
            silences=self.silences.of([incident.id])[incident.id],
        )

    def _escalation_statuses(
        self, incident_id: str, rows: Sequence[NotificationFacts], reasons: Mapping[str, str]
    ) -> tuple[EscalationStatus, ...]:
        contacts = self._source.contacts([incident_id])[incident_id]
        places = {recipient_id: place for place, recipient_id in enumerate(contacts)}
        escalations = self._source.read(EscalationFacts, _ESCALATIONS(incident_id))
        notifications: dict[str, list[NotificationFacts]] = defaultdict(list)
        for each in rows:
            notifications[each.escalation_id].append(each)
        return tuple(
            EscalationStatus(
                facts=each,
                contact=contacts.get(each.recipient_id) or _unknown(each.recipient_id),
                notifications=tuple(notifications[each.id]),
                critical_reason=reasons.get(each.id, ""),
            )
            for each in sorted(
                escalations, key=lambda each: (places.get(each.recipient_id, len(places)), each.recipient_id, each.round)
            )
        )

    def _readable_content(self, incident: IncidentFacts) -> Incident:
        """Return the readable part of an incident's damaged content."""
        unread = self._source.unread_of("incident", incident.id)
        known = {name: value for name, value in (unread.values if unread else {}).items() if name in CONTENT_FIELDS}
        return Incident(**{"title": incident.key, **known, "key": incident.key})

    def _transitions(self, incident_id: str) -> tuple[Transition, ...]:
        return tuple(Transition(**row) for row in self._source.rows(_TRANSITIONS(incident_id)))

    def _told_at(self, incident_id: str) -> tuple[datetime, ...]:
        """Return when providers accepted an operations incident's pages, including reports that came before the response."""
        return tuple(sorted(each["ended_at"] or each["started_at"] for each in self._source.rows(_TOLD(incident_id))))

    def _notes(self, attempt_ids: Sequence[str]) -> tuple[Note, ...]:
        return tuple(Note(**row) for row in self._source.rows(_NOTES(attempt_ids))) if attempt_ids else ()


def _unknown(recipient_id: str) -> Contact:
    """Return a stand-in for a contact that cannot be read."""
    return Contact(recipient_id=recipient_id, name=recipient_id, addresses={})
