"""Every column of text is marked as personal, or named here as one that holds nothing personal."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from peewee import Model

from notifyflow.storage import models
from notifyflow.storage.fields import MarkedField, OnForget
from notifyflow.storage.forgetting import marks

MODELS = [getattr(models, name) for name in models.__all__]
OPAQUE: Mapping[type[Model], str] = {
    models.IncidentRow: "id namespace key policy acknowledged_by acknowledged_via resolved_by series",
    models.PolicyRow: "digest document",
    models.ContactRow: "incident_id recipient_id",
    models.StepRow: "id incident_id to after waited duty reason",
    models.StepContactRow: "incident_id recipient_id",
    models.EscalationRow: "id incident_id recipient_id policy reason carried",
    models.NotificationRow: "id incident_id escalation_id channel namespace reason incident_event",
    models.AttemptRow: "id notification_id provider token code reason provider_ref carried_by",
    models.TransitionRow: "incident_id machine row_id event source target detail",
    models.ReceiptRow: "provider event_id attempt_id provider_ref code reason state matched_attempt_id",
    models.ArrivalRow: "incident_id api_key route why left_out",
    models.OutboxRow: "id incident_id policy",
    models.CriticalRow: "escalation_id operations_incident_id reason path",
    models.NoticeRow: "reason provider day",
    models.ProviderHealthRow: "channel provider spent taken",
    models.PauseRow: "name paused_by",
    models.StopRow: "scope name",
    models.HeartbeatRow: "name",
    models.ApiKeyRow: "id name namespace scopes digest",
    models.UserRow: "id namespaces recipient_id password",
    models.SessionRow: "digest user_id",
    models.SetupRow: "digest",
    models.IdempotentResponseRow: "api_key_id idempotency_key fingerprint",
    models.ReplyCodeRow: "code incident_id recipient_id",
    models.OptOutRow: "our_number",
    models.NumberRow: "recipient_id responded_at",
    models.EnvironmentRow: "name",
    models.RosterRow: "digest source",
    models.CalendarRow: "schedule source shifts etag last_modified fault",
    models.OverrideRow: "id schedule people instead_of made_by cancelled_by",
    models.HandOverRow: "schedule before after incident_id",
    models.FeedRow: "id schedule recipient_id made_by",
    models.QuarantineRow: "incident_id",
    models.SetAsideRow: "row_id machine incident_id escalation_id severity relation code what",
    models.TurnRow: "channel namespace",
    models.SpentRow: "channel scope",
    models.SeriesRow: "name labels buckets",
    models.MinuteRow: "name labels buckets",
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
