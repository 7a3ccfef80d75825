"""The tables of incidents: the rows of the state machines, their log, receipts, and notices to operations."""

from peewee import BigIntegerField, BooleanField, IntegerField

from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts, StepFacts, Transition
from notifyflow.core.delivery.model import Receipt, Severity
from notifyflow.core.intake.inbound_log import InboundEntry
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.storage.tables.fields import (
    EnumField,
    InstantField,
    KeyTextField,
    OnForget,
    PlainTextField,
    PreferenceField,
    TextsField,
    TransactionField,
    ValueField,
)
from notifyflow.storage.tables.table import Table

FORGOTTEN = "forgotten"
"""Replaces the name of a forgotten person, and an incident's title."""


class IncidentRow(Table, stores=IncidentFacts):
    """One incident: its facts and its latest content."""

    content_title = PlainTextField(forgotten_as=FORGOTTEN)
    content_body = PlainTextField(forgotten_as="")
    content_severity = EnumField(Severity)
    content_source = PlainTextField(forgotten_as="")
    content_url = PlainTextField(null=True, forgotten_as=None)
    content_labels = TextsField(forgotten_as={})
    content_occurred_at = InstantField(null=True)


class PolicyRow(Table):
    """A policy that incidents and escalations refer to; kept for a while after the last of them is deleted."""

    digest = PlainTextField(primary_key=True)
    document = PlainTextField()
    created_at = InstantField()
    unused_since = InstantField(null=True)


class ContactRow(Table):
    """One recipient of one incident."""

    incident_id = PlainTextField()
    recipient_id = PlainTextField()
    position = IntegerField()
    name = PlainTextField(forgotten_as=FORGOTTEN)
    addresses = TextsField(forgotten_as={})
    timezone = PlainTextField(forgotten_as="UTC")
    quiet = PlainTextField(null=True, forgotten_as=None)
    channels = PreferenceField(null=True, forgotten_as=None)


class StepRow(Table, stores=StepFacts):
    """One step of the chain of an incident, in one run."""


class StepContactRow(Table):
    """A recipient given with a step of an incident's chain, who becomes its contact when the step starts."""

    incident_id = PlainTextField()
    recipient_id = PlainTextField()
    name = PlainTextField(forgotten_as=FORGOTTEN)
    addresses = TextsField(forgotten_as={})
    timezone = PlainTextField(forgotten_as="UTC")
    quiet = PlainTextField(null=True, forgotten_as=None)
    channels = PreferenceField(null=True, forgotten_as=None)


class EscalationRow(Table, stores=EscalationFacts):
    """One incident to one recipient in one round."""

    is_quarantined = BooleanField()  # false unless adoption sets it


class NotificationRow(Table, stores=NotificationFacts, without={"attempts", "times_aside", "is_readable"}):
    """One escalation over one channel."""

    is_quarantined = BooleanField()  # false unless adoption sets it


class AttemptRow(Table, stores=AttemptFacts):
    """One call to a provider."""

    provider_ref = KeyTextField()
    times_polled = IntegerField(default=0)


class TransitionRow(Table, stores=Transition):
    """One line of the transition log, numbered by the database."""

    id = BigIntegerField()
    incident_id = PlainTextField()
    xid = TransactionField(null=True)  # the database's; SQLite has none


class ReceiptRow(Table, stores=Receipt):
    """One event of a provider, in the inbox."""

    event_id = KeyTextField()
    provider_ref = KeyTextField(null=True)
    received_at = InstantField()
    state = PlainTextField()
    matched_attempt_id = PlainTextField(null=True)
    body = PlainTextField(forgotten_as="")


class InboundEntryRow(Table, stores=InboundEntry):
    """Requests of one kind that came through an integration about one incident."""

    why = PlainTextField()


class CriticalRow(Table):
    """A critical failure, linked to its operations incident; one for each escalation."""

    escalation_id = PlainTextField(primary_key=True)
    operations_incident_id = PlainTextField()
    reason = PlainTextField()
    at = InstantField()
    is_paging = BooleanField()
    path = PlainTextField()
    is_deferred = BooleanField(default=False)
    is_counted = BooleanField()
    is_reported = BooleanField(default=False)
    is_rolled_up = BooleanField(default=False)


class NoticeRow(Table):
    """A notice to operations, once a day for each reason and provider."""

    reason = PlainTextField()
    provider = PlainTextField()
    day = PlainTextField()
    at = InstantField()
    is_counted = BooleanField()
    is_reported = BooleanField(default=False)


class OutboxRow(Table):
    """A submission stored in the application's transaction, until the first sweep after its commit.

    Either its incident is new and stored, and nobody is paged yet; or the submission repeats the key of an unresolved incident.
    """

    id = PlainTextField(primary_key=True)
    incident_id = PlainTextField()
    policy = PlainTextField()
    submission = ValueField(CheckedIncident, null=True, forgotten_as=OnForget.KEEP)  # usually for a second
