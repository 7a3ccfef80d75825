"""Releases rows that were set aside, once they are mended."""

from collections.abc import Collection, Sequence

from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.pipeline.delivery import decisions
from notifyflow.pipeline.transaction import set_aside
from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetUseCase


def release(deps: Dependencies, row_ids: Sequence[str]) -> Committed[tuple[str, ...]]:
    """Let rows go on at once, each in its own transaction; a row that is still damaged stays set aside.

    Returns:
        The ids of the released rows.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """
    released: list[str] = []
    led_to = NOTHING
    for row_id in row_ids:
        settled = _RELEASE.run(deps, [row_id])
        led_to += settled.consequences
        (result,) = settled.results
        if result is True:
            released.append(row_id)
        elif isinstance(result, Exception) and not set_aside.is_damage(result):
            raise result
    return Committed(tuple(released), led_to)


def _release(tx: Transaction, loaded: None, row_id: str) -> bool:
    del loaded
    return bool(let_go(tx, [row_id]))


def let_go(tx: Transaction, row_ids: Collection[str]) -> tuple[str, ...]:
    """Let mended rows go on at once; return those that were set aside.

    A round that could not be read may have been replaced meanwhile; it ends now.
    """
    released = tx.ledger.set_asides.release(row_ids)
    for row in released:
        if row.machine == "escalation":
            _end_replaced(tx, row)
        elif row.machine == "notification":
            tx.ledger.work.unring([row.row_id])
    return tuple(row.row_id for row in released)


def _end_replaced(tx: Transaction, row: SetAside) -> None:
    incident = tx.ledger.incidents.lock(row.incident_id)
    contexts = decisions.lock_contexts(tx, incident)
    for each in contexts:
        newer = (other.escalation for other in contexts if other.escalation.recipient_id == each.escalation.recipient_id)
        if any(other.round > each.escalation.round for other in newer):
            decisions.close(tx, each, event="replaced")


_RELEASE = SetUseCase("mended", lambda tx, row_ids: None, _release)
