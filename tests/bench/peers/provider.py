"""The provider of the peers in Python: does nothing, waits, or posts over HTTP; with EAR it reports each call with a datagram."""

import os
import socket
import threading
import time

import requests

_PROVIDER = os.environ.get("PROVIDER", "null")
_EAR = int(os.environ.get("EAR", "0"))
_local = threading.local()
_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def send(channel: str, address: str, body: str) -> None:
    """Call the provider."""
    report("call", address)
    if _PROVIDER.startswith("sleep:"):
        time.sleep(int(_PROVIDER[6:]) / 1000)
    elif _PROVIDER.startswith("http:"):
        response = _session().post(_PROVIDER, json={"channel": channel, "to": address, "text": body}, timeout=(3, 10))
        response.raise_for_status()
    report("done", address)


def report(what: str, address: str) -> None:
    """Report a call, if anybody measures it."""
    if _EAR:
        _socket.sendto(f"{what} {address}".encode(), ("127.0.0.1", _EAR))


def _session() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
        _local.session.trust_env = False
    return _local.session
