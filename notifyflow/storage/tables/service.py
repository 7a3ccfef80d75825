"""The tables beside incidents: provider health, pauses, silences, outages, API keys, users, stored responses, the environment."""

from peewee import BigIntegerField, BooleanField, IntegerField

from notifyflow.core.accounts.keys import ApiKey
from notifyflow.core.accounts.users import User
from notifyflow.core.delivery.model import Notified, Severity
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.limits.lanes import Lane
from notifyflow.core.limits.pauses import Pause
from notifyflow.core.limits.provider_health import ProviderHealth
from notifyflow.core.limits.silences import Silence, SilencedInterval
from notifyflow.storage.tables.fields import (
    EnumField,
    InstantField,
    InstantsField,
    KeyTextField,
    OnForget,
    PlainTextField,
    ValueField,
)
from notifyflow.storage.tables.table import Table


class LaneRow(Table, stores=Lane):
    """The state of one lane that has had a storm."""


class ProviderHealthRow(Table, stores=ProviderHealth):
    """The health of one provider on one channel: its recent slots and its circuit."""


class PauseRow(Table, stores=Pause):
    """A pause: its scope, its end, its author."""


class PausedIntervalRow(Table):
    """A past interval in which clocks were paused: a pause, or the quarantine of an incident."""

    scope = PlainTextField()
    name = PlainTextField()
    began_at = InstantField()
    ended_at = InstantField()
    is_for_critical = BooleanField()


class SilenceRow(Table, stores=Silence):
    """A silence: what it covers, its times, its author and reason, and how far it is carried out."""


class SilencedIncidentRow(Table, stores=SilencedInterval):
    """The time in which a silence holds, or held, one incident."""


class OutageRow(Table):
    """A period without sweeps; the one row without an end begins at the last sweep."""

    began_at = InstantField()
    ended_at = InstantField(null=True)
    is_over = BooleanField()


class HeartbeatRow(Table):
    """When the last heartbeat was sent; one row."""

    name = PlainTextField(primary_key=True)
    at = InstantField()


class ApiKeyRow(Table, stores=ApiKey):
    """One API key, without its secret."""


class UserRow(Table, stores=User):
    """A user of the dashboard."""

    name = PlainTextField(forgotten_as=OnForget.DELETE_ROW)


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
    """The code by which a reply to a text message acknowledges an incident, or those of a bundle."""

    number = PlainTextField(forgotten_as=OnForget.DELETE_ROW)
    code = PlainTextField()
    incident_id = PlainTextField()  # empty for a bundle
    recipient_id = PlainTextField()
    severity = EnumField(Severity)  # that the text showed
    sent_with = PlainTextField()  # the attempt that made the call with the bundle; empty for an incident
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


class SetAsideRow(Table, stores=SetAside):
    """A damaged row that is left alone for some minutes."""

    row_id = PlainTextField(primary_key=True)
    is_aside = BooleanField()
    is_counted = BooleanField()
    is_reported = BooleanField()


class FairQueueRow(Table):
    """How many rows a namespace was served on a channel, counted separately for CRITICAL and everything else."""

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
