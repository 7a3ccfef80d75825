"""What a repeated key changes, while its incident is unresolved: content, contacts, and who is paged; pure.

What is given replaces what is stored; what is not given stays. ``incident.repeat`` counts the key, and starts a new round if the
severity is higher.
"""

from collections.abc import Collection, Sequence
from dataclasses import fields

from notifyflow.core.copies import replace
from notifyflow.core.facts import IncidentFacts
from notifyflow.core.model import Contact, Incident, IncidentState


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


def amend_contact(stored: Contact, incoming: Contact) -> Contact:
    """Merge a recipient's incoming contact into the stored one; the id, which stands in for a missing name, replaces no name."""
    name = incoming.name if incoming.name != incoming.recipient_id else stored.name
    return replace(incoming, name=name, addresses={**stored.addresses, **incoming.addresses})


def newly_paged(incident: IncidentFacts, contacts: Sequence[Contact], paged: Collection[str]) -> tuple[str, ...]:
    """Return the ids of the recipients who get an escalation: those without one, unless the incident is acknowledged."""
    ids = (contact.recipient_id for contact in contacts)
    return tuple(each for each in ids if each not in paged) if incident.state is IncidentState.OPEN else ()
