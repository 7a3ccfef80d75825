"""Acknowledges many incidents at once: those of a bundle. One that cannot be changed keeps no other open."""

from collections.abc import Sequence
from dataclasses import dataclass

from notifyflow.core.delivery.model import Severity, Stopped
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery.acknowledge import acknowledge_locked
from notifyflow.pipeline.transaction import set_aside
from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetUseCase, keep_apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledging:
    """One incident to acknowledge; its attributes are the arguments of ``acknowledge``."""

    incident_id: str
    by: str
    via: str
    shown: Severity


def acknowledge_many(deps: Dependencies, wanted: Sequence[Acknowledging]) -> Committed[tuple[Stopped | Exception, ...]]:
    """Acknowledge incidents, in sets of at most ``set_size``, each in one transaction; operations incidents apart from others.

    Returns:
        For each what was stopped, or its own error: it is as it was.

    Raises:
        CommitUnknown: When it is unknown whether a set is stored; those before it are.
        StorageUnavailable: When the database does not answer in time; some may be stored. Doing it again acknowledges the rest.
    """
    results: tuple[Stopped | Exception, ...] = ()
    follow_ups = NOTHING
    for begin in range(0, len(wanted), deps.set_size):
        done = _ACKNOWLEDGE.run(deps, wanted[begin : begin + deps.set_size])
        if done.interruption is not None:
            raise done.interruption
        for result in done.results:
            if isinstance(result, StorageUnavailable) and not set_aside.is_damage(result):
                raise result
        results += done.results
        follow_ups += done.follow_ups
    return Committed(results, follow_ups)


def _load(tx: Transaction, wanted: Sequence[Acknowledging]) -> None:
    incident_ids = sorted({each.incident_id for each in wanted})
    own = tx.ledger.operations.among(incident_ids)
    keep_apart([each.incident_id in own for each in wanted])
    tx.ledger.incidents.lock_many(incident_ids)
    tx.ledger.escalations.lock_all_current(incident_ids)


def _acknowledge(tx: Transaction, loaded: None, wanted: Acknowledging) -> Stopped:
    del loaded
    incidents = tx.ledger.incidents
    incident = incidents.find(wanted.incident_id, is_locked=True) or incidents.lock_by_id(wanted.incident_id)
    if incident is None:  # it was deleted
        return Stopped(has_changed=False)
    return acknowledge_locked(tx, incident, by=wanted.by, via=wanted.via, shown=wanted.shown)


_ACKNOWLEDGE = SetUseCase(
    "acknowledge",
    _load,
    _acknowledge,
    blames=lambda wanted: ("incident", wanted.incident_id),
    counts_most=lambda wanted: True,
)
