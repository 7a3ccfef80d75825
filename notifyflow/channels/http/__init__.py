"""Outgoing HTTP, hardened: one time a request, no redirects, no environment, capped reads, and every failure classified.

What a response says is definite; a connection that could not be made is definite; everything else is unknown.
"""

import json as jsonlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from notifyflow.channels.http.guard import Guard
from notifyflow.channels.tables import Row, Table, Verdict, table
from notifyflow.errors import PermanentProviderError, ProviderError
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.channels.http.pools import Pools

_LIMIT_BYTES = 65_536
_LONGEST_LIST_BYTES = 1_048_576
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_RFC = "RFC 9110, HTTP Semantics, §15"

STATUSES = table(
    Row("3xx", Verdict.OURS, "answered with a redirect, which is never followed", _RFC),
    Row("400", Verdict.OURS, "does not understand our request", _RFC, is_about_content=True),
    Row("401", Verdict.OURS, "does not accept our credentials", _RFC, is_general=True),
    Row("402", Verdict.OURS, "wants to be paid first", _RFC, is_general=True),
    Row("403", Verdict.OURS, "forbids us this", _RFC, is_general=True),
    Row("404", Verdict.OURS, "does not know what our request names", _RFC),
    Row("407", Verdict.OURS, "the proxy does not accept our credentials", _RFC, is_general=True),
    Row("408", Verdict.TEMPORARY, "did not get the whole request in time", _RFC),
    Row("409", Verdict.TEMPORARY, "is busy with something that contradicts the request", _RFC),
    Row("410", Verdict.OURS, "no longer has what our request names", _RFC),
    Row("413", Verdict.OURS, "finds our message too large", _RFC, is_about_content=True),
    Row("421", Verdict.TEMPORARY, "was reached over a connection that it does not serve", _RFC),
    Row("422", Verdict.OURS, "does not accept what our message says", _RFC, is_about_content=True),
    Row("425", Verdict.TEMPORARY, "wants the request again, later", "RFC 8470, Using Early Data in HTTP, §5.2"),
    Row("429", Verdict.TEMPORARY, "asks for fewer requests", "RFC 6585, Additional HTTP Status Codes, §4"),
    Row("4xx", Verdict.OURS, "refuses our request", _RFC),
    Row("500", Verdict.TEMPORARY, "failed on its own side", _RFC),
    Row("502", Verdict.UNKNOWN, "a gateway lost the response", _RFC),
    Row("503", Verdict.TEMPORARY, "is not available now", _RFC),
    Row("504", Verdict.UNKNOWN, "a gateway waited in vain for the response", _RFC),
    Row("5xx", Verdict.TEMPORARY, "failed on its own side", _RFC),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response over HTTP.

    Attributes:
        headers: Case-insensitive.
        body: At most 64 KiB, or as much of a list as was asked for; less if the connection broke.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Return whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """Return the body as text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def fields(self) -> Mapping[str, Any]:
        """Return the body as a JSON object, or an empty mapping for anything else."""
        return read_object(self.body)

    @property
    def retry_after_s(self) -> float | None:
        """Return Retry-After in seconds; a date counts from the response's own Date (RFC 9110 §10.2.3)."""
        return retry_after_s(self.headers)


def read_object(text: str | bytes) -> Mapping[str, Any]:
    """Return a JSON object, or an empty mapping for anything else."""
    try:
        value = jsonlib.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return Retry-After in seconds, a date relative to the response's Date and not to our clock; None for anything else."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None


def refusal(status: int, codes: Table, *, code: object = "", retry_after_s: float | None = None) -> ProviderError:
    """Return the error to raise for a response that refuses a request.

    The provider's own table of codes takes precedence over the general one, also for HTTP statuses.
    """
    known_code = str(code) if _CODE.fullmatch(str(code)) else ""
    keys = (known_code, str(status), f"{status // 100}xx")
    row = next((known[key] for known in (codes, STATUSES) for key in keys if key in known), _NOT_HTTP)
    is_throttled = status == 429 or known_code.startswith("Throttling")  # AWS
    return row.error(
        code=known_code or str(status), retry_after_s=retry_after_s, is_unhealthy=status >= 500, is_throttled=is_throttled
    )


_NOT_HTTP = Row("", Verdict.UNKNOWN, "answered in a way that HTTP does not have", _RFC)


class Http:
    """Sends the requests of one provider; any number of threads may use it."""

    def __init__(self, settings: Settings, *, guard: Guard | None = None) -> None:
        """Use the time-outs, the proxy and the CA bundle of the settings, and a guard for URLs from users.

        Behind a proxy, the proxy resolves hosts, and only the guard's other rules apply.
        """
        self._settings = settings
        self._guard = guard
        self._lock = threading.Lock()
        self._pools: Pools | None = None

    def post(
        self,
        url: str,
        *,
        json: object = None,
        form: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> HttpResponse:
        """Post once, and read at most 64 KiB of the response.

        Raises:
            TemporaryProviderError: When there was no connection.
            PermanentProviderError: When the guard refuses the URL.
            UnknownOutcomeError: When the request may have left, and no status came back.
        """
        if json is not None:
            headers = {**(headers or {}), "Content-Type": "application/json; charset=utf-8"}
            body = jsonlib.dumps(json, ensure_ascii=False).encode("utf-8", "replace")
        return self._request("POST", url, headers, form=form, body=body, auth=auth)

    def get(
        self,
        url: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        limit_bytes: int = _LONGEST_LIST_BYTES,
    ) -> HttpResponse:
        """Get once, and read at most ``limit_bytes`` of the response, 1 MiB by default; it raises what ``post`` raises."""
        return self._request("GET", url, headers, limit_bytes=limit_bytes, query=query, auth=auth)

    def _request(
        self, method: str, url: str, headers: Mapping[str, str] | None, *, limit_bytes: int = _LIMIT_BYTES, **arguments: Any
    ) -> HttpResponse:
        if self._guard is not None:
            try:
                self._guard.check(url)
            except ValueError as error:
                raise PermanentProviderError(f"the address {error}", code="address") from error
        return self._loaded().request(method, url, headers, limit_bytes=limit_bytes, **arguments)

    def close(self) -> None:
        """Close the connections of all threads."""
        if self._pools is not None:
            self._pools.close()

    def _loaded(self) -> "Pools":
        with self._lock:
            if self._pools is None:
                from notifyflow.channels.http.pools import Pools

                self._pools = Pools(self._settings, self._guard)
            return self._pools
