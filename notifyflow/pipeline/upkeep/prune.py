"""Deletes old rows, a few in each transaction, so that delivery goes on."""

from datetime import datetime

from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.storage.upkeep.pruning import Pruned, PruneStep

ROUNDS_A_STEP = 50


def prune_incidents(deps: Dependencies, cursor: tuple[datetime, str], *, before: datetime) -> PruneStep:
    """Delete some incidents that were resolved before an instant; ``cursor`` is the end of the last step."""
    return deps.transactions.run(lambda ledger: ledger.pruning.incidents(cursor, before=before, limit=ROUNDS_A_STEP))


def prune_strays(deps: Dependencies, *, before: datetime) -> Pruned:
    """Delete some rows without an incident from before an instant."""
    return deps.transactions.run(lambda ledger: ledger.pruning.strays(before=before, limit=ROUNDS_A_STEP))


def prune_policies(deps: Dependencies) -> None:
    """Delete policies that no row has referred to for an hour."""
    now = deps.clock.now()
    deps.transactions.run(lambda ledger: ledger.pruning.policies(now=now))
