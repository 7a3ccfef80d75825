"""TCP relays before a server on loopback: they lose and delay its responses as a network can."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Relay:
    """Passes on whatever either side says, as a context manager; a subclass says otherwise.

    Args:
        port: The server's, on loopback.

    Attributes:
        port: Its own.
        connections: How many were made through it.
        replies: How many times the server said something that was passed on.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._threads: list[threading.Thread] = []
        self.is_over = threading.Event()
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.replies = 0

    def may_request(self, data: bytes) -> bool:
        """Look at what the client says; where it may not be passed on, the connection is cut."""
        del data
        return True

    def may_reply(self, data: bytes) -> bool:
        """Look at what the server says; where it may not be passed on, the connection is cut."""
        del data
        return True

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()  # the last connection that it takes is cut like the others
        self._listener.close()
        for each in self._sockets:
            _cut(each)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
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
                self.connections += 1
                self._sockets |= {client, server}
                for each in (client, server):  # or small answers wait for 40 ms
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pump_on_a_thread(client, server, False)
                self._pump_on_a_thread(server, client, True)

    def _pump(self, source: socket.socket, target: socket.socket, is_reply: bool) -> None:
        may_pass = self.may_reply if is_reply else self.may_request
        with suppress(OSError):
            while (data := source.recv(65536)) and may_pass(data):
                with self._lock:
                    self.replies += is_reply
                target.sendall(data)
        _cut(source)
        _cut(target)

    def _pump_on_a_thread(self, source: socket.socket, target: socket.socket, is_reply: bool) -> None:
        thread = threading.Thread(target=self._pump, args=(source, target, is_reply), daemon=True)
        self._threads.append(thread)
        thread.start()


class Late(Relay):
    """Each response comes late, or never.

    Attributes:
        late_s: By how much; None is for ever.
        requests: What the client has said, in order.
    """

    late_s: float | None = 0.0

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.requests: list[bytes] = []

    def may_request(self, data: bytes) -> bool:
        self.requests.append(data)
        return True

    def may_reply(self, data: bytes) -> bool:
        del data
        return not self.is_over.wait(self.late_s)


class Deaf(Relay):
    """Loses some requests for a commit, and then the responses to some; either way the connection is cut.

    Attributes:
        loses: How many more requests it loses.
        swallows: How many more answers it swallows.
        swallowed: How many it has swallowed.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.loses = 0
        self.swallows = 0
        self.swallowed = 0
        self._committing = threading.Event()

    def may_request(self, data: bytes) -> bool:
        if b"COMMIT" not in data:
            return True
        if self.loses:
            self.loses -= 1
            return False
        if self.swallows:
            self._committing.set()
        return True

    def may_reply(self, data: bytes) -> bool:
        if not (self._committing.is_set() and b"COMMIT" in data):  # the tag of a commit's answer
            return True
        self._committing.clear()
        self.swallows -= 1
        self.swallowed += 1
        return False


class Holding(Relay):
    """Holds back the answer to one commit for ever; the server has done it.

    Attributes:
        holds: Whether it holds back the next one.
        is_held: Set once it does.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.holds = False
        self.is_held = threading.Event()

    def may_reply(self, data: bytes) -> bool:
        if not (self.holds and b"COMMIT" in data):  # the tag of a commit's answer
            return True
        self.holds = False
        self.is_held.set()
        return not self.is_over.wait()


class Dawdling(Relay):
    """Cuts the client off when it commits, and passes the request on to the server later.

    Attributes:
        dawdles: How many more requests for a commit it treats so.
        late_s: How much later.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.dawdles = 0
        self.late_s = 0.5
        self._own = threading.local()

    def _pump(self, source: socket.socket, target: socket.socket, is_reply: bool) -> None:
        self._own.source = source
        super()._pump(source, target, is_reply)

    def may_request(self, data: bytes) -> bool:
        if self.dawdles and b"COMMIT" in data:
            self.dawdles -= 1
            _cut(self._own.source)
            self.is_over.wait(self.late_s)
        return True


def _cut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
