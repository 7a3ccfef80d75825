"""The path of a request, from the request line alone and never from a header.

``request.url`` is built from the ``Host`` header, so its path may differ from the one that was routed (GHSA-86qp-5c8j-p5mr).
Nothing in this package reads it.
"""

from starlette.types import Scope


def path_below(scope: Scope) -> str:
    """Return the path below the public URL, without the prefix of a reverse proxy or of an application that mounts notifyflow."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def target_below(scope: Scope) -> str:
    """Return the path below the public URL, with its query."""
    path, query = path_below(scope), scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path
