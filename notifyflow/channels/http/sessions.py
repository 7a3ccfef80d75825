"""Sends requests over the sessions of ``requests``, one a thread, and classifies every failure.

Importing it loads ``requests``, which takes as long as all channels: ``http`` imports it with the first request, or at a start.
"""

import contextlib
import ssl
import threading
from collections.abc import Mapping
from typing import Any

import requests
from requests import exceptions
from urllib3 import exceptions as urllib3_exceptions

from notifyflow.channels.http import HttpResponse
from notifyflow.channels.http.guard import Guard
from notifyflow.channels.http.pinning import PinnedAdapter, prove
from notifyflow.channels.http.timed import TimedAdapter
from notifyflow.errors import PermanentProviderError, ProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings


class _Session(requests.Session):
    """A session that follows no redirect: requests would read its whole body, even where it does not follow it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return none, whatever the response says."""
        del resp


class Sessions:
    """The sessions of one provider; any number of threads may use them."""

    def __init__(self, settings: Settings, guard: Guard | None) -> None:
        self._timeout = (settings.connect_timeout_s, settings.read_timeout_s)
        self._proxy = settings.https_proxy.get_secret_value() if settings.https_proxy else None
        self._verify: bool | str = str(settings.ca_bundle) if settings.ca_bundle else True
        self._guard = guard
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []

    def request(self, method: str, url: str, headers: Mapping[str, str], *, limit_bytes: int, **arguments: Any) -> HttpResponse:
        """Send one request; it raises what ``Http.post`` raises."""
        arguments |= {"headers": headers, "timeout": self._timeout}
        try:
            response = self._session().request(method, url, allow_redirects=False, stream=True, **arguments)
        except exceptions.RequestException as error:
            raise _failure(error, is_given=self._guard is not None) from error
        with response:
            return HttpResponse(status=response.status_code, headers=response.headers, body=_read(response, limit_bytes))

    def close(self) -> None:
        """Close the sessions of all threads."""
        with self._lock:
            for session in self._sessions:
                session.close()
            self._sessions.clear()
            self._local = threading.local()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _Session()
            session.trust_env = False
            session.verify = self._verify
            for scheme in ("https://", "http://"):  # plain HTTP leads to the sandbox and trusted endpoints only
                session.mount(scheme, self._adapter())
            if self._proxy:
                session.proxies = {"https": self._proxy}
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session

    def _adapter(self) -> TimedAdapter:
        if self._guard is None or self._proxy is not None:
            return TimedAdapter()
        prove()
        return PinnedAdapter(self._guard)


def _read(response: requests.Response, limit_bytes: int) -> bytes:
    """Read a body up to the limit, or until its time is over or the connection breaks: the status is definite all the same.

    ``read1`` returns what has arrived; a chunk that is not whole when the time is over would be lost.
    """
    body = bytearray()
    with contextlib.suppress(urllib3_exceptions.HTTPError):
        while len(body) < limit_bytes and (part := response.raw.read1(8192, decode_content=True)):
            body += part
    return bytes(body[:limit_bytes])


def _failure(error: exceptions.RequestException, *, is_given: bool) -> ProviderError:
    """Return the error for a request that got no response; ``is_given`` marks a recipient's URL, not one of our settings."""
    if isinstance(error, exceptions.InvalidURL | exceptions.InvalidSchema | exceptions.MissingSchema):
        if is_given:
            return PermanentProviderError("the address is not one that can be asked", code="address")
        return RefusedUsError("our settings name a URL that cannot be asked", code="address")
    if isinstance(error, exceptions.InvalidHeader):
        return RefusedUsError("our request has a header that HTTP does not take", code="header", is_general=False)
    if _never_left(error):
        return TemporaryProviderError("could not be reached", code="no_connection", is_unhealthy=True)
    if isinstance(error, exceptions.Timeout):
        return UnknownOutcomeError("did not answer in time", code="timeout")
    return UnknownOutcomeError("the connection broke before a response came", code="connection_lost")


def _never_left(error: BaseException) -> bool:
    """Return whether the connection itself failed, so that the request cannot have left (urllib3, ``urllib3.exceptions``)."""
    cause: BaseException | None = error
    for _ in range(8):
        if isinstance(
            cause,
            urllib3_exceptions.NewConnectionError
            | urllib3_exceptions.ConnectTimeoutError
            | urllib3_exceptions.ProxyError
            | ssl.SSLCertVerificationError,
        ):
            return True
        if cause is None:
            return False
        inner = getattr(cause, "reason", None) or next((part for part in cause.args if isinstance(part, BaseException)), None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__
    return False
