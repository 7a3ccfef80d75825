"""Releases rows that were set aside, once they are mended."""

from collections.abc import Collection, Sequence

from notifyflow.core.delivery.model import IncidentState
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.pipeline.delivery import decisions, endings, steps
from notifyflow.pipeline.transaction import set_aside
from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetUseCase
from notifyflow.storage.ledger import Tried


def release(deps: Dependencies, row_ids: Sequence[str]) -> Committed[tuple[str, ...]]:
    """Let rows go on at once, each in its own transaction; a row that is still damaged stays set aside.

    Returns:
        The ids of the released rows.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """
    released: list[str] = []
    follow_ups = NOTHING
    for row_id in row_ids:
        done = _RELEASE.run(deps, [row_id])
        follow_ups += done.follow_ups
        (result,) = done.results
        if result is True:
            released.append(row_id)
        elif isinstance(result, Exception) and not set_aside.is_damage(result):
            raise result
    return Committed(tuple(released), follow_ups)


def _release(tx: Transaction, loaded: None, row_id: str) -> bool:
    del loaded
    return bool(let_go(tx, [row_id]))


def let_go(tx: Transaction, row_ids: Collection[str]) -> tuple[str, ...]:
    """Let mended rows go on at once, or end if they should have ended; return those that were set aside."""
    released = tx.ledger.set_asides.release(row_ids)
    for row in released:
        if row.machine in CAUGHT_UP:
            catch_up(tx, row.incident_id)
        elif row.machine == "notification":
            _let_page_go(tx, row)
    return tuple(row.row_id for row in released)


def _let_page_go(tx: Transaction, row: SetAside) -> None:
    """Let a page be sent at once, or stop it if its round has ended."""
    if row.escalation_id:
        escalation, page = tx.ledger.escalations.lock(row.escalation_id), tx.ledger.notifications.lock(row.row_id)
        if endings.is_overtaken(page, escalation):
            endings.stop_overtaken(tx, page, escalation)
            return
    tx.ledger.work.unring([row.row_id])


def catch_up(tx: Transaction, incident_id: str) -> None:
    """End what could not be written when it should have ended: rounds that were replaced, and all of what is over."""
    incident = tx.ledger.incidents.lock(incident_id)
    contexts = decisions.lock_contexts(tx, incident, is_going_on=False)
    newest = {
        each.escalation.recipient_id: each.escalation.round for each in sorted(contexts, key=lambda each: each.escalation.round)
    }
    for each in contexts:
        if each.escalation.round < newest[each.escalation.recipient_id]:
            decisions.close(tx, each, event="replaced")
        else:
            decisions.end_late(tx, each)
    if incident.state is not IncidentState.OPEN:
        steps.stop(tx, incident, "resolved" if incident.state is IncidentState.RESOLVED else "acknowledged")


CAUGHT_UP = frozenset({"escalation", "incident"})
"""The kinds of rows that are caught up with when they are tried again; what it is that a page missed, its claim finds."""

CATCH_UP: SetUseCase[Tried, None, None] = SetUseCase(
    "catch up",
    lambda tx, rows: None,
    lambda tx, loaded, row: catch_up(tx, row.incident_id),
    blames=lambda row: (row.machine, row.row_id),
)
_RELEASE = SetUseCase("mended", lambda tx, row_ids: None, _release)
