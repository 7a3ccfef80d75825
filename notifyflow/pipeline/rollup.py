"""Counts metrics from the lines of the log, and counts each line once, however many processes try."""

from datetime import timedelta

from notifyflow.core.metrics.rollup import roll_up as count
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.storage.ledger import Ledger

EVERY = timedelta(seconds=5)
"""How often the log is read."""
_LINES = 300
"""How many lines a set has at most: while they are counted, the process's claiming threads make little progress."""
_LINES_A_SLOT = 10
"""How many lines it has at most for each attempt of a claiming transaction; fewer if only one transaction writes at a time."""


def roll_up(deps: Dependencies, *, limit: int | None = None, is_due_at_once: bool = False) -> bool:
    """Count some lines of the log, unless another process does, or they were counted a moment ago.

    The metrics and how far the log is counted are written in one transaction, so that no line is lost or counted twice.

    Args:
        deps: The dependencies of the use cases.
        limit: How many lines to count at most; None for a set.
        is_due_at_once: Whether to count them even if the log was counted a moment ago.

    Returns:
        Whether there are more.

    Raises:
        StorageUnavailable: When the database does not answer in time; nothing was counted.
        CommitUnknown: When it is unknown whether they are counted; the next call counts those that are not.
    """
    now = deps.clock.now()

    def body(ledger: Ledger) -> bool:
        position = ledger.rollups.lock()
        if position is None:
            return False
        if (
            not is_due_at_once
            and position.rolled_up_at is not None
            and position.rolled_up_at <= now < position.rolled_up_at + EVERY
        ):
            return False
        if position.is_elsewhere:
            ledger.rollups.begin_anew(position)
            return True
        read = ledger.rollups.read(position, limit=limit or min(_LINES, deps.set_size * _LINES_A_SLOT))
        ledger.rollups.store(position, read, count(read.logged), now=now)
        return not read.is_last

    return deps.transactions.run(body)


def roll_up_all(deps: Dependencies) -> None:
    """Count all lines of the log; those of transactions that have not ended stay."""
    while roll_up(deps, is_due_at_once=True):
        pass
