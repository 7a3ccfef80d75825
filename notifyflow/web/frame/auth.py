"""Authentication: each route declares the scope that the caller's API key must have."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.errors import InvalidApiKey
from notifyflow.service import replica
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.known import tell_known

bearer = HTTPBearer(
    scheme_name="apiKey",
    bearerFormat="nf_…",
    description="A key made by `notifyflow keys create`, with the scope that the operation names.",
    auto_error=False,
)


class Gate:
    """The check of an API key, first among a route's dependencies, so that no request body is read before it."""

    def __init__(self, context: Context, scope: KeyScope) -> None:
        self._authorise: Callable[[str, KeyScope], ApiKey] = context.access.authorise
        self.scope = scope

    def authorise(self, presented: str) -> ApiKey:
        """Return the API key that was presented, if it is valid and has the scope.

        Raises:
            AccessDenied: When the key is missing, wrong, revoked, expired, without the scope, or used too often.
        """
        if not presented:
            raise InvalidApiKey("is missing")
        key = self._authorise(presented, self.scope)
        if (lists := replica.current()) is not None:
            lists.note_key(key.id)
        return key

    def authorise_request(self, request: Request, presented: str) -> ApiKey:
        """Return the API key that the headers of a request present, and tell the server whose request it is."""
        key = self.authorise(presented)
        tell_known(request.scope, f"key {key.id}")
        return key


class Require(Gate):
    """A dependency that requires ``Authorization: Bearer`` with an API key of one scope, and passes the key to the route.

    Use ``caller: Annotated[ApiKey, Depends(Require(…))]`` as the route's first argument.
    """

    def __call__(self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> ApiKey:
        """Return the caller's API key; raise ``AccessDenied`` as ``authorise`` does."""
        return self.authorise_request(request, credentials.credentials if credentials else "")
