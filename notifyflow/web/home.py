"""The page of ``/``: what runs here, and where to log in. Users who are logged in are sent to the incidents."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from notifyflow.web.frame import pages, respond
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.permissions import recognise


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the route."""
    routes = APIRouter(route_class=bulkhead.logins.route_class)
    page = pages.render("home.html", {"version": context.version, "notice": context.notice})

    @routes.api_route("/", methods=["GET", "HEAD"])
    def show(request: Request) -> Response:
        return respond.redirect("incidents") if recognise(context, request).user else HTMLResponse(page)

    return routes
