"""Finds the attempts whose status is to be polled now; the polling itself is done outside any transaction."""

from collections.abc import Collection
from datetime import timedelta

from notifyflow.pipeline.ports import Dependencies
from notifyflow.storage.ledger import AttemptToPoll

AHEAD = timedelta(seconds=15)
"""How long before its receipt is overdue an attempt is polled for the first time, so that the response counts first."""

WAITS = (timedelta(minutes=5), timedelta(minutes=30))
"""How long after its start an attempt is polled again; the index relies on three polls in all."""


def find_attempts_to_poll(deps: Dependencies, providers: Collection[str], *, limit: int) -> tuple[AttemptToPoll, ...]:
    """Find accepted attempts of some providers that still lack a decisive receipt."""
    now = deps.clock.now()
    return deps.transactions.run(
        lambda ledger: ledger.attempts.to_poll(providers, ahead=AHEAD, waits=WAITS, now=now, limit=limit)
    )


def claim_poll(deps: Dependencies, attempt: AttemptToPoll) -> bool:
    """Count a poll of an attempt before it is made; return True in one process only, if several have found the attempt.

    Whatever comes of it, the attempt is polled again only after the next wait; waits that have passed count as polled.
    """
    now = deps.clock.now()
    polls_at = (attempt.receipt_due_at - AHEAD, *(attempt.started_at + wait for wait in WAITS))
    times = sum(at <= now for at in polls_at)
    return deps.transactions.run(lambda ledger: ledger.attempts.record_poll(attempt, times=times))
