"""Small real servers that answer as they are told: one over HTTP, one over SMTP."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CUT = "cut"
HANG = "hang"


@dataclass(frozen=True)
class Said:
    """What a client asked for."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class HttpServer:
    """Answers every request with the same reply, until it is told another one."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    act: str = ""
    heard: list[Said] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, act: str = "") -> None:
        self.status, self.body, self.headers, self.act = status, body, headers or {}, act
        self.heard.clear()


@contextlib.contextmanager
def http_server(tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    script = HttpServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.heard.append(Said(self.command, self.path, dict(self.headers.items()), body))
            if script.act:
                if script.act == HANG:
                    script.released.wait(60)
                self.close_connection = True
                return
            self.send_response(script.status)
            for name, value in script.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(script.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(script.body)

        do_POST = do_GET = do_CONNECT = handle_any

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *arguments: Any) -> None:
            pass  # a client that went away is part of the script

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    script.port = server.server_address[1]
    yield from _serve(server, script)


@dataclass
class SmtpScript:
    """Answers each command with the reply that stands for its verb; ``END`` stands for the message's last line."""

    replies: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("8BITMIME",)
    heard: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    was_encrypted: list[bool] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, **replies: str) -> None:
        self.replies = replies
        for heard in (self.heard, self.messages, self.was_encrypted):
            heard.clear()


_CONSENT = {"DATA": "354 go on", "QUIT": "221 bye", "AUTH": "235 welcome", "STARTTLS": "220 go on", "BANNER": "220 scripted"}


@contextlib.contextmanager
def smtp_server(tls: ssl.SSLContext | None = None, *, from_start: bool = False) -> Iterator[SmtpScript]:
    script = SmtpScript()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, EOFError):
                self._talk(tls.wrap_socket(self.request, server_side=True) if tls and from_start else self.request)

        def _talk(self, connection: socket.socket) -> None:
            encrypted = from_start
            lines = connection.makefile("rb")
            self._reply(connection, "BANNER")
            while line := lines.readline():
                verb = line.split()[0].decode().upper()
                script.heard.append(line.decode().strip())
                self._reply(connection, verb)
                if verb == "QUIT":
                    break
                if verb == "STARTTLS" and tls:
                    lines.close()
                    connection = tls.wrap_socket(connection, server_side=True)
                    lines, encrypted = connection.makefile("rb"), True
                if verb == "DATA" and not script.replies.get("DATA", "3").startswith(("4", "5")):
                    script.messages.append(_message(lines))
                    script.was_encrypted.append(encrypted)
                    self._reply(connection, "END")
            lines.close()
            connection.close()

        def _reply(self, connection: socket.socket, verb: str) -> None:
            reply = script.replies.get(verb) or _CONSENT.get(verb, "250 ok")
            if reply == HANG:
                script.released.wait(60)
            if reply in (CUT, HANG):
                raise EOFError
            if verb == "EHLO" and verb not in script.replies:
                reply = "\r\n".join([*(f"250-{extension}" for extension in ("scripted", *script.extensions)), "250 HELP"])
            connection.sendall(reply.encode() + b"\r\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False

        def handle_error(self, *arguments: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    script.port = server.server_address[1]
    yield from _serve(server, script)


def _message(lines: Any) -> bytes:
    message = b""
    while (line := lines.readline()) not in (b".\r\n", b""):
        message += line
    return message


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


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
