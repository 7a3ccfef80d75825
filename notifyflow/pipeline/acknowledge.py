"""Acknowledges incidents: what is still queued for it is cancelled, and the others are told."""

from functools import partial

from notifyflow.core import escalation as escalations
from notifyflow.core import incident as incidents
from notifyflow.core.escalation import DecisionContext
from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import EscalationState, IncidentState, Stopped
from notifyflow.core.policy import Acknowledgement
from notifyflow.pipeline import decisions, status_updates, use_case
from notifyflow.pipeline.ports import Dependencies, PagingStopped
from notifyflow.pipeline.transaction import Transaction


def acknowledge(deps: Dependencies, key: str, *, by: str, via: str, namespace: str | None = None) -> PagingStopped:
    """Acknowledge the incident of a key: the unresolved one, or else the newest.

    Args:
        deps: The dependencies of the use cases.
        key: The incident's.
        by: Who acknowledges it; a recipient's id, or any other text.
        via: How: ``cli``, ``library``, ….
        namespace: The incident's; None looks in all.

    Returns:
        What it stopped, and whether it was acknowledged or resolved already.

    Raises:
        NotFound: When no incident has the key.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
    """
    stopped, consequences = use_case.run_on_named(deps, key, namespace, partial(acknowledge_locked, by=by, via=via))
    return PagingStopped(stopped=stopped, consequences=consequences)


def acknowledge_incident(deps: Dependencies, incident_id: str, *, by: str, via: str) -> PagingStopped:
    """Acknowledge one incident, as a checked link names it."""
    stopped, consequences = use_case.run_on(deps, incident_id, partial(acknowledge_locked, by=by, via=via))
    return PagingStopped(stopped=stopped, consequences=consequences)


def acknowledge_locked(tx: Transaction, incident: IncidentFacts, *, by: str, via: str, **detail: str) -> Stopped:
    """Acknowledge an incident that is locked; return what that stopped.

    Args:
        tx: The transaction.
        incident: As it is now.
        by: Who acknowledges it.
        via: How.
        detail: What the log says beside these.
    """
    if incident.state is not IncidentState.OPEN:
        return Stopped(has_changed=False)
    contexts = decisions.lock_contexts(tx, incident)
    ended = [
        context for context in _meant(incident, contexts, by) if context.escalation.state is not EscalationState.ACKNOWLEDGED
    ]
    if contexts and not ended:
        return Stopped(has_changed=False)
    left = {context.escalation.id for context in contexts if context.escalation.state is not EscalationState.ACKNOWLEDGED}
    is_last = left == {context.escalation.id for context in ended}
    tx.update_incident(
        incident, incidents.acknowledge(incident, by=by, via=via, is_last=is_last, now=tx.now), by=by, via=via, **detail
    )
    for context in ended:
        decisions.write(tx, context, escalations.acknowledge(context, now=tx.now), by=by, via=via, **detail)
    status_updates.queue(tx, ended, by=by)
    return decisions.stopped(ended)


def _meant(incident: IncidentFacts, contexts: tuple[DecisionContext, ...], by: str) -> tuple[DecisionContext, ...]:
    """Whose escalations an acknowledgement ends: with ``each`` a recipient's own, otherwise all."""
    own = tuple(context for context in contexts if context.escalation.recipient_id == by)
    return own if own and incident.policy.acknowledgement is Acknowledgement.EACH else contexts
