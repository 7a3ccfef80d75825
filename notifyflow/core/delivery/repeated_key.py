"""How a repeated key changes an unresolved incident: its content, its contacts, and who is paged; pure.

Given fields replace stored ones; others stay. ``incident.repeat`` counts the key, and starts a new round if the severity is
higher.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import Contact, Incident, IncidentState

GIVEN_FIELDS = tuple(each.name for each in fields(Contact) if each.name not in ("recipient_id", "name", "addresses"))
"""The fields of a contact, beside its addresses, that a submission may leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a submission gives of a recipient's contact; a known recipient keeps the rest.

    Attributes:
        fields: The fields that replace what is stored, of ``GIVEN_FIELDS``.
        emptied: The channels whose address is removed.
    """

    recipient_id: str
    fields: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()


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
    """Return whether subscribers are told: of any change except in the severity and the time."""
    return amended != replace(stored, severity=amended.severity, occurred_at=amended.occurred_at)


def amend_contact(stored: Contact, incoming: Contact, given: Given) -> Contact:
    """Merge a submission's fields of a contact into the stored contact; an id used as a name replaces no name."""
    name = incoming.name if incoming.name != incoming.recipient_id else stored.name
    addresses = {**stored.addresses, **incoming.addresses}
    kept = {channel: address for channel, address in addresses.items() if channel not in given.emptied}
    return replace(stored, name=name, addresses=kept, **{field: getattr(incoming, field) for field in given.fields})


def follow_contact(stored: Contact, incoming: Contact) -> Contact:
    """Replace the stored contact by a complete one from the directory; addresses are kept if the new one has none usable."""
    return incoming if incoming.addresses else replace(incoming, addresses=stored.addresses)


def as_given(contact: Contact) -> Given:
    """Return the fields that a contact given with a step replaces: those that differ from a recipient with addresses only."""
    plain = Contact(recipient_id=contact.recipient_id, name=contact.name, addresses={})
    fields = tuple(field for field in GIVEN_FIELDS if getattr(contact, field) != getattr(plain, field))
    return Given(recipient_id=contact.recipient_id, fields=fields)


def newly_paged(incident: IncidentFacts, contacts: Sequence[Contact], paged: Collection[str]) -> tuple[str, ...]:
    """Return the ids of the recipients who get an escalation: those without one, unless the incident is acknowledged."""
    ids = (contact.recipient_id for contact in contacts)
    return tuple(each for each in ids if each not in paged) if incident.state is IncidentState.OPEN else ()
