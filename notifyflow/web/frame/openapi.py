"""The OpenAPI document: FastAPI derives it from the routes, and the core adds the schemas of the bodies that it reads."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from notifyflow.core.intake.request_schemas import REF, request_schemas
from notifyflow.web.frame import problems
from notifyflow.web.frame.problems import Problem

_VERSION = "1"
_MEANINGS = {
    400: "The body cannot be parsed",
    401: "The API key is missing, wrong, revoked or expired",
    403: "The API key does not have the scope",
    404: "Not found",
    409: "The incident is resolved, or its row in the database is damaged; the detail says which",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The Content-Type is not application/json",
    422: "The request is invalid; every fault is listed",
    429: "Too many requests with this API key, or too many addresses that the directory does not know",
    503: "The database is unavailable",
}
LEFT_OUT = "Notifyflow-Left-Out"
"""The header that says how many rows a response lacks."""
AS_OF = "Notifyflow-As-Of"
"""The header that says how old a list is that came from a replica."""
SHOWN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Successful Response",
        "headers": {
            LEFT_OUT: {
                "description": "How many rows are left out because they are damaged; absent where none is. "
                "`notifyflow status --broken` and the page Health name them.",
                "required": False,
                "schema": {"type": "integer", "minimum": 1},
            },
            AS_OF: {
                "description": "The time that a list shows, at most 30 seconds ago, if it was read from a replica.",
                "required": False,
                "schema": {"type": "string", "format": "date-time"},
            },
        },
    }
}
"""The response of what reads rows, some of which may be damaged."""
PLACE = {"Location": {"description": "The URL of the incident, relative to this one.", "schema": {"type": "string"}}}
_AUTHENTICATION = {"WWW-Authenticate": {"description": "How to authenticate, and what is wrong.", "schema": {"type": "string"}}}
_WAITING = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
_HEADERS = {401: _AUTHENTICATION, 403: _AUTHENTICATION, 429: _WAITING, 503: _WAITING}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of an operation; 503 is always among them."""
    return {status: _refusal(status) for status in (*statuses, 503)}


def request_body(name: str, *, is_required: bool = True) -> dict[str, Any]:
    """Return the description of a body, by the name of its schema."""
    content = {"application/json": {"schema": {"$ref": REF.format(name=name)}}}
    return {"requestBody": {"required": is_required, "content": content}}


def document(application: FastAPI, prefix: str) -> dict[str, Any]:
    """Return the OpenAPI document of an application that is mounted at a prefix, which is empty if it stands alone."""
    described = get_openapi(
        title="notifyflow",
        version=_VERSION,
        summary="Durable incident notification: every recipient is reached, or operations is alerted.",
        routes=application.routes,
        servers=[{"url": prefix or "/"}],
    )
    _, refused = models_json_schema([(Problem, "validation")], ref_template=REF.format(name="{model}"))
    described["components"]["schemas"] |= request_schemas() | refused["$defs"]
    return described


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": REF.format(name=Problem.__name__)}
    refusal: dict[str, Any] = {"description": _MEANINGS[status], "content": {problems.MEDIA_TYPE: {"schema": schema}}}
    return refusal | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
