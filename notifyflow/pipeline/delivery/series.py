"""Continues the series of an incident's key, and tells operations about a flapping key.

``core.delivery.series`` has the rules.
"""

from collections.abc import Collection

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import series as rules
from notifyflow.core.delivery.earlier_pages import Earlier
from notifyflow.core.delivery.escalation import AlertOperations
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts
from notifyflow.core.delivery.model import Contact, EscalationState
from notifyflow.core.delivery.series import Left
from notifyflow.pipeline.delivery import outages
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.transaction.running import Transaction


def follow(tx: Transaction, before: IncidentFacts | None, incident: IncidentFacts, *, first: Collection[str]) -> IncidentFacts:
    """Return a new incident with its series, and note what ``decisions.start`` carries over to its recipients.

    Args:
        tx: The transaction.
        before: The resolved incident of the key before it; None if there is none.
        incident: The new incident; it pages nobody yet.
        first: The recipients paged at once; others belong to later steps of its chain.
    """
    if before is None or incident.namespace == namespaces.OPERATIONS:
        return incident
    if not rules.is_continued(before, tx.now):
        return replace(incident, series=rules.follow(before, incident, (), now=tx.now))
    escalations = tx.ledger.escalations.last_of(before.id)
    tx.ledger.notifications.load([each.id for each in escalations])
    rows = [row for each in escalations for row in tx.ledger.notifications.of(each.id)]
    silenced = tx.ledger.intervals.silenced(before.id, since=before.opened_at)
    incident = replace(incident, series=rules.follow(before, incident, rows, now=tx.now, silenced=silenced))
    if incident.series is None or incident.severity.is_above(incident.series.severity):
        return incident
    contacts = tx.ledger.contacts.of(before.id)
    for each in escalations:
        if rules.goes_on_for(each, before):
            left = _left(tx, each, before, contacts[each.recipient_id], is_first=each.recipient_id in first)
            tx.left[incident.id, each.recipient_id] = left
    return incident


def keep_clocks(tx: Transaction, incident: IncidentFacts) -> None:
    """Note the clocks that the round after a raise of severity carries over, if the raise is not above all of the series."""
    contacts = tx.ledger.contacts.of(incident.id)
    for each in tx.ledger.escalations.lock_current(incident.id):
        left = _left(tx, each, replace(incident, resolved_at=tx.now), contacts[each.recipient_id], is_first=True)
        tx.left[incident.id, each.recipient_id] = left


def _left(tx: Transaction, escalation: EscalationFacts, incident: IncidentFacts, contact: Contact, *, is_first: bool) -> Left:
    idle, paused_intervals = outages.idle_times(tx, escalation, contact)
    carried = rules.carry(
        escalation,
        tx.ledger.notifications.of(escalation.id),
        earlier(tx, escalation),
        until=rules.stopped_at(incident) or tx.now,
        intervals=(*idle, *paused_intervals),
    )
    return Left(carried=carried, escalation=escalation, contact=contact, is_first=is_first)


def earlier(tx: Transaction, escalation: EscalationFacts) -> tuple[Earlier, ...]:
    """Read the earlier pages that an escalation carries over; none outside a series. Pruned pages are left out."""
    if escalation.carried is None:
        return ()
    pages = {page.notification_id: page for page in escalation.carried.pages}
    return tuple(Earlier(pages[row.id], row) for row in tx.ledger.notifications.those(pages))


def look_into(tx: Transaction, incident_id: str) -> None:
    """Alert operations, once in 24 hours, if a locked incident's key is flapping; note when to check again."""
    incident = tx.ledger.incidents.lock(incident_id)
    if incident.series is None:
        return
    silenced = tx.ledger.intervals.silenced(incident.id, since=incident.opened_at)
    look_at = rules.look_at(incident, tx.now, silenced)
    if look_at != incident.round_at:
        incident = tx.ledger.save(incident, replace(incident, round_at=look_at))
    if rules.flapping_pages(incident, has_reached=False, now=tx.now, silenced=silenced) is None:
        return
    if not silenced and holds.hold(tx, incident):  # it has just opened under a silence
        silenced = tx.ledger.intervals.silenced(incident.id, since=incident.opened_at)
    escalations = tx.ledger.escalations.lock_current(incident.id) or tx.ledger.escalations.last_of(incident.id)
    has_reached = any(each.state is EscalationState.REACHED for each in escalations)
    is_paging = rules.flapping_pages(incident, has_reached=has_reached, now=tx.now, silenced=silenced)
    if not escalations or is_paging is None:
        return
    told = replace(rules.of(incident), flapping_at=tx.now, is_flapping_told=is_paging)
    tx.ledger.save(incident, replace(incident, series=told))
    newest = max(escalations, key=lambda each: (each.started_at, each.id))
    tx.alerts.append((newest, AlertOperations(reason=rules.FLAPPING, is_paging=is_paging)))
