"""Takes back the marks of rings that nobody hears."""

from collections.abc import Collection

from notifyflow.pipeline.ports import Transactions


def unring(transactions: Transactions, notification_ids: Collection[str]) -> None:
    """Mark notifications as not rung for, so that the next sweep rings."""
    transactions.run(lambda ledger: ledger.work.unring(sorted(notification_ids)))
