"""What the API takes, as the OpenAPI document publishes it; names are those of the values inside.

It is read by ``core.requests``, which says everything that is wrong; the shapes of it stand here to be published, and a test
holds the two together.
"""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from notifyflow.core.intake import validation
from notifyflow.core.model import Severity

Who = Annotated[str, Field(max_length=validation.MAX_KEY)]


class Taken(BaseModel):
    """What is taken: a field that is not here is a fault, and null is as good as leaving a field out."""

    model_config = ConfigDict(extra="forbid")


class RecipientShape(Taken):
    """Whom to tell; a bad address is a fault of its own, and silences nobody else."""

    model_config = ConfigDict(title="Recipient")

    id: str = Field(description="Who it is; opaque, and stands in logs.", min_length=1, max_length=validation.MAX_KEY)
    name: str | None = Field(None, description="How messages speak of them; the id where it is left out.")
    email: str | None = Field(None, description="A mail address.")
    phone: str | None = Field(None, description="A number in international form; gives `sms` and `voice`.")
    slack: str | None = Field(None, description="An incoming webhook's URL, or a channel or user id for the bot.")
    teams: str | None = Field(None, description="A Workflows URL.")
    push: str | None = Field(None, description="An SNS platform endpoint's ARN.")
    addresses: dict[str, str] | None = Field(None, description="Addresses of further channels: channel to address.")
    timezone: str | None = Field(None, description="IANA name; UTC where it is left out.")


class NewIncident(Taken):
    """An incident to be taken: an incident file, as `notifyflow send` takes it, and how it is to be told."""

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
        description="More lines, plain text; the same key again keeps them where they are left out.",
        max_length=validation.MAX_BODY,
    )
    severity: Severity | None = Field(None, description="How bad it is; ERROR where it is left out.")
    source: str | None = Field(None, description="What reported it; kept where it is left out.", max_length=validation.MAX_KEY)
    url: str | None = Field(
        None,
        description="Where to look, http or https; kept where it is left out, removed by an empty text.",
        max_length=validation.MAX_URL,
    )
    labels: dict[str, str] | None = Field(
        None, description="Free facts; kept where they are left out, replaced as a whole.", max_length=validation.MAX_LABELS
    )
    occurred_at: AwareDatetime | None = Field(None, description="When it happened; now where it is left out.")
    recipients: list[RecipientShape] = Field(description="Who has to be told; at least one that can be reached.", min_length=1)
    policy: str | None = Field(None, description="How: `default`, `insistent`, or one of your own.")
    strict: bool | None = Field(None, description="Whether a fault of one recipient refuses the whole.")


class ActShape(Taken):
    """Who acknowledges or resolves."""

    model_config = ConfigDict(title="Act", json_schema_extra={"examples": [{"by": "ada"}]})

    by: Who | None = Field(None, description="A recipient's id, or any other name; the API key's name where it is left out.")


class PageShape(ActShape):
    """Who is to be paged again."""

    model_config = ConfigDict(title="Page", json_schema_extra={"examples": [{"recipient": "ada"}]})

    recipient: str = Field(description="The recipient's id.")
