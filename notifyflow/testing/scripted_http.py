"""A small real HTTP server that responds as a test scripts it, and keeps the requests that it got."""

import contextlib
import itertools
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeVar

_ENDS_WITHIN_S = 10.0

CUT = "cut"
"""Closes the connection without a response."""
HANG = "hang"
"""Does not respond until the test is over."""
DRIP = "drip"
"""Sends the body byte by byte."""
DRIP_HEADERS = "drip headers"
"""Sends a header that does not end."""


@dataclass(frozen=True)
class Request:
    """A request of a client."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class HttpServer:
    """Responds to every request in the same way, until the script changes.

    Attributes:
        status: The status of a response.
        body: The body of a response.
        bodies: By path, instead of ``body``.
        headers: The headers of a response.
        act: What happens in place of a usual response: ``CUT``, ``HANG``, ``DRIP`` or ``DRIP_HEADERS``.
        requests: The requests since ``respond`` was called.
        port: The port on 127.0.0.1.
        hangs: Is set as soon as a request hangs.
        released: Is set when the server stops, for those that hang.
    """

    status: int = 200
    body: bytes = b""
    bodies: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    act: str = ""
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    hangs: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self.endpoint}"

    @property
    def endpoint(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def respond(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, act: str = "") -> None:
        """Script the responses from now on, and forget the requests so far."""
        self.status, self.body, self.headers, self.act = status, body, headers or {}, act
        self.requests.clear()
        self.hangs.clear()

    def write_body(self, write: Callable[[bytes], object], body: bytes) -> None:
        """Write a body, at once or byte by byte."""
        if self.act != DRIP:
            write(body)
            return
        for byte in body:
            write(bytes([byte]))
            self.released.wait(0.01)

    def drip_headers(self, write: Callable[[bytes], object]) -> None:
        """Write a header without an end, byte by byte, until the client has gone; nothing under another script."""
        header = itertools.chain(b"HTTP/1.1 200 OK\r\nX-Slow: ", itertools.repeat(ord("x")))
        while self.act == DRIP_HEADERS and not self.released.wait(0.01):
            write(bytes([next(header)]))


@contextlib.contextmanager
def http_server(tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    """Run a scripted server, over TLS where a context is given, and stop it at the end."""
    script = HttpServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.requests.append(Request(self.command, self.path, dict(self.headers.items()), body))
            if script.act in (CUT, HANG):
                if script.act == HANG:
                    script.hangs.set()
                    script.released.wait(60)
                self.close_connection = True
                return
            body = script.bodies.get(self.path, script.body)
            self.send_response(script.status)
            for name, value in script.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            with contextlib.suppress(OSError):
                script.drip_headers(self.wfile.write)
                self.end_headers()
                script.write_body(self.wfile.write, body)

        do_GET = do_POST = do_CONNECT = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        request_queue_size = 64  # of the 5 that are usual, a crowd waits a second for its connection

        def handle_error(self, *arguments: Any) -> None:
            pass  # a client that went away is part of the script

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with serving(server, script):
        yield script


class Script(Protocol):
    """What a scripted server does.

    Attributes:
        port: Its port.
        released: Is set when the server stops.
    """

    port: int
    released: threading.Event


S = TypeVar("S", bound=Script)


@contextlib.contextmanager
def serving(server: socketserver.TCPServer, script: S) -> Iterator[S]:
    """Run a server in a thread, and stop it at the end; its script learns its port."""
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield script
    finally:
        script.released.set()
        server.shutdown()
        thread.join(_ENDS_WITHIN_S)
        server.server_close()
