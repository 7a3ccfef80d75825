"""The tables of incidents: the rows of the state machines, their log, receipts, and notices to operations."""

from peewee import BigIntegerField, BooleanField, FloatField, IntegerField

from notifyflow.core.delivery.incident_events import IncidentEvent
from notifyflow.core.delivery.model import (
    AttemptState,
    DeferralReason,
    Ended,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
    StepState,
    Via,
)
from notifyflow.core.delivery.series_carried import Carried, Series
from notifyflow.core.intake.arrivals import Did
from notifyflow.core.intake.validation import Admitted
from notifyflow.storage.tables.fields import (
    DurationField,
    EnumField,
    InstantField,
    KeyTextField,
    OnForget,
    PlainTextField,
    PolicyField,
    PreferenceField,
    SequenceField,
    TextsField,
    TransactionField,
    ValueField,
)
from notifyflow.storage.tables.table import Table

FORGOTTEN = "forgotten"
"""Replaces the name of a forgotten person, and an incident's title."""


class IncidentRow(Table):
    """One incident: its facts and its latest content."""

    id = PlainTextField(primary_key=True)
    namespace = PlainTextField()
    key = PlainTextField()
    state = EnumField(IncidentState)
    version = IntegerField()
    severity = EnumField(Severity)
    policy = PolicyField()
    pass_number = IntegerField()
    is_operations = BooleanField()
    opened_at = InstantField()
    last_seen_at = InstantField()
    times_seen = IntegerField()
    round_at = InstantField(null=True)
    acknowledged_at = InstantField(null=True)
    acknowledged_by = PlainTextField()
    acknowledged_via = PlainTextField()
    resolved_at = InstantField(null=True)
    resolved_by = PlainTextField()
    series = ValueField(Series, null=True)
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


class StepRow(Table):
    """One step of the chain of an incident, in one pass."""

    id = PlainTextField(primary_key=True)
    incident_id = PlainTextField()
    pass_number = IntegerField()
    number = IntegerField()
    to = SequenceField()
    after = DurationField()
    state = EnumField(StepState)
    version = IntegerField()
    waits_since = InstantField(null=True)
    waited = DurationField()
    due_at = InstantField(null=True)
    started_at = InstantField(null=True)
    duty = SequenceField()
    reason = PlainTextField()


class StepContactRow(Table):
    """A recipient given with a step of an incident's chain, who becomes its contact when the step starts."""

    incident_id = PlainTextField()
    recipient_id = PlainTextField()
    name = PlainTextField(forgotten_as=FORGOTTEN)
    addresses = TextsField(forgotten_as={})
    timezone = PlainTextField(forgotten_as="UTC")
    quiet = PlainTextField(null=True, forgotten_as=None)
    channels = PreferenceField(null=True, forgotten_as=None)


class EscalationRow(Table):
    """One incident to one recipient in one round."""

    id = PlainTextField(primary_key=True)
    incident_id = PlainTextField()
    recipient_id = PlainTextField()
    round = IntegerField()
    state = EnumField(EscalationState)
    version = IntegerField()
    tier = IntegerField()
    severity = EnumField(Severity)
    policy = PolicyField()
    started_at = InstantField()
    next_decision_at = InstantField(null=True)
    next_round_at = InstantField(null=True)
    repetition = IntegerField()
    critical_at = InstantField(null=True)
    alerted_at = InstantField(null=True)
    held_up_at = InstantField(null=True)
    told_at = InstantField(null=True)
    is_current = BooleanField()
    reason = PlainTextField()
    needs_arrival = BooleanField()
    readdressed_at = InstantField(null=True)
    readdress_at = InstantField(null=True)
    carried = ValueField(Carried, null=True)
    is_quarantined = BooleanField()  # false unless adoption sets it


class NotificationRow(Table):
    """One escalation over one channel."""

    id = PlainTextField(primary_key=True)
    incident_id = PlainTextField()
    escalation_id = PlainTextField()
    channel = PlainTextField()
    kind = EnumField(Kind)
    tier = IntegerField(null=True)
    state = EnumField(NotificationState)
    version = IntegerField()
    severity = EnumField(Severity)
    max_attempts = IntegerField()
    created_at = InstantField()
    due_at = InstantField(null=True)
    rung_at = InstantField(null=True)
    deferred_since = InstantField(null=True)
    deferred_by = EnumField(DeferralReason, null=True)
    paused_since = InstantField(null=True)
    paused_until = InstantField(null=True)
    ended = EnumField(Ended, null=True)
    ended_at = InstantField(null=True)
    namespace = PlainTextField()
    is_stopped = BooleanField()
    reason = PlainTextField()
    incident_event = ValueField(IncidentEvent, null=True)
    is_quarantined = BooleanField()  # false unless adoption sets it


class AttemptRow(Table):
    """One call to a provider."""

    id = PlainTextField(primary_key=True)
    notification_id = PlainTextField()
    number = IntegerField()
    provider = PlainTextField()
    token = PlainTextField()
    state = EnumField(AttemptState)
    started_at = InstantField()
    lease_until = InstantField()
    ended_at = InstantField(null=True)
    result = EnumField(Result, null=True)
    evidence = EnumField(Evidence, null=True)
    is_doubted = BooleanField()
    is_our_fault = BooleanField()
    code = PlainTextField()
    reason = PlainTextField()
    provider_ref = KeyTextField()
    retry_after_s = FloatField(null=True)
    receipt_due_at = InstantField(null=True)
    unproven_at = InstantField(null=True)
    took_s = FloatField(null=True)
    carried_by = PlainTextField(null=True)
    times_polled = IntegerField(default=0)


class TransitionRow(Table):
    """One line of the transition log, numbered by the database."""

    id = BigIntegerField()
    incident_id = PlainTextField()
    machine = PlainTextField()
    row_id = PlainTextField()
    version = IntegerField()
    event = PlainTextField()
    source = PlainTextField()
    target = PlainTextField()
    at = InstantField()
    detail = TextsField()
    xid = TransactionField(null=True)  # the database's; SQLite has none


class ReceiptRow(Table):
    """One event of a provider, in the inbox."""

    provider = PlainTextField()
    event_id = KeyTextField()
    result = EnumField(Result, null=True)
    attempt_id = PlainTextField(null=True)
    provider_ref = KeyTextField(null=True)
    evidence = EnumField(Evidence, null=True)
    code = PlainTextField()
    reason = PlainTextField()
    is_acknowledgement = BooleanField()
    is_key_press = BooleanField()
    is_our_fault = BooleanField()
    is_general = BooleanField()
    is_fetched = BooleanField()
    received_at = InstantField()
    state = PlainTextField()
    matched_attempt_id = PlainTextField(null=True)
    body = PlainTextField(forgotten_as="")


class ArrivalRow(Table):
    """Requests of one kind that came through an integration about one incident."""

    incident_id = PlainTextField()
    integration = EnumField(Via)
    api_key = PlainTextField()
    route = PlainTextField()
    did = EnumField(Did)
    why = PlainTextField()
    left_out = PlainTextField()
    first_at = InstantField()
    last_at = InstantField()
    times = IntegerField()


class CriticalRow(Table):
    """A critical failure, linked to its operations incident; one for each escalation."""

    escalation_id = PlainTextField(primary_key=True)
    operations_incident_id = PlainTextField()
    reason = PlainTextField()
    at = InstantField()
    is_paging = BooleanField()
    path = PlainTextField()
    is_counted = BooleanField()
    is_told = BooleanField(default=False)
    is_folded = BooleanField(default=False)


class NoticeRow(Table):
    """A notice to operations, once a day for each reason and provider."""

    reason = PlainTextField()
    provider = PlainTextField()
    day = PlainTextField()
    at = InstantField()
    is_counted = BooleanField()
    is_told = BooleanField(default=False)


class OutboxRow(Table):
    """A submission stored in the application's transaction, until the first sweep after its commit.

    Either its incident is new and stored, and nobody is paged yet; or the submission repeats the key of an unresolved incident.
    """

    id = PlainTextField(primary_key=True)
    incident_id = PlainTextField()
    policy = PlainTextField()
    submission = ValueField(Admitted, null=True, forgotten_as=OnForget.KEEP)  # usually for a second
