"""The web application: its routes, the response to each error, and the edge that every response passes."""

import traceback
from functools import lru_cache

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifyflow.core.wording.text import one_line
from notifyflow.errors import AccessDenied, InvalidLink, RejectedCallback, StorageError
from notifyflow.web import acknowledge, api, callbacks, health, integrations, openapi, pages, problems
from notifyflow.web.bulkhead import Bulkhead
from notifyflow.web.context import Context

_log = structlog.get_logger("notifyflow.web")


def build(context: Context) -> FastAPI:
    """Build the application.

    Args:
        context: What it calls; it opens and closes nothing of them.
    """
    # A redirect to the path without its last slash would name the host that the request names.
    application = FastAPI(title="notifyflow", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    bulkhead = Bulkhead()
    application.include_router(callbacks.router(context, bulkhead), include_in_schema=False)
    application.include_router(callbacks.replies(context), include_in_schema=False)
    application.include_router(acknowledge.router(context), include_in_schema=False)
    application.include_router(integrations.router(context, bulkhead))
    application.include_router(api.router(context, bulkhead))
    application.include_router(health.router(context))

    @lru_cache(maxsize=8)  # built once; a proxy's or another application's prefix is seldom more than one
    def description(prefix: str) -> bytes:
        return bytes(JSONResponse(openapi.document(application, prefix)).body)

    @application.get("/v1/openapi.json", include_in_schema=False)
    def describe(request: Request) -> Response:
        return Response(description(request.scope.get("root_path", "")), media_type="application/json")

    for kind in problems.KINDS:
        application.add_exception_handler(kind, _respond_denied if issubclass(kind, AccessDenied) else problems.respond)
    application.add_exception_handler(RejectedCallback, _answer_rejected)
    application.add_exception_handler(InvalidLink, _respond_invalid_link)
    application.add_exception_handler(StorageError, _answer_unavailable)
    application.add_exception_handler(HTTPException, _respond_refused)
    application.add_exception_handler(RequestValidationError, problems.respond_invalid)
    application.state.notice = context.notice
    application.add_middleware(Edge, notice=context.notice)
    return application


class Edge:
    """Sets the headers of every response, and catches what nobody else did, so that these responses have them too."""

    def __init__(self, app: ASGIApp, notice: str) -> None:
        self._app = app
        self._notice = notice
        self._headers = {**pages.HEADERS, **_mark(notice)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            return
        except Exception as error:
            # Its text may hold what is personal: the type, and where it was raised, are enough to find it.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("web.request_failed", error=type(error).__name__, place=f"{frame.filename}:{frame.lineno}")
            if is_begun:
                raise
            if problems.are_wanted(scope):
                await problems.respond_with_status(500, "It was noted. Please try again in a moment.")(
                    scope, receive, send_with_headers
                )
                return
            body = pages.refusal("Something went wrong here.", "It was noted. Please try again in a moment.", self._notice)
            await HTMLResponse(body, 500)(scope, receive, send_with_headers)


def _mark(notice: str) -> dict[str, str]:
    """Make the header that tells programs what the pages show."""
    words = one_line(notice).encode("ascii", "backslashreplace").decode()
    return {"Notifyflow-Notice": words} if words else {}


def _respond_denied(request: Request, error: Exception) -> Response:
    _log.warning("web.access_denied", error=type(error).__name__)
    return problems.respond(request, error)


def _answer_rejected(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RejectedCallback)  # noqa: S101 - the handler's registration says so
    _log.warning("web.callback_rejected", provider=error.provider)
    return PlainTextResponse("The signature does not fit.\n", 403)


def _respond_invalid_link(request: Request, error: Exception) -> Response:
    if isinstance(error, InvalidLink) and error.is_expired:
        headline, code = "This link has expired.", 410
    else:
        headline, code = "This link is not one of ours.", 404
    detail = (
        "Use the button of the newest message you got. If there is none, ask your team, or acknowledge with `notifyflow ack KEY`."
    )
    return HTMLResponse(pages.refusal(headline, detail, request.app.state.notice), code)


def _answer_unavailable(request: Request, error: Exception) -> Response:
    _log.warning("web.storage_unavailable", error=type(error).__name__)
    if problems.are_wanted(request.scope):
        return problems.respond(request, error)
    detail = "The database is not to be reached just now. Please try again in a moment."
    page = pages.refusal("Nothing was changed.", detail, request.app.state.notice)
    return HTMLResponse(page, 503, {"Retry-After": "5"})


def _respond_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler's registration says so
    if problems.are_wanted(request.scope):
        return problems.respond_refused(request, error)
    headline = "There is no such page." if error.status_code == 404 else "This cannot be done here."
    page = pages.refusal(headline, error.detail, request.app.state.notice)
    return HTMLResponse(page, error.status_code, error.headers)
