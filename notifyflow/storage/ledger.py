"""All writes. A ledger lives for one transaction; whoever holds it has the transaction.

``lock_…`` reads and locks the row until the transaction ends: ``SELECT … FOR NO KEY UPDATE`` on PostgreSQL, nothing on SQLite,
where the transaction holds the only writer. Locks are taken in the order incident, escalations by id, notifications by id,
the operations incident. Nothing here decides; the core does.
"""

from notifyflow.storage.answers import Answers
from notifyflow.storage.escalations import Escalations
from notifyflow.storage.inbox import Inbox
from notifyflow.storage.keys import Keys
from notifyflow.storage.operations import Operations
from notifyflow.storage.work import Due, Home, Work

__all__ = ["Due", "Home", "Ledger"]


class Ledger(Operations, Escalations, Work, Inbox, Keys, Answers):
    """Every write there is, by duty: incidents and operations, escalations, work, inbox, API keys, answers; moves are in all."""
