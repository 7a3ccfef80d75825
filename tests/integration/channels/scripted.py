"""Small real servers that respond as scripted: one over HTTP, one over SMTP."""

import contextlib
import itertools
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CUT = "cut"
HANG = "hang"
DRIP = "drip"
DRIP_HEADERS = "drip headers"


@dataclass(frozen=True)
class Request:
    """A request of a client."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class HttpServer:
    """Responds to every request with the same reply, until it gets another one."""

    status: int = 200
    body: bytes = b""
    bodies: Mapping[str, bytes] = field(default_factory=dict)  # by path, instead of the body
    headers: Mapping[str, str] = field(default_factory=dict)
    act: str = ""
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    hangs: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def respond(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, act: str = "") -> None:
        self.status, self.body, self.headers, self.act = status, body, headers or {}, act
        self.requests.clear()
        self.hangs.clear()

    def write_body(self, write: Callable[[bytes], object], body: bytes) -> None:
        if self.act != DRIP:
            write(body)
            return
        for byte in body:
            write(bytes([byte]))
            self.released.wait(0.01)

    def drip_headers(self, write: Callable[[bytes], object]) -> None:
        """Write a header that has no end, a byte now and then, until the client has gone; nothing if that is not the script."""
        header = itertools.chain(b"HTTP/1.1 200 OK\r\nX-Slow: ", itertools.repeat(ord("x")))
        while self.act == DRIP_HEADERS and not self.released.wait(0.01):
            write(bytes([next(header)]))


@contextlib.contextmanager
def http_server(tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
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
    script.port = server.server_address[1]
    yield from _serve(server, script)


@dataclass
class SmtpScript:
    """Responds to each command with the reply that stands for its verb; ``END`` stands for the message's last line."""

    replies: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("8BITMIME",)
    commands: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def respond(self, **replies: str) -> None:
        self.replies = replies
        for received in (self.commands, self.messages, self.was_encrypted):
            received.clear()


_CONSENT = {"DATA": "354 go on", "QUIT": "221 bye", "AUTH": "235 welcome", "STARTTLS": "220 go on", "BANNER": "220 scripted"}


@contextlib.contextmanager
def smtp_server(tls: ssl.SSLContext | None = None, *, from_start: bool = False) -> Iterator[SmtpScript]:
    script = SmtpScript()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, EOFError):
                _Talk(script, self.request, tls, from_start).run()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False

    server = Server(("127.0.0.1", 0), Handler)
    script.port = server.server_address[1]
    yield from _serve(server, script)


class _Talk:
    """One SMTP conversation."""

    def __init__(self, script: SmtpScript, connection: socket.socket, tls: ssl.SSLContext | None, from_start: bool) -> None:
        self.script = script
        self.tls = tls
        self.is_encrypted = False
        self.connection = connection
        if from_start:
            self.encrypt()

    def encrypt(self) -> None:
        if self.tls:
            self.connection = self.tls.wrap_socket(self.connection, server_side=True)
            self.is_encrypted = True

    def run(self) -> None:
        try:
            self.reply("BANNER")
            verb = ""
            while verb != "QUIT":
                verb = self.command()
        finally:
            self.connection.close()

    def command(self) -> str:
        line = self.line()
        verb = line.split()[0].decode().upper()
        self.script.commands.append(line.decode().strip())
        self.reply(verb)
        if verb == "STARTTLS":
            self.encrypt()
        if verb == "DATA" and not self.script.replies.get("DATA", "3").startswith(("4", "5")):
            self.read_message()
        return verb

    def read_message(self) -> None:
        message = b""
        while (line := self.line()) != b".\r\n":
            message += line
        self.script.messages.append(message)
        self.script.was_encrypted.append(self.is_encrypted)
        self.reply("END")

    def line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            got = self.connection.recv(1)
            if not got:
                raise EOFError
            line += got
        return line

    def reply(self, verb: str) -> None:
        reply = self.script.replies.get(verb) or _CONSENT.get(verb, "250 ok")
        if reply == HANG:
            self.script.released.wait(60)
        if reply in (CUT, HANG):
            raise EOFError
        if verb == "EHLO" and verb not in self.script.replies:
            reply = "\r\n".join([*(f"250-{extension}" for extension in ("scripted", *self.script.extensions)), "250 HELP"])
        self.connection.sendall(reply.encode() + b"\r\n")


def _serve(server: socketserver.TCPServer, script: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield script
    finally:
        script.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
