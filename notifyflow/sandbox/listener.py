"""The ports of the sandbox, which can be closed and opened again."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from notifyflow.sandbox.http import Handler, serve


def http(handler: Handler) -> Callable[[], asyncio.BaseProtocol]:
    """Make the protocol of an HTTP connection."""

    def protocol() -> asyncio.BaseProtocol:
        reader = asyncio.StreamReader()
        return asyncio.StreamReaderProtocol(reader, partial(serve, handler))

    return protocol


class Listener:
    """One port, which can be closed and opened again.

    It accepts connections itself: asyncio's server forgets one that comes in while it is closed, and leaves its client hanging.
    """

    def __init__(self, host: str, port: int, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """Set where it will listen, 0 for a free port, and what makes the protocol of a connection."""
        self._host = host
        self.port = port
        self._protocol = protocol
        self._socket: socket.socket | None = None
        self._arriving: set[asyncio.Task[object]] = set()

    def open(self) -> None:
        """Listen, at the same port as ever."""
        if self._socket is None:
            self._socket = socket.create_server((self._host, self.port), backlog=256)
            self._socket.setblocking(False)
            self.port = self._socket.getsockname()[1]
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    def close(self) -> None:
        """Refuse connections."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the client has left again
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so for sockets that it accepts itself
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)
