"""The JSON documents of lists: incidents with the people reached, messages of the log with masked addresses, findings."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from notifyflow.core import text
from notifyflow.core.delivery.model import Severity
from notifyflow.core.document import Document, Text
from notifyflow.core.insight.message_log import LoggedMessage
from notifyflow.core.insight.schemas import IncidentSilenceDocument, IncidentSummaryDocument, NotificationDocument, values
from notifyflow.core.insight.views import IncidentLine


class ChainPlaceDocument(Document):
    """How far the chain of an open incident has come."""

    step: int = Field(description="The number of the last step that has begun.")
    steps: int = Field(description="How many steps it has.")
    next_at: datetime | None = Field(
        description="When the next step begins, or operations is told after the last; null if none is."
    )
    next: Annotated[list[str], BeforeValidator(list)] = Field(
        validation_alias="people", description="The ids of the people whom the next step would page now."
    )


class IncidentLineDocument(IncidentSummaryDocument):
    """One incident, and how many people it reached."""

    recipients: int = Field(description="How many recipients it has.")
    reached: int = Field(description="How many of them a page was sent or delivered to.")
    failed: int = Field(description="How many could not be reached on any channel.")
    critical: int = Field(description="How many are a critical failure.")
    failed_pages: int = Field(description="How many pages are FAILED.")
    chain: ChainPlaceDocument | None = Field(description="How far its chain has come; null without one, or if it is not OPEN.")
    silence: IncidentSilenceDocument | None = Field(description="The silence that holds or held it; null without one.")

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: object) -> object:
        return values(value, value.facts, value.counts) if isinstance(value, IncidentLine) else value


class MessageDocument(NotificationDocument):
    """One message of the message log: a notification with its attempts, its recipient and its incident."""

    incident_id: str
    namespace: str = Field(description="The incident's namespace.")
    key: str = Field(description="The incident's key.")
    title: str = Field(description="The incident's title.")
    severity: Severity
    created_at: datetime = Field(description="When it was queued.")
    recipient: str = Field(validation_alias="recipient_id", description="The recipient's id, or the subscriber's name.")
    recipient_name: str = Field(validation_alias="name")
    address: Annotated[Text, BeforeValidator(lambda value: value and text.masked(value))] = Field(
        description="The beginning of the address, and its length."
    )

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, value: object) -> object:
        return values(value.facts, value) if isinstance(value, LoggedMessage) else value


class FindingDocument(Document):
    """One finding of `notifyflow check`."""

    rule: str
    machine: str
    row: str = Field(validation_alias="row_id")
    incident_id: str
    what: str


class SetAsideDocument(Document):
    """A damaged row that is set aside, as `notifyflow status --broken` lists it."""

    machine: str
    row: str = Field(validation_alias="row_id")
    incident_id: str
    table: str = Field(validation_alias="relation")
    code: str
    what: str
    since: datetime = Field(validation_alias="at")
    until: datetime
    times: int
