"""Pages one recipient again: starts a new round, also after an acknowledgement."""

from functools import partial

from notifyflow.core import incident as incidents
from notifyflow.core.copies import replace
from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import Via
from notifyflow.core.references import IncidentRef
from notifyflow.errors import RecipientNotFound
from notifyflow.pipeline import decisions, rounds, steps, use_case
from notifyflow.pipeline.ports import Committed, Dependencies
from notifyflow.pipeline.transaction import Transaction


def page_again(deps: Dependencies, ref: IncidentRef, recipient_id: str, *, by: str, via: Via) -> Committed[None]:
    """Start a new round for one recipient of an incident, also after an acknowledgement.

    Raises:
        NotFound: When there is no such incident.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
        IncidentResolved: When it is resolved.
        RecipientNotFound: When it has no such recipient.
    """
    return use_case.run_on(deps, ref, partial(_page, recipient_id=recipient_id, by=by, via=via))


def _page(tx: Transaction, incident: IncidentFacts, recipient_id: str, *, by: str, via: Via) -> None:
    update = incidents.page_again(incident, now=tx.now)
    if recipient_id not in tx.ledger.contacts.of(incident.id):
        raise RecipientNotFound(incident.key, recipient_id)
    if incident.is_operations:  # the failures counted in are paged to all in the round that is planned
        update = replace(update, after=replace(update.after, round_at=incident.round_at))
    before, update = incident, steps.renew(tx, incident, update)
    incident = tx.update_incident(before, update, by=by, via=via, recipient=recipient_id)
    for context in decisions.lock_contexts(tx, incident):
        decisions.cancel_status_updates(tx, context, event="replaced")
    rounds.start(tx, incident, {recipient_id})
    steps.page_again(tx, before, incident, recipient_id)
