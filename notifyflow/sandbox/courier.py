"""Calls back as Twilio does: signed, with the retries that the URL's fragment asks for.

Sources: Twilio docs, "Webhooks (HTTP callbacks): Connection Overrides" (``#rc=5&rp=all``, at most 15 s altogether) and
"Webhooks Security" (X-Twilio-Signature, over the URL as it is requested and the form). The fragment is neither sent nor signed.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urldefrag, urlencode, urlsplit

from twilio.request_validator import RequestValidator

_FIRST_PAUSE_S = 0.2
_TOTAL_S = 15.0

Post = Callable[[str, str, Mapping[str, str]], Awaitable[tuple[int | None, str]]]
"""Posts a body with headers to a URL once, and returns the status, None without a response, and the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOverrides:
    """The connection overrides of a callback URL.

    Attributes:
        url: The URL without its fragment.
        retries: How often to retry.
        policies: What to retry on: ``ct`` (no connection), ``rt`` (no response), ``4xx``, ``5xx``, ``all``.
    """

    url: str
    retries: int
    policies: frozenset[str]

    def wants_retry(self, status: int | None) -> bool:
        """Return whether to retry after an HTTP status, or after no response (None)."""
        if status is None:
            return bool(self.policies & {"all", "ct", "rt"})
        return status >= 400 and bool(self.policies & {"all", f"{status // 100}xx"})


def read_overrides(url: str) -> ConnectionOverrides:
    """Read the connection overrides from a URL's fragment; without any, one retry if there was no connection."""
    plain, fragment = urldefrag(url)
    values = {name: values[-1] for name, values in parse_qs(fragment).items()}
    count = values.get("rc", "1")
    retries = min(int(count), 5) if count.isdecimal() else 1
    return ConnectionOverrides(url=plain, retries=retries, policies=frozenset(values.get("rp", "ct").split(",")))


class Courier:
    """Posts signed forms, on the sandbox's own event loop."""

    def __init__(self, auth_token: str, post: Post) -> None:
        self._validator = RequestValidator(auth_token)
        self._post = post

    async def post(self, url: str, form: Mapping[str, str]) -> str | None:
        """Call back at a URL until it is accepted, or its fragment wants no more retries; return the body of a 2xx."""
        overrides = read_overrides(url)
        headers = {"X-Twilio-Signature": self._validator.compute_signature(overrides.url, dict(form))}
        try:
            async with asyncio.timeout(_TOTAL_S):
                for number in range(overrides.retries + 1):
                    status, body = await self._post(overrides.url, urlencode(form), headers)
                    if status is not None and 200 <= status < 300:
                        return body
                    if not overrides.wants_retry(status):
                        return None
                    await asyncio.sleep(_FIRST_PAUSE_S * 2**number)
        except TimeoutError:
            pass
        return None


class Reports:
    """Callbacks about one message, each after the previous one, beside the events they report."""

    def __init__(self, courier: Courier, url: str) -> None:
        """Set where to report; an empty URL wants no reports."""
        self._courier = courier
        self._url = url
        self._last: asyncio.Task[None] | None = None

    def add(self, form: Mapping[str, str]) -> None:
        """Report an event after the previous ones."""
        if self._url:
            self._last = asyncio.get_running_loop().create_task(self._post(self._last, form))

    async def finish(self) -> None:
        """Wait for all reports."""
        if self._last is not None:
            await self._last

    async def _post(self, before: asyncio.Task[None] | None, form: Mapping[str, str]) -> None:
        if before is not None:
            await before
        await self._courier.post(self._url, form)


async def post_form(url: str, body: str, headers: Mapping[str, str]) -> tuple[int | None, str]:
    """Post once in HTTP/1.0, where a response ends with its connection; the status is None without a response."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    lines = [
        f"POST {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.0",
        f"Host: {parts.netloc}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    try:
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port or (443 if is_tls else 80), ssl=ssl.create_default_context() if is_tls else None
        )
    except OSError:
        return None, ""
    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        head, _, said = (await reader.read(-1)).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), said.decode("utf-8", "replace")
    except (OSError, ValueError, IndexError):
        return None, ""
    finally:
        writer.close()
