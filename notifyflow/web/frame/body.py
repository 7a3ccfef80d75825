"""Request bodies: read raw, limited in size, in time, and in the memory of all bodies together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request

_TIMEOUT_S = 30.0
_AGAIN_AFTER_S = 1


class BodyBudget:
    """A budget of bytes for the bodies that all requests hold at the same time."""

    def __init__(self, limit_bytes: int) -> None:
        self._free_bytes = limit_bytes

    def reserve(self, count: int) -> bool:
        """Reserve room for more bytes; return False if there is not enough."""
        if count > self._free_bytes:
            return False
        self._free_bytes -= count
        return True

    def release(self, count: int) -> None:
        """Release room."""
        self._free_bytes += count


class Body:
    """A dependency that reads the raw body, and refuses it as soon as it is too large or too slow.

    Args:
        limit_bytes: The largest body that is accepted.
        room: The budget shared with other bodies; None for no limit.
        timeout_s: How long the client may take to send it.
    """

    def __init__(self, limit_bytes: int, *, room: BodyBudget | None = None, timeout_s: float = _TIMEOUT_S) -> None:
        self.limit_bytes = limit_bytes
        self._room = room
        self._timeout_s = timeout_s

    async def __call__(self, request: Request) -> AsyncIterator[bytes]:
        """Read the body; its room is released when the response has been sent."""
        async with self.read(request) as body:
            yield body

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Read the body, and hold its room until the end of the block."""
        body = bytearray()
        try:
            await self._fill(body, request)
            yield bytes(body)
        finally:
            if self._room is not None:
                self._room.release(len(body))

    async def _fill(self, body: bytearray, request: Request) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                async for chunk in request.stream():
                    self._reserve(len(body) + len(chunk), len(chunk))
                    body += chunk
        except TimeoutError:
            raise HTTPException(408, f"The body did not arrive within {self._timeout_s:g} seconds.") from None

    def _reserve(self, total: int, more: int) -> None:
        if total > self.limit_bytes:
            raise HTTPException(413, f"The body is larger than {self.limit_bytes:,} bytes.")
        if self._room is not None and not self._room.reserve(more):
            detail = "Too many request bodies are being read. Send the request again."
            raise HTTPException(503, detail, {"Retry-After": str(_AGAIN_AFTER_S)})
