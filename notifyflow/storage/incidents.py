"""Stores incidents, their content and their contacts."""

from collections.abc import Collection, Mapping, Sequence

from peewee import Expression, Select, fn

from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import Contact, Incident
from notifyflow.storage.models import ContactRow, IncidentRow
from notifyflow.storage.moves import Moves
from notifyflow.storage.rows import (
    CONTACT,
    INCIDENT,
    IS_UNRESOLVED,
    Named,
    batches,
    content_columns,
    first,
    must_exist,
    row_of,
    select,
)
from notifyflow.storage.statements import Statement

_UNRESOLVED = Statement(
    lambda param: _newest(
        IncidentRow.namespace == param(IncidentRow.namespace), IncidentRow.key == param(IncidentRow.key), IS_UNRESOLVED
    )
)
_CONTACT = Statement(
    lambda param: ContactRow.select(*CONTACT).where(
        ContactRow.incident_id == param(ContactRow.incident_id), ContactRow.recipient_id == param(ContactRow.recipient_id)
    )
)


class Incidents(Moves, Named):
    """Incidents, their content and their contacts."""

    def lock_unresolved(self, key: str, *, namespace: str) -> IncidentFacts | None:
        """Lock and read the one incident of a namespace that the key names while it is not resolved."""
        return first(self._incidents(self._locked(_UNRESOLVED(namespace, key))))

    def lock_named(self, key: str, *, namespace: str | None) -> IncidentFacts | None:
        """Lock and read the incident that a key or id names: the unresolved one, else the newest.

        Args:
            key: The incident's; or its id.
            namespace: The incident's; None looks in all.

        Raises:
            AmbiguousKey: When the name means several unresolved incidents.
        """
        return self._named(key, namespace, self._locked)

    def lock_all_unresolved(self, keys: Collection[str], *, namespace: str) -> frozenset[str]:
        """Lock the unresolved incidents that some keys name in a namespace; return the keys found."""
        found: list[str] = []
        for batch in batches(sorted(keys)):
            is_one = (IncidentRow.namespace == namespace) & IncidentRow.key.in_(batch)
            query = IncidentRow.select(IncidentRow.key).where(is_one, IS_UNRESOLVED)
            found += [row["key"] for row in self._rows(self._locked(query.order_by(IncidentRow.id)))]
        return frozenset(found)

    def lock_incident(self, incident_id: str) -> IncidentFacts:
        """Lock and read an incident that is known to exist.

        Raises:
            StorageError: When it does not.
        """
        return must_exist(self.lock_incident_if_kept(incident_id), "incident", incident_id)

    def lock_incident_if_kept(self, incident_id: str) -> IncidentFacts | None:
        """Lock and read an incident, or return None if it was pruned."""
        return first(self._incidents(self._locked(INCIDENT(incident_id))))

    def incident(self, incident_id: str) -> IncidentFacts:
        """Read an incident that is known to exist; not locked.

        Raises:
            StorageError: When it does not.
        """
        return must_exist(first(self._incidents(INCIDENT(incident_id))), "incident", incident_id)

    def add_incident(self, facts: IncidentFacts, content: Incident) -> None:
        """Store a new incident and log its start.

        If another transaction has just stored the same key, the whole use case is repeated, and finds that incident.
        """
        self._keep_policy(facts.policy, at=facts.opened_at)
        self._insert(IncidentRow, [row_of(facts) | content_columns(content)])
        self._log([facts], event="opened", at=facts.opened_at)

    def content(self, incident_id: str) -> Incident:
        """Read the latest content.

        Raises:
            StorageError: When there is no such incident.
        """
        return must_exist(self._content(incident_id), "incident", incident_id)

    def set_content(self, incident_id: str, content: Incident) -> None:
        """Store new content."""
        IncidentRow.update(content_columns(content)).where(IncidentRow.id == incident_id).execute(self._db)

    def contacts(self, incident_id: str) -> Mapping[str, Contact]:
        """Read the contacts by recipient, in the order they were added."""
        return {contact.recipient_id: contact for contact in self._contacts(incident_id)}

    def contact(self, incident_id: str, recipient_id: str) -> Contact:
        """Read the contact of a recipient whom the incident is known to have.

        Raises:
            StorageError: When it has no such recipient.
        """
        found = [Contact(**row) for row in self._rows(_CONTACT(incident_id, recipient_id))]
        return must_exist(first(found), "contact of incident", incident_id)

    def add_contacts(self, incident_id: str, contacts: Sequence[Contact]) -> None:
        """Store the contacts of a new incident, in order."""
        rows = [
            {
                "incident_id": incident_id,
                "recipient_id": each.recipient_id,
                "name": each.name,
                "addresses": each.addresses,
                "timezone": each.timezone,
                "position": position,
            }
            for position, each in enumerate(contacts, 1)
        ]
        self._insert(ContactRow, rows)

    def put_contact(self, incident_id: str, contact: Contact) -> None:
        """Store a contact; a known recipient keeps the position."""
        row = {"name": contact.name, "addresses": contact.addresses, "timezone": contact.timezone}
        known = (ContactRow.incident_id == incident_id) & (ContactRow.recipient_id == contact.recipient_id)
        if ContactRow.update(row).where(known).execute(self._db) == 0:
            count = self._scalar(ContactRow.select(fn.COUNT(1)).where(ContactRow.incident_id == incident_id))
            self._insert(
                ContactRow, [row | {"incident_id": incident_id, "recipient_id": contact.recipient_id, "position": count + 1}]
            )

    def _lock_one(self, *where: Expression) -> IncidentFacts | None:
        return first(self._incidents(self._locked(_newest(*where))))


def _newest(*where: Expression) -> Select:
    """Select the incident that was opened last."""
    return select(IncidentFacts, *where).order_by(IncidentRow.opened_at.desc(), IncidentRow.id.desc()).limit(1)
