"""Who may come in: a route of the API declares the scope that its callers' keys must have."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from notifyflow.core.keys import ApiKey, Scope
from notifyflow.errors import InvalidApiKey
from notifyflow.web.context import Context

_bearer = HTTPBearer(
    scheme_name="apiKey",
    bearerFormat="nf_…",
    description="A key made by `notifyflow keys create`, with the scope that the operation names.",
    auto_error=False,
)


class Gate:
    """What every route of ours that asks for a key depends on, first of all, so that nothing of a request is read before.

    Attributes:
        scope: What the key must be good for.
    """

    def __init__(self, context: Context, scope: Scope) -> None:
        self._admit: Callable[[str, Scope], ApiKey] = context.access.admit
        self.scope = scope

    def admit(self, presented: str) -> ApiKey:
        """Let in whoever presents a good key.

        Raises:
            AccessDenied: When there is no key, or it is wrong, revoked, expired, not for this, or used too often.
        """
        if not presented:
            raise InvalidApiKey("is missing")
        return self._admit(presented, self.scope)


class Require(Gate):
    """A dependency that lets in whoever presents a good key of one scope, and gives the key to the route.

    It goes first among a route's dependencies: ``dependencies=[Depends(Require(…))]``, or
    ``caller: Annotated[ApiKey, Depends(Require(…))]`` as the first argument of a route that wants to know who it is.
    """

    def __call__(self, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> ApiKey:
        """Let in.

        Raises:
            AccessDenied: When there is no key, or it is wrong, revoked, expired, not for this, or used too often.
        """
        return self.admit(credentials.credentials if credentials else "")
