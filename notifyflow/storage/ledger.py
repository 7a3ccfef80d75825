"""All writes of one transaction, by subject.

``lock…`` reads a row and locks it until the transaction ends: ``SELECT … FOR NO KEY UPDATE`` on PostgreSQL; SQLite has only
one writer anyway. Locks are acquired in the order the roster, watched jobs by name, receipts by provider and event id,
incidents, escalations, notifications, lanes, each by id, the providers' rows by name, the next steps of chains, the operations
incident. The core decides; a ledger only reads and writes.
"""

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from notifyflow.storage.delivery.attempts import AttemptRef, Attempts, AttemptToPoll, CallToAsk
from notifyflow.storage.delivery.escalations import Escalations
from notifyflow.storage.delivery.idempotency import StoredResponses
from notifyflow.storage.delivery.inbox import Arrived, Inbox
from notifyflow.storage.delivery.incidents import Contacts, Incidents
from notifyflow.storage.delivery.intervals import Intervals
from notifyflow.storage.delivery.lanes import Lanes
from notifyflow.storage.delivery.notifications import Notifications
from notifyflow.storage.delivery.operations import Operations
from notifyflow.storage.delivery.outbox import Entry, Outbox
from notifyflow.storage.delivery.providers import Providers
from notifyflow.storage.delivery.replies import Replies, ReplyCode
from notifyflow.storage.delivery.set_aside import DamagedRow, SetAsides, Tried
from notifyflow.storage.delivery.silences import Silences
from notifyflow.storage.delivery.steps import Steps
from notifyflow.storage.delivery.work import Due, Work
from notifyflow.storage.inbound_log import InboundLog
from notifyflow.storage.keys import Keys
from notifyflow.storage.oncall.feeds import Feeds
from notifyflow.storage.oncall.hand_overs import HandOvers
from notifyflow.storage.oncall.roster import StoredRoster
from notifyflow.storage.oncall.watched_jobs import WatchedJobs
from notifyflow.storage.session.loaded_rows import Line
from notifyflow.storage.session.statements import Unread
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.upkeep.adoption import Adoption
from notifyflow.storage.upkeep.forgetting import Recipients
from notifyflow.storage.upkeep.health import HeartbeatChecks
from notifyflow.storage.users import Users

if TYPE_CHECKING:
    from notifyflow.storage.dialects import ServerTransaction
    from notifyflow.storage.metrics.rollup import Rollups
    from notifyflow.storage.upkeep.pruning import Pruning

T = TypeVar("T")

__all__ = [
    "Arrived",
    "AttemptRef",
    "AttemptToPoll",
    "CallToAsk",
    "DamagedRow",
    "Due",
    "Entry",
    "Ledger",
    "Line",
    "ReplyCode",
    "Tried",
    "Unread",
]


class Ledger:
    """The unit of work of a transaction, and its repositories, one for each subject."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self.move, self.save, self.flush, self.has_written = unit.move, unit.save, unit.flush, unit.has_written
        self.unwritten = unit.unwritten
        self.adoption = Adoption(unit)
        self.inbound_log = InboundLog(unit)
        self.attempts = Attempts(unit)
        self.contacts = Contacts(unit)
        self.escalations = Escalations(unit)
        self.feeds = Feeds(unit)
        self.hand_overs = HandOvers(unit)
        self.heartbeat = HeartbeatChecks(unit)
        self.inbox = Inbox(unit)
        self.incidents = Incidents(unit)
        self.keys = Keys(unit)
        self.lanes = Lanes(unit)
        self.notifications = Notifications(unit)
        self.operations = Operations(unit)
        self.outbox = Outbox(unit)
        self.providers = Providers(unit)
        self.recipients = Recipients(unit)
        self.replies = Replies(unit)
        self.responses = StoredResponses(unit)
        self.roster = StoredRoster(unit)
        self.set_asides = SetAsides(unit)
        self.silences = Silences(unit)
        self.steps = Steps(unit)
        self.intervals = Intervals(unit)
        self.users = Users(unit)
        self.watched_jobs = WatchedJobs(unit)
        self.work = Work(unit)

    @cached_property
    def rollups(self) -> "Rollups":
        """The counting of figures, which few processes do."""
        from notifyflow.storage.metrics.rollup import Rollups

        return Rollups(self._unit)

    @cached_property
    def pruning(self) -> "Pruning":
        """The deletion of old rows, for one command."""
        from notifyflow.storage.upkeep.pruning import Pruning

        return Pruning(self._unit)

    @property
    def line(self) -> Line | None:
        """The last line that this transaction has written to the log."""
        return self._unit.line

    @property
    def server_transaction(self) -> "ServerTransaction | None":
        """The server's transaction; None where the database is no server."""
        return self._unit.server_transaction

    @property
    def spared(self) -> Collection[str]:
        """The rows, by id, that this transaction does not write, since the database refuses them."""
        return self._unit.spared

    def spare(self, row_ids: Collection[str]) -> None:
        """Do not write some rows, whatever changes of them; the rest goes on as if they were written."""
        self._unit.spared = row_ids

    @property
    def unread(self) -> Sequence[Unread]:
        """The rows that this transaction has left out because they cannot be read."""
        return self._unit.unread

    def run(self, use_case: "Callable[[Ledger], T]") -> T:
        """Run a use case, then write all its changes."""
        result = use_case(self)
        self.flush()
        return result
