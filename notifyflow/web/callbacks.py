"""What providers call back: verified on the raw body, committed, and only then answered with 2xx."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from notifyflow.channels.base import Callback, Provider
from notifyflow.web.services import Services

BODY_LIMIT_BYTES = 64 * 1024


async def read_body(request: Request) -> bytes:
    """Read the raw body, and refuse it as soon as it is larger than any provider's."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise HTTPException(413, f"A callback's body is at most {BODY_LIMIT_BYTES} bytes.")
    return bytes(body)


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
    """The path below our public URL, whatever a reverse proxy or the application we are mounted in puts before it."""
    path, query = request.url.path.removeprefix(request.scope.get("root_path", "")), request.url.query
    return f"{path}?{query}" if query else path
