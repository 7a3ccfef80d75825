"""Holds incidents that a silence covers, and releases them, as steps of a transaction.

No transaction that opens an incident looks for silences. The claim looks, before anything leaves: it holds an incident whose
pages it finds covered. So whatever opens in the instant in which a silence begins is held, too, with no lock between the two.

Locks are taken in the order incidents, silences, notifications. Who ends a silence locks only the silence; each transaction that
holds an incident, or defers for a silence, locks the silence and looks again whether it is in force.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.escalation import AlertOperations
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.model import DeferralReason, Incident, IncidentState, Kind
from notifyflow.core.limits.silences import Silence, SilencedInterval
from notifyflow.errors import Refused, StaleRow, StorageUnavailable
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.running import Transaction

_OF_DATABASE = (StorageUnavailable, Refused, StaleRow)


def covering(
    tx: Transaction, silences: Sequence[Silence], incident_id: str, namespace: str, intervals: Sequence[SilencedInterval]
) -> tuple[Silence, ...]:
    """Return those of some silences that cover an incident, and that have not ended sooner for it.

    If its content cannot be read, there are none.
    """
    if not silences:
        return ()
    try:
        content = tx.ledger.incidents.content(incident_id)
    except use_case.DAMAGE as error:
        if isinstance(error, _OF_DATABASE):
            raise
        return ()
    ends = {each.silence_id: each.ended_at for each in intervals}
    return tuple(each for each in silences if ends.get(each.id, each.until) >= each.until and each.covers(namespace, content))


class Covered:
    """The silences in force while a claim looks, and which incidents they hold.

    Args:
        tx: The transaction.
        rows: The rows whose incidents are looked up at once.
        may_be_any: Whether there may be a silence; otherwise nothing is read.
    """

    def __init__(self, tx: Transaction, rows: Collection[NotificationFacts], *, may_be_any: bool) -> None:
        self._tx = tx
        keeping = tx.ledger.silences.keeping(now=tx.now) if may_be_any else ()
        self._silences = [each for each in keeping if each.is_in_force(tx.now)]
        self._ending = [each for each in keeping if each.is_ending(tx.now)]
        self._intervals: dict[str, Sequence[SilencedInterval]] = {}
        self._load({row.incident_id for row in rows})
        self.unheld: set[str] = set()

    def until(self, row: NotificationFacts) -> datetime | None:
        """Return until when a page is silenced; None if it is not. Note its incident if no silence holds it yet."""
        if not self._silences or row.kind is not Kind.PAGE:
            return None
        found = self._covering(self._silences, row)
        if not {each.id for each in found} <= {each.silence_id for each in self._intervals[row.incident_id]}:
            self.unheld.add(row.incident_id)
        return max((each.until for each in found), default=None)

    def is_leaving(self, row: NotificationFacts) -> bool:
        """Return whether a page waits for a moment: the end of a silence that covered it is being carried out."""
        ending = [each for each in self._ending if row.created_at < each.until] if row.kind is Kind.PAGE else ()
        return bool(ending and self._covering(ending, row))

    def _covering(self, silences: Sequence[Silence], row: NotificationFacts) -> tuple[Silence, ...]:
        self._load({row.incident_id})
        return covering(self._tx, silences, row.incident_id, row.namespace, self._intervals[row.incident_id])

    def _load(self, incident_ids: Collection[str]) -> None:
        if new := set(incident_ids) - self._intervals.keys() if self._silences or self._ending else ():
            self._intervals |= self._tx.ledger.silences.intervals_of(new)


def hold(tx: Transaction, incident: IncidentFacts, *, since: datetime | None = None) -> bool:
    """Hold a locked incident by the silences in force that cover it; return whether a silence holds it now.

    ``since`` is when it came to be covered; None for when it opened, or the silence began.
    """
    return bool(hold_all(tx, [incident], tx.ledger.silences.in_force(now=tx.now), since=since))


def hold_all(
    tx: Transaction, incidents: Sequence[IncidentFacts], silences: Sequence[Silence], *, since: datetime | None = None
) -> frozenset[str]:
    """Hold those of some locked incidents that silences in force cover and have not held before.

    Returns:
        The incidents that a silence holds now.
    """
    intervals, new = _not_held(tx, incidents, silences)
    begun = {each.id: each for each in _lock_lasting(tx, {silence_id for _, silence_id in new})}
    made = [_interval(begun[silence_id], each, since) for each, silence_id in new if silence_id in begun]
    if made:
        tx.ledger.silences.hold(made)
    lasting = (each for own in intervals.values() for each in own if each.ended_at > tx.now)
    return frozenset(each.incident_id for each in (*made, *lasting))


def hold_until_end(tx: Transaction, incidents: Sequence[IncidentFacts], silence: Silence) -> None:
    """Hold those of some locked incidents that an ended silence covered, and that no claim has held before, until its end."""
    _, new = _not_held(tx, incidents, [silence])
    if new:
        tx.ledger.silences.hold([_interval(silence, each, None) for each, _ in new])
        compute_again(tx, [each.id for each, _ in new])


def _not_held(
    tx: Transaction, incidents: Sequence[IncidentFacts], silences: Sequence[Silence]
) -> tuple[Mapping[str, Sequence[SilencedInterval]], Sequence[tuple[IncidentFacts, str]]]:
    """Return the times in which some incidents are held, and the silences that cover each, and have not held it before."""
    unresolved = [each for each in incidents if not each.is_operations and each.state is not IncidentState.RESOLVED]
    intervals = tx.ledger.silences.intervals_of([each.id for each in unresolved]) if silences else {}
    new: list[tuple[IncidentFacts, str]] = []
    for each in unresolved if silences else ():
        known = {interval.silence_id for interval in intervals[each.id]}
        found = covering(tx, silences, each.id, each.namespace, intervals[each.id])
        new += [(each, silence.id) for silence in found if silence.id not in known]
    return intervals, new


def _lock_lasting(tx: Transaction, silence_ids: Collection[str]) -> list[Silence]:
    """Lock some silences, and return those in force; this transaction may have begun before an end that is carried out now."""
    locked = tx.ledger.silences.lock_those(silence_ids) if silence_ids else ()
    allowed = {each.id for each in tx.ledger.silences.in_force(now=tx.now)} if locked else ()
    return [each for each in locked if each.id in allowed and each.due_at is not None]


def _interval(silence: Silence, incident: IncidentFacts, since: datetime | None) -> SilencedInterval:
    began_at = max(silence.begins_at, since or incident.opened_at)
    return SilencedInterval(
        incident_id=incident.id, silence_id=silence.id, began_at=min(began_at, silence.until), ended_at=silence.until
    )


def until(tx: Transaction, incident_id: str) -> datetime | None:
    """Return until when an incident is held, and lock the silences that hold it, so that none ends meanwhile; or None."""
    begun = _lock_lasting(tx, {each.silence_id for each in _lasting(tx, incident_id)})
    still = {each.silence_id for each in _lasting(tx, incident_id)} if begun else ()
    return max((each.until for each in begun if each.id in still), default=None)


def was_held(tx: Transaction, incident_id: str) -> bool:
    """Return whether a silence holds an incident, or has held it."""
    return bool(tx.ledger.silences.intervals_of([incident_id])[incident_id])


def _lasting(tx: Transaction, incident_id: str) -> list[SilencedInterval]:
    return [each for each in tx.ledger.silences.intervals_of([incident_id])[incident_id] if each.ended_at > tx.now]


def look_again(tx: Transaction, incident: IncidentFacts, before: Incident, after: Incident) -> None:
    """Release a locked incident from the silences that no longer cover it, and hold it by those that do now.

    Its labels or its severity have changed from ``before`` to ``after``.
    """
    if before.severity == after.severity and before.labels == after.labels:
        return
    lasting = {each.silence_id for each in _lasting(tx, incident.id)}
    locked = tx.ledger.silences.lock_those(lasting) if lasting else ()
    release(tx, incident, [each.id for each in locked if not each.covers(incident.namespace, after)])
    if before.labels != after.labels:
        hold(tx, incident, since=tx.now)


def release_all(tx: Transaction, incident: IncidentFacts) -> None:
    """Release a locked incident from all silences, also from those that would hold it from their next look on."""
    hold(tx, incident)
    release(tx, incident, [each.silence_id for each in _lasting(tx, incident.id)])


def release(tx: Transaction, incident: IncidentFacts, silence_ids: Sequence[str]) -> None:
    """Release a locked incident from some silences: what waited leaves now, unless another silence holds it."""
    if not silence_ids:
        return
    tx.ledger.silences.lock_those(silence_ids)
    tx.ledger.silences.release([incident.id], silence_ids, at=tx.now)
    compute_again(tx, [incident.id])
    tx.ledger.notifications.free(incident.id, now=tx.now)
    tell_operations(tx, [incident])


def defer_unclaimed(tx: Transaction, silence: Silence) -> None:
    """Defer the pages from before a locked silence's end that no claim has deferred, so that they leave now with the others."""
    detail = {"why": DeferralReason.SILENCE.value, "provider": "", "until": tx.now.isoformat(timespec="seconds")}
    for row in tx.ledger.notifications.lock_unclaimed(silence.id, until=silence.until, now=tx.now):
        after = lifecycle.defer(row, DeferralReason.SILENCE, until=tx.now, now=tx.now).after
        tx.ledger.move(row, after, event="deferred", at=tx.now, detail=detail)


def compute_again(tx: Transaction, incident_ids: Collection[str]) -> None:
    """Compute the deadlines of locked incidents again, since a silence that stopped their clocks has ended early."""
    tx.ledger.escalations.decide_again(now=tx.now, incident_ids=incident_ids)
    tx.ledger.steps.bring_forward(incident_ids, now=tx.now)


def tell_operations(tx: Transaction, incidents: Collection[IncidentFacts]) -> None:
    """Page operations about the failures of locked incidents that a silence has deferred, if they are still open."""
    held = tx.ledger.silences.held_alerts({each.id for each in incidents}) if incidents else {}
    is_open = {each.id: each.state is IncidentState.OPEN for each in incidents}
    for escalation_id, reason in held.items():
        escalation = tx.ledger.escalations.get(escalation_id)
        tx.alerts.append((escalation, AlertOperations(reason=reason, is_paging=is_open[escalation.incident_id])))


def hold_alerts(tx: Transaction) -> None:
    """Link the failures of silenced incidents without paging operations; ``tell_operations`` pages when the silence ends."""
    if not any(alert.is_paging for _, alert in tx.alerts):
        return
    silences = tx.ledger.silences.in_force(now=tx.now)
    ids = {escalation.incident_id for escalation, alert in tx.alerts if alert.is_paging} if silences else set()
    held = {each for each in sorted(ids) if _is_held(tx, each, silences)}
    tx.alerts = [_held(each, held) for each in tx.alerts]


def _is_held(tx: Transaction, incident_id: str, silences: Sequence[Silence]) -> bool:
    """Return whether an incident is held, without its lock if that is known already."""
    in_force = {each.id for each in silences}
    if any(each.silence_id in in_force for each in _lasting(tx, incident_id)):
        return True
    return bool(hold_all(tx, [tx.ledger.incidents.lock(incident_id)], silences))


def _held(failure: tuple[EscalationFacts, AlertOperations], held: Collection[str]) -> tuple[EscalationFacts, AlertOperations]:
    escalation, alert = failure
    if not alert.is_paging or escalation.incident_id not in held:
        return failure
    return escalation, replace(alert, is_paging=False, is_deferred=True)
