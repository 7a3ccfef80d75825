"""Stores, replaces and revokes API keys, and notes their last use."""

from collections.abc import Collection
from datetime import datetime, timedelta

from notifyflow.core.accounts import keys
from notifyflow.core.accounts.keys import ApiKey
from notifyflow.errors import ApiKeyNotFound
from notifyflow.pipeline.transaction.ports import Transactions
from notifyflow.storage.ledger import Ledger


def add(transactions: Transactions, key: ApiKey) -> None:
    """Store a new key."""
    transactions.run(lambda ledger: ledger.keys.add(key))


def rotate(
    transactions: Transactions,
    key_id: str,
    *,
    new_id: str,
    digest: str,
    overlap: timedelta | None,
    valid_for: timedelta | None,
    now: datetime,
) -> ApiKey:
    """Replace a key with a new one. The old key expires after the overlap, or at once without one.

    Raises:
        ApiKeyNotFound: When there is no such key.
        ApiKeyRevoked: When it was revoked.
    """

    def body(ledger: Ledger) -> ApiKey:
        old = ledger.keys.lock(key_id)
        if old is None:
            raise ApiKeyNotFound(key_id)
        new = keys.replacement(old, key_id=new_id, digest=digest, valid_for=valid_for, now=now)
        ledger.keys.add(new)
        if overlap is None:
            ledger.keys.revoke(old.id, at=now)
        elif old.expires_at is None or old.expires_at > now + overlap:
            ledger.keys.expire(old.id, at=now + overlap)
        return new

    return transactions.run(body)


def revoke(transactions: Transactions, key_id: str, *, now: datetime) -> None:
    """Revoke a key; raise ApiKeyNotFound when there is no such key."""
    if not transactions.run(lambda ledger: ledger.keys.revoke(key_id, at=now)):
        raise ApiKeyNotFound(key_id)


def note_use(transactions: Transactions, key_id: str, *, now: datetime) -> None:
    """Note a key's last use."""
    transactions.run(lambda ledger: note_uses(ledger, [key_id], now=now))


def note_uses(ledger: Ledger, key_ids: Collection[str], *, now: datetime) -> None:
    """Note the last use of several keys in a transaction that does something else as well."""
    ledger.keys.note_use(key_ids, at=now)
