"""A request ends when its time is over as a whole, whatever part of the response comes in drops."""

import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from notifyflow.channels.http import Http, HttpResponse
from notifyflow.channels.http.guard import Guard
from notifyflow.errors import ProviderError
from notifyflow.settings import Settings

_TIMEOUT_S = 6.0
"""How long a test waits for a request that should end by itself after half a second; only a request without end takes longer."""
_PAUSE_S = 0.02
_HANDSHAKE = b"\x16\x03\x03\x40\x00"  # the head of a TLS record of 16 KB
_OK = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Dripping:
    """A server that has begun to send in drops.

    Attributes:
        port: Where it listens.
        sent: How many bytes it has sent to all clients.
        is_over: Set when nobody waits for it any more.
    """

    port: int = 0
    sent: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def drip(self, connection: socket.socket, drops: Iterable[bytes], pause_s: float = _PAUSE_S) -> None:
        """Send drops until the client has gone."""
        with suppress(OSError):
            for drop in drops:
                if self.is_over.wait(pause_s):
                    return
                connection.sendall(drop)
                self.sent += len(drop)


Speak = Callable[[Dripping, socket.socket], None]


@contextmanager
def dripping(speak: Speak) -> Iterator[Dripping]:
    server, threads = Dripping(), []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            speak(server, connection)

    def listen(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=serve, args=(listening.accept()[0],))
                threads.append(thread)
                thread.start()

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server.port = listening.getsockname()[1]
        listener = threading.Thread(target=listen, args=(listening,))
        listener.start()
        try:
            yield server
        finally:
            server.is_over.set()
            listening.shutdown(socket.SHUT_RDWR)
            for thread in (listener, *threads):
                thread.join(_TIMEOUT_S)


def http(**settings: str) -> Http:
    given = {"CONNECT_TIMEOUT_S": "0.3", "READ_TIMEOUT_S": "0.3", **settings}
    return Http(Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in given.items()}))


def ends(request: Callable[[], HttpResponse]) -> HttpResponse | ProviderError:
    """Return how a request ends; fail if it does not end by itself."""
    found: list[HttpResponse | ProviderError] = []

    def run() -> None:
        try:
            found.append(request())
        except ProviderError as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_TIMEOUT_S)
    assert found, "the request goes on for as long as the server drips"
    return found[0]


def after_request(*start: bytes, rest: bytes, pause_s: float = _PAUSE_S) -> Speak:
    """Read a request, and respond with a start, then with the same bytes again and again."""

    def speak(server: Dripping, connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"".join(start))
        server.drip(connection, itertools.repeat(rest), pause_s)

    return speak


def at_once(start: bytes, rest: bytes) -> Speak:
    def speak(server: Dripping, connection: socket.socket) -> None:
        server.drip(connection, itertools.chain([start], itertools.repeat(rest)))

    return speak


def drip_handshake(server: Dripping, connection: socket.socket) -> None:
    """Connect a client to its server, whose handshake comes in drops."""
    connection.recv(65_536)
    connection.sendall(_OK + b"\r\n")
    connection.recv(65_536)
    server.drip(connection, itertools.chain([_HANDSHAKE], itertools.repeat(b"\0")))


_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
_MOVED = b"HTTP/1.1 302 Found\r\nLocation: https://example.com/elsewhere\r\n"
PLAIN = {
    "the status line": after_request(b"HTTP/1.1 200 ", rest=b"O"),
    "interim responses": after_request(rest=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a header": after_request(_OK, b"X-Slow: ", rest=b"x"),
    "many headers": after_request(_OK, rest=b"X: y\r\n"),
    "the body": after_request(_OK, b"Content-Length: 99999\r\n\r\n", rest=b"x"),
    "a body without length": after_request(_OK, b"Connection: close\r\n\r\n", rest=b"x"),
    "the chunks": after_request(_OK, _CHUNKED, rest=b"1\r\nx\r\n"),
    "the length of a chunk": after_request(_OK, _CHUNKED, rest=b"0"),
    "the trailers": after_request(_OK, _CHUNKED, b"0\r\n", rest=b"X: y\r\n"),
    "the body of a redirect": after_request(_MOVED, b"Content-Length: 99999\r\n\r\n", rest=b"x"),
}


@pytest.mark.parametrize("part", PLAIN)
def test_a_response_of_which_a_part_drips_is_left(part: str) -> None:
    with dripping(PLAIN[part]) as server, closing(http()) as client:
        ended = ends(lambda: client.get(f"http://127.0.0.1:{server.port}/"))
    if isinstance(ended, ProviderError):
        assert ended.code == "timeout", str(ended)
    else:
        assert ended.status == (302 if "redirect" in part else 200)


def test_the_body_of_a_redirect_is_read_up_to_the_limit_only() -> None:
    """requests reads a redirect's body as a whole, also where redirects are not followed."""
    endless = after_request(_MOVED, b"Connection: close\r\n\r\n", rest=b"x" * 65_536, pause_s=0.0)
    with dripping(endless) as server, closing(http(READ_TIMEOUT_S="3")) as client:
        ended = ends(lambda: client.post(f"http://127.0.0.1:{server.port}/", json={}))
        assert isinstance(ended, HttpResponse)
        assert (ended.status, len(ended.body)) == (302, 65_536)


def test_a_tls_handshake_that_drips_is_left() -> None:
    with dripping(at_once(_HANDSHAKE, b"\0")) as server, closing(http()) as client:
        ended = ends(lambda: client.get(f"https://127.0.0.1:{server.port}/"))
    assert isinstance(ended, ProviderError)


PROXIES = {
    "the response of a proxy": after_request(b"HTTP/1.1 200 ", rest=b"O"),
    "the headers of a proxy": after_request(_OK, rest=b"X: y\r\n"),
    "a TLS handshake behind a proxy": drip_handshake,
}


@pytest.mark.parametrize("part", PROXIES)
def test_a_proxy_that_drips_is_left(part: str) -> None:
    with dripping(PROXIES[part]) as server, closing(http(HTTPS_PROXY=f"http://127.0.0.1:{server.port}")) as client:
        assert isinstance(ends(lambda: client.get("https://example.com/")), ProviderError)


def test_a_proxy_behind_tls_that_drips_is_left() -> None:
    with dripping(at_once(_HANDSHAKE, b"\0")) as server, closing(http(HTTPS_PROXY=f"https://127.0.0.1:{server.port}")) as client:
        assert isinstance(ends(lambda: client.get("https://example.com/")), ProviderError)


def test_a_tls_handshake_inside_that_of_a_proxy_is_left_if_it_drips(certificate: ssl.SSLContext, authority: Path) -> None:
    def speak(server: Dripping, connection: socket.socket) -> None:
        with certificate.wrap_socket(connection, server_side=True) as inside:
            drip_handshake(server, inside)

    with dripping(speak) as server:
        settings = {"HTTPS_PROXY": f"https://localhost:{server.port}", "CA_BUNDLE": str(authority)}
        with closing(http(**settings)) as client:
            assert isinstance(ends(lambda: client.get("https://example.com/")), ProviderError)


def test_a_pinned_request_is_left_as_any_other(certificate: ssl.SSLContext, authority: Path) -> None:
    def speak(server: Dripping, connection: socket.socket) -> None:
        with certificate.wrap_socket(connection, server_side=True) as inside:
            after_request(b"HTTP/1.1 200 ", rest=b"O")(server, inside)

    with dripping(speak) as server:
        settings = Settings.from_variables({"NOTIFYFLOW_READ_TIMEOUT_S": "0.3", "NOTIFYFLOW_CA_BUNDLE": str(authority)})
        guard = Guard(trusted_endpoints=[f"localhost:{server.port}"])
        with closing(Http(settings, guard=guard)) as client:
            ended = ends(lambda: client.get(f"https://localhost:{server.port}/"))
    assert isinstance(ended, ProviderError)
    assert ended.code == "timeout"


def test_the_steps_of_a_request_share_its_time(certificate: ssl.SSLContext, authority: Path) -> None:
    """Each of them stays below its own time-out; all of them together do not."""

    def speak(server: Dripping, connection: socket.socket) -> None:
        connection.recv(65_536)
        server.is_over.wait(0.8)
        connection.sendall(_OK + b"\r\n")
        server.is_over.wait(0.8)
        with certificate.wrap_socket(connection, server_side=True) as inside:
            inside.recv(65_536)
            server.is_over.wait(0.8)
            inside.sendall(_OK + b"Content-Length: 0\r\n\r\n")

    settings = {"CONNECT_TIMEOUT_S": "1", "READ_TIMEOUT_S": "1", "CA_BUNDLE": str(authority)}
    with dripping(speak) as server, closing(http(HTTPS_PROXY=f"http://localhost:{server.port}", **settings)) as client:
        ended = ends(lambda: client.get("https://localhost/"))
    assert isinstance(ended, ProviderError)
    assert ended.code == "timeout"
