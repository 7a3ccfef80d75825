"""The tables, as Peewee sees them: columns are named as the fields of the facts they keep, so that rows and facts map by name.

The models are bound to no database; every query says where it runs. Tables are made by the migrations, not from here, and a
test holds the two together. What is personal stands in columns of its own and is marked so.
"""

from peewee import BigIntegerField, BooleanField, FloatField, IntegerField, Model

from notifyflow.core.model import (
    AttemptState,
    Ended,
    EscalationState,
    Evidence,
    Hold,
    IncidentState,
    Kind,
    NotificationState,
    Severity,
    Word,
)
from notifyflow.core.pauses import Scope
from notifyflow.storage.fields import (
    ChangeField,
    EnumField,
    InstantField,
    KeyTextField,
    NotifiedField,
    PlainTextField,
    PolicyField,
    ScopesField,
    SlicesField,
    TextsField,
)


class IncidentRow(Model):
    """One incident: its facts, and what was said last (personal)."""

    id = PlainTextField(primary_key=True)
    key = PlainTextField()
    state = EnumField(IncidentState)
    version = IntegerField()
    severity = EnumField(Severity)
    policy = PolicyField()
    is_operations = BooleanField()
    opened_at = InstantField()
    last_seen_at = InstantField()
    times_seen = IntegerField()
    round_at = InstantField(null=True)
    rounds = IntegerField()
    acknowledged_at = InstantField(null=True)
    acknowledged_by = PlainTextField()
    acknowledged_via = PlainTextField()
    resolved_at = InstantField(null=True)
    resolved_by = PlainTextField()
    said_title = PlainTextField()
    said_body = PlainTextField()
    said_severity = EnumField(Severity)
    said_source = PlainTextField()
    said_url = PlainTextField(null=True)
    said_labels = TextsField()
    said_occurred_at = InstantField(null=True)

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_incident"


class ContactRow(Model):
    """One recipient of one incident (personal: name, addresses)."""

    incident_id = PlainTextField()
    recipient_id = PlainTextField()
    position = IntegerField()
    name = PlainTextField()
    addresses = TextsField()
    timezone = PlainTextField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_contact"
        primary_key = False


class EscalationRow(Model):
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
    look_at = InstantField(null=True)
    critical_at = InstantField(null=True)
    is_current = BooleanField()
    reason = PlainTextField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_escalation"


class NotificationRow(Model):
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
    held_since = InstantField(null=True)
    held_by = EnumField(Hold, null=True)
    ended = EnumField(Ended, null=True)
    ended_at = InstantField(null=True)
    is_stopped = BooleanField()
    reason = PlainTextField()
    change = ChangeField(null=True)

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_notification"


class AttemptRow(Model):
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
    word = EnumField(Word, null=True)
    evidence = EnumField(Evidence, null=True)
    is_doubted = BooleanField()
    is_our_fault = BooleanField()
    code = PlainTextField()
    reason = PlainTextField()
    provider_ref = KeyTextField()
    retry_after_s = FloatField(null=True)
    receipt_due_at = InstantField(null=True)
    times_asked = IntegerField(default=0)

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_attempt"


class TransitionRow(Model):
    """One line of the transition log; the database numbers them."""

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

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_transition"
        primary_key = False


class ReceiptRow(Model):
    """One event of a provider, in the inbox (personal: body)."""

    provider = PlainTextField()
    event_id = KeyTextField()
    word = EnumField(Word, null=True)
    attempt_id = PlainTextField(null=True)
    provider_ref = KeyTextField(null=True)
    evidence = EnumField(Evidence, null=True)
    code = PlainTextField()
    reason = PlainTextField()
    is_acknowledgement = BooleanField()
    is_heard = BooleanField()
    received_at = InstantField()
    standing = PlainTextField()
    matched_attempt_id = PlainTextField(null=True)
    body = PlainTextField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_receipt"
        primary_key = False


class CriticalRow(Model):
    """The link from a critical failure to its operations incident, once an escalation."""

    escalation_id = PlainTextField(primary_key=True)
    operations_incident_id = PlainTextField()
    reason = PlainTextField()
    at = InstantField()
    is_counted = BooleanField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_critical"


class NoticeRow(Model):
    """What else operations is told: once a day per reason and provider."""

    reason = PlainTextField()
    provider = PlainTextField()
    day = PlainTextField()
    at = InstantField()
    is_counted = BooleanField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_notice"
        primary_key = False


class CarrierRow(Model):
    """One provider on one channel: what it was given lately, and whether it rests."""

    channel = PlainTextField()
    provider = PlainTextField()
    version = IntegerField()
    spent = SlicesField()
    narrowed_until = InstantField(null=True)
    failures = IntegerField()
    shut_by = EnumField(Hold, null=True)
    shut_until = InstantField(null=True)
    times_shut = IntegerField()
    probe_until = InstantField(null=True)

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_carrier"
        primary_key = False


class PauseRow(Model):
    """What is paused, until when, by whom."""

    scope = EnumField(Scope)
    name = PlainTextField()
    ends_at = InstantField()
    paused_at = InstantField()
    paused_by = PlainTextField()
    is_for_critical = BooleanField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_pause"
        primary_key = False


class OutageRow(Model):
    """One time in which nobody swept; the row that is not over begins at the last sweep."""

    began_at = InstantField()
    ended_at = InstantField(null=True)
    is_over = BooleanField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_outage"
        primary_key = False


class HeartbeatRow(Model):
    """When the heartbeat was sent last; one row."""

    name = PlainTextField(primary_key=True)
    at = InstantField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_heartbeat"


class ApiKeyRow(Model):
    """One API key, without its secret."""

    id = PlainTextField(primary_key=True)
    name = PlainTextField()
    scopes = ScopesField()
    digest = PlainTextField()
    created_at = InstantField()
    expires_at = InstantField(null=True)
    revoked_at = InstantField(null=True)
    last_used_at = InstantField(null=True)

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_api_key"


class AnswerRow(Model):
    """What a request with an idempotency key was answered, until it expires."""

    api_key_id = PlainTextField()
    idempotency_key = PlainTextField()
    fingerprint = PlainTextField()
    notified = NotifiedField()
    expires_at = InstantField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_answer"
        primary_key = False


class CodeRow(Model):
    """By which short code somebody acknowledges an incident in a text message (personal: address)."""

    address = PlainTextField()
    code = PlainTextField()
    incident_id = PlainTextField()
    recipient_id = PlainTextField()
    is_shown = BooleanField()
    given_at = InstantField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_code"
        primary_key = False


class OptOutRow(Model):
    """A number of ours that may not text a number of theirs any more (personal: theirs)."""

    ours = PlainTextField()
    theirs = KeyTextField()
    at = InstantField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_opt_out"
        primary_key = False


class EnvironmentRow(Model):
    """Which environment the database belongs to; one row, or none while nobody has said."""

    one = IntegerField(primary_key=True)
    name = PlainTextField()
    since = InstantField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_environment"


class HeldRow(Model):
    """An incident that was unfinished when its database was adopted; nothing of it is sent."""

    incident_id = PlainTextField(primary_key=True)
    held_at = InstantField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_held"


class SpentRow(Model):
    """How many calls or texts somebody, or a prefix of numbers, was given in an hour."""

    channel = PlainTextField()
    scope = PlainTextField()
    hour = InstantField()
    count = IntegerField()

    class Meta:
        """Where it stands."""

        table_name = "notifyflow_spent"
        primary_key = False
