"""The request schemas that the OpenAPI document publishes; fields are named like those of the values inside.

``core.intake.requests`` parses the requests and reports every fault. The schemas here are only published; a test keeps the two
in step.
"""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from notifyflow.core.intake import validation
from notifyflow.core.model import Severity

Who = Annotated[str, Field(max_length=validation.MAX_KEY)]


class RequestBody(BaseModel):
    """The body of a request: an unknown field is a fault, and null is the same as leaving a field out."""

    model_config = ConfigDict(extra="forbid")


class NewRecipient(RequestBody):
    """A recipient of an incident; an invalid address is reported as a fault, and everyone else is paged."""

    id: str = Field(description="The recipient's id; opaque, and written to logs.", min_length=1, max_length=validation.MAX_KEY)
    name: str | None = Field(None, description="The name used in messages; by default the id.")
    email: str | None = Field(None, description="A mail address.")
    phone: str | None = Field(None, description="A number in international form; gives `sms` and `voice`.")
    slack: str | None = Field(None, description="An incoming webhook's URL, or a channel or user id for the bot.")
    teams: str | None = Field(None, description="A Workflows URL.")
    push: str | None = Field(None, description="An SNS platform endpoint's ARN.")
    addresses: dict[str, str] | None = Field(None, description="Addresses of further channels: channel to address.")
    timezone: str | None = Field(None, description="An IANA name; by default UTC.")


class NewIncident(RequestBody):
    """An incident to notify about: the fields of an incident file (`notifyflow send`), and how to deliver it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "db-1",
                    "title": "orders db is down",
                    "severity": "CRITICAL",
                    "url": "https://grafana.example/d/orders",
                    "labels": {"team": "orders"},
                    "recipients": [{"id": "ada", "email": "ada@example.com", "phone": "+15005550006"}],
                }
            ]
        }
    )

    key: str = Field(
        description="The dedup key; it names one unresolved incident of the API key's namespace.",
        min_length=1,
        max_length=validation.MAX_KEY,
    )
    title: str = Field(description="One line.", min_length=1, max_length=validation.MAX_TITLE)
    body: str | None = Field(
        None,
        description="More lines, plain text; if left out, a repeated key keeps what is stored.",
        max_length=validation.MAX_BODY,
    )
    severity: Severity | None = Field(None, description="By default ERROR.")
    source: str | None = Field(
        None, description="What reported it; if left out, what is stored is kept.", max_length=validation.MAX_KEY
    )
    url: str | None = Field(
        None,
        description="A link, http or https; what is stored is kept if left out, removed if empty.",
        max_length=validation.MAX_URL,
    )
    labels: dict[str, str] | None = Field(
        None,
        description="Replaced as a whole; if left out, what is stored is kept.",
        max_length=validation.MAX_LABELS,
    )
    occurred_at: AwareDatetime | None = Field(None, description="When it happened; by default now.")
    recipients: list[NewRecipient] = Field(description="Whom to notify; at least one must be reachable.", min_length=1)
    policy: str | None = Field(None, description="The policy's name: `default`, `insistent`, or one of your own.")
    strict: bool | None = Field(None, description="Whether a fault of one recipient refuses the whole request.")


class ActRequest(RequestBody):
    """Who acknowledges or resolves."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "ada"}]})

    by: Who | None = Field(None, description="A recipient's id or any other name; by default the API key's name.")


class PageAgainRequest(ActRequest):
    """Which recipient to page again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"recipient": "ada"}]})

    recipient: str = Field(description="The recipient's id.")
