"""Sets damaged rows aside: names them, and tells operations."""

from collections.abc import Collection, Iterable

from notifyflow.core.delivery import set_aside
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.errors import Contended, IllegalMove, InvalidPolicy, Refused, StorageError, StorageUnavailable, UnreadableRow
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import DamagedRow, Unread

_NAMED = frozenset(
    {
        *("incident", "escalation", "notification", "step", "attempt", "receipt", "outbox"),
        *("silence", "watched_job", "override", "calendar"),
    }
)
"""The tables whose rows are set aside by their own ids."""
_BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    StopIteration,
    TypeError,
    ValueError,
    IllegalMove,
    InvalidPolicy,
    StorageError,
)
_PROVIDER = "database"


def is_damage(error: BaseException) -> bool:
    """Return whether an error shows that a row is damaged, and not a refusal by a rule or an unavailable database."""
    match error:
        case Contended() | Refused():
            return error.is_of_row
        case StorageUnavailable():
            return False
        case _:
            return isinstance(error, _BROKEN)


def as_refusal(error: Exception) -> Exception:
    """Return an error that shows damage as one that no caller takes for an unavailable database."""
    if isinstance(error, Contended):
        return Refused(error.reason, code=error.code or "changed", table=error.table, is_of_row=True)
    return error


def blamed(row: tuple[str, ...], error: Exception) -> list[DamagedRow]:
    """Return the rows that an error sets aside: the row at hand, given with its kind, and the unreadable one, if any."""
    machine, *ids = row
    damaged = [_damaged_row(machine, tuple(ids), error)]
    if isinstance(error, UnreadableRow) and error.table in _NAMED - {machine} and error.row_id:
        damaged.append(_damaged_row(error.table, (error.row_id,), error))
    return damaged


def _damaged_row(machine: str, ids: tuple[str, ...], error: Exception) -> DamagedRow:
    """Return the row in which an error showed damage."""
    relation, code, what = "", type(error).__name__, "a rule cannot be applied to it"
    match error:
        case UnreadableRow():
            relation, code, what = error.table, error.why, f"its column {error.column} cannot be read"
        case Refused():
            relation, code, what = error.table, error.code or code, "the database refuses to write it"
        case Contended():
            relation, code, what = error.table, error.code or "changed", "what is to be written collides with what is there"
    return DamagedRow(machine=machine, ids=ids, relation=relation.removeprefix("notifyflow_"), code=code, what=what)


def damaged_rows_of(unread: Iterable[Unread]) -> list[DamagedRow]:
    """Return the unreadable rows as damaged ones, each once; rows without their own id are left out."""
    found = {(each.table, each.row_id): each for each in unread if each.table in _NAMED and each.row_id}
    return [_damaged_row(table, (row_id,), each.error()) for (table, row_id), each in found.items()]


def write(tx: Transaction, damaged: Collection[DamagedRow], *, is_told: bool) -> list[SetAside]:
    """Set rows aside, and tell operations once for each; return those that were not set aside already."""
    rows = []
    for each in damaged:
        if (added := tx.ledger.set_asides.add(each, now=tx.now)) is None:
            continue
        row, is_operations = added
        rows.append(row)
        if is_operations or not is_told:
            continue
        if not row.is_paging:
            tx.notices.append((set_aside.NOTICE, _PROVIDER))
        elif row.times == 1:
            tx.damaged.append(row)
    return rows


def counts_as_failed(row: SetAside) -> bool:
    """Return whether a page counts as failed from now on."""
    return row.machine == "notification" and bool(row.escalation_id) and row.times >= set_aside.FAILED_FROM
