"""Lets somebody take an incident: what is still queued for it is cancelled, and the others are told."""

from notifyflow.core import escalation as escalations
from notifyflow.core import incident as incidents
from notifyflow.core.escalation import Case
from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import EscalationState, IncidentState
from notifyflow.core.policy import Acknowledgement
from notifyflow.errors import NotFound
from notifyflow.pipeline import decisions, news, use_case
from notifyflow.pipeline.ports import Taken, Tools
from notifyflow.pipeline.transaction import Transaction


def acknowledge(tools: Tools, key: str, *, by: str, via: str) -> Taken:
    """Take the newest incident of a key.

    Args:
        tools: What every use case needs.
        key: The incident's.
        by: Who takes it; a recipient's id, or any other text.
        via: How: ``cli``, ``library``, ….

    Returns:
        Which incident, and whether it was taken or resolved already.

    Raises:
        NotFound: When no incident has the key.
    """

    def body(tx: Transaction) -> tuple[str, bool]:
        incident = tx.ledger.lock_newest(key)
        if incident is None:
            raise NotFound(key)
        return incident.id, not take(tx, incident, by=by, via=via)

    (incident_id, is_late), consequences = use_case.run(tools, body)
    return Taken(incident_id=incident_id, is_late=is_late, consequences=consequences)


def acknowledge_incident(tools: Tools, incident_id: str, *, by: str, via: str) -> Taken:
    """Take one incident, as a checked link names it."""

    def body(tx: Transaction) -> bool:
        return not take(tx, tx.ledger.lock_incident(incident_id), by=by, via=via)

    is_late, consequences = use_case.run(tools, body)
    return Taken(incident_id=incident_id, is_late=is_late, consequences=consequences)


def take(tx: Transaction, incident: IncidentFacts, *, by: str, via: str) -> bool:
    """Take an incident that is locked; tell whether that changed anything."""
    if incident.state is not IncidentState.OPEN:
        return False
    cases = decisions.lock_cases(tx, incident)
    ended = [case for case in _meant(incident, cases, by) if case.escalation.state is not EscalationState.ACKNOWLEDGED]
    if cases and not ended:
        return False
    left = {case.escalation.id for case in cases if case.escalation.state is not EscalationState.ACKNOWLEDGED}
    is_last = left == {case.escalation.id for case in ended}
    tx.turn(incident, incidents.acknowledge(incident, by=by, via=via, is_last=is_last, now=tx.now), by=by, via=via)
    for case in ended:
        decisions.write(tx, case, escalations.acknowledge(case, now=tx.now))
    news.tell(tx, [case for case in ended if case.escalation.recipient_id != by])
    return True


def _meant(incident: IncidentFacts, cases: tuple[Case, ...], by: str) -> tuple[Case, ...]:
    """Whose escalations an acknowledgement ends: with ``each`` a recipient's own, otherwise all."""
    own = tuple(case for case in cases if case.escalation.recipient_id == by)
    return own if own and incident.policy.acknowledgement is Acknowledgement.EACH else cases
