"""The responses of the API that wrap the documents about incidents; the documents themselves stand in ``core.schemas``."""

from collections.abc import Sequence
from itertools import accumulate

from pydantic import BaseModel, Field

from notifyflow.core.model import Notified
from notifyflow.core.schemas import Document, FaultDocument, IncidentSummaryDocument, NotifiedDocument
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


class ActResponse(Document):
    """The result of an action on an incident."""

    has_changed: bool = Field(description="Whether this request changed anything; false if it had been done before.")
    incident: IncidentSummaryDocument


class StoppedPageResponse(Document):
    """A page that was cancelled, or that had been sent already."""

    recipient: str = Field(validation_alias="recipient_id")
    channel: str
    notification: str = Field(validation_alias="notification_id", description="Its id.")


class StoppedResponse(ActResponse):
    """The result of acknowledging or resolving an incident, with its pages."""

    cancelled: list[StoppedPageResponse] = Field(description="Pages that were queued and are not sent.")
    on_their_way: list[StoppedPageResponse] = Field(description="Pages that had been sent already and may still arrive.")
