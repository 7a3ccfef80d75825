"""Takes back the marks of rings that nobody hears."""

from collections.abc import Collection, Sequence

from notifyflow.pipeline.ports import Dependencies
from notifyflow.pipeline.set_aside import is_damage
from notifyflow.pipeline.set_use_case import SetUseCase
from notifyflow.pipeline.transaction import Transaction


def unring(deps: Dependencies, notification_ids: Collection[str]) -> None:
    """Mark notifications as not rung for, so that the next sweep rings; a damaged one keeps its mark, and harms no other."""
    settled = _UNRING.run(deps, sorted(notification_ids))
    if settled.interruption is not None:
        raise settled.interruption
    for error in settled.results:
        if error is not None and not is_damage(error):
            raise error


def _unring(tx: Transaction, notification_ids: Sequence[str]) -> None:
    tx.ledger.work.unring(notification_ids)


_UNRING = SetUseCase("unring", _unring, lambda tx, loaded, notification_id: None)
