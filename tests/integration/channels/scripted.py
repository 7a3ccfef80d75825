"""A small real SMTP server that responds as scripted, like ``notifyflow.testing.scripted_http``."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from notifyflow.testing.scripted_http import CUT, HANG, serving


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
    with serving(server, script):
        yield script


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
