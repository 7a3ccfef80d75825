"""Remembers policies in a process, so that each is written as JSON once and parsed once.

A digest means the same policy in any database. Nothing here knows a table.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from notifyflow.core.delivery.policy import Policy
from notifyflow.core.intake.documents import dump_policy, load_policy
from notifyflow.errors import Fault, InvalidPolicy

_MOST = 256
"""How many policies are remembered; the oldest is forgotten first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A policy in its stored form.

    Attributes:
        digest: The SHA-256 of its JSON, in hexadecimal digits.
        document: Its JSON.
    """

    policy: Policy
    digest: str
    document: str


_snapshots: dict[int, Snapshot] = {}  # by the id of the policy, which its snapshot keeps alive
_policies: dict[str, Policy] = {}
_kept: dict[str, Policy] = {}
_lock = Lock()


def snapshot(policy: Policy) -> Snapshot:
    """Return a policy in its stored form."""
    known = _snapshots.get(id(policy))
    if known is None:
        document = dump_policy(policy)
        known = Snapshot(policy=policy, digest=hashlib.sha256(document.encode()).hexdigest(), document=document)
        _remember(_snapshots, id(policy), known)
    return known


def known_as(digest: str) -> Policy | None:
    """Return a digest's policy if it was parsed before, or is kept, else None."""
    return _policies.get(digest) or _kept.get(digest)


def keep(policies: Iterable[Policy]) -> None:
    """Never forget some policies, so that this process needs no row of them."""
    _kept.update({each.digest: each.policy for each in map(snapshot, policies)})


def parse(digest: str, document: str) -> Policy:
    """Parse a policy's JSON.

    Raises:
        InvalidPolicy: When it is something else.
    """
    policy = load_policy(document)
    _remember(_policies, digest, policy)
    return policy


def genuine(digest: str, document: str) -> Policy:
    """Parse a policy's JSON, whatever is remembered; raise ``InvalidPolicy`` also when it is not what the digest was made of."""
    policy = load_policy(document)
    if hashlib.sha256(document.encode()).hexdigest() != digest:
        raise InvalidPolicy((Fault("document", "it was changed after it was stored", "Restore it as it was written"),))
    return policy


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    with _lock:
        while len(known) >= _MOST:
            del known[next(iter(known))]
        known[key] = value
