"""Logging in and out, and the page that makes the first user."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from notifyflow.core.accounts.users import SHORTEST_PASSWORD, CurrentUser, Role
from notifyflow.errors import Fault, InvalidUser, LoginRefused, SetupOver, TooManyLogins
from notifyflow.service.accounts.users import LoggedIn
from notifyflow.web.frame import respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import (
    LOGIN_LIMIT_BYTES,
    BrowserSession,
    RequireRole,
    check_site,
    form_of,
    read_form,
    recognise,
)

_START = "incidents"
_LONGEST_WAY = 512
_OWN = re.compile(r"[a-z]+(/[\w.~%@+-]+)*(\?[\w.~%@+&=:,/-]*)?", re.ASCII)
"""A relative address of ours: no scheme, no host, no backslash, nothing that leads out."""


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/login`` and ``/logout``."""
    routes = APIRouter(route_class=bulkhead.logins.route_class)

    @routes.api_route("/login", methods=["GET", "HEAD"])
    def show(request: Request, next: str = "") -> Response:
        browser = _recognise(context, request)
        return respond.redirect(_safe(next)) if browser.user else _form(request, {"next": next})

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        await _read(context, bulkhead, request)
        form = form_of(request)
        name, password = form.get("name", ""), form.get("password", "")
        site = context.site
        work = partial(
            context.users.log_in,
            name,
            password,
            client=site.client_of(request),
            device=site.device_of(request),
            session=site.session_of(request),
        )
        try:
            logged_in = await bulkhead.hashes.run(work)
        except LoginRefused:
            return _form(request, form, "The name or the password is wrong.", status=401)
        except TooManyLogins as error:
            fault = f"There were too many attempts. Try again in {error.retry_after_s} s."
            return _later(_form(request, form, fault, status=429), error)
        return _enter(context, request, logged_in, _safe(form.get("next", "")))

    @routes.post("/logout")
    def log_out(user: Annotated[CurrentUser, Depends(RequireRole(context, Role.VIEWER))], request: Request) -> Response:
        context.users.log_out(context.site.session_of(request))
        response = respond.redirect("login")
        context.site.drop_login(request, response)
        return response

    return routes


def setup(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/setup/{token}``, which make the first user."""
    routes = APIRouter(route_class=bulkhead.logins.route_class)

    @routes.api_route("/setup/{token}", methods=["GET", "HEAD"])
    def show(request: Request, token: str) -> Response:
        _recognise(context, request)
        try:
            context.users.check_setup(token)
        except SetupOver:
            return _over(request)
        return _setup_form(request)

    @routes.post("/setup/{token}")
    async def set_up(request: Request, token: str) -> Response:
        await _read(context, bulkhead, request)
        form = form_of(request)
        name = form.get("name", "")
        try:
            logged_in = await bulkhead.hashes.run(partial(context.users.set_up, token, name, form.get("password", "")))
        except SetupOver:
            return _over(request)
        except InvalidUser as error:
            return _setup_form(request, name, error.faults, status=422)
        except TooManyLogins as error:
            fault = Fault("setup", "there were too many attempts", f"Try again in {error.retry_after_s} s")
            return _later(_setup_form(request, name, (fault,), status=429), error)
        return _enter(context, request, logged_in, f"../{_START}")

    return routes


def _recognise(context: Context, request: Request) -> BrowserSession:
    browser = recognise(context, request)
    request.state.browser = browser
    return browser


async def _read(context: Context, bulkhead: Bulkhead, request: Request) -> None:
    """Read a form of somebody who is not logged in, as ``RequireRole`` reads those of users."""
    check_site(context, request)
    browser = await bulkhead.logins.run(partial(_recognise, context, request))
    await read_form(request, browser, limit_bytes=LOGIN_LIMIT_BYTES)


def _form(request: Request, values: Mapping[str, str], fault: str = "", *, status: int = 200) -> Response:
    shown = {"name": values.get("name", ""), "next": _safe(values.get("next", "")), "fault": fault}
    return respond.page(request, None, "login.html", shown, status=status)


def _setup_form(request: Request, name: str = "", faults: Sequence[Fault] = (), *, status: int = 200) -> Response:
    shown = {"name": name, "faults": faults, "shortest": SHORTEST_PASSWORD}
    return respond.page(request, None, "setup.html", shown, status=status)


def _later(response: Response, error: TooManyLogins) -> Response:
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _enter(context: Context, request: Request, logged_in: LoggedIn, address: str) -> Response:
    response = respond.redirect(address)
    context.site.keep_login(request, response, session=logged_in.session, device=logged_in.device)
    return response


def _over(request: Request) -> Response:
    detail = (
        "It was used, it is older than an hour, or there is a user already. Run `notifyflow users add` to add one, or restart "
        "the web service for a new link."
    )
    return respond.refusal(request, 410, "This link is no longer valid.", detail)


def _safe(address: str) -> str:
    """Return where to go after a login: an address of ours, or the first page."""
    return address if len(address) <= _LONGEST_WAY and _OWN.fullmatch(address) and ".." not in address else _START
