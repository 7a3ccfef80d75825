"""The page *Pauses*: what is paused, until when, and by whom."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from notifyflow.core.accounts.users import CurrentUser, Role
from notifyflow.core.insight import pause_words
from notifyflow.core.insight.times import Times
from notifyflow.web.frame import respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import RequireRole
from notifyflow.web.frame.times import zone_of


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the route of ``/pauses``."""
    routes = APIRouter(route_class=bulkhead.pages.route_class)

    @routes.get("/pauses")
    def show(user: Annotated[CurrentUser, Depends(RequireRole(context, Role.VIEWER))], request: Request) -> Response:
        until = Times(zone_of(request), context.service.now()).local
        pauses = [pause_words.sentence(each, until=until) for each in context.service.pauses()]
        return respond.page(request, user, "pauses.html", {"pauses": pauses})

    return routes
