"""The published request schemas are those that are read, and their examples are valid."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from notifyflow.core.intake.requests import (
    Act,
    Submission,
    read_act,
    read_duty_change,
    read_new_silence,
    read_page_again,
    read_submission,
)
from notifyflow.errors import Fault, InvalidRequest
from notifyflow.web.frame.permissions import RequireRole
from tests.asgi import Client
from tests.published import Publication

Schema = dict[str, Any]
READERS: dict[str, Callable[[str], Submission | Act]] = {
    "NewIncident": read_submission,
    "ActRequest": read_act,
    "PageAgainRequest": read_page_again,
    "DutyChangeRequest": read_duty_change,
    "NewSilenceRequest": read_new_silence,
}


def test_the_application_has_each_route_itself_so_that_its_parameters_are_derived_once(application: FastAPI) -> None:
    assert [each for each in application.routes if not isinstance(each, APIRoute)] == []


def test_every_page_of_the_dashboard_is_made_in_a_queue_so_that_viewers_hold_up_no_alert(application: FastAPI) -> None:
    routes = [each for each in application.routes if isinstance(each, APIRoute) and "GET" in each.methods]
    pages = [each for each in routes if any(isinstance(part.call, RequireRole) for part in each.dependant.dependencies)]
    assert len(pages) > 8
    assert [each.path for each in pages if type(each) is APIRoute] == []


@pytest.fixture
def publication(client: Client) -> Publication:
    return Publication(client.get("/v1/openapi.json").json())


# The schemas are walked here without the types that they are made from: what they allow is given to the readers.


def refs(schema: Schema) -> str:
    return str(schema.get("$ref", "")).removeprefix("#/components/schemas/")


def sample(publication: Publication, schema: Schema, name: str = "") -> Any:
    """Return a value with every field that a schema knows."""
    if refs(schema):
        return sample(publication, publication.document["components"]["schemas"][refs(schema)], name)
    if "anyOf" in schema:
        return sample(publication, schema["anyOf"][0], name)
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "array":
        return [sample(publication, schema["items"])]
    if schema["type"] == "object":
        fields = schema.get("properties", {"x": schema.get("additionalProperties")})
        return {field: sample(publication, each, field) for field, each in fields.items()}
    texts = {"date-time": "2026-12-24T18:00:00+01:00"}
    text = "10m" if name in ("after", "duration", "over_after") else texts.get(schema.get("format", ""), "x")
    return text if schema["type"] == "string" else True


def faults_of(name: str, body: object) -> tuple[Fault, ...]:
    try:
        read = READERS[name](json.dumps(body))
    except InvalidRequest as refused:
        return refused.faults
    return read.unread if isinstance(read, Submission) else ()


@pytest.mark.parametrize("name", READERS)
def test_a_body_with_all_published_fields_is_read(publication: Publication, name: str):
    body = sample(publication, {"$ref": f"#/components/schemas/{name}"})
    publication.validate({"$ref": f"#/components/schemas/{name}"}, body)
    assert faults_of(name, body) == ()


@pytest.mark.parametrize("name", READERS)
def test_a_reader_knows_the_published_fields_only(publication: Publication, name: str):
    body = sample(publication, {"$ref": f"#/components/schemas/{name}"})
    tables = [body, *([body["recipients"][0], body["then"][0], body["then"][0]["to"][0]] if name == "NewIncident" else [])]
    for table in tables:
        published = set(table)
        table["zzzzzzzz"] = 1
        (fault,) = faults_of(name, body)
        assert set(fault.remedy.removeprefix("Use ").removeprefix("one of ").split(", ")) == published
        del table["zzzzzzzz"]


@pytest.mark.parametrize("name", READERS)
def test_a_field_may_be_left_out_or_null_unless_the_schema_requires_it(publication: Publication, name: str):
    schema = publication.document["components"]["schemas"][name]
    body = sample(publication, schema)
    for field in body:
        found = faults_of(name, {each: value for each, value in body.items() if each != field})
        if field in schema.get("required", ()) and field != "recipients":  # an incident file may have none
            assert [fault.where for fault in found] == [field]
        else:
            assert found == ()
            assert faults_of(name, {**body, field: None}) == ()


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
