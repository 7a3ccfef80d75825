"""Tells the server whose request it is, once a key or a login has shown that: the connection then counts as theirs.

It is an extension of ASGI that ``notifyflow up`` and ``notifyflow web`` offer; under another server, nothing happens.
"""

from starlette.types import Scope

EXTENSION = "notifyflow.known"


def tell_known(scope: Scope, owner: str) -> None:
    """Tell the server that a request carries a valid key or login, from any thread.

    Args:
        scope: The request.
        owner: The owner; the same for all connections with that key or of that user.
    """
    if offered := (scope.get("extensions") or {}).get(EXTENSION):
        offered["note"](owner)
