"""Bodies of requests, read raw, up to a limit, for so long, and no more of them at a time than there is room for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request

_PATIENCE_S = 30.0
_AGAIN_AFTER_S = 1


class Room:
    """How many bytes of bodies are held at a time, by all requests together.

    Args:
        limit_bytes: How many.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._free_bytes = limit_bytes

    def take(self, count: int) -> bool:
        """Take room for so many bytes more; False where there is none."""
        if count > self._free_bytes:
            return False
        self._free_bytes -= count
        return True

    def give_back(self, count: int) -> None:
        """Give room back."""
        self._free_bytes += count


class Body:
    """A dependency that reads the raw body, and refuses it as soon as it is larger, or takes longer, than anybody's should.

    Args:
        limit_bytes: How much is read at most.
        room: What it shares with others; None where its limit is bound enough.
        patience_s: How long it is waited for.

    Attributes:
        limit_bytes: How much is read at most.
    """

    def __init__(self, limit_bytes: int, *, room: Room | None = None, patience_s: float = _PATIENCE_S) -> None:
        self.limit_bytes = limit_bytes
        self._room = room
        self._patience_s = patience_s

    async def __call__(self, request: Request) -> AsyncIterator[bytes]:
        """Read it; its room is given back when the request is answered."""
        async with self.read(request) as body:
            yield body

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Read it, and hold its room until the block is left."""
        body = bytearray()
        try:
            await self._fill(body, request)
            yield bytes(body)
        finally:
            if self._room is not None:
                self._room.give_back(len(body))

    async def _fill(self, body: bytearray, request: Request) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                async for chunk in request.stream():
                    self._reserve(len(body) + len(chunk), len(chunk))
                    body += chunk
        except TimeoutError:
            raise HTTPException(408, f"A body has {self._patience_s:g} seconds to come here.") from None

    def _reserve(self, total: int, more: int) -> None:
        if total > self.limit_bytes:
            raise HTTPException(413, f"A body has at most {self.limit_bytes} bytes here.")
        if self._room is not None and not self._room.take(more):
            detail = "Too many bodies are being read at this moment. Send it again."
            raise HTTPException(503, detail, {"Retry-After": str(_AGAIN_AFTER_S)})
