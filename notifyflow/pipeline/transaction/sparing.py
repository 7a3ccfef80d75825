"""Runs what somebody does although a row of it cannot be written: all others are, and that one is set aside.

Which rows the database refuses is found by trying: the same is done for a part of its rows, and rolled back.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar, assert_never

from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.references import ById, ByKey, IncidentRef
from notifyflow.errors import Contended, DamagedIncident, NotFound, Refused
from notifyflow.pipeline.transaction import set_aside, use_case
from notifyflow.pipeline.transaction.halving import SetPart, SetParts
from notifyflow.pipeline.transaction.journal import noted
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction

T = TypeVar("T")

_NAME = "spare"
_INCIDENT = "incident"


@dataclass(slots=True)
class _Act(Generic[T]):
    """What is done, and its last transaction."""

    body: Callable[[Transaction], T]
    tx: Transaction | None = None

    def do(self, tx: Transaction, *, spared: Collection[str]) -> T:
        """Do it without writing some rows."""
        self.tx = tx
        tx.ledger.spare(spared)
        return self.body(tx)

    def unwritten(self) -> Mapping[str, str]:
        """Return the machines of the rows, by id, that the last transaction was to change when it failed."""
        return self.tx.ledger.unwritten() if self.tx else {}


def is_unwritable(error: Exception) -> bool:
    """Return whether an error shows that the database refuses to write a row, or that its version is stale for ever."""
    return isinstance(error, Refused | Contended) and set_aside.is_damage(error)


def run(deps: Dependencies, body: Callable[[Transaction], T]) -> Committed[T]:
    """Run a use case, as ``use_case.run``; rows that cannot be written are left as they are, and set aside after it.

    An incident is never left: what changes it is not done without it.

    Raises:
        Contended: When an incident, or what is new, cannot be written, as it seems for ever; nothing is done.
        Refused: As ``Contended``.
        StorageUnavailable: When the database did not answer in time.
    """
    act, left, machines = _Act(body), dict[str, Exception](), dict[str, str]()
    tries: int | None = use_case.ALONE
    while True:
        try:
            done = use_case.run(deps, partial(act.do, spared=frozenset(left)), tries=tries)
            break
        except (Contended, Refused) as error:
            if tries is None or not (is_unwritable(error) or isinstance(error, Contended)):
                raise
            found: Mapping[str, Exception] = {}
            if is_unwritable(error):
                machines |= noted(act.unwritten)
                found = _find(deps, act, machines, left)
            left |= found
            tries = use_case.ALONE if found else None  # others were in the way: as long as there is time
    damaged = [row for row_id, error in left.items() for row in set_aside.blamed((machines[row_id], row_id), error)]
    return Committed(done.value, done.follow_ups + use_case.put_aside(deps, damaged))


def _find(deps: Dependencies, act: _Act[T], machines: Mapping[str, str], left: Collection[str]) -> dict[str, Exception]:
    """Return the rows that cannot be written, with their errors; raise that of an incident, or of what is new."""
    rows = sorted(row_id for row_id, machine in machines.items() if machine != _INCIDENT and row_id not in left)
    parts, found = SetParts[str](deps, _NAME, rows), dict[str, Exception]()
    parts.rehearse(SetPart([]), partial(act.do, spared={*left, *rows}))
    while (part := parts.take()) is not None:
        try:
            parts.rehearse(part, partial(act.do, spared={*left, *rows}.difference(part.items)))
        except (Contended, Refused) as error:
            if not (is_unwritable(error) or isinstance(error, Contended)):
                raise
            if not parts.halve(part, error):
                found[part.items[0]] = error
    return found


def run_on(deps: Dependencies, ref: IncidentRef, body: Callable[[Transaction, IncidentFacts], T]) -> Committed[T]:
    """Run a use case, as ``run``, on one incident, which is locked for it.

    Raises:
        NotFound: When there is no such incident.
        AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
        DamagedIncident: When its row cannot be read or written; nothing is done, and it is set aside in the second case.
    """
    locked: list[IncidentFacts] = []

    def on_locked(tx: Transaction) -> T:
        locked[:] = [_lock(tx, ref)]
        return body(tx, locked[0])

    try:
        return run(deps, on_locked)
    except (Contended, Refused) as error:
        if not (locked and is_unwritable(error)):
            raise
        use_case.put_aside(deps, set_aside.blamed((_INCIDENT, locked[0].id), error))
        raise DamagedIncident(locked[0].id, "", error.code or "changed") from error


def _lock(tx: Transaction, ref: IncidentRef) -> IncidentFacts:
    match ref:
        case ByKey(key, namespace):
            incident = tx.ledger.incidents.lock_named(key, namespace=namespace)
            name = key
        case ById(incident_id):
            incident = tx.ledger.incidents.lock_by_id(incident_id)
            name, namespace = incident_id, None
        case _:
            assert_never(ref)
    if incident is None:
        raise NotFound(name, namespace)
    return incident
