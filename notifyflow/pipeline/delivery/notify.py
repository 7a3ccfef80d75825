"""Stores an incident with its escalations and their first pages, or counts a repeated key."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import incident as incidents
from notifyflow.core.delivery import lifecycle, repeated_key
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.incident_events import AMENDED, OPENED
from notifyflow.core.delivery.model import (
    Contact,
    DeferralReason,
    Ended,
    IncidentState,
    Kind,
    NotificationState,
    Notified,
)
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.delivery.repeated_key import Given
from notifyflow.core.intake.inbound_log import InboundEffect
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.pipeline.delivery import decisions, endings, rounds, series, steps
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.transaction.idempotency import Once, Responses
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetResult, SetUseCase

Name = tuple[str, str]
"""The namespace and the key of an incident."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Submitted:
    """A validated submission.

    Attributes:
        policy: The policy of a new incident; a repeated key keeps its own.
        once: Identifies the request, so that a repetition does nothing and gets the same response.
    """

    checked: CheckedIncident
    policy: Policy
    namespace: str = namespaces.SHARED
    once: Once | None = None

    @property
    def name(self) -> Name:
        """The namespace and the key of its incident."""
        return self.namespace, self.checked.incident.key


def store_all(deps: Dependencies, submitted: Sequence[Submitted]) -> SetResult[Notified]:
    """Store validated submissions, in one transaction.

    Returns:
        The result of each, or its own error, such as ``IdempotencyMismatch``.

    Raises:
        CommitUnknown: When it is unknown whether they are stored.
        StorageUnavailable: When the database does not answer in time; nothing was stored.
    """
    return _STORE.run(deps, submitted)


@dataclass(frozen=True, slots=True)
class Stored:
    """The result of a submission, and its effect on its incident."""

    notified: Notified
    did: InboundEffect


class Unresolved:
    """The locked, unresolved incidents that a transaction's submissions repeat; else the newest ones, whose series may go on.

    Attributes:
        ids: Their ids, by the submissions' names.
    """

    def __init__(self, tx: Transaction, names: Collection[Name]) -> None:
        found = tx.ledger.incidents.lock_newest_of(names)
        self.ids = {name: each.id for name, each in found.items()}
        tx.ledger.escalations.load_repeated([each.id for each in found.values() if each.state is not IncidentState.RESOLVED])

    def store(self, tx: Transaction, checked: CheckedIncident, policy: Policy, *, namespace: str, times: int = 1) -> Stored:
        """Store an incident that came ``times`` times in a row, or count a repeated key, as one step of the transaction."""
        name = (namespace, checked.incident.key)
        tx.ledger.incidents.insist(name)
        facts = tx.ledger.incidents.lock(self.ids[name]) if name in self.ids else None
        if facts is not None and facts.state is not IncidentState.RESOLVED:
            return _repeat(tx, facts, checked, times)
        notified = _open(tx, checked, policy, namespace=namespace, times=times, before=facts)
        self.ids[name] = notified.incident_id
        return Stored(notified, InboundEffect.OPENED)


def store_new(
    tx: Transaction,
    checked: CheckedIncident,
    policy: Policy,
    *,
    namespace: str,
    times: int = 1,
    before: IncidentFacts | None = None,
) -> IncidentFacts:
    """Store a new incident and its recipients; it pages nobody yet. ``before`` is the resolved incident of its key, if any."""
    new = incidents.open_(checked.incident, incident_id=tx.deps.ids.new(), policy=policy, now=tx.now, namespace=namespace)
    incident = replace(new, times_seen=times, run_number=1 if checked.chain else 0)
    incident = series.follow(tx, before, incident, first={each.recipient_id for each in checked.contacts})
    tx.ledger.incidents.add(incident, replace(checked.incident, occurred_at=checked.incident.occurred_at or tx.now))
    tx.ledger.contacts.add(incident.id, checked.contacts)
    if checked.chain:
        steps.plan(tx, incident, checked.chain)
    return incident


def _open(
    tx: Transaction, checked: CheckedIncident, policy: Policy, *, namespace: str, times: int, before: IncidentFacts | None
) -> Notified:
    incident = store_new(tx, checked, policy, namespace=namespace, times=times, before=before)
    tx.incident_events.append((incident, OPENED, {}))
    for contact in checked.contacts:
        decisions.start(tx, incident, contact)
    added = tuple(contact.recipient_id for contact in checked.contacts)
    steps.open_(tx, incident, added, before)
    series.look_into(tx, incident.id)
    return Notified(incident_id=incident.id, is_new=True, added=added, faults=checked.faults)


def _repeat(tx: Transaction, facts: IncidentFacts, checked: CheckedIncident, times: int) -> Stored:
    update = incidents.repeat(replace(facts, times_seen=facts.times_seen + times - 1), checked.incident, now=tx.now)
    if update.needs_round and facts.series and not checked.incident.severity.is_above(facts.series.severity):
        series.keep_clocks(tx, facts)
    if update.needs_round:
        update = steps.renew(tx, facts, update, checked.chain)
    elif facts.run_number and checked.is_routed:
        checked = replace(checked, contacts=())  # the people on duty were read when its step started
    incident = tx.update_incident(facts, update)
    content = tx.ledger.incidents.content(incident.id)
    amended = repeated_key.amend(content, checked.incident)
    if amended != content:
        tx.ledger.incidents.set_content(incident.id, amended)
        holds.look_again(tx, incident, content, amended)
    has_new_words = repeated_key.is_amended(content, amended)
    if has_new_words:
        tx.incident_events.append((incident, AMENDED, {}))
    paged = {each.recipient_id for each in tx.ledger.escalations.lock_current(incident.id)}
    moved = _update_contacts(tx, incident, checked)
    added = repeated_key.newly_paged(incident, checked.contacts, paged)
    if update.needs_round and incident.run_number:
        steps.raise_severity(tx, facts, incident, checked)
    elif update.needs_round:
        rounds.start(tx, incident)
    else:
        _follow_contacts(tx, incident, {who: before for who, before in moved.items() if who in paged})
        rounds.start(tx, incident, added)
    repeated = tuple(contact.recipient_id for contact in checked.contacts if contact.recipient_id in paged)
    series.look_into(tx, incident.id)
    notified = Notified(incident_id=incident.id, is_new=False, added=added, repeated=repeated, faults=checked.faults)
    return Stored(notified, _did(is_raised=update.needs_round, has_added=bool(added), has_new_words=has_new_words))


def _did(*, is_raised: bool, has_added: bool, has_new_words: bool) -> InboundEffect:
    if is_raised:
        return InboundEffect.RAISED
    if has_added:
        return InboundEffect.ADDED
    return InboundEffect.AMENDED if has_new_words else InboundEffect.MERGED


def _update_contacts(tx: Transaction, incident: IncidentFacts, checked: CheckedIncident) -> Mapping[str, Contact]:
    """Store the recipients' new names, addresses and quiet hours; return the old contacts of recipients to page again."""
    known = tx.ledger.contacts.of(incident.id)
    given = {each.recipient_id: each for each in checked.given}
    amended = [_amended(known.get(each.recipient_id, each), each, checked, given) for each in checked.contacts]
    changed = [each for each in amended if each != known.get(each.recipient_id)]
    if changed:
        tx.ledger.contacts.put(incident.id, changed)
    before = {each.recipient_id: known[each.recipient_id] for each in changed if each.recipient_id in known}
    return {each.recipient_id: before[each.recipient_id] for each in changed if _is_moved(before.get(each.recipient_id), each)}


def _amended(stored: Contact, incoming: Contact, checked: CheckedIncident, given: Mapping[str, Given]) -> Contact:
    if checked.is_routed:
        return repeated_key.follow_contact(stored, incoming)
    who = incoming.recipient_id
    return repeated_key.amend_contact(stored, incoming, given.get(who) or Given(recipient_id=who))


def _is_moved(before: Contact | None, after: Contact) -> bool:
    """Return whether a known recipient is now paged in another way."""
    if before is None:
        return False
    is_quiet = before.quiet is not None or after.quiet is not None
    has_other_nights = is_quiet and (before.quiet, before.timezone) != (after.quiet, after.timezone)
    return before.addresses != after.addresses or has_other_nights


def _follow_contacts(tx: Transaction, incident: IncidentFacts, moved: Mapping[str, Contact]) -> None:
    """Page changed addresses, and apply changed quiet hours; ``moved`` holds the contacts as they were before.

    Notifications queued for a removed address fail, so that their tier goes on. Once the incident is acknowledged all current
    escalations are ACKNOWLEDGED, and nobody is paged.
    """
    if not moved:
        return
    contexts = decisions.lock_contexts(tx, incident, moved.keys())
    for context in contexts:
        for row in context.notifications:
            if row.state is NotificationState.QUEUED and row.kind is Kind.PAGE and row.channel not in context.addresses:
                endings.write_end(tx, row, Ended.NO_PROVIDER)
            elif row.deferred_by is DeferralReason.QUIET:
                tx.write(row, lifecycle.defer(row, DeferralReason.QUIET, until=tx.now, now=tx.now))
    for context in contexts:
        decisions.change_address(tx, context.escalation, moved[context.escalation.recipient_id])


_Loaded = tuple[Responses, Unresolved]
"""The locked and loaded values of a set: the responses to its requests, and the incidents that it repeats."""


def _load(tx: Transaction, submitted: Sequence[Submitted]) -> _Loaded:
    """Read the stored responses, then lock and load the rows for new requests: incidents, then their current escalations."""
    responses = Responses(tx, [each.once for each in submitted if each.once is not None])
    return responses, Unresolved(tx, {each.name for each in submitted if each.once is None or each.once not in responses})


def _store(tx: Transaction, loaded: _Loaded, submitted: Submitted) -> Notified:
    (responses, unresolved), once = loaded, submitted.once
    if once is not None and (known := responses.to(once)) is not None:
        return known
    notified = unresolved.store(tx, submitted.checked, submitted.policy, namespace=submitted.namespace).notified
    if once is not None:
        responses.add(once, notified)
    return notified


_STORE = SetUseCase(
    "submit",
    _load,
    _store,
    lambda tx, loaded: loaded[0].store(tx),
    blames=lambda submitted: ("key", *submitted.name),
    counts_most=lambda submitted: True,
)
