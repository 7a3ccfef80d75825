"""The web application: its routes, the response to each error, and the headers of every response."""

from collections.abc import Mapping
from functools import lru_cache

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifyflow.core.text import one_line
from notifyflow.errors import (
    AccessDenied,
    DamagedIncident,
    Fault,
    InvalidLink,
    InvalidRequest,
    NotFound,
    NotLoggedIn,
    RejectedCallback,
    StorageError,
    TooManyLogins,
    UnreadableRow,
)
from notifyflow.log import get_logger, source_line
from notifyflow.storage.insight import left_out
from notifyflow.web import health, health_page, home, integrations, login, silences
from notifyflow.web.delivery import acknowledge, api, callbacks
from notifyflow.web.frame import assets, openapi, pages, problems, respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.list_requests import ListMiddleware
from notifyflow.web.frame.openapi import LEFT_OUT
from notifyflow.web.frame.paths import path_below
from notifyflow.web.frame.permissions import MissingRole
from notifyflow.web.insight import incident, incidents, messages
from notifyflow.web.metrics import scrape
from notifyflow.web.oncall import duty, duty_page, feeds, heartbeats, heartbeats_page, people

_log = get_logger("notifyflow.web")

_STRICT = {"Strict-Transport-Security": "max-age=31536000"}
"""For a year, browsers come over https alone (RFC 6797); of other names below the host it says nothing."""


def build(context: Context) -> FastAPI:
    """Build the application; it opens and closes none of the services that its routes call."""
    # A redirect to the path without its trailing slash would repeat the host that the client sent.
    application = FastAPI(title="notifyflow", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    bulkhead = Bulkhead()
    # What machines call stands before the pages: each request is compared with all routes before its own.
    _add(application, callbacks.router(context, bulkhead), is_described=False)
    _add(application, callbacks.replies(context), is_described=False)
    _add(application, integrations.router(context, bulkhead))
    _add(application, api.router(context, bulkhead))
    _add(application, duty.router(context))
    _add(application, silences.api(context))
    _add(application, heartbeats.router(context))
    _add(application, health.router(context))
    _add(application, scrape.router(context), is_described=False)
    _add(application, acknowledge.router(context, bulkhead), is_described=False)
    _add(application, home.router(context, bulkhead), is_described=False)
    _add(application, feeds.router(context, bulkhead), is_described=False)
    for pages_of in (
        assets.router(),
        login.router(context, bulkhead),
        login.setup(context, bulkhead),
        incidents.router(context, bulkhead),
        incident.router(context, bulkhead),
        messages.router(context, bulkhead),
        people.router(context, bulkhead),
        duty_page.router(context, bulkhead),
        heartbeats_page.router(context, bulkhead),
        health_page.router(context, bulkhead),
        silences.dashboard(context, bulkhead),
    ):
        _add(application, pages_of, is_described=False)

    @lru_cache(maxsize=8)  # built once for each prefix, of which there is seldom more than one
    def description(prefix: str) -> bytes:
        return bytes(JSONResponse(openapi.document(application, prefix)).body)

    @application.get("/v1/openapi.json", include_in_schema=False)
    def describe(request: Request) -> Response:
        return Response(description(request.scope.get("root_path", "")), media_type="application/json")

    for kind in problems.KINDS:
        application.add_exception_handler(kind, _respond_denied if issubclass(kind, AccessDenied) else _respond_problem)
    application.add_exception_handler(RejectedCallback, _respond_rejected)
    application.add_exception_handler(InvalidLink, _respond_invalid_link)
    application.add_exception_handler(StorageError, _respond_unavailable)
    for kind in (UnreadableRow, DamagedIncident):
        application.add_exception_handler(kind, _respond_damaged)
    application.add_exception_handler(NotFound, _respond_not_found)
    application.add_exception_handler(TooManyLogins, _respond_too_many_logins)
    application.add_exception_handler(NotLoggedIn, respond.respond_not_logged_in)
    application.add_exception_handler(MissingRole, respond.respond_missing_role)
    application.add_exception_handler(HTTPException, _respond_refused)
    application.add_exception_handler(RequestValidationError, _respond_invalid)
    application.state.context = context
    application.add_middleware(OuterMiddleware, notice=context.notice, is_secure=context.site.is_secure)
    if context.list_source is not None:
        application.add_middleware(ListMiddleware, source=context.list_source, site=context.site)
    return application


def _add(application: FastAPI, router: APIRouter, *, is_described: bool = True) -> None:
    """Add routes as they are: FastAPI's ``include_router`` would derive their parameters again, at the first requests.

    Args:
        application: The application.
        router: Its routes; it stands below no prefix but its own.
        is_described: Whether the OpenAPI document has them.
    """
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.include_in_schema = is_described and route.include_in_schema
        application.router.routes.append(route)


class OuterMiddleware:
    """Sets the headers of every response that has no others, and turns uncaught errors into responses that have them, too."""

    def __init__(self, app: ASGIApp, notice: str, *, is_secure: bool) -> None:
        self._app = app
        self._notice = notice
        self._headers = {**pages.HEADERS, **(_STRICT if is_secure else {}), **_mark(notice)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun = False
        found: Mapping[tuple[str, str], object] = {}

        async def send_with_headers(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                self._complete(MutableHeaders(scope=message), {LEFT_OUT: str(len(found))} if found else {})
            await send(message)

        try:
            with left_out.collecting() as found:
                await (_refuse_nul if _has_nul(scope) else self._app)(scope, receive, send_with_headers)
        except ClientDisconnect:
            return
        except Exception as error:
            _log.error("web.request_failed", error=type(error).__name__, place=source_line(error))
            if is_begun:
                raise
            if problems.is_for_program(scope):
                await problems.respond_with_status(500, "The error was logged. Please try again in a moment.")(
                    scope, receive, send_with_headers
                )
                return
            body = pages.refusal("Something went wrong.", "The error was logged. Please try again in a moment.", self._notice)
            await HTMLResponse(body, 500)(scope, receive, send_with_headers)

    def _complete(self, headers: MutableHeaders, more: Mapping[str, str]) -> None:
        for name, value in {**self._headers, **more}.items():
            headers.setdefault(name, value)


def _has_nul(scope: Scope) -> bool:
    """Return whether a path or a query has the one character that no database can look for."""
    return "\0" in scope["path"] or b"%00" in scope["query_string"]


async def _refuse_nul(scope: Scope, receive: Receive, send: Send) -> None:
    fault = Fault("url", "it has a NUL character (%00), which is part of no id and no text", "Leave it out")
    await problems.respond(Request(scope), InvalidRequest((fault,)))(scope, receive, send)


def _mark(notice: str) -> dict[str, str]:
    """Return the header in which programs get the notice of the pages."""
    text = one_line(notice).encode("ascii", "backslashreplace").decode()
    return {"Notifyflow-Notice": text} if text else {}


def _respond_denied(request: Request, error: Exception) -> Response:
    _log.warning("web.access_denied", error=type(error).__name__)
    return problems.respond(request, error)


def _respond_rejected(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RejectedCallback)  # noqa: S101 - the handler's registration says so
    _log.warning("web.callback_rejected", provider=error.provider)
    return PlainTextResponse("The signature is invalid.\n", 403)


def _respond_invalid_link(request: Request, error: Exception) -> Response:
    if isinstance(error, InvalidLink) and error.is_expired:
        headline, code = "This link has expired.", 410
    else:
        headline, code = "This link is invalid.", 404
    detail = "Use the link in the newest message. If you have none, ask your team, or run `notifyflow ack KEY`."
    return HTMLResponse(pages.refusal(headline, detail, request.app.state.context.notice), code)


def _respond_unavailable(request: Request, error: Exception) -> Response:
    if not getattr(error, "is_known", False):
        _log.warning("web.storage_unavailable", error=type(error).__name__, reason=getattr(error, "reason", ""))
    if problems.is_for_program(request.scope):
        return problems.respond(request, error)
    page = pages.refusal("The database is unavailable.", "Please try again in a moment.", request.app.state.context.notice)
    return HTMLResponse(page, 503, {"Retry-After": "5"})


def _respond_damaged(request: Request, error: Exception) -> Response:
    """Return the response to a request for a damaged row; a provider is told to repeat its receipt or reply later."""
    if path_below(request.scope).startswith("/callbacks/"):
        return _respond_unavailable(request, error)
    if problems.is_for_program(request.scope):
        return problems.respond(request, error)
    headline, detail = problems.words_of(error)
    if respond.has_user(request):
        return respond.refusal(request, 409, headline, detail)
    detail = "Its row in the database cannot be read. Tell those who run notifyflow: `notifyflow status --broken` names it."
    return HTMLResponse(pages.refusal(headline, detail, request.app.state.context.notice), 409)


def _respond_not_found(request: Request, _error: Exception) -> Response:
    return _respond_refused(request, HTTPException(404, "There is no such incident, or it has been deleted."))


def _respond_too_many_logins(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooManyLogins)  # noqa: S101 - the handler's registration says so
    detail = f"Many people are logging in, or somebody pretends to. Try again in {error.retry_after_s} s."
    page = pages.refusal("The login is busy.", detail, request.app.state.context.notice)
    return HTMLResponse(page, 429, {"Retry-After": str(error.retry_after_s)})


def _respond_problem(request: Request, error: Exception) -> Response:
    response = problems.respond(request, error)
    return _as_page(request, response, problems.words_of(error)) if respond.has_user(request) else response


def _respond_invalid(request: Request, error: Exception) -> Response:
    response = problems.respond_invalid(request, error)
    detail = "Its address has a value that this page does not know. Follow a link here instead."
    return _as_page(request, response, ("This is not possible here.", detail)) if respond.has_user(request) else response


def _as_page(request: Request, response: Response, words: tuple[str, str]) -> Response:
    """Return a problem document as a page for a user of the dashboard."""
    return respond.refusal(request, response.status_code, *words)


def _respond_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler's registration says so
    if problems.is_for_program(request.scope):
        return problems.respond_refused(request, error)
    headline = "Page not found." if error.status_code == 404 else "This is not possible here."
    if respond.has_user(request):
        return respond.refusal(request, error.status_code, headline, error.detail, error.headers)
    page = pages.refusal(headline, error.detail, request.app.state.context.notice)
    return HTMLResponse(page, error.status_code, error.headers)
