"""All writes of one transaction.

``lock_…`` reads a row and locks it until the transaction ends: ``SELECT … FOR NO KEY UPDATE`` on PostgreSQL; SQLite has only
one writer anyway. Locks are acquired in the order receipts by provider and event id, incidents, escalations, notifications, each
by id, the providers' rows by name, the operations incident. The core decides; a ledger only reads and writes.
"""

from collections.abc import Callable
from typing import TypeVar

from notifyflow.storage.adoption import Adoption
from notifyflow.storage.callbacks import Callbacks
from notifyflow.storage.escalations import Escalations
from notifyflow.storage.forgetting import Forgetting
from notifyflow.storage.health import Health
from notifyflow.storage.idempotency import IdempotentResponses
from notifyflow.storage.inbox import Inbox
from notifyflow.storage.keys import Keys
from notifyflow.storage.operations import Operations
from notifyflow.storage.outages import Outages
from notifyflow.storage.provider_health import ProviderHealthRows
from notifyflow.storage.pruning import Pruning
from notifyflow.storage.replies import Replies, ReplyCode
from notifyflow.storage.spending import Spending
from notifyflow.storage.status_polling import AttemptToPoll, StatusPolls
from notifyflow.storage.stops import Stops
from notifyflow.storage.unit import Line
from notifyflow.storage.work import AttemptRef, Due, Work

T = TypeVar("T")

__all__ = ["AttemptRef", "AttemptToPoll", "Due", "Ledger", "Line", "ReplyCode"]


class Ledger(
    Operations,
    Escalations,
    Work,
    Inbox,
    Callbacks,
    ProviderHealthRows,
    Outages,
    Stops,
    Health,
    Pruning,
    Keys,
    IdempotentResponses,
    StatusPolls,
    Replies,
    Adoption,
    Forgetting,
    Spending,
):
    """All reads under locks and all writes of a transaction."""

    def run(self, use_case: "Callable[[Ledger], T]") -> T:
        """Run a use case, and write all that it has changed."""
        result = use_case(self)
        self.flush()
        return result
