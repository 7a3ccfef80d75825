"""What a process remembers of policies, so that each is written as JSON once and parsed once.

A digest names the same policy in any database. Nothing here knows a table.
"""

import hashlib
from dataclasses import dataclass
from threading import Lock
from typing import Any

from notifyflow.core.delivery.policy import Policy
from notifyflow.core.intake.documents import dump_policy, load_policy

_MOST = 256
"""How many policies are remembered; the one that was met first is forgotten first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A policy as it is stored.

    Attributes:
        policy: The policy.
        digest: The SHA-256 of its JSON, in hexadecimal digits.
        document: Its JSON.
    """

    policy: Policy
    digest: str
    document: str


_snapshots: dict[int, Snapshot] = {}  # by the id of the policy, which its snapshot keeps alive
_policies: dict[str, Policy] = {}
_lock = Lock()


def snapshot(policy: Policy) -> Snapshot:
    """Return a policy as it is stored."""
    known = _snapshots.get(id(policy))
    if known is None:
        document = dump_policy(policy)
        known = Snapshot(policy=policy, digest=hashlib.sha256(document.encode()).hexdigest(), document=document)
        _remember(_snapshots, id(policy), known)
    return known


def known_as(digest: str) -> Policy | None:
    """Return the policy of a digest if it was parsed before."""
    return _policies.get(digest)


def parse(digest: str, document: str) -> Policy:
    """Parse the JSON of a policy.

    Raises:
        InvalidPolicy: When it is something else.
    """
    policy = load_policy(document)
    _remember(_policies, digest, policy)
    return policy


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    with _lock:
        while len(known) >= _MOST:
            del known[next(iter(known))]
        known[key] = value
