"""Takes back the marks of rings that nobody hears."""

from collections.abc import Collection

from notifyflow.errors import Contended, StorageError
from notifyflow.pipeline.ports import Transactions
from notifyflow.pipeline.set_aside import is_damage

_TRIES = 2


def unring(transactions: Transactions, notification_ids: Collection[str]) -> None:
    """Mark notifications as not rung for, so that the next sweep rings; a damaged one keeps its mark, and harms no other."""
    ids = sorted(notification_ids)
    try:
        transactions.run(lambda ledger: ledger.work.unring(ids), tries=_TRIES if len(ids) > 1 else None)
    except StorageError as error:
        if len(ids) > 1 and (is_damage(error) or isinstance(error, Contended)):
            middle = len(ids) // 2
            unring(transactions, ids[:middle])
            unring(transactions, ids[middle:])
        elif not is_damage(error):
            raise
