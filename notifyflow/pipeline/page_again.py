"""Pages one recipient once more: a new round, also after an acknowledgement."""

from dataclasses import replace
from functools import partial

from notifyflow.core import incident as incidents
from notifyflow.core.facts import IncidentFacts
from notifyflow.errors import RecipientNotFound
from notifyflow.pipeline import decisions, rounds, use_case
from notifyflow.pipeline.ports import Consequences, Dependencies
from notifyflow.pipeline.transaction import Transaction


def page_again(
    deps: Dependencies, key: str, recipient_id: str, *, by: str, via: str, namespace: str | None = None
) -> Consequences:
    """Start a new round for one recipient of the incident of a key: the unresolved one, or else the newest.

    Args:
        deps: The dependencies of the use cases.
        key: The incident's.
        recipient_id: Who is to be paged.
        by: Who asks for it.
        via: How: ``cli``, ``library``, ….
        namespace: The incident's; None looks in all.

    Returns:
        What became due.

    Raises:
        NotFound: When no incident has the key.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
        IncidentResolved: When it is resolved.
        RecipientNotFound: When it has no such recipient.
    """
    return use_case.run_on_named(deps, key, namespace, partial(page, recipient_id=recipient_id, by=by, via=via))[1]


def page_incident_again(deps: Dependencies, incident_id: str, recipient_id: str, *, by: str, via: str) -> Consequences:
    """Start a new round for one recipient of one incident, which is known to exist."""
    return use_case.run_on(deps, incident_id, partial(page, recipient_id=recipient_id, by=by, via=via))[1]


def page(tx: Transaction, incident: IncidentFacts, recipient_id: str, *, by: str, via: str) -> None:
    """Start a new round for one recipient of an incident that is locked."""
    update = incidents.page_again(incident, now=tx.now)
    if recipient_id not in tx.ledger.contacts(incident.id):
        raise RecipientNotFound(incident.key, recipient_id)
    if incident.is_operations:  # what was counted in is paged to all, when its time comes
        update = replace(update, after=replace(update.after, round_at=incident.round_at))
    incident = tx.update_incident(incident, update, by=by, via=via, recipient=recipient_id)
    for context in decisions.lock_contexts(tx, incident):
        decisions.cancel_status_updates(tx, context, event="replaced")
    rounds.start(tx, incident, {recipient_id})
