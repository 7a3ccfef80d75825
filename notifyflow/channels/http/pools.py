"""Sends requests over the pools of urllib3, one set a thread, and classifies every failure.

requests encodes the queries of the rare requests. Importing both takes as long as all channels: ``http`` imports this module with
the first request, or at a start.
"""

import ssl
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlencode

from requests import Request
from requests.exceptions import InvalidHeader, RequestException
from requests.utils import DEFAULT_CA_BUNDLE_PATH, check_header_validity, get_auth_from_url
from urllib3 import BaseHTTPResponse, HTTPHeaderDict, PoolManager, Timeout
from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError, ProxyError, SSLError, URLSchemeUnknown
from urllib3.exceptions import TimeoutError as TimedOut
from urllib3.util import parse_url

from notifyflow.channels.http import HttpResponse
from notifyflow.channels.http.connections import begin, make_login, make_pools
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.http.pinning import prove
from notifyflow.errors import PermanentProviderError, ProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings
from notifyflow.version import __version__

_HEADERS = {"User-Agent": f"notifyflow/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


class Pools:
    """The connections to one provider; any number of threads may use them."""

    def __init__(self, settings: Settings, guard: Guard | None) -> None:
        self._time_s = settings.connect_timeout_s + settings.read_timeout_s
        self._timeout = Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s)
        self._proxy = settings.https_proxy.get_secret_value() if settings.https_proxy else ""
        self._authorities = str(settings.ca_bundle or DEFAULT_CA_BUNDLE_PATH)
        self._guard = guard
        self._local = threading.local()
        self._lock = threading.Lock()
        self._pools: list[PoolManager] = []
        if guard is not None:
            prove()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        *,
        limit_bytes: int,
        query: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        auth: tuple[str, str] | None = None,
    ) -> HttpResponse:
        """Send one request; it raises what ``Http.post`` raises."""
        sent = HTTPHeaderDict(_HEADERS)
        sent.update(headers or {})
        if form and body is None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
            body = encode(form)
        try:
            if method == "GET":
                url = str(Request(method, url, params=query).prepare().url)
            parts = parse_url(url)
            sent.update(make_login(auth or get_auth_from_url(parts.url)))
            for header in sent.items():
                check_header_validity(header)
            pool = self._find(parts.scheme).connection_from_host(parts.host, parts.port, parts.scheme)
            begin(self._time_s)
            response = pool.urlopen(
                method, parts.request_uri, body, sent, redirect=False, assert_same_host=False, preload_content=False
            )
        except (HTTPError, RequestException, UnicodeError) as error:
            raise _failure(error, is_given=self._guard is not None) from error
        with closing(response):
            return HttpResponse(status=response.status, headers=response.headers, body=_read(response, limit_bytes))

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for pools in self._pools:
                pools.clear()
            self._pools.clear()
            self._local = threading.local()

    def _find(self, scheme: str | None) -> PoolManager:
        """Return this thread's pools; plain HTTP leads to the sandbox and trusted endpoints only, and through no proxy."""
        if scheme not in ("http", "https"):
            raise URLSchemeUnknown(str(scheme))
        pools: PoolManager | None = getattr(self._local, scheme, None)
        if pools is None:
            proxy = self._proxy if scheme == "https" else ""
            guard = None if proxy else self._guard
            pools = make_pools(guard, proxy, timeout=self._timeout, ca_certs=self._authorities)
            setattr(self._local, scheme, pools)
            with self._lock:
                self._pools.append(pools)
        return pools


def encode(form: Mapping[str, Any]) -> bytes:
    """Encode a form: a list names its field once for each value, and None is no value."""
    lists = (
        (name, [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else value)
        for name, value in form.items()
    )
    return urlencode([(name, value) for name, values in lists for value in values if value is not None], doseq=True).encode()


def _read(response: BaseHTTPResponse, limit_bytes: int) -> bytes:
    """Read a body up to the limit, or until its time is over or the connection breaks: the status is definite all the same.

    ``read1`` returns what has arrived; a chunk that is not whole when the time is over would be lost.
    """
    body = bytearray()
    with suppress(HTTPError):
        while len(body) < limit_bytes and (part := response.read1(8192, decode_content=True)):
            body += part
    return bytes(body[:limit_bytes])


def _failure(error: Exception, *, is_given: bool) -> ProviderError:
    """Return the error for a request that got no response; ``is_given`` marks a recipient's URL, not one of our settings."""
    if isinstance(error, InvalidHeader | UnicodeError):
        return RefusedUsError("our request has a header that HTTP does not take", code="header", is_general=False)
    if isinstance(error, LocationValueError | RequestException):
        if is_given:
            return PermanentProviderError("the address is not one that can be asked", code="address")
        return RefusedUsError("our settings name a URL that cannot be asked", code="address")
    if _never_left(error):
        return TemporaryProviderError("could not be reached", code="no_connection", is_unhealthy=True)
    if isinstance(error, TimedOut):
        return UnknownOutcomeError("did not answer in time", code="timeout")
    return UnknownOutcomeError("the connection broke before a response came", code="connection_lost")


def _never_left(error: Exception) -> bool:
    """Return whether the connection itself failed, so that the request cannot have left (urllib3, ``urllib3.exceptions``)."""
    return isinstance(error, NewConnectionError | ProxyError) or (
        isinstance(error, SSLError) and isinstance(error.args[0], ssl.SSLCertVerificationError)
    )
