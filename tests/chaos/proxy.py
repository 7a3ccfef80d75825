"""A TCP proxy that swallows replies: the request gets through, its reply is dropped, and the connection is cut."""

import threading

from tests.servers.relay import Relay


class Proxy(Relay):
    """A proxy before one server, as a context manager.

    Args:
        port: The server's, on loopback.
        every: Which replies it swallows: every n-th.
    """

    def __init__(self, port: int, *, every: int) -> None:
        super().__init__(port)
        self._every = every
        self._counted = 0
        self._counting = threading.Lock()
        self.swallowed = 0

    def may_reply(self, data: bytes) -> bool:
        """Swallow every n-th reply."""
        del data
        with self._counting:
            self._counted += 1
            is_swallowed = self._counted % self._every == 0
            self.swallowed += is_swallowed
        return not is_swallowed
