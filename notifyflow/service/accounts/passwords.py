"""Hashes passwords with Argon2id, by the parameters that OWASP's Password Storage Cheat Sheet names first."""

import unicodedata
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from notifyflow.core.accounts.users import LONGEST_PASSWORD

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_MEMORY_KIB = 19 * 1024
_PASSES = 2
_SALT_BYTES = 16
_NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$0cPjLQ0rO9HwZ8xX1nEYPQ$PvgGWAYEe0jEqUfbFfGPNbMixYrgWcDOCWiWmvCoaEQ"
"""The hash of a random password, verified for users without one, so that both take the same time."""


class Passwords:
    """Hashes and verifies passwords: each takes 19 MiB and tens of milliseconds, so the caller limits how many run at a time.

    Args:
        new_secret: Draws the text that salts are made of.
    """

    def __init__(self, new_secret: Callable[[], str]) -> None:
        self._new_secret = new_secret

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        """The library, loaded with the first password, since most processes never see one."""
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)

    def hash(self, password: str) -> str:
        """Return the hash of a password, with its salt and parameters; ``core.accounts.users.faults`` has limited its length."""
        salt = self._new_secret().encode()[:_SALT_BYTES]
        return self._hasher.hash(_bytes(password), salt=salt)

    def verify(self, password: str, stored: str | None) -> bool:
        """Return whether a password has this hash; without one it takes as long, and is False.

        Of a text that is longer than any password only the beginning is hashed: normalising takes time that grows with the square
        of the number of combining marks (https://github.com/python/cpython/issues/149079).
        """
        from argon2.exceptions import VerificationError

        typed = password[:LONGEST_PASSWORD]
        try:
            is_right = self._hasher.verify(stored or _NOBODYS, _bytes(typed))
            return is_right and stored is not None and typed == password
        except VerificationError:
            return False


def _bytes(password: str) -> bytes:
    """Encode a password as all keyboards spell it: an accent typed as one character or as two is the same."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
