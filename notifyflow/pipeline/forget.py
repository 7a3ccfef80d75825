"""Forgets a person: everything personal that stands about them is overwritten, what happened stays."""

from notifyflow.core import lifecycle
from notifyflow.errors import RecipientInUse
from notifyflow.pipeline import operations, use_case
from notifyflow.pipeline.ports import Dependencies
from notifyflow.pipeline.transaction import Transaction


def forget(deps: Dependencies, recipient_id: str) -> int:
    """Overwrite a recipient's name, addresses and messages.

    Args:
        deps: The dependencies of the use cases.
        recipient_id: Who.

    Returns:
        From how many incidents they were removed; 0 if no incident has them.

    Raises:
        RecipientInUse: When they are paged for something that is not resolved; nothing was done.
    """

    def body(tx: Transaction) -> int:
        if unresolved := tx.ledger.unresolved_of(recipient_id):
            raise RecipientInUse(recipient_id, tuple(unresolved))
        for row in tx.ledger.lock_in_progress_of(recipient_id):  # status updates of an end, for which no address will be left
            tx.write(row, lifecycle.stop(row, "resolved", now=tx.now))
        count = tx.ledger.forget(recipient_id)
        operations.say_again(tx, tx.ledger.operations_about(recipient_id))
        return count

    return use_case.run(deps, body)[0]
