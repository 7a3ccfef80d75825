"""A TCP proxy that swallows replies: the request gets through, its answer never comes back, and the connection is cut."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Stands before one server, as a context manager.

    Args:
        port: The server's, on loopback.
        every: Which replies it swallows: every n-th.
    """

    def __init__(self, port: int, *, every: int) -> None:
        self._target = port
        self._every = every
        self._replies = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.port = int(self._listener.getsockname()[1])
        self.swallowed = 0

    def __enter__(self) -> "Proxy":
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            _cut(each)
        for thread in self._threads:
            thread.join()
        for each in sockets:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._sockets |= {client, server}
                self._start(self._pump, client, server, False)
                self._start(self._pump, server, client, True)

    def _pump(self, source: socket.socket, target: socket.socket, is_reply: bool) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not (is_reply and self._is_swallowed()):
                target.sendall(data)
        _cut(source)
        _cut(target)

    def _is_swallowed(self) -> bool:
        with self._lock:
            self._replies += 1
            is_swallowed = self._replies % self._every == 0
            self.swallowed += is_swallowed
        return is_swallowed

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()


def _cut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
