"""Fixtures for attacks: the databases of the integration tests, and a listening server."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from notifyflow.app import NotifyFlow
from notifyflow.cli.frame import serving
from notifyflow.cli.frame.timed_http import HttpLimits
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests.integration.conftest import (  # noqa: F401 - fixtures are found by name
    _measured_once,
    _postgres_database,
    _sessions,
    _sqlite_template,
    database_url,
    empty_database_url,
    postgres_server,
    postgres_url,
    sqlite_url,
    store,
)

PUBLIC_URL = "https://notify.example"
TWILIO_TOKEN = "sandbox-auth-token"


class Target:
    """The system under attack: one process, as ``notifyflow up`` runs it, listening on loopback."""

    def __init__(self, flow: NotifyFlow, sandbox: Sandbox, port: int, server: uvicorn.Server) -> None:
        self.flow = flow
        self.sandbox = sandbox
        self.port = port
        self.server = server
        _, self.key = flow.access().create("attacker", [KeyScope.INGEST], valid_for=None)

    def connect(self) -> socket.socket:
        """Open a connection for the attacker to send on."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def say(self, request: bytes) -> bytes:
        """Send bytes over a new connection, and read until the server closes it."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Send a request; header names may have ``_`` for ``-``."""
        values = {"host": "notify.example", "connection": "close", "content-length": str(len(body))}
        values |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in values.items())
        head, _, response = self.say(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), response

    def status(self, key: str) -> IncidentStatus:
        """Return an incident's status."""
        return self.flow.status(key)


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes or resets."""
    response = bytearray()
    try:
        while part := connection.recv(65_536):
            response += part
    except ConnectionResetError:
        pass
    return bytes(response)


@contextmanager
def targeted(folder: Path, *script: str, limits: HttpLimits | None = None, **variables: str) -> Iterator[Target]:
    """Start the system under attack.

    Args:
        folder: Where its database stands.
        script: What the stand-ins for the providers do.
        limits: What connections must keep to; as usual where None.
        variables: More settings, without their prefix.
    """
    with Sandbox() as sandbox:
        sandbox.script("\n".join(script))
        values = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder / 'target.db'}",
            "NOTIFYFLOW_PUBLIC_URL": PUBLIC_URL,
            "NOTIFYFLOW_OPS_RECIPIENTS": json.dumps([{"id": "ops", "email": "ops@example.com"}]),
            "NOTIFYFLOW_DRAIN_S": "0",
            **{f"NOTIFYFLOW_{name}": value for name, value in variables.items()},
        }
        with (
            NotifyFlow(Settings.from_variables(values)) as flow,
            serving.listen("127.0.0.1", 0) as listening,
            serving.served(flow.asgi(), listening, limits) as server,
        ):
            yield Target(flow, sandbox, listening.getsockname()[1], server)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """The system under attack, with providers that accept everything and report nothing."""
    with targeted(tmp_path, "sms: no receipt; voice: rings") as target:
        yield target
