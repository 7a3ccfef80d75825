"""Makes connections that go only where the guard allows, and that give a request one time for everything.

A connection asks its guard for the addresses of its host, and connects to one of these; TLS and the Host header name the host.
The time of a request runs from the first connection to the last byte of the response.
urllib3 begins a time-out anew with each address, each step of a connection and each byte, so that a server that sends
in drops holds a thread for as long as it likes. The connect time-out still bounds each step of connecting, and the read time-out
the whole response; what is left of the request's own time bounds all of them. Only the look-up of a name keeps the resolver's
time-outs.
"""

import functools
import io
import socket
import ssl
import threading
import time
from http.client import HTTPResponse
from typing import Any

from requests.utils import get_auth_from_url
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, NewConnectionError
from urllib3.util.connection import create_connection

from notifyflow.channels.http.guard import Guard, look_up

_PIECE_BYTES = 16_384
_running = threading.local()
"""The request that a thread makes: ``until`` is when its time is over."""


def begin(time_s: float) -> None:
    """Begin the time of a request that this thread makes; it ends with the last byte of the response."""
    _running.until = time.monotonic() + time_s


def make_login(login: tuple[str, str], header: str = "Authorization") -> dict[str, str]:
    """Return the header for a user's name and password, none if both are empty."""
    return {header: str(make_headers(basic_auth=":".join(login))["authorization"])} if any(login) else {}


def make_pools(guard: Guard | None, proxy: str = "", **options: Any) -> PoolManager:
    """Make pools of connections that retry nothing, verify TLS, and connect only where the guard allows it."""
    options |= {"retries": False, "cert_reqs": "CERT_REQUIRED"}
    headers = make_login(get_auth_from_url(proxy), "Proxy-Authorization")
    pools = ProxyManager(proxy, proxy_headers=headers, **options) if proxy else PoolManager(**options)
    classes: Any = {"http": functools.partial(_Pool, guard=guard), "https": functools.partial(_TlsPool, guard=guard)}
    pools.pool_classes_by_scheme = classes
    return pools


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

    def __init__(self, *arguments: Any, guard: Guard | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._guard = guard

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers, of those that the guard allows."""
        try:
            addresses = self._find_addresses()
            while True:
                try:
                    sock = create_connection((addresses.pop(0), self.port), self._step_s(), socket_options=self.socket_options)
                except OSError:
                    if not addresses:
                        raise
                else:
                    break
            sock.settimeout(self._step_s())
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        except UnicodeError as error:
            raise LocationParseError(self.host) from error
        return sock

    def _find_addresses(self) -> list[str]:
        host = self._dns_host.strip("[]")
        return look_up(host, self.port) if self._guard is None else self._guard.resolve(host, self.port)

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
