"""The page of ``/``: what runs here, and where to look next."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from notifyflow.web import pages
from notifyflow.web.context import Context


def router(context: Context) -> APIRouter:
    """Build the route."""
    routes = APIRouter()
    page = pages.render("home.html", {"version": context.version, "notice": context.notice})

    @routes.api_route("/", methods=["GET", "HEAD"])
    def show() -> Response:
        return HTMLResponse(page)

    return routes
