"""Connects to the address that the guard resolved, and checks that the installed version of requests does so."""

import functools
import socket
import threading
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest

from notifyflow.channels.http.guard import Guard
from notifyflow.channels.http.timed import TimedAdapter
from notifyflow.errors import Fault, InvalidSettings

_PROBE_HOST = "pinned.invalid"  # no DNS knows it (RFC 6761, section 6.4)
_PROBE_S = 2.0
_HELLO_BYTES = 16_384


class PinnedAdapter(TimedAdapter):
    """Connects to the address that the guard resolved, while TLS and the Host header still name the host."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        super().__init__()

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        """Replace the host with the resolved address (requests' documented hook, since 2.32.3)."""
        target, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        if self._guard.is_trusted(str(request.url)):
            return target, tls
        host = target["host"]
        target["host"] = self._guard.resolve(host, target["port"] or 443)
        return target, {**tls, "server_hostname": host, "assert_hostname": host}

    def add_headers(self, request: PreparedRequest, **kwargs: Any) -> None:
        """Return the requested host (requests' documented hook)."""
        request.headers["Host"] = urlsplit(str(request.url)).netloc


def prove() -> None:
    """Check, once per process, that a request goes to the address that the guard resolved, and that TLS names the host.

    A version of requests that does not call our hook would silently connect to any address that the DNS returns.

    Raises:
        InvalidSettings: When it does not; then nothing may be sent to a URL from a user.
    """
    if not is_pinned(PinnedAdapter):
        what = f"version {requests.__version__} does not connect to the address that notifyflow has checked"
        raise InvalidSettings((Fault("requests", what, "Install another one: pip install --upgrade 'requests>=2.33'"),))


@functools.cache
def is_pinned(adapter: type[PinnedAdapter]) -> bool:
    """Return whether an adapter's request arrives at the address that the guard resolved, and names the host."""
    hello = b""

    def listen() -> None:
        nonlocal hello
        with suppress(OSError), listening.accept()[0] as connection:
            connection.settimeout(_PROBE_S)
            hello = connection.recv(_HELLO_BYTES)

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.settimeout(_PROBE_S)
        listener = threading.Thread(target=listen, name="notifyflow-probe", daemon=True)
        listener.start()
        port = listening.getsockname()[1]
        request = requests.Request("GET", f"https://{_PROBE_HOST}:{port}/").prepare()
        with closing(adapter(_Probe())) as probed, suppress(requests.RequestException):
            probed.send(request, timeout=(_PROBE_S, _PROBE_S))
        listener.join(2 * _PROBE_S)
    return _PROBE_HOST.encode() in hello


class _Probe(Guard):
    """Resolves every host to this machine."""

    def resolve(self, host: str, port: int) -> str:
        """Return the loopback address."""
        del host, port
        return "127.0.0.1"
