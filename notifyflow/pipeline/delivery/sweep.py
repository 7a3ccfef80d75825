"""Handles work that becomes due by time: leases, timers of escalations, rounds, steps of chains, lost rings, the outbox.

It also removes the marks of rings that nobody received.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.attempts import attempt_of
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.model import AttemptState, Ended, IncidentState, NotificationState, Receipt
from notifyflow.errors import Contended, StorageUnavailable
from notifyflow.pipeline.delivery import decisions, endings, operations, outages, outbox, receive, rounds, series, steps
from notifyflow.pipeline.delivery.set_aside_release import CATCH_UP, CAUGHT_UP
from notifyflow.pipeline.delivery.silences import silencing
from notifyflow.pipeline.transaction import set_aside, sparing, use_case
from notifyflow.pipeline.transaction.halving import SetParts
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_aside import is_damage
from notifyflow.pipeline.transaction.set_use_case import SetResult, SetUseCase, keep_apart
from notifyflow.storage.ledger import AttemptRef, Due, Tried

Item = TypeVar("Item")

RING_AGAIN_AFTER = timedelta(seconds=30)
_DISOWN_AFTER = timedelta(hours=1)
_MATCH_WITHIN = timedelta(minutes=2)
_FORGET_AFTER = timedelta(days=7)
_SET = 100  # how many are handled in one transaction


@dataclass(frozen=True, slots=True)
class _Noted:
    """What the note of a sweep has found.

    Attributes:
        follow_ups: Its follow-ups.
        swept_at: When the last sweep was.
        tried: The damaged rows that are tried again.
        left: What a damaged row kept out of its transaction: each runs in one of its own.
    """

    follow_ups: FollowUps
    swept_at: datetime | None
    tried: Sequence[Tried]
    left: Sequence[Callable[[], FollowUps]] = ()


def sweep(
    deps: Dependencies,
    *,
    limit: int = 200,
    ring_again_after: timedelta = RING_AGAIN_AFTER,
    began_at: datetime | None = None,
) -> FollowUps:
    """Handle everything that is due, after making up for an outage of ours.

    Expired leases and due decisions are handled by the hundred, everything else in a transaction of its own.

    Args:
        deps: The dependencies of the use cases.
        limit: How many of each kind to handle at most; the next sweep handles the rest.
        ring_again_after: How long after a ring a notification that is still due is rung for again.
        began_at: When this process began to sweep; None if that was long ago.

    Returns:
        The follow-ups, and every due notification that was not rung for. If the database stops answering midway, or the thread
        is interrupted, ``cut_short`` is that error, beside the follow-ups of the commits before it.

    Raises:
        StorageUnavailable: When the database does not answer in time, and nothing was done.
    """
    total, noted = _ring(deps, limit, ring_again_after, began_at)
    jobs = _jobs(deps, limit, noted)
    try:
        while total.cut_short is None and (job := next(jobs, None)) is not None:
            total += _attempt(job)
    except BaseException as interruption:  # noqa: BLE001 - the caller raises it, after it has reported what is stored
        total += FollowUps(cut_short=interruption)
    return total


def _attempt(job: Callable[[], FollowUps]) -> FollowUps:
    try:
        return job()
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged row may raise anything, and must not hold up the others
        return FollowUps(broken=(error,))


def next_wake_at(deps: Dependencies) -> datetime | None:
    """Return when the next sweep has work; None while no timer runs."""
    return deps.transactions.run(lambda ledger: ledger.work.next_wake_at())


def _jobs(deps: Dependencies, limit: int, noted: _Noted) -> Iterator[Callable[[], FollowUps]]:
    """Search in one transaction for all due work; each job checks under its locks whether it is still due."""
    yield from noted.left
    now = deps.clock.now()
    since = min(now, noted.swept_at or now) - _MATCH_WITHIN
    before = now - _DISOWN_AFTER
    missed, leases, decisions_due, (incident_ids, may_be_silenced), round_ids, entries = deps.transactions.run(
        lambda ledger: (
            ledger.inbox.missed(since=since, before=before, limit=limit),
            ledger.attempts.expired_leases(now=now, limit=limit),
            ledger.work.escalations_due(now=now, limit=limit),
            ledger.work.incidents_due(now=now, limit=limit),
            ledger.work.rounds_due(now=now, limit=limit),
            ledger.outbox.waiting(limit=limit),
        )
    )
    caught_up = [each for each in noted.tried if each.machine in CAUGHT_UP]
    yield from (partial(_run_set, deps, CATCH_UP, [each]) for each in caught_up)
    yield from (partial(_apply_missed, deps, some) for some in _sets(missed))
    yield from (partial(_run_set, deps, _EXPIRE_LEASES, some) for some in _sets(leases))
    yield from silencing.jobs(deps) if may_be_silenced else ()
    yield from (partial(_run_set, deps, _DECIDE, some) for some in _sets(decisions_due))
    yield from (partial(_run_set, deps, _GO_ON, [each]) for each in incident_ids)
    yield from (partial(_start_due_rounds, deps, each, now) for each in round_ids)
    yield from (partial(_run_set, deps, outbox.CARRY_OUT, [each]) for each in entries)


def _sets(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), _SET):
        yield items[start : start + _SET]


def _apply_missed(deps: Dependencies, missed: Sequence[Receipt]) -> FollowUps:
    return _report(receive.apply_missed(deps, missed))


def _run_set(deps: Dependencies, handling: SetUseCase[Item, Any, None], items: Sequence[Item]) -> FollowUps:
    return _report(handling.run(deps, items))


def _report(done: SetResult[None]) -> FollowUps:
    """Return the follow-ups of a set, its interruption, and the errors of its items that were not set aside."""
    errors = [each for each in done.results if each is not None and not set_aside.is_damage(each)]
    unavailable = (each for each in errors if isinstance(each, StorageUnavailable))
    return done.follow_ups + FollowUps(
        broken=tuple(each for each in errors if not isinstance(each, StorageUnavailable)),
        cut_short=done.interruption or next(unavailable, None),
    )


def _load_leases(tx: Transaction, refs: Sequence[AttemptRef]) -> frozenset[str]:
    """Lock and load the rows for expiring leases; return the incidents that were adopted since the leases were listed."""
    keep_apart([ref.is_operations for ref in refs])
    decisions.load(tx, refs)
    return tx.ledger.intervals.quarantined_among({ref.incident_id for ref in refs}, now=tx.now)


def _expire_lease(tx: Transaction, quarantined: frozenset[str], ref: AttemptRef) -> None:
    escalation, row = decisions.lock(tx, ref)
    attempt = attempt_of(row, ref.attempt_id)
    if attempt.state is not AttemptState.RUNNING or attempt.lease_until > tx.now or ref.incident_id in quarantined:
        return
    resolves_in = tx.deps.doubt_resolution_time(attempt.provider)
    tx.write(row, lifecycle.lose(row, attempt.id, now=tx.now, doubt_resolution_time=resolves_in), attempt=attempt.id)
    decisions.decide_page(tx, escalation, row, cause="recorded")


def _load_due(tx: Transaction, due: Sequence[tuple[str, str]]) -> None:
    """Lock escalations, and their expired notifications; load the rows for their decisions."""
    own = tx.ledger.operations.among({incident_id for incident_id, _ in due})
    keep_apart([incident_id in own for incident_id, _ in due])
    _load_escalations(tx, due)
    if expired := [row.id for _, each in due for row in _expired(tx, tx.ledger.escalations.get(each))]:
        _load_escalations(tx, due, moving=expired)


def _load_escalations(tx: Transaction, due: Sequence[tuple[str, str]], *, moving: Collection[str] = ()) -> None:
    tx.ledger.escalations.load([escalation_id for _, escalation_id in due], moving=moving)
    tx.ledger.intervals.load({incident_id for incident_id, _ in due}, now=tx.now)


def _expired(tx: Transaction, escalation: EscalationFacts) -> Iterator[NotificationFacts]:
    for row in tx.ledger.notifications.of(escalation.id):
        if row.state is NotificationState.QUEUED and endings.is_expired(tx, row, escalation):
            yield row


def _decide(tx: Transaction, loaded: None, due: tuple[str, str]) -> None:
    escalation = tx.ledger.escalations.lock(due[1])
    if escalation.next_decision_at is None or escalation.next_decision_at > tx.now:
        return
    for row in _expired(tx, escalation):
        tx.write(row, endings.end(tx, row, Ended.EXPIRED))
    decisions.decide(tx, escalation, cause="timer_due")


def _go_on(tx: Transaction, loaded: None, incident_id: str) -> None:
    """Start the next round of an operations incident, or the next step of a chain; check whether an alert is flapping."""
    del loaded
    incident = tx.ledger.incidents.lock(incident_id)
    if not incident.is_operations:
        steps.start_due_step(tx, incident)
        series.look_into(tx, incident.id)
        return
    is_due = incident.round_at is not None and incident.round_at <= tx.now
    if is_due and incident.state is not IncidentState.RESOLVED:
        operations.start_due_round(tx, incident)


def _start_due_rounds(deps: Dependencies, incident_id: str, now: datetime) -> FollowUps:
    """Start the due rounds of an incident; part by part if they cannot be started together."""
    parts: SetParts[str] = SetParts(deps, _START_ROUNDS.name)
    whole = parts.search(_SET)
    try:
        if whole.wanted == _SET:
            return parts.run(whole, partial(_start_due, incident_id=incident_id)).follow_ups
    except use_case.DAMAGE as error:
        if not (isinstance(error, Contended) or set_aside.is_damage(error)):
            raise
    due = deps.transactions.run(lambda ledger: ledger.work.rounds_due_of(incident_id, now=now))
    return _run_set(deps, _START_ROUNDS, [(incident_id, each) for each in due])


def _start_due(tx: Transaction, incident_id: str, *, only: Collection[str] = ()) -> None:
    incident = tx.ledger.incidents.lock(incident_id)
    if incident.is_operations:
        operations.start_policy_rounds(tx, incident)
    else:
        rounds.start_due_rounds(tx, incident, only=only)


def _start_rounds(tx: Transaction, due: Sequence[tuple[str, str]]) -> None:
    """Start some of an incident's due rounds."""
    _start_due(tx, due[0][0], only=[escalation_id for _, escalation_id in due])


_EXPIRE_LEASES = SetUseCase(
    "expire leases", _load_leases, _expire_lease, blames=lambda ref: ("notification", ref.notification_id)
)
_DECIDE = SetUseCase("decide", _load_due, _decide, blames=lambda due: ("escalation", due[1]))
_GO_ON = SetUseCase("go on", lambda tx, items: None, _go_on, blames=lambda incident_id: ("incident", incident_id))
_START_ROUNDS = SetUseCase("start rounds", _start_rounds, lambda tx, loaded, due: None, blames=lambda due: ("escalation", due[1]))


def _ring(deps: Dependencies, limit: int, again_after: timedelta, began_at: datetime | None) -> tuple[FollowUps, _Noted]:
    """Ring for due notifications, or for fewer under contention; return also what the note of the sweep has found.

    If a row is damaged, only the note is written: the rest is left for transactions of its own.
    """
    parts: SetParts[Due] = SetParts(deps, _MARK_RUNG.name)
    part = parts.search(limit)

    def body(tx: Transaction) -> _Noted:
        noted = _note_sweep(tx, began_at)
        for tidy in _TIDYING:
            tidy(tx, limit)
        part.items[:] = tx.ledger.work.ring(now=tx.now, again_after=again_after, limit=part.wanted)
        return noted

    while True:
        try:
            noted, follow_ups = parts.run(part, body)
            return noted.follow_ups + FollowUps(due=tuple(part.items)) + follow_ups, noted
        except use_case.DAMAGE as error:
            if set_aside.is_damage(error):
                break
            if not isinstance(error, Contended):
                raise
        part = parts.search(limit, is_insisted_on=part.count == 1)
    noted, follow_ups = use_case.run(deps, partial(_note_sweep, began_at=began_at))
    left = [*(partial(_tidy, deps, tidy, limit) for tidy in _TIDYING), partial(_ring_apart, deps, limit, again_after)]
    return noted.follow_ups + follow_ups, replace(noted, left=left)


def _ring_apart(deps: Dependencies, limit: int, again_after: timedelta) -> FollowUps:
    """Ring for due notifications; they are halved until a damaged one is alone."""
    due = deps.transactions.run(
        lambda ledger: ledger.work.ring(now=deps.clock.now(), again_after=again_after, limit=limit, is_marking=False)
    )
    return _run_set(deps, _MARK_RUNG, due)


def _tidy(deps: Dependencies, tidy: Callable[[Transaction, int], None], limit: int) -> FollowUps:
    return sparing.run(deps, lambda tx: tidy(tx, limit)).follow_ups


def _note_sweep(tx: Transaction, began_at: datetime | None) -> _Noted:
    """Note the sweep, and let damaged rows be tried again."""
    swept_at = tx.ledger.intervals.swept_at()
    outage = outages.note_sweep(tx, swept_at, began_at=began_at)
    tried = tx.ledger.set_asides.try_again(now=tx.now)
    return _Noted(FollowUps(outages=(outage,) if outage else ()), swept_at, tried)


def _disown(tx: Transaction, limit: int) -> None:
    tx.ledger.inbox.match([(each, None) for each in tx.ledger.inbox.stale(before=tx.now - _DISOWN_AFTER, limit=limit)])


def _forget_bodies(tx: Transaction, limit: int) -> None:
    tx.ledger.inbox.forget_bodies(before=tx.now - _FORGET_AFTER, limit=limit)


def _forget_codes(tx: Transaction, limit: int) -> None:
    del limit
    tx.ledger.replies.forget_codes(now=tx.now)


def _stop_waiting(tx: Transaction, limit: int) -> None:
    tx.ledger.notifications.stop_waiting(tx.deps.calling, is_bundling=tx.deps.is_bundling, now=tx.now, limit=limit)


def _mark_rung(tx: Transaction, due: Sequence[Due]) -> None:
    tx.ledger.work.mark_rung(due, now=tx.now)
    tx.note_due(due)


_TIDYING: Sequence[Callable[[Transaction, int], None]] = (_disown, _forget_bodies, _forget_codes, _stop_waiting)
_MARK_RUNG = SetUseCase(
    "ring", _mark_rung, lambda tx, loaded, due: None, blames=lambda due: ("notification", due.notification_id)
)


def unring(deps: Dependencies, notification_ids: Collection[str]) -> Collection[str]:
    """Mark notifications as not rung for, so that the next sweep rings; return those that others have locked.

    These keep their mark, and so does a damaged one; they hold up no other.
    """
    ids = sorted(notification_ids)
    done = _UNRING.run(deps, ids)
    if done.interruption is not None:
        raise done.interruption
    for error in done.results:
        if isinstance(error, Exception) and not is_damage(error):
            raise error
    return [each for each, is_locked in zip(ids, done.results, strict=True) if is_locked is True]


def _unring(tx: Transaction, notification_ids: Sequence[str]) -> frozenset[str]:
    return tx.ledger.work.unring(notification_ids)


_UNRING = SetUseCase("unring", _unring, lambda tx, locked, notification_id: notification_id in locked)
