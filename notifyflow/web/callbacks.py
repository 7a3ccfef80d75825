"""What providers call back: verified on the raw body, committed, and only then answered with 2xx."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from notifyflow.channels.base import Callback, Provider
from notifyflow.web.body import Body
from notifyflow.web.services import Services

BODY_LIMIT_BYTES = 64 * 1024


read_body = Body(BODY_LIMIT_BYTES)


def router(services: Services) -> APIRouter:
    """Build the routes of ``/callbacks``."""
    routes = APIRouter()

    # The handlers are plain functions: they run in worker threads, since verifying and committing block.
    @routes.post("/callbacks/{provider}/{channel}/{attempt_id}")
    @routes.post("/callbacks/{provider}/{channel}/{attempt_id}/key")
    def receive(
        provider: str, channel: str, attempt_id: str, request: Request, body: Annotated[bytes, Depends(read_body)]
    ) -> Response:
        callback = Callback(path=_path(request), headers=dict(request.headers), body=body, attempt_id=attempt_id)
        reply = _provider(services, channel, provider).read_callback(callback)
        for receipt in reply.receipts:
            services.receive(receipt, body.decode("utf-8", "replace"))
        return Response(reply.body, media_type=reply.content_type)

    return routes


def _provider(services: Services, channel: str, name: str) -> Provider:
    if channel in services.channels:
        for provider in services.channels[channel].providers:
            if provider.name == name:
                return provider
    raise HTTPException(404, "No such provider is configured here.")


def _path(request: Request) -> str:
    """The path as it was asked for, below a reverse proxy's prefix, with its query: what the provider signed."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
