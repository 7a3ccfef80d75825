"""The OpenAPI document: what the routes say of themselves, and the shapes that they read and answer by hand."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from notifyflow.web import problems
from notifyflow.web.problems import Problem
from notifyflow.web.requests import ActShape, NewIncident, PageShape

_VERSION = "1"
_REF = "#/components/schemas/{model}"
_BY_HAND = (NewIncident, ActShape, PageShape, Problem)
_MEANINGS = {
    400: "The body cannot be parsed",
    401: "The API key is missing, wrong, revoked or expired",
    403: "The API key is not for this",
    404: "There is no such thing",
    409: "The incident is resolved",
    408: "The body did not come in time",
    413: "The body is too large",
    415: "The body is not said to be JSON",
    422: "Something in the request cannot be accepted; every fault is listed",
    429: "The API key is used too often, or brings too many addresses that the directory does not know",
    503: "The database is away",
}
PLACE = {"Location": {"description": "Where the incident stands, from here.", "schema": {"type": "string"}}}
_HOW = {"WWW-Authenticate": {"description": "How to come in, and what is wrong.", "schema": {"type": "string"}}}
_WAITING = {"Retry-After": {"description": "How many seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
_HEADERS = {401: _HOW, 403: _HOW, 429: _WAITING, 503: _WAITING}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Say with which statuses an operation may refuse; a database that is away is always among them."""
    return {status: _refusal(status) for status in (*statuses, 503)}


def takes(shape: type[BaseModel], *, is_required: bool = True) -> dict[str, Any]:
    """Say what an operation takes, which reads its body by hand."""
    content = {"application/json": {"schema": {"$ref": _REF.format(model=shape.__name__)}}}
    return {"requestBody": {"required": is_required, "content": content}}


def document(application: FastAPI, prefix: str) -> dict[str, Any]:
    """Make the document of an application's routes.

    Args:
        application: Whose.
        prefix: Below which path it is mounted; empty where it stands alone.
    """
    made = get_openapi(
        title="notifyflow",
        version=_VERSION,
        summary="Durable incident notification: every recipient is told, or operations knows why not.",
        routes=application.routes,
        servers=[{"url": prefix or "/"}],
    )
    _, by_hand = models_json_schema([(shape, "validation") for shape in _BY_HAND], ref_template=_REF)
    made["components"]["schemas"] |= by_hand["$defs"]
    return made


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=Problem.__name__)}
    said: dict[str, Any] = {"description": _MEANINGS[status], "content": {problems.MEDIA_TYPE: {"schema": schema}}}
    return said | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
