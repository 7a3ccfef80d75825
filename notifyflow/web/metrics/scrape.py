"""The metrics for Prometheus: the counts in the database, and its values at the moment of a scrape.

Every process shows the same metrics, since all of them are rows; a worker needs no port. Nothing here counts anything.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Security
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials

from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.metrics.families import expected
from notifyflow.pipeline.delivery.incident_events import CHANNEL
from notifyflow.web.frame.auth import Require, bearer
from notifyflow.web.frame.context import Context


class RequireMetrics(Require):
    """A dependency that lets listed hosts through, and API keys with the scope ``metrics``."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, KeyScope.METRICS)
        self._hosts = context.metrics_hosts

    def __call__(  # type: ignore[override]  # a listed host has no key
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
    ) -> None:
        """Let a request through, or raise ``AccessDenied`` as ``authorise`` does."""
        if not is_listed(request, self._hosts):
            super().__call__(request, credentials)


def router(context: Context) -> APIRouter:
    """Build the route."""
    routes = APIRouter()
    providers = [(name, provider.name) for name, channel in context.channels.items() for provider in channel.providers]
    zeros = list(expected(providers, told=frozenset({CHANNEL})))
    carried = frozenset(channel for channel, _ in providers)

    @routes.get("/metrics", dependencies=[Depends(RequireMetrics(context))])
    def scrape(request: Request) -> Response:
        from notifyflow.web.metrics.exposition import Exposition, write

        scraped = context.service.scrape(carried)
        shown = Exposition(scraped=scraped, zeros=zeros, providers=providers, version=context.version)
        content, kind = write(shown, request.headers.get("accept", ""))
        return Response(content, media_type=kind)

    return routes


def is_listed(request: Request, hosts: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Return whether a request comes from a listed host, by the address of the connection alone."""
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return any(address in network for network in hosts)
