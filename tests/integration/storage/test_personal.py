"""Every column of text is marked as personal, or named here as one that holds nothing personal."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from peewee import Model

from notifyflow.storage import tables
from notifyflow.storage.tables.fields import MarkedField, OnForget
from notifyflow.storage.upkeep.forgetting import marks

MODELS = [getattr(tables, name) for name in tables.__all__]
OPAQUE: Mapping[type[Model], str] = {
    tables.IncidentRow: "id namespace key policy acknowledged_by acknowledged_via resolved_by series",
    tables.PolicyRow: "digest document",
    tables.ContactRow: "incident_id recipient_id",
    tables.StepRow: "id incident_id to after waited paged reason",
    tables.StepContactRow: "incident_id recipient_id",
    tables.EscalationRow: "id incident_id recipient_id policy reason carried",
    tables.NotificationRow: "id incident_id escalation_id channel namespace lane reason incident_event",
    tables.AttemptRow: "id notification_id provider token code reason provider_ref sent_with half",
    tables.TransitionRow: "incident_id machine row_id event source target detail",
    tables.ReceiptRow: "provider event_id attempt_id provider_ref code reason state matched_attempt_id",
    tables.InboundEntryRow: "incident_id api_key route why left_out",
    tables.OutboxRow: "id incident_id policy",
    tables.CriticalRow: "escalation_id operations_incident_id reason path",
    tables.NoticeRow: "reason provider day",
    tables.LaneRow: "id channel",
    tables.ProviderHealthRow: "channel provider spent namespace_slots",
    tables.PauseRow: "name paused_by",
    tables.PausedIntervalRow: "scope name",
    tables.SilenceRow: "id matchers reason author_id author namespaces ended_by marked_to",
    tables.SilencedIncidentRow: "incident_id silence_id",
    tables.HeartbeatRow: "name",
    tables.ApiKeyRow: "id name namespace scopes heartbeat digest",
    tables.UserRow: "id namespaces recipient_id password",
    tables.SessionRow: "digest user_id",
    tables.SetupRow: "digest",
    tables.IdempotentResponseRow: "api_key_id idempotency_key fingerprint",
    tables.ReplyCodeRow: "code incident_id recipient_id sent_with",
    tables.OptOutRow: "our_number",
    tables.NumberRow: "recipient_id responded_at",
    tables.EnvironmentRow: "name",
    tables.RosterRow: "digest source",
    tables.CalendarRow: "schedule source shifts etag last_modified fault",
    tables.OverrideRow: "id schedule people instead_of made_by cancelled_by",
    tables.HandOverRow: "schedule before after incident_id",
    tables.WatchedJobRow: "name namespace timetable methods runs passed incident_id pings",
    tables.FeedRow: "id schedule recipient_id made_by",
    tables.QuarantineRow: "incident_id",
    tables.SetAsideRow: "row_id machine incident_id escalation_id severity relation code what",
    tables.FairQueueRow: "channel namespace",
    tables.SpentRow: "channel scope",
    tables.MetricTotalRow: "name labels buckets",
    tables.MetricPeriodRow: "name labels buckets",
}
"""Ids, names of ours, codes, digests and reasons; people appear as recipient ids only."""


@pytest.mark.parametrize("model", MODELS)
def test_every_column_of_text_is_marked_or_known_to_be_opaque(model: type[Model]) -> None:
    texts = {field.name for field in model._meta.sorted_fields if isinstance(field, MarkedField)}
    assert texts - set(marks(model)) == set(OPAQUE.get(model, "").split())


@pytest.mark.parametrize("model", [model for model in MODELS if OnForget.DELETE_ROW in marks(model).values()])
def test_a_row_that_is_deleted_with_its_person_names_them(model: type[Model]) -> None:
    assert "recipient_id" in model._meta.fields


def test_the_reference_marks_the_personal_columns() -> None:
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "database.rst").read_text()
    entries = re.findall(r"^``(notifyflow_\w+)``\n((?:   .*\n)+)", reference, re.MULTILINE)
    documented = {table: set(re.findall(r"``(\w+)`` \*p\*", text)) for table, text in entries}
    assert {model._meta.table_name: documented[model._meta.table_name] for model in MODELS} == {
        model._meta.table_name: set(marks(model)) for model in MODELS
    }
