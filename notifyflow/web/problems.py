"""Errors for programs: the response to what is refused is a problem (RFC 9457) that lists every fault."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from notifyflow import errors
from notifyflow.core.schemas import FaultDocument
from notifyflow.web.paths import path_below

MEDIA_TYPE = "application/problem+json"
_FOR_PROGRAMS = ("/v1/", "/v2/", "/readyz")
_TYPE = "urn:notifyflow:problem:"

KINDS: Mapping[type[Exception], tuple[int, str, str]] = {
    errors.UnreadableIncident: (400, "unreadable", "The body cannot be parsed"),
    errors.InvalidApiKey: (401, "invalid-api-key", "The API key is no good"),
    errors.MissingScope: (403, "missing-scope", "The API key is not for this"),
    errors.RecipientNotFound: (404, "no-such-recipient", "The incident has no such recipient"),
    errors.IncidentResolved: (409, "incident-resolved", "The incident is resolved"),
    errors.InvalidInput: (422, "invalid", "Something in the request cannot be accepted"),
    errors.IdempotencyMismatch: (422, "idempotency-mismatch", "The idempotency key belongs to another request"),
    errors.TooManyRequests: (429, "too-many-requests", "The API key is used too often"),
    errors.TooManyAddresses: (429, "too-many-addresses", "Too many addresses come that the directory does not know"),
    errors.StorageError: (503, "storage-unavailable", "The database is away"),
}
"""What an error is to a program: status, type, title; a kind of error stands before those that it is a kind of."""


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="The kind of problem; `about:blank` if the status says it all.")
    title: str = Field(description="The kind in words; the same for every problem of a type.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What happened here.")
    faults: list[FaultDocument] = Field(default_factory=list, description="Every fault of the request.")


def are_wanted(scope: Scope) -> bool:
    """Tell whether a program asks, that wants problems instead of pages."""
    return path_below(scope).startswith(_FOR_PROGRAMS)


def respond(_request: Request, error: Exception) -> Response:
    """Return the response to an error."""
    status, kind, title = next(said for kind, said in KINDS.items() if isinstance(error, kind))
    return _response(status, _TYPE + kind, title, _detail(error), faults=_faults(error), headers=_headers(error))


def respond_with_status(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response whose status says everything."""
    return _response(status, "about:blank", HTTPStatus(status).phrase, detail, headers=headers)


def respond_refused(request: Request, error: HTTPException) -> Response:
    """Return the response to what the framework refuses: no such route, no such method, too large, another media type."""
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return respond_with_status(error.status_code, str(error.detail), headers)


def respond_invalid(_request: Request, error: Exception) -> Response:
    """Return the response to a query or a header that does not have the form that the OpenAPI document gives it."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler's registration says so
    return respond(_request, errors.InvalidRequest(tuple(_fault(each) for each in error.errors())))


def _allowed(request: Request) -> str:
    """List the methods of a path: the framework names those of the first route only (RFC 9110, section 10.2.1, wants all)."""
    routes = request.app.routes
    tried = ((method, {**request.scope, "method": method}) for method in ("GET", "POST"))
    return ", ".join(method for method, scope in tried if any(route.matches(scope)[0] is Match.FULL for route in routes))


def _response(
    status: int,
    kind: str,
    title: str,
    detail: str,
    *,
    faults: tuple[errors.Fault, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    shown = [FaultDocument.of(fault) for fault in faults]
    problem = Problem(type=kind, title=title, status=status, detail=detail, faults=shown)
    return JSONResponse(problem.model_dump(), status, headers, media_type=MEDIA_TYPE)


def _detail(error: Exception) -> str:
    if isinstance(error, errors.InvalidInput):
        count = error.count
        return f"Nothing was done: {count:,} {'fault' if count == 1 else 'faults'}."
    if isinstance(error, errors.StorageError):
        return "Nothing was changed that was not answered. Try again in a moment."
    said = str(error)
    return said[:1].upper() + said[1:] + ("" if said.endswith(".") else ".")


def _faults(error: Exception) -> tuple[errors.Fault, ...]:
    return errors.named(error.faults) if isinstance(error, errors.InvalidInput) else ()


def _headers(error: Exception) -> Mapping[str, str]:
    match error:
        case errors.InvalidApiKey(why="is missing"):
            return {"WWW-Authenticate": "Bearer"}
        case errors.InvalidApiKey():
            return {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        case errors.MissingScope():
            return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{error.scope}"'}
        case errors.TooManyRequests() | errors.TooManyAddresses():
            return {"Retry-After": str(error.retry_after_s)}
        case errors.StorageError():
            return {"Retry-After": "5"}
        case _:
            return {}


def _fault(found: Mapping[str, Any]) -> errors.Fault:
    place, *way = found["loc"]
    where = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in way).lstrip(".")
    said = "it is not a known field" if found["type"] == "extra_forbidden" else found["msg"]
    what = f"{said[:1].lower()}{said[1:]}"
    return errors.Fault(where or str(place), what, f"Give the {place} as /v1/openapi.json says")
