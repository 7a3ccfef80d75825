"""Forgets a person: overwrites their personal data, and keeps the history."""

from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle
from notifyflow.errors import RecipientInUse
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.oncall import hand_overs
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.upkeep.forgetting import Forgotten


def forget(deps: Dependencies, recipient_id: str) -> Forgotten:
    """Overwrite a recipient's name, addresses and messages, and delete their user; return the data that was found.

    The stored directory loses them, too, and stays so until its file changes.

    Raises:
        RecipientInUse: When they are a recipient of an unresolved incident; nothing was changed.
    """

    def body(tx: Transaction) -> Forgotten:
        tx.ledger.roster.lock()
        if unresolved := tx.ledger.recipients.unresolved_of(recipient_id):
            raise RecipientInUse(recipient_id, tuple(unresolved))
        for row in tx.ledger.recipients.lock_in_progress(recipient_id):  # final status updates, which will have no address
            tx.write(row, lifecycle.stop(row, "resolved", now=tx.now))
        forgotten = tx.ledger.recipients.forget(recipient_id)
        was_listed = tx.ledger.roster.forget(recipient_id)
        hand_overs.render_again(tx, recipient_id)
        operations.render_again(tx, tx.ledger.operations.about(recipient_id))
        return replace(forgotten, is_known=forgotten.is_known or was_listed)

    return use_case.run(deps, body)[0]
