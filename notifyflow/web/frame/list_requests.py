"""Lets requests read lists from the replica, and their senders see their own changes in them."""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifyflow.service.replica import MOST_AGE, ListRequest, ListSource, requesting
from notifyflow.web.frame import problems
from notifyflow.web.frame.openapi import AS_OF
from notifyflow.web.frame.site import Site

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class ListMiddleware:
    """Begins a request for lists with each request, and remembers who has changed something.

    The browser remembers it by a cookie, so that every process knows it; for an API key, only this process does.
    """

    def __init__(self, app: ASGIApp, source: ListSource, site: Site) -> None:
        self._app = app
        self._source = source
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with requesting(self._source) as lists:

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = MutableHeaders(scope=message)
                    if scope["method"] not in _SAFE:
                        self._note_change(scope, lists, headers)
                    elif lists.is_replicated and lists.as_of is not None and problems.is_for_program(scope):
                        headers[AS_OF] = lists.as_of.isoformat(timespec="seconds")
                await send(message)

            await self._app(scope, receive, send_with_headers)

    def _note_change(self, scope: Scope, lists: ListRequest, headers: MutableHeaders) -> None:
        """Note a change, which is committed when its response begins."""
        if lists.sender:
            lists.source.note_change(lists.sender)
        elif lists.is_of_user:
            response = Response()
            self._site.keep_change(Request(scope), response, for_s=int(MOST_AGE.total_seconds()))
            headers.append("set-cookie", response.headers["set-cookie"])
