"""A request to a user's URL goes to the checked address; a library without that guarantee stops the start."""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from notifyflow.channels.http import Http
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.http.pinning import PinnedAdapter, is_pinned, prove
from notifyflow.errors import PermanentProviderError
from notifyflow.settings import Settings

WITH_AN_OLD_LIBRARY = """
from requests.adapters import HTTPAdapter

def get_connection(self, request, verify, proxies=None, cert=None):
    return self.poolmanager.connection_from_url(request.url)

HTTPAdapter.get_connection_with_tls_context = get_connection

from notifyflow.cli import main

main()
"""


class Unpinned(PinnedAdapter):
    """The adapter under a library that does not call its hook: requests up to 2.32.2."""

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        return HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)


class Nameless(PinnedAdapter):
    """An adapter that connects to the right address but does not verify the TLS host."""

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        target, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        return target, {**tls, "server_hostname": None, "assert_hostname": None}


def test_the_library_in_use_is_proved_to_pin():
    prove()
    assert is_pinned(PinnedAdapter)


@pytest.mark.parametrize("adapter", [Unpinned, Nameless])
def test_an_adapter_that_does_not_pin_is_found_out(adapter: type[PinnedAdapter]):
    assert not is_pinned(adapter)


def test_a_name_that_leads_inside_between_the_check_and_the_connection_is_not_followed():
    """The DNS resolves twice: first to a public address, then to this machine's."""
    addresses = ["93.184.215.14", "127.0.0.1"]

    class Rebinding(Guard):
        def resolve(self, host: str, port: int) -> str:
            return addresses.pop(0)

    request = PreparedRequest()
    request.prepare(method="GET", url="https://rebinding.example/latest/meta-data")
    with closing(PinnedAdapter(Rebinding())) as adapter:
        pool = adapter.get_connection_with_tls_context(request, verify=True)
    assert (pool.host, pool.port) == ("93.184.215.14", 443)
    assert addresses == ["127.0.0.1"], "it is resolved once"


def test_no_spelling_of_an_address_inside_is_connected_to():
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as inside,
        closing(Http(Settings.from_variables({}), guard=Guard())) as http,
    ):
        inside.settimeout(0.1)
        port = inside.getsockname()[1]
        for host in ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost", "169.254.169.254"):
            for url in (f"https://{host}:{port}/", f"https://{host}/"):
                with pytest.raises(PermanentProviderError):
                    http.post(url, json={})
        with pytest.raises(TimeoutError):
            inside.accept()


def test_a_library_that_does_not_pin_stops_the_start(tmp_path: Path):
    up = [sys.executable, "-c", WITH_AN_OLD_LIBRARY, "up", "--port", "0"]
    variables = {"PATH": os.environ["PATH"], "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}"}
    ended = subprocess.run(up, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "does not connect to the address that notifyflow has checked" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
