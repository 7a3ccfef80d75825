"""The tables beside incidents: provider health, pauses, outages, API keys, users, stored responses, the environment."""

from peewee import BigIntegerField, BooleanField, IntegerField

from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.model import DeferralReason, Notified
from notifyflow.core.limits.pauses import Scope
from notifyflow.storage.tables.fields import (
    EnumField,
    InstantField,
    InstantsField,
    KeyTextField,
    NamesField,
    OnForget,
    PlainTextField,
    ScopesField,
    SlicesField,
    TakenField,
    ValueField,
)
from notifyflow.storage.tables.table import Table


class ProviderHealthRow(Table):
    """The health of one provider on one channel: its recent slots and its circuit."""

    channel = PlainTextField()
    provider = PlainTextField()
    version = IntegerField()
    spent = SlicesField()
    throttled_until = InstantField(null=True)
    failures = IntegerField()
    circuit_opened_by = EnumField(DeferralReason, null=True)
    circuit_open_until = InstantField(null=True)
    times_opened = IntegerField()
    probe_until = InstantField(null=True)
    taken = TakenField()


class PauseRow(Table):
    """A pause: its scope, its end, its author."""

    scope = EnumField(Scope)
    name = PlainTextField()
    ends_at = InstantField()
    paused_at = InstantField()
    paused_by = PlainTextField()
    is_for_critical = BooleanField()


class StopRow(Table):
    """A past stop by an operator: a pause, or the quarantine of an incident."""

    scope = PlainTextField()
    name = PlainTextField()
    began_at = InstantField()
    ended_at = InstantField()
    is_for_critical = BooleanField()


class OutageRow(Table):
    """A period without sweeps; the one row without an end begins at the last sweep."""

    began_at = InstantField()
    ended_at = InstantField(null=True)
    is_over = BooleanField()


class HeartbeatRow(Table):
    """When the last heartbeat was sent; one row."""

    name = PlainTextField(primary_key=True)
    at = InstantField()


class ApiKeyRow(Table):
    """One API key, without its secret."""

    id = PlainTextField(primary_key=True)
    name = PlainTextField()
    namespace = PlainTextField()
    scopes = ScopesField()
    digest = PlainTextField()
    created_at = InstantField()
    expires_at = InstantField(null=True)
    revoked_at = InstantField(null=True)
    last_used_at = InstantField(null=True)


class UserRow(Table):
    """A user of the dashboard."""

    id = PlainTextField(primary_key=True)
    name = PlainTextField(forgotten_as=OnForget.DELETE_ROW)
    role = EnumField(Role)
    namespaces = NamesField(null=True)
    recipient_id = PlainTextField(null=True)
    password = PlainTextField(null=True)
    created_at = InstantField()
    disabled_at = InstantField(null=True)
    logged_in_at = InstantField(null=True)


class SessionRow(Table):
    """A browser in which a user is logged in, without its token."""

    digest = PlainTextField(primary_key=True)
    user_id = PlainTextField()
    created_at = InstantField()
    used_at = InstantField()


class SetupRow(Table):
    """A link that makes the first user, without its token."""

    digest = PlainTextField(primary_key=True)
    expires_at = InstantField()


class IdempotentResponseRow(Table):
    """The response to a request with an idempotency key, until it expires."""

    api_key_id = PlainTextField()
    idempotency_key = PlainTextField()
    fingerprint = PlainTextField()
    notified = ValueField(Notified, forgotten_as=OnForget.KEEP)  # the row expires within a day
    expires_at = InstantField()


class ReplyCodeRow(Table):
    """The code by which a reply to a text message acknowledges an incident."""

    number = PlainTextField(forgotten_as=OnForget.DELETE_ROW)
    code = PlainTextField()
    incident_id = PlainTextField()
    recipient_id = PlainTextField()
    is_shown = BooleanField()
    issued_at = InstantField()


class OptOutRow(Table):
    """A number that may no longer be texted from one of our numbers."""

    our_number = PlainTextField()
    number = KeyTextField(forgotten_as=OnForget.KEEP)  # a number that said STOP is not texted again
    at = InstantField()


class NumberRow(Table):
    """A number that was sent texts or responses."""

    number = KeyTextField(primary_key=True, forgotten_as=OnForget.DELETE_ROW)
    recipient_id = PlainTextField()
    texted_at = InstantField()
    responded_at = InstantsField()


class EnvironmentRow(Table):
    """The environment the database belongs to; no row until it is set."""

    one = IntegerField(primary_key=True)
    name = PlainTextField()
    since = InstantField()


class QuarantineRow(Table):
    """An incident that was unfinished when its database was adopted; its notifications are not sent."""

    incident_id = PlainTextField(primary_key=True)
    quarantined_at = InstantField()


class SetAsideRow(Table):
    """A damaged row that is left alone for some minutes."""

    row_id = PlainTextField(primary_key=True)
    machine = PlainTextField()
    incident_id = PlainTextField()
    escalation_id = PlainTextField()
    severity = PlainTextField()
    relation = PlainTextField()
    code = PlainTextField()
    what = PlainTextField()
    at = InstantField()
    until = InstantField()
    times = IntegerField()
    is_aside = BooleanField()
    is_paging = BooleanField()
    is_counted = BooleanField()
    is_reported = BooleanField()


class TurnRow(Table):
    """The turns a namespace has had on a channel, counted separately for CRITICAL and everything else."""

    channel = PlainTextField()
    is_urgent = BooleanField()
    namespace = PlainTextField()
    served = BigIntegerField()


class SpentRow(Table):
    """The calls or texts to an address, or to a prefix of numbers, in one hour."""

    channel = PlainTextField()
    scope = PlainTextField()
    hour = InstantField()
    count = IntegerField()
