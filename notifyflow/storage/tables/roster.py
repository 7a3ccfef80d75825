"""The tables of the roster: the stored directory, calendars, overrides, hand-overs, feeds, and watched jobs."""

from typing import Any

from peewee import BooleanField, IntegerField

from notifyflow.core.oncall.schedules import Override
from notifyflow.core.oncall.watched_jobs import WatchedJob
from notifyflow.storage.tables.fields import (
    InstantField,
    NameListField,
    OnForget,
    PlainTextField,
    SequenceField,
    ShiftsField,
    TextsField,
    read_instant,
)
from notifyflow.storage.tables.table import Table


class RosterRow(Table):
    """The directory, and the digest of the whole roster; one row, locked while any part of the roster is changed."""

    one = IntegerField(primary_key=True)
    digest = PlainTextField()
    document = PlainTextField(null=True, forgotten_as=OnForget.TAKE_OUT)
    source = PlainTextField()
    changed_at = InstantField(null=True)
    stored_at = InstantField(null=True)


class CalendarRow(Table):
    """The calendar of a schedule, as last read; people appear as recipient ids."""

    schedule = PlainTextField(primary_key=True)
    source = PlainTextField()
    shifts = ShiftsField(null=True)
    etag = PlainTextField()
    last_modified = PlainTextField()
    fetched_at = InstantField(null=True)
    tried_at = InstantField(null=True)
    fault = PlainTextField()


class OverrideRow(Table, stores=Override):
    """A temporary change of a schedule's duty."""

    people = NameListField()
    cancelled_at = InstantField(null=True)
    cancelled_by = PlainTextField(null=True)


class HandOverRow(Table):
    """A hand-over that people were told about, or that concerned nobody; people appear as recipient ids."""

    schedule = PlainTextField()
    at = InstantField()
    before = NameListField()
    after = NameListField()
    until = InstantField(null=True)
    incident_id = PlainTextField()


class FeedRow(Table):
    """A feed of a calendar, without the token in its address."""

    id = PlainTextField(primary_key=True)
    digest = PlainTextField(forgotten_as=OnForget.DELETE_ROW)
    schedule = PlainTextField(null=True)
    recipient_id = PlainTextField(null=True)
    made_by = PlainTextField()
    made_at = InstantField()
    expires_at = InstantField(null=True)


class RunsField(TextsField):
    """The runs of a job that are under way: an id, and when it started."""

    def python_value(self, value: str | None) -> Any:
        """Read them; raise ``ValueError`` for what is no instant."""
        runs = super().python_value(value)
        for at in runs.values():
            read_instant(at)
        return runs


class PassedField(SequenceField):
    """The deadlines of a job that have passed: when its success was awaited first, and the deadline."""

    def python_value(self, value: str | None) -> Any:
        """Read them; raise ``ValueError`` for what is no pair of instants."""
        passed = super().python_value(value)
        for each in passed:
            began_at, ended_at = each.split(" ")
            read_instant(began_at)
            read_instant(ended_at)
        return passed


class WatchedJobRow(Table, stores=WatchedJob):
    """A watched job of the directory, with its last pings."""

    name = PlainTextField(primary_key=True)
    runs = RunsField()
    passed = PassedField()
    output = PlainTextField(forgotten_as="")


class AbsenceRow(Table):
    """A time in which no ping could be committed; the one row without an end begins at the last note of the web service."""

    began_at = InstantField()
    ended_at = InstantField(null=True)
    is_over = BooleanField()
