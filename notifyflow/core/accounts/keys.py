"""API keys: their format, their stored form, and how they are checked; pure.

Only the SHA-256 of a key's secret is stored. A slow hash is not needed: the secret is 256 random bits, not a password.
"""

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.errors import ApiKeyRevoked, Fault, InvalidApiKey, InvalidNamespace, InvalidRequest, MissingScope

_PREFIX = "nf"
_NOTE_USE_EVERY = timedelta(hours=1)


class KeyScope(StrEnum):
    """A permission of a key; no scope includes another."""

    INGEST = "ingest"
    READ = "read"
    OPERATE = "operate"
    METRICS = "metrics"
    PING = "ping"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key as stored.

    Attributes:
        id: Opaque; appears in logs and in the key itself.
        name: The name its creator chose; requests are logged under it.
        namespace: The namespace whose incidents it reaches; ``*`` for all, without the scope ``ingest``.
        heartbeat: The watched job that it pings for, with the scope ``ping``, which stands alone; None for any other key.
        digest: The SHA-256 of its secret, in hex digits.
        expires_at: When it expires; None for never.
        revoked_at: When it was revoked; None if it was not.
        last_used_at: When it was last used, to the hour; None if it never was.
    """

    id: str
    name: str
    scopes: frozenset[KeyScope]
    digest: str
    created_at: datetime
    namespace: str = ""
    heartbeat: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def only(self) -> str | None:
        """The one namespace that it reaches; None if it reaches all."""
        return None if self.namespace == namespaces.ALL else self.namespace

    @property
    def namespaces(self) -> frozenset[str] | None:
        """The namespaces that it reaches; None for all."""
        return None if self.only is None else frozenset({self.only})

    def is_use_to_note(self, now: datetime) -> bool:
        """Return whether a use is noted: the first within an hour."""
        return self.last_used_at is None or now - self.last_used_at >= _NOTE_USE_EVERY

    def reaches(self, namespace: str) -> bool:
        """Return whether it reaches the incidents of a namespace."""
        return self.only in (None, namespace)


def spell(key_id: str, secret: str) -> str:
    """Return the text of a key, as its holder presents it."""
    return f"{_PREFIX}_{key_id}_{secret}"


def read(presented: str) -> tuple[str, str]:
    """Return the id and the secret in the text of a key.

    Raises:
        InvalidApiKey: When the text is not a key.
    """
    prefix, _, rest = presented.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != _PREFIX or not key_id or not secret:
        raise InvalidApiKey("is not valid")
    return key_id, secret


def namespace_of(name: str, scopes: Collection[KeyScope], requested: str | None) -> str:
    """Return the namespace of a new key: the requested one, or else the key's name.

    Raises:
        InvalidNamespace: When the key cannot have that namespace; with the scope ``ingest`` it cannot have all.
    """
    namespace = name if requested is None else requested
    may_be_all = requested is not None and KeyScope.INGEST not in scopes
    if faults := tuple(namespaces.faults("--namespace", namespace, may_be_all=may_be_all)):
        raise InvalidNamespace(faults)
    return namespace


def check_heartbeat(scopes: Collection[KeyScope], heartbeat: str | None) -> None:
    """Check that a key pings for one job and does nothing else, or does not ping: its holder is a crontab.

    Raises:
        InvalidRequest: When it is neither.
    """
    if (KeyScope.PING in scopes) != (heartbeat is not None):
        fault = Fault("--heartbeat", "it goes with the scope ping, and that scope needs it", "Give both, or neither")
        raise InvalidRequest((fault,))
    if heartbeat is not None and len(scopes) > 1:
        raise InvalidRequest((Fault("--scope", "a key that pings does nothing else", "Make another key for the rest"),))


def replacement(old: ApiKey, *, key_id: str, digest: str, valid_for: timedelta | None, now: datetime) -> ApiKey:
    """Return the key that replaces a rotated one, with the same name, namespace and scopes.

    It is valid for ``valid_for``, or else for as long as the rotated one was.

    Raises:
        ApiKeyRevoked: When the old key was revoked.
    """
    if old.revoked_at is not None:
        raise ApiKeyRevoked(old.id)
    if valid_for is None and old.expires_at is not None:
        valid_for = old.expires_at - old.created_at
    expires_at = None if valid_for is None else now + valid_for
    return replace(old, id=key_id, digest=digest, created_at=now, expires_at=expires_at, last_used_at=None)


def digest(secret: str) -> str:
    """Return the digest of a secret, which is stored instead of it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def authorise(key: ApiKey | None, secret: str, scope: KeyScope, *, now: datetime) -> ApiKey:
    """Return the key with the presented id if its secret is right, it is in force and it has the scope.

    An error for a wrong secret, or for no key, says nothing about the key.

    Raises:
        InvalidApiKey: When the key is wrong, revoked or expired.
        MissingScope: When it does not have the scope.
    """
    kept = key.digest if key else digest("")
    if not hmac.compare_digest(digest(secret).encode(), kept.encode()) or key is None:
        raise InvalidApiKey("is not valid")
    if key.revoked_at is not None:
        raise InvalidApiKey("was revoked")
    if key.expires_at is not None and now >= key.expires_at:
        raise InvalidApiKey("has expired")
    if scope not in key.scopes:
        raise MissingScope(scope)
    return key
