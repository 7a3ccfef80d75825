"""Gives a request one time for everything, from the first connection to the last byte of the response.

requests and urllib3 begin a time-out anew with each address, each step of a connection and each byte, so that a server that sends
in drops holds a thread for as long as it likes. The connect time-out still bounds each step of connecting, and the read time-out
the whole response; what is left of the request's own time bounds all of them. Only the look-up of a name keeps the resolver's
time-outs.
"""

import io
import socket
import ssl
import threading
import time
from http.client import HTTPResponse
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

_PIECE_BYTES = 16_384
_running = threading.local()
"""The request that a thread makes: ``until`` is when its time is over."""


class TimedAdapter(HTTPAdapter):
    """Retries nothing, and ends a request after the connect and the read time-out together."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def send(  # type: ignore[override]  # requests gives the rest by name
        self, request: PreparedRequest, *, timeout: Any, **options: Any
    ) -> Response:
        """Begin the time of a request; its response is read by the same thread."""
        connect_s, read_s = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        _running.until = time.monotonic() + connect_s + read_s
        return super().send(request, timeout=timeout, **options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Let the pools make our connections (urllib3: ``PoolManager.pool_classes_by_scheme``)."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        """Let the pools of a proxy make our connections, too."""
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _left_s() -> float:
    """Return how much of the request's time is left, in seconds.

    Raises:
        TimeoutError: When it is over.
    """
    left_s: float = _running.until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time of the request is over")
    return left_s


class _Limited:
    """A TLS connection to a proxy, whose time-out limits all reads together until it is set again.

    urllib3 passes a second TLS connection through it itself, and reads as often as the handshake or a record needs.
    """

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self.settimeout(sock.gettimeout())

    def settimeout(self, timeout_s: float | None) -> None:
        self._until = None if timeout_s is None else time.monotonic() + timeout_s
        self._sock.settimeout(timeout_s)

    def recv(self, *arguments: Any) -> bytes:
        if self._until is not None:
            left_s = self._until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._sock.settimeout(left_s)
        return self._sock.recv(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Timed(io.RawIOBase):
    """The bytes of a socket, up to an instant."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self._sock = sock
        self._bytes = sock.makefile("rb", buffering=0)
        self._until = time.monotonic() + min(timeout_s, _left_s())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(left_s)
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        timeout_s = sock.gettimeout()
        if timeout_s is not None:
            self.fp.close()
            self.fp = io.BufferedReader(_Timed(sock, timeout_s))


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers."""
        host, step_s = self._dns_host, self.timeout
        addresses = _addresses(host, self.port)
        try:
            while True:
                self._dns_host, self.timeout = addresses.pop(0), self._step_s()
                try:
                    sock = super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError):
                    if not addresses:
                        raise
                else:
                    break
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        finally:
            self._dns_host, self.timeout = host, step_s
        sock.settimeout(self._step_s())
        return sock

    def _tunnel(self) -> None:
        super()._tunnel()
        self.sock.settimeout(self._step_s())

    def send(self, data: Any) -> None:
        """Send in pieces, since the time-out of a TLS connection counts for each record."""
        pieces = memoryview(data)
        for start in range(0, len(pieces), _PIECE_BYTES):
            if self.sock is not None:
                self.sock.settimeout(_left_s())
            super().send(pieces[start : start + _PIECE_BYTES])

    def _step_s(self) -> float:
        """Return the time-out of a step of connecting."""
        left_s = _left_s()
        return left_s if self.timeout is None else min(float(self.timeout), left_s)


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        inside: Any = _Limited(super()._connect_tls_proxy(hostname, sock))
        inside.settimeout(self._step_s())
        return inside


class _Pool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


def _addresses(host: str, port: int | None) -> list[str]:
    """Return the addresses of a host; of an unknown one its name, which urllib3 then refuses."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return [host]
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


_POOLS = {"http": _Pool, "https": _TlsPool}
