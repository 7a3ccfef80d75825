"""The body of a webhook's request; few processes send one, and its models load slowly."""

from dataclasses import replace
from datetime import datetime

from pydantic import Field

from notifyflow.core.delivery.model import IncidentState
from notifyflow.core.document import Document, Text
from notifyflow.core.insight.schemas import IncidentTexts
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.text import cut

_BODY_LIMIT = 8_000


class EventData(IncidentTexts):
    """An incident with the event that is reported; ``state``, ``severity``, ``by`` and ``via`` are those of the event."""

    id: str
    state: IncidentState
    version: int
    by: Text
    via: Text
    body: Text
    notice: Text


class PageData(IncidentTexts):
    """An incident as one recipient is paged for it, or updated on it."""

    body: Text
    notice: Text
    recipient_name: str
    occurred: str
    delayed: Text
    status_update: Text
    acknowledge_url: Text = Field(validation_alias="link")


class Payload(Document):
    """The body of a request."""

    type: str
    timestamp: datetime
    data: EventData | PageData


def payload(message: OutboundMessage) -> Payload:
    """Return the body: an incident event, or a page or status update to a recipient whose address is the subscriber."""
    content = replace(message.content, body=cut(message.content.body, _BODY_LIMIT))
    event = content.incident_event
    if event is None:
        return Payload(type=f"incident.{content.kind}", timestamp=message.at, data=PageData.of(content))
    facts = {"id": event.incident_id, "state": event.state, "version": event.version, "by": event.by, "via": event.via}
    data = EventData.of({name: getattr(content, name) for name in EventData.model_fields if name not in facts} | facts)
    return Payload(type=f"incident.{event.event}", timestamp=event.at, data=data)
