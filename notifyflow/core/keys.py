"""API keys: how one is spelt, what is kept of it, and whether it lets somebody in.

Of a key's secret only the SHA-256 is kept. That is enough, since the secret is 256 bits of chance and no password: there is
nothing to guess that a slow hash would make slower.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notifyflow.errors import InvalidApiKey, MissingScope

_PREFIX = "nf"


class Scope(StrEnum):
    """What a key is good for; none of them includes another."""

    INGEST = "ingest"
    READ = "read"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key, as it is kept.

    Attributes:
        id: Opaque; stands in logs and in the key itself.
        name: What it is for, as its maker said; acts in its name are logged under it.
        scopes: What it is good for.
        namespace: Whose incidents it reaches: it opens, repeats, acknowledges and resolves there only; ``*`` for those of all,
            where it only reads or operates.
        digest: The SHA-256 of its secret, in hex digits.
        created_at: When it was made.
        expires_at: From when on it is no good; None for never.
        revoked_at: When it was revoked; None while it was not.
        last_used_at: When it was used last, to the hour; None while it never was.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    digest: str
    created_at: datetime
    namespace: str = ""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


def spell(key_id: str, secret: str) -> str:
    """Make the text that a key's holder presents."""
    return f"{_PREFIX}_{key_id}_{secret}"


def read(presented: str) -> tuple[str, str]:
    """Take what somebody presents apart: the key's id and its secret.

    Raises:
        InvalidApiKey: When no key is spelt like this.
    """
    prefix, _, rest = presented.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != _PREFIX or not key_id or not secret:
        raise InvalidApiKey("is none of ours")
    return key_id, secret


def digest(secret: str) -> str:
    """Make what is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def judge(key: ApiKey | None, secret: str, scope: Scope, *, now: datetime) -> ApiKey:
    """Let somebody in, or say why not; of a key that is not theirs nothing is said.

    Args:
        key: The key whose id was presented; None where there is none.
        secret: What was presented with it.
        scope: What it is to be good for.
        now: The time.

    Raises:
        InvalidApiKey: When it is wrong, revoked or expired.
        MissingScope: When it is good, and not for this.
    """
    kept = key.digest if key else digest("")
    if not hmac.compare_digest(digest(secret).encode(), kept.encode()) or key is None:
        raise InvalidApiKey("is none of ours")
    if key.revoked_at is not None:
        raise InvalidApiKey("was revoked")
    if key.expires_at is not None and now >= key.expires_at:
        raise InvalidApiKey("has expired")
    if scope not in key.scopes:
        raise MissingScope(scope)
    return key
