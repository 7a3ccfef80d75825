"""All writes. A ledger lives for one transaction; whoever holds it has the transaction.

``lock_…`` reads and locks the row until the transaction ends: ``SELECT … FOR NO KEY UPDATE`` on PostgreSQL, nothing on SQLite,
where the transaction holds the only writer. Locks are acquired in the order incident, escalations by id, notifications by id,
the providers' rows by name, the operations incident. Nothing here decides; the core does.
"""

from notifyflow.storage.adoption import Adoption
from notifyflow.storage.callbacks import Callbacks
from notifyflow.storage.escalations import Escalations
from notifyflow.storage.forgetting import Forgetting
from notifyflow.storage.health import Health
from notifyflow.storage.idempotency import IdempotentResponses
from notifyflow.storage.inbox import Inbox
from notifyflow.storage.keys import Keys
from notifyflow.storage.moves import Line
from notifyflow.storage.operations import Critical, Operations
from notifyflow.storage.outages import Outages
from notifyflow.storage.provider_health import ProviderHealthRows
from notifyflow.storage.pruning import Pruning
from notifyflow.storage.replies import Replies, ReplyCode
from notifyflow.storage.spending import Spending
from notifyflow.storage.status_polling import AttemptToPoll, StatusPolls
from notifyflow.storage.stops import Stops
from notifyflow.storage.work import AttemptRef, Due, Work

__all__ = ["AttemptRef", "AttemptToPoll", "Critical", "Due", "Ledger", "Line", "ReplyCode"]


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
    """Every write there is, by duty; moves are in all of them."""
