"""Handles what time alone makes due: expired leases, timers of escalations, rounds, and rings without an effect."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from notifyflow.core import lifecycle
from notifyflow.core.model import AttemptState, Ended, IncidentState, NotificationState
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline import claim, decisions, operations, outages, receive, rounds, use_case
from notifyflow.pipeline.ports import Consequences, Dependencies
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import AttemptRef

RING_AGAIN_AFTER = timedelta(seconds=30)
_DISOWN_AFTER = timedelta(hours=1)
_MATCH_WITHIN = timedelta(minutes=2)
_FORGET_AFTER = timedelta(days=7)


def sweep(deps: Dependencies, *, limit: int = 200, ring_again_after: timedelta = RING_AGAIN_AFTER) -> Consequences:
    """Handle everything that is due, each in a transaction of its own, after making up for an outage of ours.

    Args:
        deps: The dependencies of the use cases.
        limit: How many of each kind to handle at most; the next sweep handles the rest.
        ring_again_after: How long after a ring a notification that is still due is rung for again.

    Returns:
        What followed, and every due notification that was not rung for. If the database stops answering midway, ``cut_short`` is
        that error, beside what was committed before.

    Raises:
        StorageUnavailable: When the database does not answer in time, and nothing was done.
    """
    total, swept_at = _ring(deps, limit, ring_again_after)
    try:
        for job in _jobs(deps, limit, swept_at):
            total += _attempt(job)
    except StorageUnavailable as error:
        total += Consequences(cut_short=error)
    return total


def _attempt(job: Callable[[], Consequences]) -> Consequences:
    try:
        return job()
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged row may raise anything, and must not hold up the others
        return Consequences(broken=(error,))


def next_wake_at(deps: Dependencies) -> datetime | None:
    """Return when the next sweep has work; None while no timer runs."""
    return deps.transactions.run(lambda ledger: ledger.next_wake_at())


def _jobs(deps: Dependencies, limit: int, swept_at: datetime | None) -> Iterator[Callable[[], Consequences]]:
    now, run = deps.clock.now(), deps.transactions.run
    since = min(now, swept_at or now) - _MATCH_WITHIN
    before = now - _DISOWN_AFTER
    for receipt in run(lambda ledger: ledger.missed_receipts(since=since, before=before, limit=limit)):
        yield partial(receive.apply_missed, deps, receipt)
    for ref in run(lambda ledger: ledger.expired_leases(now=now, limit=limit)):
        yield partial(_expire_lease, deps, ref)
    for _, escalation_id in run(lambda ledger: ledger.escalations_due(now=now, limit=limit)):
        yield partial(_decide, deps, escalation_id)
    for incident_id in run(lambda ledger: ledger.operations_rounds_due(now=now, limit=limit)):
        yield partial(_start_operations_round, deps, incident_id)
    for incident_id in run(lambda ledger: ledger.rounds_due(now=now, limit=limit)):
        yield partial(_pass_rounds, deps, incident_id)


def _expire_lease(deps: Dependencies, ref: AttemptRef) -> Consequences:
    def body(tx: Transaction) -> None:
        escalation, row = decisions.lock(tx, ref)
        attempt = next(each for each in row.attempts if each.id == ref.attempt_id)
        if attempt.state is not AttemptState.RUNNING or attempt.lease_until > tx.now:
            return
        if tx.ledger.is_quarantined(ref.incident_id):  # adopted since the leases were listed
            return
        resolves_in = deps.doubt_resolution_time(attempt.provider)
        tx.write(row, lifecycle.lose(row, attempt.id, now=tx.now, doubt_resolution_time=resolves_in), attempt=attempt.id)
        decisions.decide_page(tx, escalation, row, cause="recorded")

    return use_case.run(deps, body)[1]


def _decide(deps: Dependencies, escalation_id: str) -> Consequences:
    def body(tx: Transaction) -> None:
        escalation = tx.ledger.lock_escalation(escalation_id)
        if escalation.next_decision_at is None or escalation.next_decision_at > tx.now:
            return
        for row in tx.ledger.notifications(escalation_id):
            if claim.is_expired(tx, row, escalation):
                _expire(tx, row.id)
        decisions.decide(tx, escalation, cause="timer_due")

    return use_case.run(deps, body)[1]


def _expire(tx: Transaction, notification_id: str) -> None:
    row = tx.ledger.lock_notification(notification_id)
    if row.state is NotificationState.QUEUED:
        tx.write(row, claim.end(tx, row, Ended.EXPIRED))


def _start_operations_round(deps: Dependencies, incident_id: str) -> Consequences:
    def body(tx: Transaction) -> None:
        incident = tx.ledger.lock_incident(incident_id)
        is_due = incident.round_at is not None and incident.round_at <= tx.now
        if is_due and incident.state is not IncidentState.RESOLVED:
            operations.start_round(tx, incident)

    return use_case.run(deps, body)[1]


def _pass_rounds(deps: Dependencies, incident_id: str) -> Consequences:
    def body(tx: Transaction) -> None:
        incident = tx.ledger.lock_incident(incident_id)
        (operations if incident.is_operations else rounds).pass_time(tx, incident)

    return use_case.run(deps, body)[1]


def _ring(deps: Dependencies, limit: int, again_after: timedelta) -> tuple[Consequences, datetime | None]:
    """Ring for due notifications; return also when the last sweep was."""

    def body(tx: Transaction) -> tuple[Consequences, datetime | None]:
        swept_at = tx.ledger.swept_at()
        outage = outages.keep(tx, swept_at)
        for receipt in tx.ledger.stale_receipts(before=tx.now - _DISOWN_AFTER, limit=limit):
            tx.ledger.match_receipt(receipt, attempt_id=None)
        tx.ledger.forget_bodies(before=tx.now - _FORGET_AFTER, limit=limit)
        tx.ledger.forget_codes(now=tx.now)
        due = tx.ledger.ring_due(now=tx.now, again_after=again_after, limit=limit)
        return Consequences(due=due, outages=(outage,) if outage else ()), swept_at

    return use_case.run(deps, body)[0]
