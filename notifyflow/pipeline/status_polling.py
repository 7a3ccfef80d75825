"""Which silent attempts are to be asked after now; the asking itself is done outside any transaction."""

from collections.abc import Collection
from datetime import timedelta

from notifyflow.pipeline.ports import Dependencies
from notifyflow.storage.ledger import Silent

AHEAD = timedelta(seconds=15)
"""How long before its receipt is overdue an attempt is asked after for the first time, so that the answer counts first."""

WAITS = (timedelta(minutes=5), timedelta(minutes=30))
"""How long after it began it is asked after again; the index knows that there are three times in all."""


def find_silent(deps: Dependencies, providers: Collection[str], *, limit: int) -> tuple[Silent, ...]:
    """Find attempts whose providers have taken them, and owe a receipt that decides.

    Args:
        deps: The dependencies of the use cases.
        providers: Whom to ask.
        limit: How many at most.
    """
    now = deps.clock.now()
    return deps.transactions.run(lambda ledger: ledger.silent_attempts(providers, ahead=AHEAD, waits=WAITS, now=now, limit=limit))


def may_ask(deps: Dependencies, silent: Silent) -> bool:
    """Note that an attempt is asked after; where many processes find it, one of them may ask.

    Whatever comes of it, the attempt is asked after again only when the next wait is over; waits that are over count as asked.
    """
    now = deps.clock.now()
    asking_at = (silent.receipt_due_at - AHEAD, *(silent.started_at + wait for wait in WAITS))
    times = sum(at <= now for at in asking_at)
    return deps.transactions.run(lambda ledger: ledger.note_asked(silent, times=times))
