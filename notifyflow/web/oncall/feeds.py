"""The feeds of calendars: a secret address each, which calendar programs read without a login."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from notifyflow.core.oncall.icalendar import MEDIA_TYPE
from notifyflow.errors import FeedNotFound
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.respond import has_tag

_HEADERS = {"Cache-Control": "private, no-cache", "Content-Disposition": 'inline; filename="oncall.ics"'}


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the route of ``/oncall/feeds/{token}.ics``."""
    routes = APIRouter(route_class=bulkhead.links.route_class)

    @routes.api_route("/oncall/feeds/{token}.ics", methods=["GET", "HEAD"])
    def show(request: Request, token: str) -> Response:
        try:
            shown = context.feeds.show(token)
        except FeedNotFound:
            raise HTTPException(404, "There is no calendar at this address, or it was revoked or has expired.") from None
        headers = {**_HEADERS, "ETag": shown.tag}
        if has_tag(request, shown.tag):
            return Response(None, 304, headers)
        return Response(shown.content, headers=headers, media_type=MEDIA_TYPE)

    return routes
