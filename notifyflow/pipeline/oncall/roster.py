"""Stores the directory that a process has read from its file, so that every process pages the same people; resolves its names."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from notifyflow.core.delivery.model import Recipient
from notifyflow.core.toml import write_toml
from notifyflow.errors import InvalidDirectory
from notifyflow.pipeline.oncall import watched_jobs
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.oncall.roster import StoredDirectory


class Kept(StrEnum):
    """The result of storing a directory."""

    STORED = "stored"
    KNOWN = "known"
    OLDER = "older"


def whom(tx: Transaction, names: Sequence[str]) -> Mapping[str, Sequence[Recipient]]:
    """Return the recipients that each name of the directory means now."""
    roster = tx.ledger.roster.current()
    return {name: roster.people([name], tx.now).recipients for name in names}


def store_directory(deps: Dependencies, document: str, *, changed_at: datetime) -> Kept:
    """Store a directory, unless a newer one is stored; also if it is stored and damaged.

    Args:
        deps: The dependencies of the use cases.
        document: The text of its file, which has no fault; comments are not stored.
        changed_at: When the file was changed.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """
    now = deps.clock.now()
    changed_at = min(changed_at, now)
    source = hashlib.sha256(document.encode()).hexdigest()

    def body(ledger: Ledger) -> Kept:
        known = ledger.roster.lock()
        is_older = known.changed_at is not None and changed_at < known.changed_at
        if known.source == source and _is_readable(ledger):
            if not is_older:
                ledger.roster.put_time(changed_at)
            return Kept.KNOWN
        if known.source != source and is_older:
            return Kept.OLDER
        new = StoredDirectory(source=source, changed_at=known.changed_at if is_older else changed_at)
        ledger.roster.put_directory(write_toml(tomllib.loads(document)), new, now=now)
        watched_jobs.declare(ledger, ledger.roster.current().directory, now=now)
        return Kept.STORED

    return deps.transactions.run(body)


def _is_readable(ledger: Ledger) -> bool:
    try:
        ledger.roster.current()
    except InvalidDirectory:
        return False
    return True
