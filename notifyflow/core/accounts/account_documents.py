"""The JSON documents of who may use the web service: users and API keys, without the hashes of their secrets."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

from notifyflow.core.document import Document


class UserDocument(Document):
    """A user of the dashboard, without the hash of their password."""

    id: str
    name: str
    role: str
    namespaces: Annotated[list[str] | None, BeforeValidator(lambda names: names if names is None else sorted(names))]
    recipient: str | None = Field(validation_alias="recipient_id")
    created_at: datetime
    disabled_at: datetime | None
    logged_in_at: datetime | None


class ApiKeyDocument(Document):
    """An API key, without its hash."""

    id: str
    name: str
    namespace: str
    scopes: Annotated[list[str], BeforeValidator(sorted)]
    heartbeat: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
