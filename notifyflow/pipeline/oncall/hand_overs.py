"""Tells people that a duty begins or ends, by one status update: it is tried once and never escalates.

The status updates belong to an incident of our own namespace, which is resolved as soon as it is opened and pages nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import incident as incidents
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts
from notifyflow.core.delivery.model import Contact, Incident, Kind, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.intake.validation import check_recipients
from notifyflow.core.oncall import hand_over_words, hand_overs
from notifyflow.core.oncall.hand_overs import HandOver
from notifyflow.core.oncall.roster import Roster
from notifyflow.pipeline.delivery import decisions
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction

_KEY = "notifyflow/hand-over/{schedule}"
_INFORMED = "informed"
_POLICY = replace(DEFAULT, name="hand_over", fresh_for=hand_overs.TOLD_WITHIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The hand-overs of the last hour.

    Attributes:
        now: The hand-overs that people were told about just now.
        handled: Schedule → its newest hand-over that people were told about, or that concerned nobody.
    """

    now: tuple[HandOver, ...]
    handled: Mapping[str, datetime]


def tell(deps: Dependencies) -> Committed[Told]:
    """Tell people about past hand-overs of the last hour that they were not told about.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """

    def body(tx: Transaction) -> Told:
        tx.ledger.roster.lock()
        roster = tx.ledger.roster.current()
        handled = tx.ledger.hand_overs.handled(since=tx.now - hand_overs.TOLD_WITHIN)
        found = hand_overs.to_tell(roster, handled, tx.now)
        told = tuple(each for each in found if _tell(tx, roster, each))
        return Told(now=told, handled={**handled, **{each.schedule: each.at for each in found}})

    return use_case.run(deps, body)


def words(tx: Transaction, incident: IncidentFacts, content: Incident, contact: Contact) -> Incident | None:
    """Render the content for a reader: times in their zone, and the open incidents that the schedule is paging about now.

    None if the incident reports no hand-over.
    """
    if incident.namespace != namespaces.OPERATIONS or incident.is_operations:
        return None
    told = tx.ledger.hand_overs.of(incident.id)
    if told is None:
        return content
    ids = tx.ledger.steps.with_duty_of(told.schedule)
    newest = sorted(ids, reverse=True)[: hand_over_words.MOST_INCIDENTS]
    shown = _incidents(tx, newest)
    name, zone = tx.ledger.roster.current().name_of, ZoneInfo(contact.timezone)
    return replace(
        content,
        title=hand_over_words.title(told, name, zone),
        body=hand_over_words.body(told, name, zone, shown, count=len(ids)),
        labels=hand_over_words.links(shown),
    )


def render_again(tx: Transaction, recipient_id: str) -> None:
    """Render the stored content of a recipient's hand-overs again, since the roster no longer has the recipient."""
    roster = tx.ledger.roster.current()
    for incident_id, told in tx.ledger.hand_overs.naming(recipient_id):
        content = _as_stored(tx.ledger.incidents.content(incident_id), roster, told)
        tx.ledger.incidents.set_content(incident_id, content)


def _tell(tx: Transaction, roster: Roster, told: HandOver) -> bool:
    """Note a hand-over, and tell the people it concerns; return whether anybody is told."""
    incident_id = tx.deps.ids.new()
    if not tx.ledger.hand_overs.add(told, incident_id):
        return False
    people = [roster.directory.recipients[each] for each in told.people if each in roster.directory.recipients]
    contacts, _ = check_recipients(people, tx.deps.check_address, tx.deps.channels)
    reached = [each for each in contacts if _channels(tx, each)]
    if reached:
        _open(tx, incident_id, reached, roster, told)
    return bool(reached)


def _open(tx: Transaction, incident_id: str, contacts: Sequence[Contact], roster: Roster, told: HandOver) -> None:
    key = _KEY.format(schedule=told.schedule)
    untitled = Incident(key=key, title="", severity=Severity.INFO, source="notifyflow", labels={}, occurred_at=told.at)
    content = _as_stored(untitled, roster, told)
    incident = incidents.open_(content, incident_id=incident_id, policy=_POLICY, now=tx.now, namespace=namespaces.OPERATIONS)
    tx.ledger.incidents.add(incident, content)
    tx.ledger.contacts.add(incident_id, contacts)
    rounds = [_start(tx, incident, each) for each in contacts]
    contexts = decisions.lock_contexts(tx, incident)
    tx.update_incident(incident, incidents.resolve(incident, by="", now=tx.now))
    for context in contexts:
        decisions.close(tx, context, event="resolved")
    rows = [
        tx.new_row(each, channel, Kind.STATUS_UPDATE)
        for each, contact in zip(rounds, contacts, strict=True)
        for channel in _channels(tx, contact)
    ]
    tx.queue(rows)


def _start(tx: Transaction, incident: IncidentFacts, contact: Contact) -> EscalationFacts:
    """Add the escalation of a person to tell; its round is 0, since it pages nobody."""
    escalation = EscalationFacts(
        id=tx.deps.ids.new(),
        incident_id=incident.id,
        recipient_id=contact.recipient_id,
        round=0,
        severity=incident.severity,
        policy=incident.policy,
        started_at=tx.now,
    )
    tx.ledger.escalations.add(escalation, event=_INFORMED, detail={"recipient": contact.recipient_id, "round": "0"})
    return escalation


def _channels(tx: Transaction, contact: Contact) -> list[str]:
    """Return the channels for a person's status updates: of those preferred for INFO, if there are any."""
    preferred = (contact.channels or {}).get(Severity.INFO) or contact.addresses
    return sorted(each for each in contact.addresses if each in preferred and tx.deps.capabilities(each).gets_status_updates)


def _as_stored(content: Incident, roster: Roster, told: HandOver) -> Incident:
    """Return the content in its stored form: times in the zone of the schedule, without other incidents."""
    schedule = roster.schedule(told.schedule)
    zone = ZoneInfo("UTC" if schedule is None else schedule.timezone)
    title, body = (write(told, roster.name_of, zone) for write in (hand_over_words.title, hand_over_words.body))
    return replace(content, title=title, body=body)


def _incidents(tx: Transaction, ids: Sequence[str]) -> list[Incident]:
    tx.ledger.incidents.read_many(ids)
    tx.ledger.incidents.load_contents(ids)
    return [replace(tx.ledger.incidents.content(each), severity=tx.ledger.incidents.get(each).severity) for each in ids]
