"""The published schemas of requests say what the values of the requests take."""

from dataclasses import fields

import pytest

from notifyflow.core.delivery.model import Incident, Recipient, Step
from notifyflow.core.intake.request_schemas import (
    ACT,
    DUTY_CHANGE,
    NEW_INCIDENT,
    NEW_SILENCE,
    PAGE_AGAIN,
    REF,
    request_schemas,
)
from notifyflow.core.intake.requests import Act, DutyChange, NewSilence, PageAgain, Submission
from notifyflow.core.intake.validation import MAX_TITLE

SCHEMAS = request_schemas()


def test_each_body_and_each_part_of_one_has_a_schema() -> None:
    assert SCHEMAS.keys() == {ACT, DUTY_CHANGE, NEW_INCIDENT, NEW_SILENCE, PAGE_AGAIN, "NewRecipient", "NewStep"}
    assert all(each["additionalProperties"] is False for each in SCHEMAS.values())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (NEW_INCIDENT, (Incident, Submission)),
        ("NewRecipient", (Recipient,)),
        ("NewStep", (Step,)),
        (ACT, (Act,)),
        (PAGE_AGAIN, (PageAgain,)),
        (DUTY_CHANGE, (DutyChange,)),
        (NEW_SILENCE, (NewSilence,)),
    ],
)
def test_each_field_of_the_values_is_published(name: str, values: tuple[type, ...]) -> None:
    made_by_the_reader = {"incident", "unread"} if Submission in values else set()
    found = {field.name for value in values for field in fields(value)}
    assert SCHEMAS[name]["properties"].keys() == found - made_by_the_reader


def test_only_a_field_that_may_be_left_out_may_be_null() -> None:
    incident = SCHEMAS[NEW_INCIDENT]
    nullable = {name for name, schema in incident["properties"].items() if {"type": "null"} in schema.get("anyOf", ())}
    assert set(incident["required"]) == incident["properties"].keys() - nullable == {"key", "title", "recipients"}
    assert "required" not in SCHEMAS[ACT]


def test_a_text_has_its_limits() -> None:
    title = SCHEMAS[NEW_INCIDENT]["properties"]["title"]
    assert title == {"description": "One line.", "maxLength": MAX_TITLE, "minLength": 1, "title": "Title", "type": "string"}


def test_the_schema_of_a_field_follows_from_its_type() -> None:
    properties = SCHEMAS[NEW_INCIDENT]["properties"]
    recipients, labels, happened = (
        properties["recipients"],
        properties["labels"]["anyOf"][0],
        properties["occurred_at"]["anyOf"][0],
    )
    assert recipients["items"] == {"$ref": REF.format(name="NewRecipient")}
    assert (labels["type"], labels["additionalProperties"]) == ("object", {"type": "string"})
    assert happened == {"format": "date-time", "type": "string"}
    assert properties["severity"]["anyOf"][0] == {"$ref": REF.format(name="Severity")}


def test_a_step_names_recipients_by_id_or_gives_them() -> None:
    to = SCHEMAS["NewStep"]["properties"]["to"]
    assert to["items"] == {"anyOf": [{"$ref": REF.format(name="NewRecipient")}, {"type": "string"}]}
