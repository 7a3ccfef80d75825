"""Decides whether to send a heartbeat: no work is overdue, and operations can be reached."""

from datetime import timedelta
from enum import StrEnum

from notifyflow.core.upkeep.audit import LONG
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.storage.ledger import Ledger


class Pulse(StrEnum):
    """The answer to a claim of the heartbeat."""

    OURS = "ours"
    EARLY = "early"
    LEFT_BEHIND = "left_behind"
    OPERATIONS_UNREACHED = "operations_unreached"


def beat(deps: Dependencies, *, every: timedelta) -> Pulse:
    """Claim the next heartbeat of all processes for this one, if it is due and all is well.

    Returns:
        ``OURS``: the caller sends it now. ``EARLY``: it is not due, or another process sends it. Otherwise: why it is withheld.
    """
    now = deps.clock.now()

    def body(ledger: Ledger) -> Pulse:
        if not ledger.heartbeat.is_due(before=now - every):
            return Pulse.EARLY
        if ledger.heartbeat.is_left_behind(before=now - LONG):
            return Pulse.LEFT_BEHIND
        if ledger.heartbeat.is_operations_unreached():
            return Pulse.OPERATIONS_UNREACHED
        return Pulse.OURS if ledger.heartbeat.claim(before=now - every, now=now) else Pulse.EARLY

    return deps.transactions.run(body)
