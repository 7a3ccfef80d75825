"""The ear: receives the datagrams by which a provider reports its calls, and notes when each arrived."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Ear:
    """What was reported, by kind (``call``, ``done``) and address: the time of the first report, in seconds since the epoch."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000_000)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.received: dict[tuple[str, str], float] = {}

    def listen(self) -> None:
        """Receive until ``close``."""
        while True:
            datagram = self._socket.recv(1_000)
            now = time.time()
            what, _, address = datagram.decode().partition(" ")
            if not what:
                self._socket.close()
                return
            self.received.setdefault((what, address), now)

    def wait_for(self, what: str, address: str, *, within_s: float) -> float:
        """Return when it was reported.

        Raises:
            TimeoutError: When it is not reported in time.
        """
        until = time.monotonic() + within_s
        while (received_at := self.received.get((what, address))) is None:
            if time.monotonic() > until:
                raise TimeoutError(f"{what} {address} was not reported within {within_s:g} s")
            time.sleep(0.0005)
        return received_at

    def close(self) -> None:
        """End ``listen``."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", ("127.0.0.1", self.port))


@contextmanager
def ear() -> Iterator[Ear]:
    """Listen for as long as the block lasts."""
    ear = Ear()
    thread = threading.Thread(target=ear.listen, daemon=True)
    thread.start()
    try:
        yield ear
    finally:
        ear.close()
        thread.join()
