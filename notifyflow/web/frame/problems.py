"""Errors for programs: a refused request gets a problem document (RFC 9457) that lists every fault."""

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
from notifyflow.core.insight.schemas import FaultDocument
from notifyflow.web.frame.paths import path_below

MEDIA_TYPE = "application/problem+json"
_FOR_PROGRAMS = ("/v1/", "/v2/", "/readyz")
_TYPE = "urn:notifyflow:problem:"

KINDS: Mapping[type[Exception], tuple[int, str, str]] = {
    errors.UnreadableIncident: (400, "unreadable", "The body cannot be parsed"),
    errors.InvalidApiKey: (401, "invalid-api-key", "The API key is invalid"),
    errors.MissingScope: (403, "missing-scope", "The API key does not have the scope"),
    errors.OtherHeartbeat: (403, "other-heartbeat", "The API key is for another heartbeat"),
    errors.HeartbeatNotFound: (404, "no-such-heartbeat", "The directory declares no such heartbeat"),
    errors.RecipientNotFound: (404, "no-such-recipient", "The incident has no such recipient"),
    errors.OverrideNotFound: (404, "no-such-override", "No such change of a duty is in force or to come"),
    errors.SilenceNotFound: (404, "no-such-silence", "There is no such silence"),
    errors.IncidentResolved: (409, "incident-resolved", "The incident is resolved"),
    errors.InvalidInput: (422, "invalid", "The request is invalid"),
    errors.IdempotencyMismatch: (422, "idempotency-mismatch", "The idempotency key belongs to another request"),
    errors.TooManyRequests: (429, "too-many-requests", "Too many requests with this API key"),
    errors.TooManyAddresses: (429, "too-many-addresses", "Too many addresses that the directory does not know"),
    errors.DamagedIncident: (409, "damaged-incident", "The incident is damaged"),
    errors.UnreadableRow: (503, "damaged-row", "A row in the database is damaged"),
    errors.StorageError: (503, "storage-unavailable", "The database is unavailable"),
}
"""Status, type and title of each error; a subclass stands before its base class."""


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="The kind of problem; `about:blank` if the status says everything.")
    title: str = Field(description="The kind in words; the same for every problem of a type.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What happened here.")
    faults: list[FaultDocument] = Field(default_factory=list, description="Every fault of the request.")


def is_for_program(scope: Scope) -> bool:
    """Return whether the client is a program, which gets problem documents, and not a browser, which gets pages."""
    return path_below(scope).startswith(_FOR_PROGRAMS)


def respond(_request: Request, error: Exception) -> Response:
    """Return the response to an error."""
    faults = errors.named(error.faults) if isinstance(error, errors.InvalidInput) else ()
    status, kind, title = next(problem for kind, problem in KINDS.items() if isinstance(error, kind))
    return _response(status, _TYPE + kind, title, _detail(error), faults=faults, headers=_headers(error))


def words_of(error: Exception) -> tuple[str, str]:
    """Return the headline and the text of a page about an error."""
    title = next(title for kind, (_, _, title) in KINDS.items() if isinstance(error, kind))
    faults = " ".join(map(str, errors.named(error.faults))) if isinstance(error, errors.InvalidInput) else ""
    return f"{title}.", faults or _detail(error)


def respond_with_status(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem of the type `about:blank`."""
    return _response(status, "about:blank", HTTPStatus(status).phrase, detail, headers=headers)


def respond_refused(request: Request, error: HTTPException) -> Response:
    """Return the response to an error of the framework: unknown path, wrong method, body too large, wrong media type."""
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return respond_with_status(error.status_code, str(error.detail), headers)


def respond_invalid(_request: Request, error: Exception) -> Response:
    """Return the response to a query or a header that does not match the OpenAPI document."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler's registration says so
    return respond(_request, errors.InvalidRequest(tuple(_fault(each) for each in error.errors())))


def _allowed(request: Request) -> str:
    """Return all methods of a path (RFC 9110, section 10.2.1); the framework names only those of the first route."""
    routes = request.app.routes
    tried = ((method, {**request.scope, "method": method}) for method in ("GET", "POST", "DELETE"))
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
    if isinstance(error, errors.StorageError) and not isinstance(error, errors.UnreadableRow):
        return "Try again in a moment. What was submitted may have been stored; retry with the same Idempotency-Key."
    sentence = str(error)
    return sentence[:1].upper() + sentence[1:] + ("" if sentence.endswith(".") else ".")


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
        case errors.StorageError() if not isinstance(error, errors.DamagedIncident):
            return {"Retry-After": "5"}
        case _:
            return {}


def _fault(error: Mapping[str, Any]) -> errors.Fault:
    place, *path = error["loc"]
    where = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).lstrip(".")
    message = "it is not a known field" if error["type"] == "extra_forbidden" else error["msg"]
    what = f"{message[:1].lower()}{message[1:]}"
    return errors.Fault(where or str(place), what, f"See the {place} parameters in /v1/openapi.json")
