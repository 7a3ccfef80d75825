"""Writes the content of messages, from the stored incident, its recipients and its acknowledgement."""

from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.delivery.attempts import BROKE_OFF, counted
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.model import Contact, IncidentState, Kind, Severity
from notifyflow.core.messages.content import Content, compose, untitled
from notifyflow.errors import Refused, StaleRow, StorageUnavailable
from notifyflow.pipeline.delivery import operations, reply_codes, status_updates
from notifyflow.pipeline.delivery.links import link
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.running import Transaction

_OF_DATABASE = (StorageUnavailable, Refused, StaleRow)
"""After these errors the transaction cannot go on."""
_UNTITLED = ("CRITICAL pages leave without their titles, which cannot be read", "database")


def write(
    tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, contact: Contact, attempt: AttemptFacts
) -> Content:
    """Return the content of a notification's message to its recipient, as of the start of an attempt.

    A CRITICAL page whose content cannot be read, or which its channel broke off on, says that, and leaves all the same.
    """
    way = _Way(
        link=link(tx.deps, row.incident_id, contact.recipient_id, now=attempt.started_at),
        reply=reply_codes.reply_hint(tx, row, contact, attempt) if row.kind is Kind.PAGE else "",
    )
    is_urgent = row.kind is Kind.PAGE and escalation.severity is Severity.CRITICAL
    if is_urgent and _broke_off_before(row, attempt):
        return _untitled(tx, row, escalation, contact, way)
    try:
        return _composed(tx, row, escalation, contact, way, now=attempt.started_at)
    except use_case.DAMAGE as error:
        if not is_urgent or isinstance(error, _OF_DATABASE):
            raise
        tx.notices.append(_UNTITLED)
        return _untitled(tx, row, escalation, contact, way)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """The ways to acknowledge a page; both as in ``Content``."""

    link: str | None
    reply: str


def _broke_off_before(row: NotificationFacts, attempt: AttemptFacts) -> bool:
    """Return whether the channel broke off on the page alone, in an earlier attempt."""
    earlier = (each for each in counted(row) if each.number < attempt.number and each.sent_with is None)
    return any(each.code == BROKE_OFF for each in earlier)


def _untitled(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, contact: Contact, way: _Way) -> Content:
    return untitled(
        contact,
        key=row.incident_id,
        severity=escalation.severity,
        at=escalation.started_at,
        link=way.link,
        reply=way.reply,
        notice=tx.deps.notice,
        ops_contact=tx.deps.ops_contact,
    )


def _composed(
    tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, contact: Contact, way: _Way, *, now: datetime
) -> Content:
    content = tx.ledger.incidents.content(row.incident_id)
    is_of_operations = content.key == operations.KEY
    if row.kind is Kind.PAGE and is_of_operations:
        content = operations.words(tx, incident_id=row.incident_id, content=content, contact=contact, now=now)
    handed_over = None
    if row.kind is Kind.STATUS_UPDATE:
        handed_over = tx.deps.wiring.word_hand_over(tx, tx.ledger.incidents.get(row.incident_id), content, contact)
    incident_now = _IncidentNow() if handed_over else _incident_now(tx, row, escalation, contact)
    return compose(
        handed_over or content,
        contact,
        severity=row.incident_event.severity if row.incident_event else escalation.severity,
        now=now,
        round_started_at=escalation.started_at,
        due_at=row.created_at,
        delayed_after=escalation.policy.delayed_after,
        link=way.link,
        kind=row.kind,
        notice=tx.deps.notice,
        status_update=incident_now.status_update,
        is_resolved=incident_now.is_resolved,
        others=() if handed_over else _others(tx, row.incident_id, contact),
        acknowledged_by=incident_now.acknowledged_by,
        acknowledged_at=incident_now.acknowledged_at,
        ops_contact=tx.deps.ops_contact,
        reply=way.reply,
        incident_event=row.incident_event,
        namespace=incident_now.namespace,
        is_ours=is_of_operations or handed_over is not None,
        is_silenced=row.has_been_silenced,
    )


def _others(tx: Transaction, incident_id: str, contact: Contact) -> list[str]:
    """Return the names of the first other recipients with an address; none if one is damaged, which must not delay a page."""
    try:
        first = tx.ledger.contacts.first_of(incident_id)
    except StorageUnavailable:
        raise
    except use_case.DAMAGE:
        return []
    return [each.name for each in first if each.addresses and each.recipient_id != contact.recipient_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class _IncidentNow:
    """The part of a message about the incident's state; each field as in ``compose``."""

    status_update: str = ""
    is_resolved: bool = False
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    namespace: str = ""


def _incident_now(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, contact: Contact) -> _IncidentNow:
    if row.kind is Kind.PAGE and escalation.round == 1:  # most messages: nothing has to be read
        return _IncidentNow()
    incident = tx.ledger.incidents.get(row.incident_id)
    if row.kind is Kind.INCIDENT_EVENT:
        return _IncidentNow(namespace=incident.namespace)
    by, at = tx.ledger.incidents.last_acknowledgement(incident) or ("", None)
    return _IncidentNow(
        status_update=_status_update(tx, incident, contact) if row.kind is Kind.STATUS_UPDATE else "",
        is_resolved=incident.state is IncidentState.RESOLVED,
        acknowledged_by=_name(tx, incident, by) if by else "",
        acknowledged_at=at,
    )


def _status_update(tx: Transaction, incident: IncidentFacts, contact: Contact) -> str:
    if incident.state is IncidentState.OPEN:  # with ``each``, and this recipient has acknowledged
        return status_updates.wording(incident, contact)
    return status_updates.wording(incident, tx.ledger.contacts.find(incident.id, incident.acknowledged_by))


def _name(tx: Transaction, incident: IncidentFacts, who: str) -> str:
    acknowledger = tx.ledger.contacts.find(incident.id, who)
    return acknowledger.name if acknowledger else who
