"""Our site, as a request shows it: the browser's cookies, origin and address, and the name that a trusted proxy gives.

Nothing here trusts a header that a client can set: ``X-Forwarded-For`` and the header with a user's name count only in requests
that a listed proxy sends.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from notifyflow.core.accounts.users import VALID_FOR

_SESSION = "notifyflow-session"
_FORM = "notifyflow-form"
_DEVICE = "notifyflow-device"
_DEVICE_FOR_S = 365 * 24 * 3600
_CHANGED = "notifyflow-changed"
_SITES = frozenset({"same-origin", "none"})
_PORTS = {"http": "80", "https": "443"}
_HOME_PREFIX = 64
"""How many bits of an IPv6 address belong to one client, which may choose the others (RFC 6177)."""

_LONGEST_ADDRESS = 100

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The URL of the site, and the proxies that it trusts.

    Attributes:
        proxies: The networks of the proxies whose headers are trusted.
        user_header: The header in which they give a user's name; None if they do not.
    """

    public_url: str | None = None
    proxies: Sequence[Network] = ()
    user_header: str | None = None

    @property
    def is_secure(self) -> bool:
        """Whether browsers come over https."""
        return (self.public_url or "").startswith("https://")

    # Cookies

    def session_of(self, request: Request) -> str:
        """Return the token of the session, or nothing."""
        return request.cookies.get(self._name(_SESSION, request), "")

    def form_key_of(self, request: Request) -> str:
        """Return the cookie that forms are bound to without a session; may be empty."""
        return request.cookies.get(self._name(_FORM, request), "")

    def device_of(self, request: Request) -> str:
        """Return the browser's token of an earlier login; may be empty."""
        return request.cookies.get(self._name(_DEVICE, request), "")

    def keep_login(self, request: Request, response: Response, *, session: str, device: str) -> None:
        """Let the browser that sent a request keep a login."""
        self._set(request, response, _SESSION, session, max_age_s=int(VALID_FOR.total_seconds()))
        self._set(request, response, _DEVICE, device, max_age_s=_DEVICE_FOR_S)

    def keep_form_key(self, request: Request, response: Response, key: str) -> None:
        """Let the browser keep the key of its forms, until it is closed."""
        self._set(request, response, _FORM, key, max_age_s=None)

    def has_changed(self, request: Request) -> bool:
        """Return whether the browser has changed something a short while ago."""
        return self._name(_CHANGED, request) in request.cookies

    def keep_change(self, request: Request, response: Response, *, for_s: int) -> None:
        """Let the browser keep for a while that it has changed something."""
        self._set(request, response, _CHANGED, "1", max_age_s=for_s)

    def drop_login(self, request: Request, response: Response) -> None:
        """Let the browser forget a session."""
        self._set(request, response, _SESSION, "", max_age_s=0)

    def _set(self, request: Request, response: Response, name: str, value: str, *, max_age_s: int | None) -> None:
        response.set_cookie(
            self._name(name, request), value, max_age=max_age_s, path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )

    def _name(self, name: str, request: Request) -> str:
        """Return a cookie's name; it differs between services under one host, which share a browser's cookies.

        Over https browsers accept the prefix from this host and a secure connection only.
        """
        place = f"{self.public_url} {request.headers.get('host')}"
        own = f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
        return f"__Host-{own}" if self.is_secure else own

    # The site

    def is_from_own_site(self, request: Request) -> bool:
        """Return whether a page of ours sent the request; a browser says so in one of two headers, or in both."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if site is None and origin is None:
            return False
        return (site is None or site in _SITES) and (origin is None or self._is_own_origin(origin, request))

    def _is_own_origin(self, origin: str, request: Request) -> bool:
        """Return whether an origin is that of the public URL, or of the host that the browser itself named."""
        host = request.headers.get("host", "")
        if host and origin in (f"http://{host}", f"https://{host}"):
            return True
        return self.public_url is not None and origin == _origin_of(self.public_url)

    # The proxy

    def client_of(self, request: Request) -> str:
        """Return the address of the client, as far as proxies vouch for it; of IPv6, the network that one client has."""
        address = request.client.host if request.client else ""
        return _network_of(self._behind(address, request.headers.getlist("x-forwarded-for")))

    def owner_of(self, address: str, forwarded: Sequence[str] = ()) -> str | None:
        """Return the client, as ``client_of`` does, of a connection from an address; None for a proxy that names nobody.

        Args:
            address: The address of the connection.
            forwarded: The values of ``X-Forwarded-For`` in its request.
        """
        client = self._behind(address, forwarded)
        return None if self._is_proxy(client) else _network_of(client)

    def _behind(self, address: str, forwarded: Sequence[str]) -> str:
        named = ",".join(forwarded).split(",")
        while named and self._is_proxy(address):
            address = named.pop().strip() or address
        return address

    def name_of(self, request: Request) -> str | None:
        """Return the name that a trusted proxy gives; empty if it gives several, None if it gives none."""
        if self.user_header is None or request.client is None or not self._is_proxy(request.client.host):
            return None
        names = request.headers.getlist(self.user_header)
        if not names:
            return None
        return names[0].encode("latin-1").decode("utf-8", "replace") if len(names) == 1 else ""

    def _is_proxy(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self.proxies)


def _origin_of(url: str) -> str:
    """Return the origin of a URL as browsers write it (RFC 6454, section 6.2)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port is None or str(parts.port) == _PORTS.get(parts.scheme) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return an address; one of IPv4 in the form of IPv6 (RFC 4291, section 2.5.5.2) as one of IPv4."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


def _network_of(address: str) -> str:
    parsed = _parsed(address)
    if parsed is None:
        return address[:_LONGEST_ADDRESS]
    return str(IPv6Network((parsed, _HOME_PREFIX), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
