"""Adopts a database that was restored or copied: quarantines its unfinished incidents until an operator decides."""

from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.delivery import incident as incidents
from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.intervals import OUTAGE_AFTER
from notifyflow.core.delivery.model import IncidentState, Via
from notifyflow.errors import DatabaseInUse
from notifyflow.pipeline.delivery import decisions, steps
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Dependencies, Transactions
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import Ledger

BY = "notifyflow db adopt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The unfinished incidents of a database.

    Attributes:
        environment: The database's environment, or None.
        unfinished: How many incidents adopting it would quarantine.
    """

    environment: str | None
    unfinished: int
    quarantined: int


def claim_environment(transactions: Transactions, name: str | None, *, now: datetime) -> str | None:
    """Set a database's environment to this one if it has none and this one has a name; return the database's environment."""

    def body(ledger: Ledger) -> str | None:
        if ledger.adoption.environment() is None and name is not None:
            ledger.adoption.begin_environment(name, at=now)
        return ledger.adoption.environment()

    return transactions.run(body)


def survey(deps: Dependencies, *, is_forced: bool = False) -> Survey:
    """Count the incidents that adopting the database would quarantine; raises as ``adopt`` does."""

    def body(tx: Transaction) -> Survey:
        _insist_on_a_copy(tx, is_forced=is_forced)
        unfinished, quarantined = len(tx.ledger.adoption.unfinished()), tx.ledger.adoption.quarantined_count()
        return Survey(environment=tx.ledger.adoption.environment(), unfinished=unfinished, quarantined=quarantined)

    return use_case.run(deps, body)[0]


def adopt(deps: Dependencies, environment: str | None, *, is_forced: bool = False) -> int:
    """Set the database's environment, or None, and quarantine all unfinished incidents; return how many are quarantined.

    Raises:
        DatabaseInUse: When a process has swept it within the last minute, unless forced.
    """

    def body(tx: Transaction) -> int:
        _insist_on_a_copy(tx, is_forced=is_forced)
        tx.ledger.adoption.set_environment(environment, at=tx.now)
        return tx.ledger.adoption.quarantine_unfinished(at=tx.now)

    return use_case.run(deps, body)[0]


def _insist_on_a_copy(tx: Transaction, *, is_forced: bool) -> None:
    swept_at = tx.ledger.intervals.swept_at()
    if not is_forced and swept_at is not None and tx.now - swept_at <= OUTAGE_AFTER:
        raise DatabaseInUse(len(tx.ledger.adoption.unfinished()), max(0, int((tx.now - swept_at).total_seconds())))


def release_from_quarantine(deps: Dependencies) -> int:
    """Release all incidents from quarantine; return how many."""

    def body(tx: Transaction) -> int:
        quarantined = tx.ledger.adoption.quarantined()
        tx.ledger.intervals.keep_quarantined(quarantined, at=tx.now)
        tx.ledger.adoption.release(quarantined)
        return len(quarantined)

    return use_case.run(deps, body)[0]


def resolve_quarantined(deps: Dependencies) -> int:
    """Resolve every quarantined incident without notifying anyone; return how many."""
    quarantined = deps.transactions.run(lambda ledger: ledger.adoption.quarantined())
    for incident_id in quarantined:
        _resolve(deps, incident_id)
    return len(quarantined)


def _resolve(deps: Dependencies, incident_id: str) -> None:
    def body(tx: Transaction) -> None:
        incident = tx.ledger.incidents.lock(incident_id)
        if incident.state is not IncidentState.RESOLVED:
            contexts = decisions.lock_contexts(tx, incident)
            tx.update_incident(incident, incidents.resolve(incident, by=BY, now=tx.now), by=BY, via=Via.CLI)
            for context in contexts:
                decisions.close(tx, context, event="resolved")
            steps.stop(tx, incident, "resolved")
        tx.incident_events.clear()
        for row in tx.ledger.notifications.lock_queued(incident_id):  # its final status updates
            tx.write(row, lifecycle.stop(row, "resolved", now=tx.now))
        tx.ledger.outbox.remove_of(incident_id)
        tx.ledger.adoption.release([incident_id])

    use_case.run(deps, body)
