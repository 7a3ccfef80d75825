"""Bodies of requests, read raw and up to a limit."""

from fastapi import HTTPException, Request


class Body:
    """A dependency that reads the raw body, and refuses it as soon as it is larger than anybody's should be.

    Attributes:
        limit_bytes: How much is read at most.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes

    async def __call__(self, request: Request) -> bytes:
        """Read it."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.limit_bytes:
                raise HTTPException(413, f"A body has at most {self.limit_bytes} bytes here.")
        return bytes(body)
