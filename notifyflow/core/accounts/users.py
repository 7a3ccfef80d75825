"""The people who use the dashboard: who they are, what they may do, and how long they stay logged in; pure.

A password is hashed elsewhere, since that takes time and memory on purpose. Of a session only the SHA-256 of its token is stored:
256 random bits need no slow hash.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from notifyflow.core.forms import id_faults
from notifyflow.core.namespaces import ALL, SHARED
from notifyflow.errors import Fault

IDLE_FOR = timedelta(days=7)
"""A session that is unused for this long is over."""
VALID_FOR = timedelta(days=30)
"""Every session is over after this long."""
NOTE_USE_EVERY = timedelta(hours=1)
"""How often the use of a session is stored."""
SETUP_FOR = timedelta(hours=1)
"""How long a link for making the first user is valid."""
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1000
"""In bytes of UTF-8, so that a form with it has less than 4 KB."""

_FORM = b"notifyflow form, version 1"
_DEVICE = b"notifyflow device, version 1\n"


class Role(StrEnum):
    """The permissions of a user; each role includes those before it."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"

    def includes(self, role: "Role") -> bool:
        """Return whether this role includes another one."""
        order = list(Role)
        return order.index(self) >= order.index(role)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentUser:
    """A person who uses the dashboard.

    Attributes:
        name: The user's name; their actions are stored under it, unless they are a recipient.
        namespaces: The namespaces whose incidents they see; None for all.
        recipient_id: The recipient they are; None for none.
        user_id: The user's id; logs have it, and never the name.
    """

    name: str
    role: Role
    namespaces: frozenset[str] | None
    recipient_id: str | None
    user_id: str = ""

    def may(self, role: Role) -> bool:
        """Return whether their role includes another one."""
        return self.role.includes(role)

    def reaches(self, namespace: str) -> bool:
        """Return whether they see the incidents of a namespace."""
        return self.namespaces is None or namespace in self.namespaces

    @property
    def by(self) -> str:
        """The id or name under which they act: a recipient acknowledges as themselves."""
        return self.recipient_id or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as stored.

    Attributes:
        id: Opaque; appears in logs.
        name: The name to log in with, in lower case.
        namespaces: The namespaces whose incidents they see; None for all.
        recipient_id: The recipient they are; None for none.
        password: The Argon2id hash of their password; None for a user whom only a proxy can log in.
        disabled_at: When the user was disabled; None if they may log in.
        logged_in_at: When they last logged in with a password; None if they never did.
    """

    id: str
    name: str
    role: Role
    namespaces: frozenset[str] | None = None
    recipient_id: str | None = None
    password: str | None = field(default=None, repr=False)
    created_at: datetime
    disabled_at: datetime | None = None
    logged_in_at: datetime | None = None

    @property
    def current(self) -> CurrentUser:
        """The user, without what pages need not know."""
        return CurrentUser(
            name=self.name, role=self.role, namespaces=self.namespaces, recipient_id=self.recipient_id, user_id=self.id
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as stored: a browser in which a user is logged in.

    Attributes:
        digest: The SHA-256 of its token, in hex digits.
        used_at: When it was last used, to the hour.
    """

    digest: str
    user_id: str
    created_at: datetime
    used_at: datetime

    def is_over(self, now: datetime) -> bool:
        """Return whether it was idle for too long, or is too old."""
        return now >= min(self.used_at + IDLE_FOR, self.created_at + VALID_FOR)


def spell(name: str) -> str:
    """Return a name as it is stored: in lower case, so that nobody has to remember how it was typed."""
    return name.strip().lower()


def reached(namespaces: Collection[str]) -> frozenset[str] | None:
    """Return the namespaces of a user as they are stored, where ``*`` stands for all."""
    return None if ALL in namespaces else frozenset(namespaces)


def faults(
    *, name: str | None = None, password: str | None = None, namespaces: Collection[str] = (), recipient_id: str | None = None
) -> Iterator[Fault]:
    """Yield the faults of a user's given fields; the name is as ``spell`` returns it."""
    if name is not None:
        yield from id_faults("name", name)
    if password is not None:
        yield from _password_faults(password)
    for namespace in namespaces:
        if namespace != SHARED:
            yield from id_faults("namespace", namespace)
    if recipient_id is not None:
        yield from id_faults("recipient", recipient_id)


def _password_faults(password: str) -> Iterator[Fault]:
    if len(password) < SHORTEST_PASSWORD:
        yield Fault("password", f"it has fewer than {SHORTEST_PASSWORD} characters", "Choose a longer one, such as four words")
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD:
        yield Fault("password", f"it has more than {LONGEST_PASSWORD:,} bytes", "Choose a shorter one")


def digest(token: str) -> str:
    """Return the digest of a token, which is stored instead of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def form_token(token: str) -> str:
    """Return the token for a browser's forms, made from its cookie, which no other site can read."""
    return hmac.digest(token.encode("utf-8", "surrogatepass"), _FORM, "sha256").hex()


def is_form_token(presented: str, token: str) -> bool:
    """Return whether ``form_token`` made a form's token."""
    return hmac.compare_digest(presented.encode("utf-8", "surrogatepass"), form_token(token).encode())


def device_token(nonce: str, password: str) -> str:
    """Return the token that marks a browser in which a user has logged in; a new password makes it void.

    Args:
        nonce: A random text without a dot.
        password: The hash of the user's password.
    """
    return f"{nonce}.{_device_mac(nonce, password)}"


def is_device_token(presented: str, password: str) -> bool:
    """Return whether ``device_token`` made it for the user with this hash."""
    nonce, _, mac = presented.partition(".")
    return hmac.compare_digest(mac.encode("utf-8", "surrogatepass"), _device_mac(nonce, password).encode())


def _device_mac(nonce: str, password: str) -> str:
    return hmac.digest(password.encode(), _DEVICE + nonce.encode("utf-8", "surrogatepass"), "sha256").hex()
