"""The OpenAPI document: what FastAPI derives from the routes, and the schemas of bodies that are parsed by hand."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from notifyflow.web.frame import problems
from notifyflow.web.frame.problems import Problem
from notifyflow.web.frame.schemas import REQUESTS

_VERSION = "1"
_REF = "#/components/schemas/{model}"
_BY_HAND = (*REQUESTS, Problem)
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
SHOWN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Successful Response",
        "headers": {
            LEFT_OUT: {
                "description": "How many rows are left out because they are damaged; absent where none is. "
                "`notifyflow status --broken` and the page Health name them.",
                "required": False,
                "schema": {"type": "integer", "minimum": 1},
            }
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


def request_body(schema: type[BaseModel], *, is_required: bool = True) -> dict[str, Any]:
    """Return the description of a body that the operation parses by hand."""
    content = {"application/json": {"schema": {"$ref": _REF.format(model=schema.__name__)}}}
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
    _, by_hand = models_json_schema([(schema, "validation") for schema in _BY_HAND], ref_template=_REF)
    described["components"]["schemas"] |= by_hand["$defs"]
    return described


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    refusal: dict[str, Any] = {"description": _MEANINGS[status], "content": {problems.MEDIA_TYPE: {"schema": schema}}}
    return refusal | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
