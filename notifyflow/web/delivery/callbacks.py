"""Callbacks of providers: verified on the raw body and committed before the 2xx response."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from notifyflow.channels.base import Callback, Provider
from notifyflow.channels.provider_protocols import ReadsCallbacks, ReadsReplies, Responds, RespondsToKeys
from notifyflow.errors import ProviderError, RejectedCallback
from notifyflow.log import get_logger
from notifyflow.web.frame.body import Body
from notifyflow.web.frame.bulkhead import Bulkhead
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.paths import target_below

_log = get_logger("notifyflow.web")

BODY_LIMIT_BYTES = 64 * 1024
_SNS_LIMIT_BYTES = 512 * 1024  # a message has up to 256 KiB (SNS API Reference, Publish), and more when escaped


read_body = Body(BODY_LIMIT_BYTES)


def router(context: Context, bulkhead: Bulkhead) -> APIRouter:
    """Build the routes of ``/callbacks``."""
    routes = APIRouter()
    read_message = Body(_SNS_LIMIT_BYTES, room=bulkhead.small_room)

    # The handlers are plain functions: they run in worker threads, since verifying and committing block.
    @routes.post("/callbacks/{provider}/{channel}/{attempt_id}")
    @routes.post("/callbacks/{provider}/{channel}/{attempt_id}/key")
    def receive(
        provider: str, channel: str, attempt_id: str, request: Request, body: Annotated[bytes, Depends(read_body)]
    ) -> Response:
        callback = Callback(path=target_below(request.scope), headers=dict(request.headers), body=body, attempt_id=attempt_id)
        return _receive(context, _provider(context, channel, provider), callback)

    @routes.post("/callbacks/sns")
    def receive_from_sns(body: Annotated[bytes, Depends(read_message)]) -> Response:
        if context.sns is None:
            raise HTTPException(404, "No SNS topic is configured.")
        try:
            receipts = context.sns.read(body)
        except ProviderError as error:
            _log.warning("web.message_not_verified", error=type(error).__name__, code=error.code)
            raise HTTPException(503, "The signing certificate is unavailable.") from None
        for receipt in receipts:
            context.service.receive(receipt, body.decode("utf-8", "replace"))
        return Response()

    return routes


def replies(context: Context) -> APIRouter:
    """Build the routes for replies: text messages and buttons."""
    routes = APIRouter()

    @routes.post("/callbacks/slack/actions")
    def receive_slack_action(request: Request, body: Annotated[bytes, Depends(read_body)]) -> Response:
        try:
            return _handle_reply(context, "slack", "slack", request, body)
        except RejectedCallback as error:
            _log.warning("web.callback_rejected", provider=error.provider)
            raise HTTPException(401, "The signature is invalid.") from None

    @routes.post("/callbacks/{provider}/{channel}")
    def receive_reply(provider: str, channel: str, request: Request, body: Annotated[bytes, Depends(read_body)]) -> Response:
        return _handle_reply(context, provider, channel, request, body)

    return routes


def _receive(context: Context, provider: Provider, callback: Callback) -> Response:
    if not isinstance(provider, ReadsCallbacks):
        raise RejectedCallback(provider.name, "it has no callbacks")
    response = provider.read_callback(callback)
    for receipt in response.receipts:
        handled = context.service.receive(receipt, callback.body.decode("utf-8", "replace"))
        if handled and isinstance(provider, RespondsToKeys):
            response = provider.respond_to_key(callback, handled)
        elif handled and isinstance(provider, Responds):
            response = provider.respond(handled)
    return Response(response.body, media_type=response.content_type)


def _handle_reply(context: Context, provider: str, channel: str, request: Request, body: bytes) -> Response:
    adapter = _provider(context, channel, provider)
    if not isinstance(adapter, ReadsReplies):
        raise RejectedCallback(provider, "it passes on no replies")
    reply = adapter.read_reply(Callback(path=target_below(request.scope), headers=dict(request.headers), body=body))
    if reply is None:
        return Response()
    handled = context.service.handle_reply(channel, reply, body.decode("utf-8", "replace"))
    if not isinstance(adapter, Responds):
        return Response()
    response = adapter.respond(handled)
    return Response(response.body, media_type=response.content_type)


def _provider(context: Context, channel: str, name: str) -> Provider:
    if channel in context.channels:
        for provider in context.channels[channel].providers:
            if provider.name == name:
                return provider
    raise HTTPException(404, "No such provider is configured.")
