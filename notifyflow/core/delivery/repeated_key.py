"""What a repeated key changes, while its incident is unresolved: content, contacts, and who is paged; pure.

What is given replaces what is stored; what is not given stays. ``incident.repeat`` counts the key, and starts a new round if the
severity is higher.
"""

from collections.abc import Collection, Sequence
from dataclasses import fields

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import Contact, Given, Incident, IncidentState

GIVEN_FIELDS = ("timezone", "quiet", "channels")
"""The fields of a contact, beside its addresses, that a submission may leave out."""


def amend(stored: Incident, incoming: Incident) -> Incident:
    """Merge the incoming incident into the stored one.

    A field that is set replaces the stored one, even if it is empty. The higher severity and the first time are kept.
    """
    new = {field.name: value for field in fields(incoming) if (value := getattr(incoming, field.name)) is not None}
    new["severity"] = incoming.severity if incoming.severity.is_above(stored.severity) else stored.severity
    new["occurred_at"] = stored.occurred_at or incoming.occurred_at
    amended = replace(stored, **new)
    return replace(amended, url=amended.url or None)


def is_amended(stored: Incident, amended: Incident) -> bool:
    """Return whether subscribers are told: of any change, except in the severity and the time."""
    return amended != replace(stored, severity=amended.severity, occurred_at=amended.occurred_at)


def amend_contact(stored: Contact, incoming: Contact, given: Given) -> Contact:
    """Merge what a submission gives of a contact into the stored one; the id, as a name, replaces no name."""
    name = incoming.name if incoming.name != incoming.recipient_id else stored.name
    addresses = {**stored.addresses, **incoming.addresses}
    kept = {channel: address for channel, address in addresses.items() if channel not in given.emptied}
    return replace(stored, name=name, addresses=kept, **{field: getattr(incoming, field) for field in given.fields})


def follow_contact(stored: Contact, incoming: Contact) -> Contact:
    """Replace the stored contact by a whole one, as the directory has it; addresses are kept if it has none that can be used."""
    return incoming if incoming.addresses else replace(incoming, addresses=stored.addresses)


def as_given(contact: Contact) -> Given:
    """Return what a contact that was given with a step replaces: what differs from a recipient with addresses only."""
    plain = Contact(recipient_id=contact.recipient_id, name=contact.name, addresses={})
    fields = tuple(field for field in GIVEN_FIELDS if getattr(contact, field) != getattr(plain, field))
    return Given(recipient_id=contact.recipient_id, fields=fields)


def newly_paged(incident: IncidentFacts, contacts: Sequence[Contact], paged: Collection[str]) -> tuple[str, ...]:
    """Return the ids of the recipients who get an escalation: those without one, unless the incident is acknowledged."""
    ids = (contact.recipient_id for contact in contacts)
    return tuple(each for each in ids if each not in paged) if incident.state is IncidentState.OPEN else ()
