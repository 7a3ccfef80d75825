"""Stores incidents, their content and their contacts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from peewee import SQL, Expression, Select, fn

from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import Contact, Incident, IncidentState
from notifyflow.core.delivery.policy import Policy
from notifyflow.storage.session import sets
from notifyflow.storage.session.conditions import IS_UNRESOLVED
from notifyflow.storage.session.repositories import MachineRepository, Repository
from notifyflow.storage.session.rows import (
    CONTACT,
    content_columns,
    first,
    must_exist,
    select,
)
from notifyflow.storage.session.statements import PAIR_VALUES, Parameters, Statement
from notifyflow.storage.tables import ContactRow, EscalationRow, IncidentRow, TransitionRow

_MOST_CONTACTS = 6
"""How many contacts of an incident one message needs: it names four others, and says whether there are more."""

_UNRESOLVED = Statement(
    lambda param: select(
        IncidentFacts, param.any_of(IncidentRow.namespace), param.any_of(IncidentRow.key), IS_UNRESOLVED
    ).order_by(IncidentRow.id)
)
_LATER = IncidentRow.alias("later")
_OF_PAIR = _LATER.select(_LATER.id).where(_LATER.namespace == PAIR_VALUES[0], _LATER.key == PAIR_VALUES[1])
_OPEN_OF_PAIR = _OF_PAIR.where(_LATER.state != SQL("'RESOLVED'"))
_NEWEST_OF_PAIR = _OF_PAIR.order_by(_LATER.opened_at.desc(), _LATER.id.desc()).limit(1)


def _newest(param: Parameters) -> Select:
    """Select each (namespace, key)'s unresolved incident, or else its newest one."""
    pairs = param.pairs_table(IncidentRow.namespace, IncidentRow.key)
    found = Select((pairs,), (fn.COALESCE(_OPEN_OF_PAIR, _NEWEST_OF_PAIR),))
    is_it = IncidentRow.id == found if param.is_alone else param.any_found_by(IncidentRow.id, found)
    return select(IncidentFacts, is_it).order_by(IncidentRow.id)


_NEWEST = Statement(_newest)
_CONTACT = Statement(
    lambda param: ContactRow.select(*CONTACT).where(
        ContactRow.incident_id == param(ContactRow.incident_id), ContactRow.recipient_id == param(ContactRow.recipient_id)
    )
)
_PLACED = (ContactRow.incident_id, ContactRow.position, *CONTACT)
_FIRST_CONTACTS = Statement(  # a union, of which each part has an index
    lambda param: (
        ContactRow.select(*_PLACED).where(param.any_of(ContactRow.incident_id), param.any_of(ContactRow.recipient_id))
        | ContactRow.select(*_PLACED).where(param.any_of(ContactRow.incident_id), ContactRow.position <= SQL(str(_MOST_CONTACTS)))
    ),
    columns=_PLACED,
)
_LAST_RESOLVED = Statement(
    lambda param: (
        select(
            IncidentFacts,
            IncidentRow.key == param(IncidentRow.key),
            IncidentRow.namespace == param(IncidentRow.namespace),
            IncidentRow.state == SQL("'RESOLVED'"),
        )
        .order_by(IncidentRow.opened_at.desc(), IncidentRow.id.desc())
        .limit(1)
    )
)
_ACKNOWLEDGEMENT = Statement(
    lambda param: (
        TransitionRow.select(TransitionRow.detail, TransitionRow.at)
        .where(
            TransitionRow.incident_id == param(TransitionRow.incident_id),
            TransitionRow.machine == SQL("'incident'"),
            TransitionRow.event == SQL("'acknowledged'"),
        )
        .order_by(TransitionRow.id.desc())
        .limit(1)
    )
)
_CONTACTS_OF = Statement(
    lambda param: (
        ContactRow.select(ContactRow.incident_id, *CONTACT)
        .join(
            EscalationRow,
            on=(ContactRow.incident_id == EscalationRow.incident_id) & (ContactRow.recipient_id == EscalationRow.recipient_id),
        )
        .where(param.any_of(EscalationRow.id))
    )
)


class Incidents(MachineRepository[IncidentFacts]):
    """Incidents and their content."""

    facts = IncidentFacts

    def lock_newest_of(self, names: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], IncidentFacts]:
        """Lock and read, by id, each (namespace, key)'s unresolved incident, or else its newest one."""
        if not names:
            return {}
        namespaces, keys = zip(*sorted(names), strict=True)
        found = self._unit.read(IncidentFacts, self._unit.locked(_NEWEST(namespaces, keys)))
        return {(each.namespace, each.key): each for each in found}

    def insist(self, name: tuple[str, str]) -> None:
        """Raise if the incident of a (namespace, key) may be unresolved but could not be read.

        Raises:
            UnreadableRow: When there is such an incident.
        """
        for each in self._unit.unread:
            is_its = each.table == "incident" and (each.values.get("namespace"), each.values.get("key")) == name
            if is_its and each.values.get("state") is not IncidentState.RESOLVED:
                raise each.error()

    def unresolved(self, names: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], IncidentFacts]:
        """Read the unresolved incidents of (namespace, key) pairs; not locked."""
        namespaces, keys = (sorted(set(some)) for some in zip(*names, strict=True))
        found = self._unit.read(IncidentFacts, _UNRESOLVED(namespaces, keys))
        return {name: each for each in found if (name := (each.namespace, each.key)) in names}

    def lock_by_id(self, incident_id: str) -> IncidentFacts | None:
        """Lock and read an incident, or return None; raise ``DamagedIncident`` when it cannot be read."""
        return self._unit.incident(incident_id, self._unit.locked)

    def lock_named(self, key: str, *, namespace: str | None) -> IncidentFacts | None:
        """Lock and read the incident of a key or id: the unresolved one, or else the newest.

        Args:
            key: The incident's key or id.
            namespace: The incident's; None means any.

        Raises:
            AmbiguousKey: When several unresolved incidents match.
            DamagedIncident: When a matching incident cannot be read.
        """
        return self._unit.named(key, namespace, self._unit.locked)

    def add(self, facts: IncidentFacts, content: Incident) -> None:
        """Store a new incident and log its start.

        If another transaction has just stored the same key, the whole use case is repeated and finds that incident.
        """
        self._unit.store_policy(facts.policy, at=facts.opened_at)
        self._unit.add([facts])
        self._unit.new_content[facts.id] = content_columns(content)
        self._unit.log([facts], event="opened", at=facts.opened_at)

    def store_policy(self, policy: Policy, *, at: datetime) -> None:
        """Store the policy of a new incident, unless it is stored already."""
        self._unit.store_policy(policy, at=at)

    def content(self, incident_id: str) -> Incident:
        """Read the latest content.

        Raises:
            DamagedIncident: When it cannot be read.
            StorageError: When there is no such incident.
        """
        if ("content", incident_id) not in self._unit.unlocked:
            known = len(self._unit.unread)
            self.load_contents([incident_id])
            self._unit.insist_since(known)
        content: Incident | None = self._unit.unlocked.get(("content", incident_id))
        return must_exist(content, "incident", incident_id)

    def load_contents(self, incident_ids: Collection[str]) -> None:
        """Load the latest contents of incidents; not locked."""
        contents = self._unit.contents(incident_ids)
        self._unit.unlocked.update({("content", incident_id): content for incident_id, content in contents.items()})

    def last_acknowledgement(self, incident: IncidentFacts) -> tuple[str, datetime] | None:
        """Return who acknowledged an incident last, and when, even if a later round has reopened it; None if nobody has."""
        if incident.acknowledged_at is not None:
            return incident.acknowledged_by, incident.acknowledged_at
        row = first(self._unit.rows(_ACKNOWLEDGEMENT(incident.id)))
        return None if row is None else (row["detail"].get("by", ""), row["at"])

    def last_resolved(self, key: str, *, namespace: str) -> IncidentFacts | None:
        """Read a key's newest resolved incident, or None; not locked."""
        return first(self._unit.read(IncidentFacts, _LAST_RESOLVED(key, namespace)))

    def set_content(self, incident_id: str, content: Incident) -> None:
        """Store new content."""
        self._unit.new_content[incident_id] = content_columns(content)
        self._unit.unlocked["content", incident_id] = content

    def lock_newest(self, *where: Expression) -> IncidentFacts | None:
        """Lock and read the newest incident that meets the conditions."""
        newest = select(IncidentFacts, *where).order_by(IncidentRow.opened_at.desc(), IncidentRow.id.desc()).limit(1)
        return first(self._unit.read(IncidentFacts, self._unit.locked(newest)))


class Contacts(Repository):
    """The contacts of incidents."""

    def of(self, incident_id: str) -> Mapping[str, Contact]:
        """Read the contacts by recipient, in the order they were added."""
        if ("contacts", incident_id) not in self._unit.unlocked:
            self.load_all([incident_id])
        contacts: Mapping[str, Contact] = self._unit.unlocked["contacts", incident_id]
        return contacts

    def ids(self, incident_id: str) -> list[str]:
        """Read the ids of an incident's recipients."""
        return self._unit.recipient_ids(incident_id)

    def load_all(self, incident_ids: Collection[str]) -> None:
        """Load all contacts of incidents; not locked."""
        for incident_id, contacts in self._unit.contacts(incident_ids).items():
            self._unit.unlocked["contacts", incident_id] = contacts
            self._unit.unlocked.update({("contact", incident_id, each): contact for each, contact in contacts.items()})

    def get(self, incident_id: str, recipient_id: str) -> Contact:
        """Read the contact of a recipient that the incident must have.

        Raises:
            StorageError: When it has no such recipient.
        """
        found = self.find(incident_id, recipient_id)
        for each in self._unit.unread if found is None else ():
            if each.table == "contact" and each.values.get("recipient_id") == recipient_id:
                raise each.error()
        return must_exist(found, "contact of incident", incident_id)

    def find(self, incident_id: str, recipient_id: str) -> Contact | None:
        """Read the contact of a recipient; None if the incident has no such recipient."""
        known: Contact | None = self._unit.unlocked.get(("contact", incident_id, recipient_id))
        if known is None and (row := first(self._unit.rows(_CONTACT(incident_id, recipient_id)))):
            known = self._unit.unlocked["contact", incident_id, recipient_id] = Contact(**row)
        return known

    def load_first(self, incident_ids: Collection[str], recipient_ids: Collection[str]) -> None:
        """Load the first contacts of incidents, and the contacts of some recipients; not locked."""
        found: dict[str, list[Contact]] = {each: [] for each in incident_ids}
        incidents = sorted(incident_ids)
        rows = self._unit.rows(_FIRST_CONTACTS(incidents, sorted(recipient_ids), incidents))
        for row in sorted(rows, key=lambda row: row["position"]):
            incident_id, position = row.pop("incident_id"), row.pop("position")
            contact = self._unit.unlocked["contact", incident_id, row["recipient_id"]] = Contact(**row)
            if position <= _MOST_CONTACTS:
                found[incident_id].append(contact)
        self._unit.unlocked.update({("first contacts", each): contacts for each, contacts in found.items()})

    def first_of(self, incident_id: str) -> Sequence[Contact]:
        """Return the first contacts of an incident, in the order they were added."""
        if ("first contacts", incident_id) not in self._unit.unlocked:
            self.load_first([incident_id], ())
        contacts: Sequence[Contact] = self._unit.unlocked["first contacts", incident_id]
        return contacts

    def load(self, escalation_ids: Collection[str]) -> None:
        """Load the contacts of escalations' recipients; not locked."""
        for row in self._unit.rows(_CONTACTS_OF(sorted(escalation_ids))):
            key = "contact", row.pop("incident_id"), row["recipient_id"]
            self._unit.unlocked[key] = Contact(**row)

    def add(self, incident_id: str, contacts: Sequence[Contact]) -> None:
        """Store the contacts of a new incident, in order."""
        self._unit.new_contacts += _rows_of(incident_id, contacts, after=0)
        self._remember(incident_id, contacts)

    def put(self, incident_id: str, contacts: Sequence[Contact]) -> None:
        """Store contacts; a known recipient keeps its position, and new ones come last."""
        known = self.of(incident_id)
        moved = [(*_values(each), incident_id, each.recipient_id) for each in contacts if each.recipient_id in known]
        if moved:
            sets.update(self._unit.db, ContactRow, _VALUES, ("incident_id", "recipient_id"), moved)
        new = [each for each in contacts if each.recipient_id not in known]
        self._unit.new_contacts += _rows_of(incident_id, new, after=len(known))
        self._unit.unlocked.clear()
        self._remember(incident_id, contacts)

    def _remember(self, incident_id: str, contacts: Sequence[Contact]) -> None:
        self._unit.unlocked.update({("contact", incident_id, each.recipient_id): each for each in contacts})


_VALUES = tuple(each.name for each in fields(Contact) if each.name != "recipient_id")


def _values(contact: Contact) -> tuple[Any, ...]:
    return tuple(getattr(contact, name) for name in _VALUES)


def _rows_of(incident_id: str, contacts: Sequence[Contact], *, after: int) -> list[dict[str, Any]]:
    """Return the rows of an incident's new contacts, in order, after its existing ones."""
    return [
        {"incident_id": incident_id, "recipient_id": each.recipient_id, "position": position}
        | dict(zip(_VALUES, _values(each), strict=True))
        for position, each in enumerate(contacts, after + 1)
    ]
