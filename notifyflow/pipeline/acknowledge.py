"""Lets somebody take an incident: what is still queued for it is cancelled, and the others are told."""

from functools import partial

from notifyflow.core import escalation as escalations
from notifyflow.core import incident as incidents
from notifyflow.core.escalation import Case
from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import EscalationState, IncidentState, Stopped
from notifyflow.core.policy import Acknowledgement
from notifyflow.pipeline import decisions, status_updates, use_case
from notifyflow.pipeline.ports import Taken, Tools
from notifyflow.pipeline.transaction import Transaction


def acknowledge(tools: Tools, key: str, *, by: str, via: str, namespace: str | None = None) -> Taken:
    """Take the incident of a key: the unresolved one, or else the newest.

    Args:
        tools: What every use case needs.
        key: The incident's.
        by: Who takes it; a recipient's id, or any other text.
        via: How: ``cli``, ``library``, ….
        namespace: The incident's; None looks in all.

    Returns:
        What it stopped, and whether it was taken or resolved already.

    Raises:
        NotFound: When no incident has the key.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
    """
    stopped, consequences = use_case.run_on_named(tools, key, namespace, partial(take, by=by, via=via))
    return Taken(stopped=stopped, consequences=consequences)


def acknowledge_incident(tools: Tools, incident_id: str, *, by: str, via: str) -> Taken:
    """Take one incident, as a checked link names it."""
    stopped, consequences = use_case.run_on(tools, incident_id, partial(take, by=by, via=via))
    return Taken(stopped=stopped, consequences=consequences)


def take(tx: Transaction, incident: IncidentFacts, *, by: str, via: str, **detail: str) -> Stopped:
    """Take an incident that is locked; tell what that stopped.

    Args:
        tx: The transaction.
        incident: As it is now.
        by: Who takes it.
        via: How.
        detail: What the log says beside these.
    """
    if incident.state is not IncidentState.OPEN:
        return Stopped(has_changed=False)
    cases = decisions.lock_cases(tx, incident)
    ended = [case for case in _meant(incident, cases, by) if case.escalation.state is not EscalationState.ACKNOWLEDGED]
    if cases and not ended:
        return Stopped(has_changed=False)
    left = {case.escalation.id for case in cases if case.escalation.state is not EscalationState.ACKNOWLEDGED}
    is_last = left == {case.escalation.id for case in ended}
    tx.turn(incident, incidents.acknowledge(incident, by=by, via=via, is_last=is_last, now=tx.now), by=by, via=via, **detail)
    for case in ended:
        decisions.write(tx, case, escalations.acknowledge(case, now=tx.now), by=by, via=via, **detail)
    status_updates.tell(tx, ended, by=by)
    return decisions.stopped(ended)


def _meant(incident: IncidentFacts, cases: tuple[Case, ...], by: str) -> tuple[Case, ...]:
    """Whose escalations an acknowledgement ends: with ``each`` a recipient's own, otherwise all."""
    own = tuple(case for case in cases if case.escalation.recipient_id == by)
    return own if own and incident.policy.acknowledgement is Acknowledgement.EACH else cases
