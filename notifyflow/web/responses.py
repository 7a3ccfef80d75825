"""The responses of the API that wrap the documents about incidents; the documents themselves stand in ``core.schemas``."""

from collections.abc import Sequence
from itertools import accumulate

from pydantic import BaseModel, Field

from notifyflow.core.model import Notified, Page, Stopped
from notifyflow.core.schemas import FaultDocument, IncidentSummaryDocument, NotifiedDocument
from notifyflow.core.views import IncidentStatus
from notifyflow.errors import named

_LONGEST_LIST = 10_000  # characters: two such lists and 20 faults stay below 64 KB


def notified(value: Notified) -> NotifiedDocument:
    """Return the document about a submission, with lists that are short enough for a response."""
    whole = NotifiedDocument.of(value)
    return whole.model_copy(
        update={
            "added": _beginning(value.added),
            "repeated": _beginning(value.repeated),
            "faults": [FaultDocument.of(fault) for fault in named(value.faults)],
        }
    )


def _beginning(ids: Sequence[str]) -> list[str]:
    """Return as many ids as a response has room for."""
    lengths = accumulate(len(each) for each in ids)
    return [each for each, length in zip(ids, lengths, strict=True) if length <= _LONGEST_LIST]


class IncidentListResponse(BaseModel):
    """Incidents, the newest first."""

    incidents: list[IncidentSummaryDocument]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class ActResponse(BaseModel):
    """The result of an action on an incident."""

    has_changed: bool = Field(description="Whether this request changed anything; false if it had been done before.")
    incident: IncidentSummaryDocument


class StoppedPageResponse(BaseModel):
    """A page that was cancelled, or that had been sent already."""

    recipient: str
    channel: str
    notification: str = Field(description="Its id.")

    @classmethod
    def of(cls, value: Page) -> "StoppedPageResponse":
        """Build it from the value."""
        return cls(recipient=value.recipient_id, channel=value.channel, notification=value.notification_id)


class StoppedResponse(ActResponse):
    """The result of acknowledging or resolving an incident, with its pages."""

    cancelled: list[StoppedPageResponse] = Field(description="Pages that were queued and are not sent.")
    on_their_way: list[StoppedPageResponse] = Field(description="Pages that had been sent already and may still arrive.")

    @classmethod
    def of(cls, value: Stopped, incident: IncidentStatus) -> "StoppedResponse":
        """Build it from the values."""
        return cls(
            has_changed=value.has_changed,
            incident=IncidentSummaryDocument.of(incident),
            cancelled=[StoppedPageResponse.of(each) for each in value.cancelled],
            on_their_way=[StoppedPageResponse.of(each) for each in value.on_their_way],
        )
