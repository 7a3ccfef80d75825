"""HTTP in, with an end to waiting: uvicorn's protocol on h11, and what it lacks against clients that never finish.

A request's headers have ten seconds, its body thirty, and a client as long to take its response; a server holds so many
connections, and where one more comes, whoever has waited longest without having asked for anything gives way. ADR 0018 says why.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_ANSWER = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_GRACE_S = 2.0  # for the routes, which respond in their own words, and for what was written last


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long what may take, and how many there may be.

    Attributes:
        headers_s: For a request's headers, from the connection's first moment, or the request's first byte.
        body_s: For its body, from the end of its headers.
        response_s: For the client to read the response.
        connections: How many connections are held.
        chunks: How many pieces a body in pieces (RFC 9112, section 7.1) may have.
    """

    headers_s: float = 10.0
    body_s: float = 30.0
    response_s: float = 30.0
    connections: int = 1000
    chunks: int = 10_000


@dataclass(slots=True)
class Hall:
    """All who are connected and have asked for nothing yet, whoever has waited longest first."""

    waiting: "dict[TimedProtocol, None]" = field(default_factory=dict)

    def make_room(self) -> bool:
        """Let whoever has waited longest go; False where nobody waits."""
        longest = next(iter(self.waiting), None)
        if longest is None:
            return False
        del self.waiting[longest]
        longest.transport.abort()
        return True


class TimedProtocol(H11Protocol):
    """One connection.

    Args:
        bounds: What it must keep to.
        hall: Who else waits.
    """

    def __init__(
        self,
        bounds: Bounds,
        hall: Hall,
        /,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._hall = hall
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._chunks = 0
        self._has_said_anything = False
        self.conn = _Connection(self._heard)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; where all places are in use, a waiting connection is closed in its favour, or this one is refused."""
        super().connection_made(transport)
        # asyncio sets it for sockets that call themselves TCP, and one that was accepted calls itself nothing (proto 0): without
        # it the second half of each response waits for the client to confirm the first, which clients put off for 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self._bounds.connections and not self._hall.make_room():
            transport.abort()
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; nothing is waited for any more."""
        self._hall.waiting.pop(self, None)
        self._stop_waiting()
        self._unset_keepalive_if_required()
        if self._stall is not None:
            self._stall.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hear; the first byte of a further request starts its ten seconds."""
        self._has_said_anything = True
        if self._timer is None and self.conn.their_state is h11.IDLE:
            self._wait_for_headers()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Go on to the next request; until it begins, whoever needs the place may have it."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._hall.waiting[self] = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, also where a response has begun already."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that nobody uses; what nobody reads is dropped."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(_GRACE_S, self.transport.abort)

    def pause_writing(self) -> None:
        """Wait for the client to take its response, but not for ever."""
        super().pause_writing()
        self._stall = self.loop.call_later(self._bounds.response_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _heard(self, event: object) -> None:
        """Note how far the request has come.

        Raises:
            h11.RemoteProtocolError: When its body comes in more pieces than it may have.
        """
        if isinstance(event, h11.Request):
            self._hall.waiting.pop(self, None)
            self._chunks = 0
            self._wait(self._bounds.body_s + _GRACE_S)
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            if self._chunks > self._bounds.chunks:
                raise h11.RemoteProtocolError("the body comes in too many pieces")
        elif isinstance(event, h11.EndOfMessage):
            self._stop_waiting()

    def _wait_for_headers(self) -> None:
        self._hall.waiting.setdefault(self, None)
        self._wait(self._bounds.headers_s)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """Respond that it took too long, unless another response has begun, and end the connection."""
        self._timer = None
        cycle = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        if is_answering:
            cycle.disconnected = True  # the route hears that nobody waits for it any more
            cycle.message_event.set()
        if self._has_said_anything and not (is_answering and cycle.response_started):
            self.transport.write(_ANSWER)
        self.transport.close()
        self.loop.call_later(_GRACE_S, self.transport.abort)


class _Connection(h11.Connection):
    """What h11 makes of the bytes, told to whoever keeps the time."""

    def __init__(self, heard: Callable[[object], None]) -> None:
        super().__init__(h11.SERVER)
        self._heard = heard

    def next_event(self) -> Any:
        """Give the next event."""
        event = super().next_event()
        self._heard(event)
        return event
