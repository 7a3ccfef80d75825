"""The published request schemas are those that are read, and their examples are valid."""

import json
from typing import Any

import pytest

from notifyflow.core.intake import requests
from notifyflow.core.intake.documents import INCIDENT_FIELDS, RECIPIENT_FIELDS
from notifyflow.core.intake.requests import (
    Act,
    DutyChange,
    Page,
    Submission,
    read_act,
    read_duty_change,
    read_page,
    read_submission,
)
from notifyflow.web.frame.schemas import ActRequest, DutyChangeRequest, NewIncident, NewRecipient, PageAgainRequest
from tests.asgi import Client
from tests.published import Publication

READERS = {
    "NewIncident": read_submission,
    "ActRequest": read_act,
    "PageAgainRequest": read_page,
    "DutyChangeRequest": read_duty_change,
}


@pytest.fixture
def publication(client: Client) -> Publication:
    return Publication(client.get("/v1/openapi.json").json())


def test_the_fields_that_are_published_are_those_that_are_read():
    assert set(NewIncident.model_fields) == {*INCIDENT_FIELDS, *requests.OPTIONS}
    assert set(NewRecipient.model_fields) == {"id", *RECIPIENT_FIELDS}
    assert set(ActRequest.model_fields) == set(Act.__dataclass_fields__)
    assert set(PageAgainRequest.model_fields) == set(Page.__dataclass_fields__)
    assert set(DutyChangeRequest.model_fields) == set(DutyChange.__dataclass_fields__)


@pytest.mark.parametrize("name", READERS)
def test_every_example_fits_its_schema_and_is_read(publication: Publication, name: str):
    schema = publication.document["components"]["schemas"][name]
    assert schema["examples"]
    for example in schema["examples"]:
        publication.validate({"$ref": f"#/components/schemas/{name}"}, example)
        assert isinstance(READERS[name](json.dumps(example)), Submission | Act)


def test_the_document_is_one(publication: Publication):
    assert publication.document["openapi"].startswith("3.1")

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            return {value["$ref"]} if "$ref" in value else set().union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    schemas = publication.document["components"]["schemas"]
    assert {each.removeprefix("#/components/schemas/") for each in references(publication.document)} <= set(schemas)
    assert {"HTTPValidationError", "ValidationError"}.isdisjoint(schemas)
