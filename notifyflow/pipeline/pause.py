"""The kill switch: what is paused is deferred by the claim, and due again at once when the pause ends, also before its time."""

from notifyflow.core.model import DeferralReason
from notifyflow.core.pauses import Pause, Scope
from notifyflow.pipeline import use_case
from notifyflow.pipeline.ports import Dependencies
from notifyflow.pipeline.transaction import Transaction


def pause(deps: Dependencies, wanted: Pause) -> None:
    """Pause something, in the place of an earlier pause of the same.

    Args:
        deps: The dependencies of the use cases.
        wanted: What, until when, by whom; validated already.
    """

    def body(tx: Transaction) -> None:
        if tx.ledger.put_pause(wanted):
            _go_on(tx)

    use_case.run(deps, body)


def resume(deps: Dependencies, scope: Scope, name: str) -> bool:
    """End a pause; what another pause stops still is deferred again.

    Returns:
        Whether there was one.
    """

    def body(tx: Transaction) -> bool:
        was_paused = tx.ledger.drop_pause(scope, name, at=tx.now)
        if was_paused:
            _go_on(tx)
        return was_paused

    return use_case.run(deps, body)[0]


def _go_on(tx: Transaction) -> None:
    """Let what a pause deferred be due, and have all deadlines that were reckoned with its planned end reckoned anew."""
    tx.ledger.decide_again(now=tx.now)
    tx.ledger.bring_forward([DeferralReason.PAUSE], now=tx.now)


def pauses(deps: Dependencies) -> tuple[Pause, ...]:
    """List what is paused now, the oldest pause first."""
    return use_case.run(deps, lambda tx: tx.ledger.pauses(now=tx.now))[0]
