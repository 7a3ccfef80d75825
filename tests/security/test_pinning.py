"""A request to a user's URL goes to the checked address; a library without that guarantee stops the start."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from notifyflow.channels.http import Http
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.http.pinning import prove
from notifyflow.channels.http.pools import Pools
from notifyflow.errors import PermanentProviderError, TemporaryProviderError
from notifyflow.settings import Settings
from notifyflow.testing.scripted_http import HttpServer, http_server

MAKES_CONNECTIONS_OF_ITS_OWN = """
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager

def new_pool(self, scheme, host, port, request_context=None):
    return (HTTPSConnectionPool if scheme == "https" else HTTPConnectionPool)(host, port)

PoolManager._new_pool = new_pool
"""
CONNECTS_IN_ANOTHER_WAY = """
import socket
from urllib3.connection import HTTPConnection, HTTPSConnection

def connect(self):
    self.sock = socket.create_connection((self.host, self.port), self.timeout)

HTTPConnection.connect = HTTPSConnection.connect = connect
"""
START = """
from notifyflow.cli import main

main()
"""


def test_the_library_in_use_is_proved_to_pin():
    prove()


@pytest.fixture
def first() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


def test_a_name_that_leads_inside_between_the_check_and_the_connection_is_not_followed(first: HttpServer):
    """The DNS resolves twice: first to an address that is allowed, then to another one, where somebody listens."""
    addresses = ["127.0.0.1", "127.0.0.2"]

    class Rebinding(Guard):
        def resolve(self, host: str, port: int) -> list[str]:
            return [addresses.pop(0)]

    with ExitStack() as stack:
        inside = stack.enter_context(closing(socket.create_server(("127.0.0.2", first.port))))
        inside.settimeout(0.1)
        pools = stack.enter_context(closing(Pools(Settings.from_variables({}), Rebinding())))
        url = f"http://rebinding.example:{first.port}/latest/meta-data"
        assert pools.request("POST", url, None, limit_bytes=100).status == 200
        with pytest.raises(TimeoutError):
            inside.accept()
    assert addresses == ["127.0.0.2"], "it is resolved once"
    assert [request.headers["Host"] for request in first.requests] == [f"rebinding.example:{first.port}"]


def test_every_connection_asks_the_guard(first: HttpServer):
    """A server that closes its connections gets another one, for which the name is resolved anew."""

    class Changing(Guard):
        def __init__(self) -> None:
            super().__init__()
            self.asked = 0

        def resolve(self, host: str, port: int) -> list[str]:
            self.asked += 1
            return ["127.0.0.1"] if self.asked == 1 else super().resolve("localhost", port)

    guard = Changing()
    with closing(Pools(Settings.from_variables({}), guard)) as pools:
        url = f"http://changing.example:{first.port}/"
        assert pools.request("POST", url, None, limit_bytes=100).status == 200
        with pytest.raises(PermanentProviderError) as raised:
            pools.request("GET", url, None, limit_bytes=100)
    assert raised.value.code == "private_address"
    assert (guard.asked, len(first.requests)) == (2, 1)


class Blind(Guard):
    """Lets every text pass, so that the connection alone protects."""

    def check(self, url: str) -> None:
        pass


SPELLINGS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "%31%32%37.0.0.1",
    "１２７.0.0.1", "127。0。0。1",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]", "[::]", "[64:ff9b::127.0.0.1]", "0", "0.0.0.0", "169.254.169.254",
    "localhost", "LOCALHOST", "localhost.",
    "hooks.example.com@127.0.0.1", "127.0.0.1\\@hooks.example.com", "127.0.0.1#@hooks.example.com",
]  # fmt: skip


@pytest.mark.parametrize("guard", [Guard(), Blind()], ids=["whole", "blind"])
def test_no_spelling_of_an_address_inside_is_connected_to(guard: Guard):
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as inside,
        closing(Http(Settings.from_variables({}), guard=guard)) as http,
    ):
        inside.settimeout(0.1)
        port = inside.getsockname()[1]
        for host in SPELLINGS:
            for url in (f"https://{host}:{port}/", f"https://{host}/", f"http://{host}:{port}/"):
                with pytest.raises((PermanentProviderError, TemporaryProviderError)) as raised:
                    http.post(url, json={})
                assert raised.value.code in ("address", "private_address", "dns")
        with pytest.raises(TimeoutError):
            inside.accept()


@pytest.mark.parametrize("library", [MAKES_CONNECTIONS_OF_ITS_OWN, CONNECTS_IN_ANOTHER_WAY])
def test_a_library_that_does_not_pin_stops_the_start(library: str, tmp_path: Path):
    up = [sys.executable, "-c", library + START, "up", "--port", "0"]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
    }
    ended = subprocess.run(up, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "does not connect to the address that notifyflow has checked" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
