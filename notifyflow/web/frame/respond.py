"""The responses of the dashboard: its pages, with headers that let a browser load assets and ask whether anything changed.

An ETag has two parts: the etag of the data that a page is made from, which is known before the page is, and the digest of the
page. A browser that has the first gets a 304 at once; one that has the digest alone gets it once the page is made.
"""

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from notifyflow.core.accounts.users import CurrentUser
from notifyflow.core.insight.left_out import sentence
from notifyflow.core.insight.times import Times
from notifyflow.service import replica
from notifyflow.storage.insight.left_out import collected
from notifyflow.web.frame import assets, pages
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.paths import path_below, target_below
from notifyflow.web.frame.permissions import BrowserSession, MissingRole, login_address, root_of
from notifyflow.web.frame.times import zone_of

NAVIGATION: Mapping[str, str] = {
    "incidents": "Incidents",
    "messages": "Messages",
    "people": "People",
    "oncall": "On call",
    "heartbeats": "Heartbeats",
    "health": "Health",
}
"""The pages that every page links to: path and name."""

_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Mapping[str, str] = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin", "Vary": "Cookie"}
_KEPT = "private, no-cache"
_STEP_S = 10
"""How often a page that changes with time alone is made anew, and how late it may show that."""
_UNKEPT = "no-store"


class Live(StrEnum):
    """How soon a page that is open asks whether it has changed; ``assets/dashboard.js`` has the times."""

    MOVING = "moving"
    WATCHING = "watching"
    IDLE = "idle"


def live(*, is_moving: bool) -> Live:
    """Return how soon a page asks again, by whether something moves on it."""
    return Live.MOVING if is_moving else Live.WATCHING


def etag(context: Context, *, with_time: bool = False, is_list: bool = False) -> str | None:
    """Return a text that differs after any change, so that an unchanged page need not be made; None if there is no such text.

    Args:
        context: The services.
        with_time: Whether the page also changes with time alone: it shows ages, or who is on duty.
        is_list: Whether the page is a list, which a replica may show.
    """
    found = context.service.lists.etag() if is_list else context.service.etag_of_all()
    return f"{found} {int(context.service.now().timestamp()) // _STEP_S}" if found and with_time else found


def page(
    request: Request,
    user: CurrentUser | None,
    template: str,
    values: Mapping[str, Any],
    *,
    etag: str | None = None,
    status: int = 200,
) -> Response:
    """Render a page for a user; 304 without a body if their browser has it already.

    Args:
        request: The request.
        user: The reader; None for somebody who is not logged in, whose pages are kept nowhere.
        template: Its file in ``templates/dashboard/``, which extends ``dashboard/base.html``.
        values: The values of the template. It also gets ``user``, ``root`` (the relative way to the dashboard's root, before
            every link), ``csrf`` (for forms), ``here`` (the first part of the path), ``zone`` (the browser's time zone),
            ``written`` (writes times) and ``asset`` (name → address below it).
        etag: Differs whenever the values do, and was taken before they were read; None if only the page itself can be compared.
        status: The status of the response.
    """
    browser: BrowserSession = request.state.browser
    left_out = sentence(collected(), are_named=user is not None and user.namespaces is None)
    html = pages.render(f"dashboard/{template}", {**_frame(request, browser), **values, "user": user, "left_out": left_out})
    is_kept = user is not None and status == 200 and request.method in ("GET", "HEAD")
    if not is_kept:
        return _with_key(request, HTMLResponse(html, status, {**_HEADERS, "Cache-Control": _UNKEPT}))
    digest = _digest(html)
    header = f'"{_first_part(request, user, etag)}{digest}"'
    is_known = any(each.endswith(f'{digest}"') for each in _tags(request))
    headers = {**_HEADERS, "Cache-Control": _KEPT, "ETag": header}
    return _with_key(request, Response(None, 304, headers) if is_known else HTMLResponse(html, status, headers))


def unchanged(request: Request, user: CurrentUser | None, etag: str | None) -> Response | None:
    """Return the response without a body if the browser has the page of this etag; None if it must be made.

    A route calls it before it reads what the page shows.
    """
    if etag is None:
        return None
    first = _first_part(request, user, etag)
    header = next((each for each in _tags(request) if each.startswith(f'"{first}')), None)
    return None if header is None else Response(None, 304, {**_HEADERS, "Cache-Control": _KEPT, "ETag": header})


def has_tag(request: Request, tag: str) -> bool:
    """Return whether the client has the content of a tag."""
    return tag in _tags(request)


def _tags(request: Request) -> Sequence[str]:
    """Return the client's tags; a proxy that compresses may have made them weak ones."""
    if request.method not in ("GET", "HEAD"):
        return ()
    return [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]


def refusal(request: Request, status: int, headline: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Render the page about an error for somebody who may be logged in."""
    browser: BrowserSession = request.state.browser
    response = page(request, browser.user, "refusal.html", {"headline": headline, "detail": detail}, status=status)
    response.headers.update(headers or {})
    return response


def redirect(address: str) -> Response:
    """Return a redirect to a relative address, to which the browser sends a GET."""
    return RedirectResponse(address, 303)


def has_user(request: Request) -> bool:
    """Return whether the request came as far as a page of the dashboard, for somebody who is logged in."""
    browser: BrowserSession | None = getattr(request.state, "browser", None)
    return browser is not None and browser.user is not None


def respond_not_logged_in(request: Request, _error: Exception) -> Response:
    """Return the way to the login; to a script the status alone, since it cannot log in."""
    if request.headers.get("hx-request"):
        return Response(None, 401, {"Cache-Control": _UNKEPT})
    return redirect(login_address(request))


def respond_missing_role(request: Request, error: Exception) -> Response:
    """Return the page about a role that the user does not have."""
    assert isinstance(error, MissingRole)  # noqa: S101 - the handler's registration says so
    return refusal(request, 403, "You may not do this.", error.detail)


def context_of(request: Request) -> Context:
    """Return the services of the application that handles a request."""
    context: Context = request.app.state.context
    return context


def _frame(request: Request, browser: BrowserSession) -> Mapping[str, Any]:
    """Return the values that every page has."""
    zone = zone_of(request)
    times = Times(zone, context_of(request).service.now())
    return {
        "root": root_of(request),
        "csrf": browser.csrf,
        "may_log_out": browser.may_log_out,
        "here": path_below(request.scope).split("/")[1],
        "navigation": NAVIGATION,
        "asset": assets.address,
        "notice": context_of(request).notice,
        "zone": zone,
        "written": times,
        "as_of": _as_of(times),
    }


def _as_of(times: Times) -> str:
    """Return the time that a list from a replica shows, if that is some seconds ago; otherwise an empty text."""
    lists = replica.current()
    as_of = None if lists is None else lists.late_as_of
    return "" if as_of is None else times.brief(as_of)


def _with_key(request: Request, response: Response) -> Response:
    browser: BrowserSession = request.state.browser
    if browser.is_new_key:
        context_of(request).site.keep_form_key(request, response, browser.form_key)
    return response


def _first_part(request: Request, user: CurrentUser | None, etag: str | None) -> str:
    """Return the first part of an ETag: the data's, with all else that decides how a page looks; empty without one."""
    if etag is None:
        return ""
    browser: BrowserSession = request.state.browser
    context = context_of(request)
    decisive = (etag, target_below(request.scope), user, browser.csrf, str(zone_of(request)), context.notice, context.version)
    return f"{_digest(repr(decisive))}-"


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]
