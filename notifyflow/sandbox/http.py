"""HTTP as the stand-ins speak it: one request a connection, on the sandbox's own event loop.

Written out rather than left to a web framework, since a stand-in must also be able to hang, to cut, and to respond with nonsense.
"""

import asyncio
import http.client
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

_LIMIT_BYTES = 16 * 2**20


class Form(dict[str, list[str]]):
    """A form's fields; each may be given several times."""

    def last(self, name: str) -> str:
        """Give a field's last value, or an empty one."""
        return self.get(name, [""])[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, read to its end; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def form(self) -> Form:
        """Read the body as a form."""
        return Form(parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response to a client of the sandbox."""

    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Silence(Enum):
    """No response: wait until the client leaves, or cut the connection."""

    HANG = "hang"
    CUT = "cut"


Handler = Callable[[Request], Awaitable[HttpResponse | Silence]]


def as_json(status: int, value: object, **headers: str) -> HttpResponse:
    """Return a response with JSON."""
    return HttpResponse(status=status, content_type="application/json", body=json.dumps(value), headers=headers)


def read_object(text: bytes | str) -> dict[str, Any] | None:
    """Parse a JSON object; return None if the text is not one."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


async def serve(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read one request, have it handled, respond, and close."""
    try:
        request = await _read(reader)
        response = await handler(request) if request else HttpResponse(status=400, body="not a request that this server reads")
        match response:
            case HttpResponse():
                writer.write(_write(response))
                await writer.drain()
            case Silence.HANG:
                await reader.read()
            case Silence.CUT:
                writer.transport.abort()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass  # the client has left, or the server stops (of a task that was cancelled, Python 3.11 prints a traceback)
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, _, rest = head.partition(b"\r\n")
        method, target, _ = first.decode("ascii").split(" ")
        headers = {name.lower(): value for name, value in http.client.parse_headers(io.BytesIO(rest)).items()}
        length = int(headers.get("content-length", "0"))
    except (ValueError, asyncio.LimitOverrunError, http.client.HTTPException):
        return None
    if not 0 <= length <= _LIMIT_BYTES or "transfer-encoding" in headers:
        return None
    url = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    return Request(method=method, path=url.path, query=query, headers=headers, body=await reader.readexactly(length))


def _write(response: HttpResponse) -> bytes:
    body = response.body.encode("utf-8", "replace")
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unassigned"
    headers = {"Content-Type": response.content_type, "Content-Length": str(len(body)), "Connection": "close", **response.headers}
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body
