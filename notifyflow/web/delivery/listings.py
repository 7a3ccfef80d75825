"""The queries of the lists of incidents, messages and recipients, narrowed to the namespaces that their senders see."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from notifyflow.core.delivery.model import Evidence, IncidentState, NotificationState, Severity
from notifyflow.core.insight.message_log import MessageFilter
from notifyflow.core.insight.views import IncidentFilter
from notifyflow.web.frame.schemas import Bound

KnownIn = Annotated[
    str | None,
    Query(max_length=255, description="Only as known in this namespace; an empty value means the empty namespace."),
]


class Listing(BaseModel):
    """The part of a list to return."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="The largest number of entries to return.")
    cursor: str | None = Field(None, max_length=2000, description="The `next_cursor` of the previous page.")

    @property
    def mark(self) -> object:
        """The filters, which a cursor belongs to; the same in every process."""
        filters = self.model_dump(exclude={"limit", "cursor"})
        alike = [(name, sorted(set(value)) if isinstance(value, list) else value) for name, value in filters.items()]
        return type(self).__name__, alike


class HeartbeatListing(Listing):
    """The watched jobs to list."""


class RecipientListing(Listing):
    """The recipients to list."""

    namespace: KnownIn = None


class IncidentListing(Listing):
    """The incidents to list: those that match all filters."""

    state: list[IncidentState] = Field([], description="Incidents in any of these states.")
    severity: list[Severity] = Field([], description="Incidents of any of these severities.")
    namespace: str | None = Field(
        None, max_length=255, description="Incidents in this namespace; an empty value means the empty namespace."
    )
    key: str | None = Field(None, max_length=255, description="Incidents with this key.")
    label: list[Annotated[str, Field(pattern="^[^:]+:")]] = Field(
        [], max_length=50, description="Incidents with all of these labels, as `name:value`."
    )
    recipient: str | None = Field(None, max_length=255, description="Incidents with this recipient, by id.")
    text: str = Field("", max_length=255, description="Incidents whose title, key or source contains this text.")
    since: Bound | None = Field(None, description="Incidents that were opened at this time or later.")
    until: Bound | None = Field(None, description="Incidents that were opened before this time.")

    def filter(self, namespaces: frozenset[str] | None) -> IncidentFilter:
        """Return the filter, narrowed to the namespaces that its sender sees; None for all."""
        return IncidentFilter(
            states=frozenset(self.state),
            severities=frozenset(self.severity),
            key=self.key,
            namespaces=narrowed(namespaces, self.namespace),
            labels=frozenset((name, value) for name, _, value in (each.partition(":") for each in self.label)),
            recipient_id=self.recipient,
            text=self.text,
            since=self.since,
            until=self.until,
        )


class MessageListing(Listing):
    """The messages to list: those that match all filters."""

    state: list[NotificationState] = Field([], description="Notifications in any of these states.")
    channel: list[str] = Field([], max_length=50, description="Notifications on any of these channels.")
    provider: list[str] = Field([], max_length=50, description="Notifications with an attempt at any of these providers.")
    evidence: list[Evidence] = Field([], description="Notifications for an attempt of which any of these vouches.")
    provider_ref: str = Field("", max_length=255, description="The notification with this id at its provider.")
    recipient: str = Field("", max_length=255, description="Notifications for this recipient, by id.")
    key: str = Field("", max_length=255, description="Notifications of incidents with this key.")
    text: str = Field("", max_length=255, description="Notifications with this code, or whose reason contains this text.")
    since: Bound | None = Field(None, description="Notifications that were queued at this time or later.")
    until: Bound | None = Field(None, description="Notifications that were queued before this time.")
    namespace: str | None = Field(
        None, max_length=255, description="Notifications in this namespace; an empty value means the empty namespace."
    )

    def filter(self, namespaces: frozenset[str] | None) -> MessageFilter:
        """Return the filter, narrowed to the namespaces that its sender sees; None for all."""
        return MessageFilter(
            states=frozenset(self.state),
            channels=frozenset(self.channel),
            providers=frozenset(self.provider),
            evidence=frozenset(self.evidence),
            provider_ref=self.provider_ref,
            recipient_id=self.recipient,
            key=self.key,
            text=self.text,
            since=self.since,
            until=self.until,
            namespaces=narrowed(namespaces, self.namespace),
        )


def narrowed(namespaces: frozenset[str] | None, to: str | None) -> frozenset[str] | None:
    """Return namespaces, narrowed to one if it is given; None stands for all."""
    if to is None:
        return namespaces
    return frozenset({to}) if namespaces is None or to in namespaces else frozenset()
