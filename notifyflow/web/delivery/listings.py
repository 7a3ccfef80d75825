"""The lists of the REST API: which entries a request asks for, and what of it a caller's key reaches."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from notifyflow.core.accounts.keys import ApiKey
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


class RecipientListing(Listing):
    """The recipients to list."""

    namespace: KnownIn = None

    @property
    def mark(self) -> object:
        """The filters, which a cursor belongs to."""
        return "recipients", self.namespace


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

    def filter(self, caller: ApiKey) -> IncidentFilter:
        """Return the filter, narrowed to the namespaces that the caller's key reaches."""
        return IncidentFilter(
            states=frozenset(self.state),
            severities=frozenset(self.severity),
            key=self.key,
            namespaces=reached(caller, self.namespace),
            labels=frozenset((name, value) for name, _, value in (each.partition(":") for each in self.label)),
            recipient_id=self.recipient,
            text=self.text,
            since=self.since,
            until=self.until,
        )

    @property
    def mark(self) -> object:
        """The filters, which a cursor belongs to."""
        sets = sorted(set(self.state)), sorted(set(self.severity)), sorted(set(self.label))
        return *sets, self.namespace, self.key, self.recipient, self.text, self.since, self.until


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

    def filter(self, caller: ApiKey) -> MessageFilter:
        """Return the filter, narrowed to the namespaces that the caller's key reaches."""
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
            namespaces=reached(caller, self.namespace),
        )

    @property
    def mark(self) -> object:
        """The filters, which a cursor belongs to."""
        sets = (sorted(set(some)) for some in (self.state, self.channel, self.provider, self.evidence))
        texts = self.provider_ref, self.recipient, self.key, self.text, self.since, self.until, self.namespace
        return "messages", *sets, *texts


def reached(caller: ApiKey, namespace: str | None) -> frozenset[str] | None:
    """Return the namespaces that are both requested and reached by the key; None for all."""
    if namespace is None:
        return None if caller.only is None else frozenset({caller.only})
    return frozenset({namespace}) if caller.reaches(namespace) else frozenset()
