"""A sandbox for each test, and something that is called back."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import pytest

from notifyflow.sandbox.system import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(receipts_after_s=0.01) as running:
        yield running


@dataclass(kw_only=True)
class Called:
    """One callback, as it came in."""

    url: str
    form: dict[str, str]
    signature: str


@dataclass(kw_only=True)
class Ear:
    """Listens where notifyflow would: keeps callbacks and sends scripted responses, the last one for ever."""

    url: str = ""
    responses: list[tuple[int, str]] = field(default_factory=lambda: [(200, "")])
    calls: list[Called] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def respond(self, call: Called) -> tuple[int, str]:
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()
            return self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]

    def wait(self, count: int) -> list[Called]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.calls) >= count, 30), self.calls
            return list(self.calls)


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(parse_qsl(body, keep_blank_values=True))
            call = Called(url=f"{ear.url}{self.path}", form=form, signature=self.headers["X-Twilio-Signature"])
            status, response = ear.respond(call)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(response.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    ear.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    yield ear
    server.shutdown()
    thread.join()
    server.server_close()
