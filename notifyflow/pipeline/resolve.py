"""Resolves incidents: cancels what is queued, and queues status updates for everybody who was paged."""

from functools import partial

from notifyflow.core import incident as incidents
from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import IncidentState, Stopped, Via
from notifyflow.core.references import IncidentRef
from notifyflow.pipeline import decisions, operations, series, status_updates, steps, use_case
from notifyflow.pipeline.ports import Committed, Dependencies
from notifyflow.pipeline.transaction import Transaction


def resolve(deps: Dependencies, ref: IncidentRef, *, by: str, via: Via) -> Committed[Stopped]:
    """Resolve an incident; its arguments, result and errors are those of ``acknowledge``."""
    return use_case.run_on(deps, ref, partial(resolve_locked, by=by, via=via))


def resolve_locked(tx: Transaction, incident: IncidentFacts, *, by: str, via: Via) -> Stopped:
    """Resolve an incident that is locked, as one step of a transaction; see ``resolve``."""
    if incident.state is IncidentState.RESOLVED:
        return Stopped(has_changed=False)
    contexts = decisions.lock_contexts(tx, incident, is_going_on=False)
    is_waiting = incident.is_operations and operations.end_round(tx, incident)
    tx.update_incident(incident, incidents.resolve(incident, by=by, via=via, now=tx.now), by=by, via=via)
    for context in contexts:
        decisions.close(tx, context, event="resolved")
    steps.stop(tx, incident, "resolved")
    status_updates.queue(tx, contexts, by=by)
    series.look_into(tx, incident.id)
    tx.ledger.outbox.remove_of(incident.id)
    if is_waiting:
        operations.follow(tx, incident)
    return decisions.stopped(contexts)
