"""Stores a submission in the application's transaction; the first sweep after its commit pages (ADR 0030).

The application may leave its transaction open for long. So it stores only new rows, and locks no row that others need: a new
incident with its recipients, or a submission that repeats the key of an unresolved one. All clocks begin after the commit.
"""

from functools import partial

from notifyflow.core.delivery import repeated_key
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.incident_events import OPENED
from notifyflow.core.delivery.model import Notified
from notifyflow.core.intake.documents import dump_policy, load_policy
from notifyflow.pipeline.delivery import rounds, series, steps
from notifyflow.pipeline.delivery.notify import Submitted, Unresolved, store_new
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetUseCase
from notifyflow.storage.ledger import Entry, Ledger


def join(deps: Dependencies, submitted: Submitted, connection: object) -> Committed[Notified]:
    """Store a validated submission in the open transaction of the application's connection.

    Returns:
        The result of ``notify``; for an unresolved incident as of before the application's commit.

    Raises:
        UnsuitableConnection: When it cannot be stored in the transaction of this connection.
        StorageUnavailable: When the database does not answer in time on a connection of ours.
        Exception: The driver's, when the database refuses a statement. Unless the transaction has failed, it is as before.
    """
    now = deps.clock.now()
    # in a transaction of ours: others with the same policy would wait for the application's transaction
    deps.transactions.run(lambda ledger: ledger.incidents.store_policy(submitted.policy, at=now))
    return Committed(deps.transactions.join(connection, partial(_store, deps, submitted)))


def _store(deps: Dependencies, submitted: Submitted, ledger: Ledger) -> Notified:
    tx = Transaction(ledger, deps)
    checked, faults = submitted.checked, submitted.checked.faults
    incident = ledger.incidents.unresolved([submitted.name]).get(submitted.name)
    if incident is None:
        incident = store_new(tx, checked, submitted.policy, namespace=submitted.namespace)
        _add(tx, incident, submitted, is_repeated=False)
        added = tuple(each.recipient_id for each in checked.contacts)
        return Notified(incident_id=incident.id, is_new=True, added=added, faults=faults)
    known = ledger.contacts.of(incident.id)
    _add(tx, incident, submitted, is_repeated=True)
    added = repeated_key.newly_paged(incident, checked.contacts, known)
    repeated = tuple(each.recipient_id for each in checked.contacts if each.recipient_id in known)
    return Notified(incident_id=incident.id, is_new=False, added=added, repeated=repeated, faults=faults)


def _add(tx: Transaction, incident: IncidentFacts, submitted: Submitted, *, is_repeated: bool) -> None:
    submission = submitted.checked if is_repeated else None
    policy = dump_policy(submitted.policy)
    tx.ledger.outbox.add(Entry(id=tx.deps.ids.new(), incident_id=incident.id, policy=policy, submission=submission))


def _carry_out(tx: Transaction, loaded: None, entry: Entry) -> None:
    del loaded
    policy = load_policy(entry.policy)
    tx.ledger.incidents.store_policy(policy, at=tx.now)  # it was deleted if the transaction has been open for very long
    incident = tx.ledger.incidents.lock(entry.incident_id)
    if not tx.ledger.outbox.remove(entry.id):
        return
    if entry.submission is None:
        _begin(tx, incident)
    else:
        name = (incident.namespace, incident.key)
        Unresolved(tx, [name]).store(tx, entry.submission, policy, namespace=incident.namespace)


def begin_now(tx: Transaction, incident: IncidentFacts) -> IncidentFacts:
    """Page for a locked incident if the next sweep would start its first round; return the incident as it is then."""
    if tx.ledger.outbox.remove_new(incident.id):
        _begin(tx, incident)
    return tx.ledger.incidents.lock(incident.id)


def _begin(tx: Transaction, incident: IncidentFacts) -> None:
    """Start the first round of the recipients without a round, after the application's commit."""
    tx.incident_events.append((incident, OPENED, {}))
    paged = {each.recipient_id for each in tx.ledger.escalations.lock_current(incident.id)}
    contacts = tx.ledger.contacts.of(incident.id).values()
    before = tx.ledger.incidents.last_resolved(incident.key, namespace=incident.namespace)
    added = repeated_key.newly_paged(incident, tuple(contacts), paged)
    followed = series.follow(tx, before, incident, first=added)
    incident = tx.ledger.save(incident, followed) if followed != incident else incident
    rounds.start(tx, incident, added)
    steps.open_(tx, incident, [contact.recipient_id for contact in contacts], before)
    series.look_into(tx, incident.id)


CARRY_OUT = SetUseCase("carry out", lambda tx, entries: None, _carry_out, blames=lambda entry: ("outbox", entry.id))
"""Pages for a submission after the application's commit, as if it came now; does nothing if that was done."""
