"""Sends status updates to the other recipients: one attempt each, over chat and mail already used, never escalating."""

from collections.abc import Collection, Iterable, Sequence
from itertools import chain

from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.facts import AttemptFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.model import AttemptState, Contact, IncidentState, Kind, Result
from notifyflow.pipeline.transaction.running import Transaction

_MAY_HAVE_ARRIVED = frozenset({Result.IN_DOUBT, Result.ACCEPTED, Result.DELIVERED})


def queue(tx: Transaction, contexts: Collection[DecisionContext], *, by: str) -> None:
    """Queue status updates for recipients that a page of any round reached or may have reached.

    The person who acknowledged or resolved the incident only gets messages edited in place.
    """
    earlier = tx.ledger.notifications.of_earlier_rounds([context.escalation for context in contexts])
    rows = (_rows(tx, context, earlier.get(context.escalation.id, ()), by) for context in contexts)
    tx.queue(list(chain.from_iterable(rows)))


def wording(incident: IncidentFacts, acknowledger: Contact | None) -> str:
    """Return the text of a status update; the acknowledger is known if it is one of the incident's recipients."""
    if incident.state is IncidentState.RESOLVED:
        return "resolved"
    return f"{acknowledger.name if acknowledger else incident.acknowledged_by} acknowledged it"


def late_reply(tx: Transaction, incident: IncidentFacts, recipient_id: str) -> str:
    """Return why a recipient can no longer acknowledge an incident."""
    if incident.state is IncidentState.RESOLVED:
        return "It is over"
    if incident.state is IncidentState.OPEN or incident.acknowledged_by == recipient_id:
        return "You acknowledged it already"
    return wording(incident, tx.ledger.contacts.find(incident.id, incident.acknowledged_by))


def replaced_attempt(tx: Transaction, rows: Iterable[NotificationFacts], channel: str) -> AttemptFacts | None:
    """Find the attempt whose message a status update replaces: the channel's newest page with a provider's id.

    A bundle is about other incidents, too, and is never replaced.
    """
    if not tx.deps.capabilities(channel).is_edited_in_place:
        return None
    pages = (row for row in rows if row.kind is Kind.PAGE and row.channel == channel)
    alone = [attempt for row in pages for attempt in row.attempts if attempt.sent_with is None]
    known = [attempt for attempt in alone if attempt.provider_ref and attempt.result in _MAY_HAVE_ARRIVED]
    return max(known, key=lambda attempt: attempt.started_at, default=None)


def _rows(tx: Transaction, context: DecisionContext, earlier: Sequence[NotificationFacts], by: str) -> list[NotificationFacts]:
    rows = (*earlier, *context.notifications)
    used = {row.channel for row in rows if row.kind is Kind.PAGE and _was_used(row)}
    used = {channel for channel in used if tx.deps.capabilities(channel).gets_status_updates}
    if context.escalation.recipient_id == by or not tx.deps.sends_status_updates:
        used = {channel for channel in used if replaced_attempt(tx, rows, channel)}
    return [tx.new_row(context.escalation, channel, Kind.STATUS_UPDATE) for channel in sorted(used)]


def _was_used(row: NotificationFacts) -> bool:
    return any(attempt.state is AttemptState.RUNNING or attempt.result in _MAY_HAVE_ARRIVED for attempt in row.attempts)
