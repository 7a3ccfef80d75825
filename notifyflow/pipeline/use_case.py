"""Runs use cases: one transaction each, which ends with the events for subscribers and notices to operations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, assert_never, cast

from notifyflow.core.facts import IncidentFacts
from notifyflow.core.references import ById, ByKey, IncidentRef
from notifyflow.errors import CommitUnknown, NotFound, StorageUnavailable
from notifyflow.pipeline import incident_events, operations
from notifyflow.pipeline.ports import Committed, Consequences, Dependencies
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import Ledger, Line

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done(Generic[T_co]):
    """The result of a transaction, what it led to, and its last line in the log, if any."""

    answer: T_co
    consequences: Consequences
    line: Line | None


def run(deps: Dependencies, body: Callable[[Transaction], T]) -> Committed[T]:
    """Run a use case.

    Args:
        deps: The dependencies of the use cases.
        body: What it does; runs again from its start when the transaction lost a race.

    Returns:
        The body's value, and what the transaction led to.

    Raises:
        CommitUnknown: When the response to the commit was lost and the log does not show whether it was done; ``led_to`` returns
            what it led to if it was.
        StorageUnavailable: When the database did not answer in time.
    """

    def once(ledger: Ledger) -> _Done[T]:
        tx = Transaction(ledger, deps)
        answer = body(tx)
        incident_events.settle(tx)
        operations.settle(tx)
        return _Done(answer=answer, consequences=tx.consequences, line=ledger.line)

    try:
        done = deps.transactions.run(once)
    except CommitUnknown as unknown:
        if not _is_done(deps, unknown):
            raise
        done = cast(_Done[T], unknown.result)
    return Committed(done.answer, done.consequences)


def led_to(unknown: CommitUnknown) -> Consequences:
    """Return what a use case led to, if its commit was done whose response was lost."""
    return cast(_Done[object], unknown.result).consequences


def _is_done(deps: Dependencies, unknown: CommitUnknown) -> bool:
    """Return whether a commit was done; False also if it wrote no line to the log, or the database does not answer."""
    line = cast(_Done[object], unknown.result).line
    if line is None:
        return False
    try:
        return deps.transactions.run(lambda ledger: ledger.has_written(line))
    except StorageUnavailable:
        return False


def run_on(deps: Dependencies, ref: IncidentRef, body: Callable[[Transaction, IncidentFacts], T]) -> Committed[T]:
    """Run a use case on one incident, which is locked for it.

    Args:
        deps: The dependencies of the use cases.
        ref: The incident.
        body: The use case; runs again from its start when the transaction lost a race.

    Raises:
        NotFound: When there is no such incident.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
    """
    return run(deps, lambda tx: body(tx, _lock(tx, ref)))


def _lock(tx: Transaction, ref: IncidentRef) -> IncidentFacts:
    match ref:
        case ByKey(key, namespace):
            incident = tx.ledger.lock_named(key, namespace=namespace)
            name = key
        case ById(incident_id):
            incident = tx.ledger.lock_incident_if_kept(incident_id)
            name, namespace = incident_id, None
        case _:
            assert_never(ref)
    if incident is None:
        raise NotFound(name, namespace)
    return incident
