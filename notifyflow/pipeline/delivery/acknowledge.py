"""Acknowledges and resolves incidents: cancels what is still queued, and queues status updates for the other recipients.

Paging one recipient again starts a new round, also after an acknowledgement. ``acknowledge_many`` acknowledges several.
"""

from collections.abc import Sequence
from functools import partial

from notifyflow.core.copies import replace
from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery import incident as incidents
from notifyflow.core.delivery import series as rules
from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import EscalationState, IncidentState, Severity, Stopped, Via
from notifyflow.core.delivery.policy import Acknowledgement
from notifyflow.core.references import IncidentRef
from notifyflow.errors import RecipientNotFound
from notifyflow.pipeline.delivery import decisions, operations, outbox, rounds, series, status_updates, steps
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.transaction import sparing
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction


def acknowledge(deps: Dependencies, ref: IncidentRef, *, by: str, via: Via, shown: Severity | None = None) -> Committed[Stopped]:
    """Acknowledge an incident.

    Args:
        deps: The dependencies of the use cases.
        ref: The incident.
        by: A recipient's id, or any other text for a person who is not a recipient.
        via: How it is acknowledged.
        shown: The severity that the person saw: what has risen above it stays open. None acknowledges whatever it is now.

    Returns:
        The cancelled pages and the pages that had left already; false if nothing changed.

    Raises:
        NotFound: When there is no such incident.
        AmbiguousKey: When several namespaces have an unresolved incident with the key; nothing is done.
    """
    return sparing.run_on(deps, ref, partial(acknowledge_locked, by=by, via=via, shown=shown))


def acknowledge_locked(
    tx: Transaction, incident: IncidentFacts, *, by: str, via: str, shown: Severity | None = None, **detail: str
) -> Stopped:
    """Acknowledge a locked incident, as one step of a transaction; ``via`` is a ``Via`` or the channel of a reply.

    The details are more facts for the transition log.
    """
    if shown is not None and incident.severity.is_above(shown):
        is_open = incident.state is IncidentState.OPEN
        return Stopped(has_changed=False, risen_to=incident.severity if is_open else None)
    if incident.state is IncidentState.RESOLVED and rules.acknowledges_in_person(via):
        return _acknowledge_series(tx, incident, by=by, via=via, shown=shown, **detail)
    if incident.state is not IncidentState.OPEN:
        return Stopped(has_changed=False)
    incident = outbox.begin_now(tx, incident)
    contexts = decisions.lock_contexts(tx, incident, is_going_on=False)
    ended = _unacknowledged(_covered(incident, contexts, by))
    if contexts and not ended:
        return Stopped(has_changed=False)
    is_last = len(ended) == len(_unacknowledged(contexts))
    tx.update_incident(
        incident, incidents.acknowledge(incident, by=by, via=via, is_last=is_last, now=tx.now), by=by, via=via, **detail
    )
    for context in ended:
        decisions.write(tx, context, escalations.acknowledge(context, now=tx.now), by=by, via=via, **detail)
    steps.stop(tx, incident, "acknowledged")
    status_updates.queue(tx, ended, by=by)
    return decisions.stopped(tx, ended)


def _acknowledge_series(
    tx: Transaction, incident: IncidentFacts, *, by: str, via: str, shown: Severity | None, **detail: str
) -> Stopped:
    """End the series of a resolved incident, and acknowledge its open incident, unless that one is more severe."""
    newest = tx.ledger.incidents.lock_newest_of([(incident.namespace, incident.key)])[incident.namespace, incident.key]
    if rules.covers(incident, newest) and not incident.is_operations:
        return acknowledge_locked(tx, newest, by=by, via=via, shown=shown, **detail)
    if not rules.is_same(incident, newest) or newest.state is not IncidentState.RESOLVED or incident.is_operations:
        return Stopped(has_changed=False)
    is_for_one = newest.policy.acknowledgement is Acknowledgement.EACH and by in tx.ledger.contacts.of(newest.id)
    ended = rules.end_for(newest, by) if is_for_one else rules.end(newest)
    if ended != newest:
        tx.ledger.save(newest, ended)
    return Stopped(has_changed=False)


def _unacknowledged(contexts: Sequence[DecisionContext]) -> list[DecisionContext]:
    return [context for context in contexts if context.escalation.state is not EscalationState.ACKNOWLEDGED]


def _covered(incident: IncidentFacts, contexts: tuple[DecisionContext, ...], by: str) -> tuple[DecisionContext, ...]:
    """Return the escalations that an acknowledgement ends: with ``each`` a recipient's own, otherwise all."""
    own = tuple(context for context in contexts if context.escalation.recipient_id == by)
    return own if own and incident.policy.acknowledgement is Acknowledgement.EACH else contexts


def resolve(deps: Dependencies, ref: IncidentRef, *, by: str, via: Via) -> Committed[Stopped]:
    """Resolve an incident; its arguments, result and errors are those of ``acknowledge``."""
    return sparing.run_on(deps, ref, partial(resolve_locked, by=by, via=via))


def resolve_locked(tx: Transaction, incident: IncidentFacts, *, by: str, via: Via) -> Stopped:
    """Resolve a locked incident, as one step of a transaction; see ``resolve``."""
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
    return decisions.stopped(tx, contexts)


def page_again(deps: Dependencies, ref: IncidentRef, recipient_id: str, *, by: str, via: Via) -> Committed[None]:
    """Start a new round for one recipient of an incident, also after an acknowledgement.

    Raises:
        NotFound: When there is no such incident.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
        IncidentResolved: When it is resolved.
        RecipientNotFound: When it has no such recipient.
    """
    return sparing.run_on(deps, ref, partial(_page, recipient_id=recipient_id, by=by, via=via))


def _page(tx: Transaction, incident: IncidentFacts, recipient_id: str, *, by: str, via: Via) -> None:
    update = incidents.page_again(incident, now=tx.now)
    if recipient_id not in tx.ledger.contacts.of(incident.id):
        raise RecipientNotFound(incident.key, recipient_id)
    holds.release_all(tx, incident)
    if incident.is_operations:  # all failures are paged in the planned round
        update = replace(update, after=replace(update.after, round_at=incident.round_at))
    before, update = incident, steps.renew(tx, incident, update)
    incident = tx.update_incident(before, update, by=by, via=via, recipient=recipient_id)
    for context in decisions.lock_contexts(tx, incident):
        decisions.cancel_status_updates(tx, context, event="replaced")
    rounds.start(tx, incident, {recipient_id})
    steps.page_again(tx, before, incident, recipient_id)
