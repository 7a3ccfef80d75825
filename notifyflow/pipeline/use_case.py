"""What a use case is: one transaction, at whose end subscribers and operations are told what they have to know."""

from collections.abc import Callable
from typing import TypeVar

from notifyflow.pipeline import changes, operations
from notifyflow.pipeline.ports import Consequences, Tools
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import Ledger

T = TypeVar("T")


def run(tools: Tools, body: Callable[[Transaction], T]) -> tuple[T, Consequences]:
    """Run a use case.

    Args:
        tools: What it is given.
        body: What it does; runs again from its start when the transaction lost a race.

    Returns:
        What the body returned, and what the transaction led to.
    """

    def once(ledger: Ledger) -> tuple[T, Consequences]:
        tx = Transaction(ledger, tools)
        answer = body(tx)
        changes.settle(tx)
        operations.settle(tx)
        return answer, tx.consequences

    return tools.transactions.run(once)
