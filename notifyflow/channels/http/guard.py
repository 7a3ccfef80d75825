"""Validates outgoing URLs from users, and resolves their hosts.

The rules: https on port 443, a host that the channel knows, and an address on the public internet. A host is resolved once for
each connection, which goes to an address of that response, so that no second DNS response redirects it. ``trusted_endpoints``
(``host:port``) are exempt; nothing else weakens the rules.
"""

import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from notifyflow.errors import Fault, PermanentProviderError, TemporaryProviderError

_LIMIT = 2048
_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.ASCII)
# Some versions of Python call these global; they translate to IPv4, or stand for no single host.
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "64:ff9b::/96",  # NAT64, RFC 6052
        "64:ff9b:1::/48",  # local NAT64, RFC 8215
        "2001::/32",  # Teredo, RFC 4380
        "2002::/16",  # 6to4, RFC 3056
        "3fff::/20",  # documentation, RFC 9637
        "fec0::/10",  # site-local, RFC 3879
    )
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address belongs to a single host on the public internet."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


class Guard:
    """Validates URLs for one channel."""

    def __init__(self, *, hosts: Iterable[str] = (), trusted_endpoints: Iterable[str] = ()) -> None:
        """Set the rules.

        Args:
            hosts: The hosts that the channel knows; a leading dot includes all subdomains; empty allows every host.
            trusted_endpoints: ``host:port`` that are exempt.
        """
        self._hosts = tuple(hosts)
        self._trusted = frozenset(endpoint.lower() for endpoint in trusted_endpoints)

    def is_trusted(self, url: str) -> bool:
        """Return whether a URL's endpoint is exempt from the rules."""
        if not self._trusted:
            return False
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            return False
        return f"{parts.hostname}:{port}" in self._trusted

    def check(self, url: str) -> None:
        """Validate a URL by its text alone; nothing is resolved.

        Raises:
            ValueError: With the fault as a sentence, without the URL.
        """
        if len(url) > _LIMIT or not url.isascii() or not url.isprintable() or any(sign in url for sign in " \\"):
            raise ValueError(f"is not a URL: it holds signs that URLs do not have, or more than {_LIMIT} of them")
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except ValueError:
            raise ValueError("is not a URL") from None
        if parts.scheme not in _PORTS or not host:
            raise ValueError("is not an https URL")
        if "@" in parts.netloc:
            raise ValueError("holds a user name or password")
        if not self.is_trusted(url):
            self._check_public(parts, host, port)

    def faults(self, url: str, setting: str, remedy: str, subject: str = "") -> tuple[Fault, ...]:
        """Validate the URL of a setting; the ``subject`` begins the sentence of the fault."""
        try:
            self.check(url)
        except ValueError as wrong:
            return (Fault(setting, f"{subject} {wrong}".strip(), remedy),)
        return ()

    def _check_public(self, parts: SplitResult, host: str, port: int | None) -> None:
        if parts.scheme != "https":
            raise ValueError("is not an https URL")
        if port not in (None, 443):
            raise ValueError("names another port than 443")
        if not _HOST.fullmatch(host):
            raise ValueError("is not a URL: its host has signs that hosts do not have")
        address = _spelt_address(host)
        if address is not None and not is_public(address):
            raise ValueError("leads to an address that is not on the public internet")
        if self._hosts and not any(host.endswith(known) if known.startswith(".") else host == known for known in self._hosts):
            raise ValueError(f"leads to a host that is none of {', '.join(self._hosts)}")

    def resolve(self, host: str, port: int) -> list[str]:
        """Resolve a host to the addresses that may be connected to.

        Raises:
            TemporaryProviderError: When the DNS does not respond.
            PermanentProviderError: When any address of the host is not public.
        """
        if f"{host}:{port}" in self._trusted:
            return look_up(host, port)
        try:
            addresses = look_up(host, port)
        except OSError as error:
            raise TemporaryProviderError("the host's name could not be resolved", code="dns") from error
        if not all(is_public(ip_address(address.partition("%")[0])) for address in addresses):
            raise PermanentProviderError("the host's address is not on the public internet", code="private_address")
        return addresses


def look_up(host: str, port: int | None) -> list[str]:
    """Return the addresses of a host, in the order of the resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _spelt_address(host: str) -> IPv4Address | IPv6Address | None:
    """Read an address in any spelling that resolvers accept (``127.1``); return None for a name."""
    with suppress(ValueError):
        return ip_address(host)
    with suppress(OSError):
        return IPv4Address(socket.inet_aton(host))
    return None


def endpoint_faults(name: str, url: str | None, trusted_endpoints: Iterable[str]) -> tuple[Fault, ...]:
    """Validate a provider's base URL from the setting of this name: https, unless it is unset or its endpoint is trusted."""
    if url is None or url.startswith("https://") or Guard(trusted_endpoints=trusted_endpoints).is_trusted(url):
        return ()
    return (
        Fault(f"NOTIFYFLOW_{name}", "is not an https URL", "Give one, or name its host:port in NOTIFYFLOW_TRUSTED_ENDPOINTS"),
    )
