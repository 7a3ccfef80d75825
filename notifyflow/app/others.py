"""The activity of other processes on the database, as far as its rows show it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from notifyflow.storage.store import Store

_RECENT = timedelta(seconds=10)
"""A running process notes its sweeps every five seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """What other processes did until this one started to deliver.

    Attributes:
        is_recent: Whether one swept within the last ten seconds: it delivers as well, or has just ended.
        sends: How many of their sends have no outcome yet.
        leases_end_in_s: In how many seconds the last of these sends loses its lease, and is tried again at the latest.
    """

    is_recent: bool
    sends: int
    leases_end_in_s: int


def observe(store: Store, now: datetime) -> Others:
    """Return the activity of other processes; call it before this process delivers."""
    swept_at, (sends, lease_until) = store.read(lambda reads: (reads.swept_at(), reads.running()))
    return Others(
        is_recent=swept_at is not None and now - swept_at < _RECENT,
        sends=sends,
        leases_end_in_s=0 if lease_until is None else max(0, ceil((lease_until - now).total_seconds())),
    )
