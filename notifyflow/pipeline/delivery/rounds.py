"""Starts rounds: replaces a recipient's current escalation and pages from the first tier."""

from collections.abc import Collection
from datetime import datetime

from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery import series as rules
from notifyflow.core.delivery.escalation import AlertOperations, Effect
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts
from notifyflow.core.delivery.incident_events import ROUND_DUE
from notifyflow.pipeline.delivery import decisions, outages, series
from notifyflow.pipeline.transaction.running import Transaction


def start(tx: Transaction, incident: IncidentFacts, only: Collection[str] | None = None) -> None:
    """Start a round of a locked incident, for some of its recipients or for all."""
    if only is not None and not only:
        return
    contexts = decisions.lock_contexts(tx, incident, only)
    last_rounds = tx.ledger.escalations.last_rounds(incident.id)
    contacts = tx.ledger.contacts.of(incident.id).values()
    readdressed_at = {each.escalation.recipient_id: each.escalation.readdressed_at for each in contexts}
    for context in contexts:
        decisions.close(tx, context, event="replaced")
    for contact in contacts:
        if only is None or contact.recipient_id in only:
            decisions.start(
                tx,
                incident,
                contact,
                last_round=last_rounds.get(contact.recipient_id, 0),
                readdressed_at=readdressed_at.get(contact.recipient_id),
            )


def start_due_rounds(tx: Transaction, incident: IncidentFacts, *, only: Collection[str] = ()) -> None:
    """Start the policy's next round for each recipient whose round is due, or end the last one; ``only`` names escalations."""
    current = [each for each in tx.ledger.escalations.lock_current(incident.id) if not only or each.id in only]
    due = {each.recipient_id for each in current if _is_due(each, tx.now)}
    has_passed, told = False, []
    for context in decisions.lock_contexts(tx, incident, due):
        contact = tx.ledger.contacts.get(incident.id, context.escalation.recipient_id)
        informed = outages.inform(tx, context, contact)
        decided = escalations.decide(informed, event="round_due", now=tx.now)
        decisions.write(tx, informed, decided)
        has_passed = has_passed or any(step.event == "round_due" for step in decided.steps)
        told += [context.escalation.severity for effect in decided.effects if _has_told(effect)]
    if has_passed:
        # its version tells subscribers which event is the newest
        changed = tx.ledger.save(incident, rules.tell(incident, told, now=tx.now))
        tx.incident_events.append((changed, ROUND_DUE, {}))
        series.look_into(tx, incident.id)


def _has_told(effect: Effect) -> bool:
    return isinstance(effect, AlertOperations) and effect.is_paging and effect.reason in rules.ONCE_A_SERIES


def _is_due(escalation: EscalationFacts, now: datetime) -> bool:
    return escalation.next_round_at is not None and escalation.next_round_at <= now
