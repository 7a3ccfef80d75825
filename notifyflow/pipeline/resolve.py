"""Ends an incident: what is queued for it is cancelled, and everybody who was paged is told."""

from functools import partial

from notifyflow.core import incident as incidents
from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import IncidentState, Stopped
from notifyflow.pipeline import decisions, status_updates, use_case
from notifyflow.pipeline.ports import Dependencies, PagingStopped
from notifyflow.pipeline.transaction import Transaction


def resolve(deps: Dependencies, key: str, *, by: str, via: str, namespace: str | None = None) -> PagingStopped:
    """End the incident of a key: the unresolved one, or else the newest.

    Args:
        deps: The dependencies of the use cases.
        key: The incident's.
        by: Who ends it; a recipient's id, or any other text.
        via: How: ``cli``, ``library``, ….
        namespace: The incident's; None looks in all.

    Returns:
        What it stopped, and whether it had ended already.

    Raises:
        NotFound: When no incident has the key.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
    """
    stopped, consequences = use_case.run_on_named(deps, key, namespace, partial(end, by=by, via=via))
    return PagingStopped(stopped=stopped, consequences=consequences)


def resolve_incident(deps: Dependencies, incident_id: str, *, by: str, via: str) -> PagingStopped:
    """End one incident, which is known to exist."""
    stopped, consequences = use_case.run_on(deps, incident_id, partial(end, by=by, via=via))
    return PagingStopped(stopped=stopped, consequences=consequences)


def end(tx: Transaction, incident: IncidentFacts, *, by: str, via: str) -> Stopped:
    """End an incident that is locked; tell what that stopped."""
    if incident.state is IncidentState.RESOLVED:
        return Stopped(has_changed=False)
    contexts = decisions.lock_contexts(tx, incident)
    tx.update_incident(incident, incidents.resolve(incident, by=by, now=tx.now), by=by, via=via)
    for context in contexts:
        decisions.close(tx, context, event="resolved")
    status_updates.queue(tx, contexts, by=by)
    return decisions.stopped(contexts)
