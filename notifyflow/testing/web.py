"""A client of notifyflow's web application in this process, without a socket."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response of the web application.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case.
        text: The body.
    """

    status: int
    headers: Mapping[str, str]
    text: str


async def request(app: ASGIApp, method: str, url: str, *, body: str, headers: Mapping[str, str]) -> Response:
    """Send one request to an ASGI application, whose lifespan is not run."""
    sent: list[Message] = []
    waiting: list[Message] = [{"type": "http.request", "body": body.encode()}]

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(_scope(method, url, {"content-length": str(len(body.encode())), **headers}), receive, send)
    return Response(
        status=sent[0]["status"],
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in sent[0]["headers"]},
        text=b"".join(message.get("body", b"") for message in sent[1:]).decode(),
    )


def _scope(method: str, url: str, headers: Mapping[str, str]) -> Scope:
    parts = urlsplit(url)
    named = {"host": parts.netloc, "content-type": "application/x-www-form-urlencoded", **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named.items()],
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname, parts.port or 443),
    }
