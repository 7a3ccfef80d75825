"""Bodies of requests, read raw, up to a limit, and for so long."""

import asyncio

from fastapi import HTTPException, Request

_PATIENCE_S = 30.0


class Body:
    """A dependency that reads the raw body, and refuses it as soon as it is larger, or takes longer, than anybody's should.

    Attributes:
        limit_bytes: How much is read at most.
    """

    def __init__(self, limit_bytes: int, *, patience_s: float = _PATIENCE_S) -> None:
        self.limit_bytes = limit_bytes
        self._patience_s = patience_s

    async def __call__(self, request: Request) -> bytes:
        """Read it."""
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._read(request)
        except TimeoutError:
            raise HTTPException(408, f"A body has {self._patience_s:g} seconds to come here.") from None

    async def _read(self, request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.limit_bytes:
                raise HTTPException(413, f"A body has at most {self.limit_bytes} bytes here.")
        return bytes(body)
