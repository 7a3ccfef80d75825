"""Who may use a page: each route of the dashboard declares the role that its users must have.

A request that changes something must also come from a page of ours, as the headers that browsers set and a token in the form
show. Both are checked here, so that no route can forget it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from notifyflow.core.accounts.users import CurrentUser, Role, form_token, is_form_token
from notifyflow.errors import NotLoggedIn
from notifyflow.log import get_logger
from notifyflow.service import replica
from notifyflow.web.frame.body import Body
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.known import tell_known
from notifyflow.web.frame.paths import target_below

_log = get_logger("notifyflow.web")

_SAFE = frozenset({"GET", "HEAD"})
_FIELD = "csrf"
_HEADER = "x-csrf-token"
_FORM_LIMIT_BYTES = 64 * 1024
LOGIN_LIMIT_BYTES = 4 * 1024
"""The largest form of somebody who is not logged in; the longest password fits."""

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession:
    """The sender of a request to the dashboard.

    Attributes:
        user: The user; None for somebody who is not logged in.
        form_key: The secret in the browser's cookie that its forms are bound to.
        is_new_key: Whether the browser does not have that cookie yet.
        may_log_out: Whether there is a session to end; a name from a proxy has none.
    """

    user: CurrentUser | None
    form_key: str
    is_new_key: bool
    may_log_out: bool

    @property
    def csrf(self) -> str:
        """The token for the forms of the page."""
        return form_token(self.form_key)


class MissingRole(HTTPException):
    """Raised when a user does not have the role that a page needs."""

    def __init__(self, user: CurrentUser, role: Role) -> None:
        super().__init__(403, f"You are logged in as {user.name}, a {user.role}; this needs the role {role}.")
        self.user = user


class UnknownUser(HTTPException):
    """Raised when a trusted proxy names somebody who is no user, or is disabled."""

    def __init__(self) -> None:
        super().__init__(403, "You are logged in at the proxy, and are no user of notifyflow. Ask its administrator to add you.")


class RequireRole:
    """A dependency that lets users with a role through, and passes the user to the route.

    Use ``user: Annotated[CurrentUser, Depends(RequireRole(context, role))]``. In a route that changes something, ``form_of``
    returns the fields of the form.

    Attributes:
        role: The least role.
    """

    def __init__(self, context: Context, role: Role) -> None:
        self._context = context
        self.role = role

    async def __call__(self, request: Request) -> CurrentUser:
        """Return the user.

        Raises:
            NotLoggedIn: When nobody is logged in.
            MissingRole: When the user does not have the role.
            HTTPException: When a changing request does not come from a page of ours, or its form is too large.
        """
        if request.method not in _SAFE:
            check_site(self._context, request)
        browser = await run_in_threadpool(recognise, self._context, request)
        request.state.browser = browser
        if browser.user is None:
            raise NotLoggedIn
        if not browser.user.may(self.role):
            _log.warning("web.visitor_refused", why="role")
            raise MissingRole(browser.user, self.role)
        tell_known(request.scope, f"user {browser.user.name}")
        if (lists := replica.current()) is not None:
            lists.is_of_user = True
            lists.may_lag = request.method in _SAFE and not self._context.site.has_changed(request)
        if request.method not in _SAFE:
            await read_form(request, browser)
        return browser.user


def recognise(context: Context, request: Request) -> BrowserSession:
    """Return the sender of a request: the session's user, or the user that a trusted proxy names.

    Raises:
        UnknownUser: When a trusted proxy names somebody who is no user.
    """
    site, name = context.site, context.site.name_of(request)
    session = site.session_of(request) if name is None else ""
    try:
        user = context.users.of_session(session) if name is None else context.users.of_name(name)
    except NotLoggedIn:
        if name is not None:
            _log.warning("web.visitor_refused", why="unknown_user")
            raise UnknownUser from None
        user, session = None, ""
    key = session or site.form_key_of(request)
    return BrowserSession(user=user, form_key=key or context.users.new_token(), is_new_key=not key, may_log_out=bool(session))


def check_site(context: Context, request: Request) -> None:
    """Refuse a request that another site made a browser send."""
    if not context.site.is_from_own_site(request):
        _log.warning("web.visitor_refused", why="other_site")
        raise HTTPException(403, "The request came from another site. Open the page here, and do it again.")


async def read_form(request: Request, browser: BrowserSession, *, limit_bytes: int = _FORM_LIMIT_BYTES) -> None:
    """Read the form of a request for ``form_of``; refuse one without the token of the page."""
    async with Body(limit_bytes).read(request) as body:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    presented = request.headers.get(_HEADER) or form.get(_FIELD, "")
    if browser.is_new_key or not is_form_token(presented, browser.form_key):
        _log.warning("web.visitor_refused", why="form_token")
        raise HTTPException(403, "This page is out of date. Go back, reload it, and do it again.")
    request.state.form = form


def form_of(request: Request) -> Form:
    """Return the fields of the form that a user has sent; of a field that comes twice, the last."""
    form: Form = request.state.form
    return form


def root_of(request: Request) -> str:
    """Return the relative way to the dashboard's root, such as ``../``: a proxy may have put a prefix before it."""
    path: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    prefix: str = request.scope.get("root_path", "")
    depth = path.count(b"/") - prefix.count("/") - 1
    return "../" * depth


def login_address(request: Request) -> str:
    """Return the relative address of the login, which leads back here after a request that changes nothing."""
    target = target_below(request.scope).lstrip("/")
    back = f"?next={quote(target, safe='')}" if target and request.method in _SAFE else ""
    return f"{root_of(request)}login{back}"
