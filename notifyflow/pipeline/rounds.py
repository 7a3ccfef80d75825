"""Starts rounds: what is current of a recipient is replaced, and paging begins anew."""

from collections.abc import Collection

from notifyflow.core import incident as incidents
from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import EscalationState
from notifyflow.pipeline import decisions
from notifyflow.pipeline.transaction import Transaction


def start(tx: Transaction, incident: IncidentFacts, only: Collection[str] | None = None) -> None:
    """Start a round.

    Args:
        tx: The transaction; it holds the incident's lock.
        incident: As it is now.
        only: Recipients; None means everybody the incident has.
    """
    if only is not None and not only:
        return
    for case in decisions.lock_cases(tx, incident, only):
        decisions.close(tx, case, event="replaced")
    for contact in tx.ledger.contacts(incident.id).values():
        if only is None or contact.recipient_id in only:
            decisions.start(tx, incident, contact)


def pass_time(tx: Transaction, incident: IncidentFacts) -> None:
    """Start the policy's next round for whoever has not acknowledged, or end its last one."""
    turned = incidents.round_due(incident, now=tx.now)
    incident = tx.turn(incident, turned)
    left = [each for each in decisions.lock_cases(tx, incident) if each.escalation.state is not EscalationState.ACKNOWLEDGED]
    if turned.needs_round:
        start(tx, incident, {each.escalation.recipient_id for each in left})
    elif turned.is_over:
        for case in left:
            decisions.decide(tx, case.escalation, cause="rounds_over")
