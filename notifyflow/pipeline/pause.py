"""Pauses of sending: the claim defers paused notifications, which are due at once when the pause ends, early or not."""

from notifyflow.core.model import DeferralReason
from notifyflow.core.pauses import Pause, Scope
from notifyflow.pipeline import use_case
from notifyflow.pipeline.ports import Dependencies
from notifyflow.pipeline.transaction import Transaction


def pause(deps: Dependencies, wanted: Pause) -> None:
    """Start a validated pause, which replaces an earlier one of the same."""

    def body(tx: Transaction) -> None:
        if tx.ledger.stops.put_pause(wanted):
            _go_on(tx)

    use_case.run(deps, body)


def resume(deps: Dependencies, scope: Scope, name: str) -> bool:
    """End a pause, and return whether it existed; notifications that another pause covers are deferred again."""

    def body(tx: Transaction) -> bool:
        was_paused = tx.ledger.stops.drop_pause(scope, name, at=tx.now)
        if was_paused:
            _go_on(tx)
        return was_paused

    return use_case.run(deps, body)[0]


def _go_on(tx: Transaction) -> None:
    """Make notifications due that a pause deferred, and compute all deadlines again that used its planned end."""
    tx.ledger.escalations.decide_again(now=tx.now)
    tx.ledger.steps.decide_again(now=tx.now)
    tx.ledger.notifications.bring_forward([DeferralReason.PAUSE], now=tx.now)


def pauses(deps: Dependencies) -> tuple[Pause, ...]:
    """Return the current pauses, the oldest first."""
    return use_case.run(deps, lambda tx: tx.ledger.stops.pauses(now=tx.now))[0]
