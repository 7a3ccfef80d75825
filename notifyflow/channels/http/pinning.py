"""Checks that the installed version of urllib3 connects where the guard allows it."""

import functools
from contextlib import suppress
from importlib.metadata import version

from urllib3.exceptions import HTTPError

from notifyflow.channels.http.connections import begin, make_pools
from notifyflow.channels.http.guard import Guard
from notifyflow.errors import Fault, InvalidSettings

_PROBE_HOST = "pinned.invalid"  # no DNS knows it (RFC 6761, section 6.4)
_PROBE_S = 2.0


class _Probe(Guard):
    """Keeps the hosts that it is asked for, and allows no address of any."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: list[str] = []

    def resolve(self, host: str, port: int) -> list[str]:
        """Refuse a host."""
        self.hosts.append(host)
        raise OSError


@functools.cache
def prove() -> None:
    """Check, once per process, that urllib3 makes its connections by our class, which asks the guard for their addresses.

    A version that makes them in another way would silently connect to any address that the DNS returns.

    Raises:
        InvalidSettings: When it does; then nothing may be sent to a URL from a user.
    """
    probe = _Probe()
    begin(_PROBE_S)
    with suppress(HTTPError):
        make_pools(probe, timeout=_PROBE_S).urlopen("GET", f"https://{_PROBE_HOST}/")
    if probe.hosts != [_PROBE_HOST]:
        what = f"version {version('urllib3')} does not connect to the address that notifyflow has checked"
        raise InvalidSettings((Fault("urllib3", what, "Install another one: pip install --upgrade 'urllib3>=2.8'"),))
