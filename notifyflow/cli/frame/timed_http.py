"""uvicorn's HTTP protocol on h11, with time limits against clients that never finish.

A client has 10 s to send the headers of a request, 30 s to send its body, and 30 s to read the response. When there are too many
connections, one that waits for its client gives way (``pools``). ADR 0018 gives the reasons.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from notifyflow.cli.frame.pools import ClientConnections, ConnectionPool
from notifyflow.web.frame.known import EXTENSION

_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_GRACE_S = 2.0  # lets a route send its own response, and the last bytes be written


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The limits on time and number.

    Attributes:
        headers_s: Seconds for a request's headers, from the start of the connection or the request's first byte.
        body_s: Seconds for its body, from the end of its headers.
        response_s: Seconds for the client to read the response.
        chunks: How many chunks a chunked body (RFC 9112, section 7.1) may have.
    """

    headers_s: float = 10.0
    body_s: float = 30.0
    response_s: float = 30.0
    connections: int = 1000
    chunks: int = 10_000


class TimedProtocol(H11Protocol):
    """One connection, with its limits, in a pool."""

    def __init__(
        self,
        limits: HttpLimits,
        connections: ClientConnections,
        /,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._connections = connections
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._chunks = 0
        self._has_received_data = False
        self._pool: ConnectionPool | None = None
        self._owner: str | None = None
        self._is_awaited = True  # the rest of a request, or the next one
        self.conn = _Connection(self._on_event)
        self._serve, self.app = self.app, self._run

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start."""
        super().connection_made(transport)
        # asyncio sets it only for sockets whose proto is TCP, and an accepted one has 0. Without it, the second part of each
        # response waits for the client to acknowledge the first, which takes 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait(self._limits.headers_s)
        # It is counted once the loop has looked whether a request is there already: among very many that are accepted at once,
        # one with a request would have to give way before its first byte is read.
        self.loop.call_soon(self.loop.call_soon, self._enter)

    def give_way(self) -> None:
        """Close at once, for the sake of another connection."""
        self._leave()
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up: stop all timers."""
        self._leave()
        self._stop_waiting()
        self._unset_keepalive_if_required()
        if self._stall is not None:
            self._stall.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive data; the first byte of another request starts its time limit."""
        self._has_received_data = True
        if self._timer is None and self.conn.their_state is h11.IDLE:
            self._wait(self._limits.headers_s)
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Wait for the next request; until it begins, the connection is idle."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._await_client(True)

    def send_400_response(self, msg: str) -> None:
        """Refuse invalid HTTP, even after a response has begun."""
        if self.transport.is_closing():
            return
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        """Close an unused connection; unread data is dropped."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(_GRACE_S, self.transport.abort)

    def pause_writing(self) -> None:
        """Wait for the client to read the response, up to the time limit."""
        super().pause_writing()
        self._stall = self.loop.call_later(self._limits.response_s, self.transport.abort)
        self._await_client(self._is_awaited)

    def resume_writing(self) -> None:
        """Continue to write."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
            self._await_client(self._is_awaited)

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request; the application may tell whose it is."""
        cycle = self.cycle

        def note(owner: str) -> None:
            self.loop.call_soon_threadsafe(self._vouch, cycle, owner)

        scope.setdefault("extensions", {})[EXTENSION] = {"note": note}
        await self._serve(scope, receive, send)

    def _vouch(self, cycle: object, owner: str) -> None:
        if self.cycle is cycle and self._pool is not None:
            self._move(self._connections.known, owner)

    def _enter(self) -> None:
        """Count this connection as its address's, unless its request has done that; without room, close it."""
        if self._pool is None and not self.transport.is_closing():
            address = self.client[0] if self.client else ""
            if not self._move(self._connections.unknown, self._connections.owner_of(address)):
                self.give_way()

    def _move(self, pool: ConnectionPool, owner: str | None) -> bool:
        has_room = True
        if self._pool is not pool or self._owner != owner:
            self._leave()
            has_room = pool.enter(self, owner)
            self._pool, self._owner = pool, owner
        self._await_client(self._is_awaited)
        return has_room

    def _refuse(self) -> None:
        self._leave()
        self.transport.write(_BUSY)
        self.transport.close()
        self.loop.call_later(_GRACE_S, self.transport.abort)

    def _leave(self) -> None:
        if self._pool is not None:
            self._pool.leave(self, self._owner)
            self._pool = None

    def _await_client(self, is_awaited: bool) -> None:
        self._is_awaited = is_awaited
        if self._pool is not None:
            is_waiting = is_awaited or self._stall is not None
            (self._pool.wait if is_waiting else self._pool.work)(self, self._owner)

    def _on_event(self, event: object) -> None:
        """Follow the progress of the request.

        Raises:
            h11.RemoteProtocolError: When its body has too many chunks, or too many requests of its client are running.
        """
        if isinstance(event, h11.Request):
            address = self.client[0] if self.client else ""
            self._is_awaited = True
            forwarded = [value.decode("latin-1") for name, value in event.headers if name == b"x-forwarded-for"]
            if not self._move(self._connections.unknown, self._connections.owner_of(address, forwarded)):
                self._refuse()
                raise h11.RemoteProtocolError("too many requests of this client are running")
            self._chunks = 0
            self._wait(self._limits.body_s + _GRACE_S)
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            if self._chunks > self._limits.chunks:
                raise h11.RemoteProtocolError("the body has too many chunks")
        elif isinstance(event, h11.EndOfMessage):
            self._await_client(False)
            self._stop_waiting()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """Respond with 408, unless another response has begun, and close the connection."""
        self._timer = None
        cycle = self.cycle
        is_responding = cycle is not None and not cycle.response_complete
        if is_responding:
            cycle.disconnected = True  # tells the route that the client has gone
            cycle.message_event.set()
        if self._has_received_data and not (is_responding and cycle.response_started):
            self.transport.write(_TIMED_OUT)
        self.transport.close()
        self.loop.call_later(_GRACE_S, self.transport.abort)


class _Connection(h11.Connection):
    """An h11 connection that reports each event to a callback."""

    def __init__(self, on_event: Callable[[object], None]) -> None:
        super().__init__(h11.SERVER)
        self._on_event = on_event

    def next_event(self) -> Any:
        """Return the next event."""
        event = super().next_event()
        self._on_event(event)
        return event
