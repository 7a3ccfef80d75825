"""Records the outcome of an attempt and decides on it, for the holder of its lease."""

from collections.abc import Callable
from dataclasses import replace

from notifyflow.core import lifecycle
from notifyflow.core.escalation import Cause
from notifyflow.core.facts import AttemptFacts, NotificationFacts, Outcome
from notifyflow.core.lifecycle import Moved
from notifyflow.core.model import AttemptState
from notifyflow.core.policy import Schedule
from notifyflow.errors import Fenced
from notifyflow.pipeline import decisions, outages, provider_health, receive, use_case
from notifyflow.pipeline.ports import Consequences, Dependencies
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import AttemptRef


def record(
    deps: Dependencies,
    attempt_id: str,
    token: str,
    outcome: Outcome,
    *,
    has_alternative: bool = False,
    unsure: Consequences | None = None,
) -> Consequences:
    """Record the outcome of a call.

    Args:
        deps: The dependencies of the use cases.
        attempt_id: The attempt, as claimed.
        token: Its lease's token.
        outcome: The provider's response, or that it is unknown.
        has_alternative: Whether another provider can carry the next attempt, so that this one's Retry-After holds nothing up.
        unsure: What the call before this one led to if its commit, whose answer was lost, was done; None where there was none.

    Returns:
        What followed: tiers that opened, failures. Where the attempt was recorded by the call before, what that one led to.

    Raises:
        Fenced: When the lease has expired; the attempt is in doubt.
        CommitUnknown: When it is unknown whether it is recorded; call again, with what it led to.
    """

    def body(tx: Transaction) -> None:
        ref = _attempt_ref(tx, attempt_id)
        waited = receive.match_waiting(tx, ref, outcome.provider_ref)
        has_key = any(each.is_acknowledgement for each in waited)
        if has_key:
            tx.ledger.lock_incident(ref.incident_id)

        def happens(row: NotificationFacts, schedule: Schedule) -> Moved:
            attempt = _leased(row, attempt_id, token, unsure)
            awaited = attempt.receipt_due_at and tx.now + (attempt.receipt_due_at - attempt.started_at)
            retry_after_s = None if has_alternative else outcome.retry_after_s
            completed = replace(outcome, receipt_due_at=outcome.receipt_due_at or awaited, retry_after_s=retry_after_s)
            return lifecycle.record(
                row,
                attempt_id,
                completed,
                schedule=schedule,
                now=tx.now,
                fraction=tx.deps.ids.fraction(),
                doubt_resolution_time=deps.doubt_resolution_time(attempt.provider),
                breaks=outages.breaks(tx, row) if retry_after_s else (),
            )

        detail = {"attempt": attempt_id, "result": outcome.result.value, "code": outcome.code, "reason": outcome.reason}
        cause: Cause | None = None if has_key else "recorded"  # the acknowledgement is applied first, and decides
        before = decisions.update(tx, ref.escalation_id, ref.notification_id, happens, cause=cause, detail=detail)
        provider_health.record_outcome(tx, before, ref.provider, outcome)
        if outcome.is_our_fault and not tx.ledger.incident(ref.incident_id).is_operations:
            tx.notices.append((outcome.reason or outcome.code, ref.provider))
        receive.apply_receipts(tx, ref, waited)

    return _run(deps, body)


def release(
    deps: Dependencies, attempt_id: str, token: str, *, reason: str = "", unsure: Consequences | None = None
) -> Consequences:
    """Give an attempt back whose call was not made; it counts for nothing, and the one before it decides: if none, it is due.

    Args:
        deps: The dependencies of the use cases.
        attempt_id: The attempt, as claimed.
        token: Its lease's token.
        reason: Why, for the transition log; nothing personal.
        unsure: As for ``record``.

    Returns:
        What followed.

    Raises:
        Fenced: When the lease has expired.
        CommitUnknown: When it is unknown whether it is released; call again, with what it led to.
    """

    def body(tx: Transaction) -> None:
        def happens(row: NotificationFacts, schedule: Schedule) -> Moved:
            del schedule
            _leased(row, attempt_id, token, unsure)
            return lifecycle.release(row, attempt_id, now=tx.now)

        ref, detail = _attempt_ref(tx, attempt_id), {"attempt": attempt_id} | ({"reason": reason} if reason else {})
        decisions.update(tx, ref.escalation_id, ref.notification_id, happens, cause="recorded", detail=detail)

    return _run(deps, body)


class _RecordedBefore(Exception):
    """Raised when the earlier call, whose commit was not confirmed, has recorded the attempt."""

    def __init__(self, consequences: Consequences) -> None:
        super().__init__()
        self.consequences = consequences


def _run(deps: Dependencies, body: Callable[[Transaction], None]) -> Consequences:
    try:
        return use_case.run(deps, body)[1]
    except _RecordedBefore as recorded:
        return recorded.consequences


def _attempt_ref(tx: Transaction, attempt_id: str) -> AttemptRef:
    ref = tx.ledger.attempt_ref(attempt_id)
    if ref is None:
        raise Fenced(attempt_id)
    return ref


def _leased(row: NotificationFacts, attempt_id: str, token: str, unsure: Consequences | None) -> AttemptFacts:
    attempt = next(each for each in row.attempts if each.id == attempt_id)
    if attempt.token == token and attempt.state is AttemptState.RUNNING:
        return attempt
    if attempt.token == token and unsure is not None:  # an expired lease has no token
        raise _RecordedBefore(unsure)
    raise Fenced(attempt_id)
