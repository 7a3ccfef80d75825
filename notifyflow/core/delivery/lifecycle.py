"""The lifecycle of a notification: how each event changes the row and its attempts; pure.

The row's state is a function of its attempts (``attempts.state_of``). The machine allows only the moves of its table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Literal

from notifyflow.core.copies import replace
from notifyflow.core.delivery import calls
from notifyflow.core.delivery.attempts import attempt_of, counted, state_of, used_up, with_attempt
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts, Outcome
from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import AttemptState, DeferralReason, Ended, Evidence, NotificationState, Receipt, Result
from notifyflow.core.delivery.policy import RetrySchedule
from notifyflow.core.delivery.retry import next_due, resend_at
from notifyflow.core.state_machine import Move
from notifyflow.errors import IllegalMove

_AT_ONCE = timedelta()
StopEvent = Literal["acknowledged", "resolved", "replaced"]

_MACHINE = MACHINES["notification"]

_RECORDED = {
    Result.ACCEPTED: "accepted",
    Result.TEMPORARY_FAILURE: "refused",
    Result.PERMANENT_FAILURE: "refused_for_good",
    Result.IN_DOUBT: "doubted",
}
_REPORTED = {
    Result.ACCEPTED: "acceptance_reported",
    Result.TEMPORARY_FAILURE: "temporary_failure_reported",
    Result.DELIVERED: "delivery_reported",
    Result.PERMANENT_FAILURE: "permanent_failure_reported",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A notification after an event.

    Attributes:
        after: The row with its attempts, after the event.
        event: The machine's event, for the transition log.
        has_moved: Whether the state has changed, or a call has ended; if not, nothing is logged, but the row or an attempt may
            have changed.
    """

    after: NotificationFacts
    event: str
    has_moved: bool


def claim(row: NotificationFacts, attempt: AttemptFacts, *, now: datetime) -> Moved:
    """Begin an attempt with its lease, its token and, if a receipt is awaited, its ``receipt_due_at``."""
    moved = _fire(row, replace(row, attempts=(*row.attempts, attempt)), "claimed", now=now)
    return moved if moved.has_moved else replace(moved, after=row)


def awaited_until(attempt: AttemptFacts, now: datetime) -> datetime | None:
    """Return when the receipt of an attempt recorded now becomes overdue: as long after now as the claim allowed."""
    return attempt.receipt_due_at and now + (attempt.receipt_due_at - attempt.started_at)


def record(
    row: NotificationFacts,
    attempt_id: str,
    outcome: Outcome,
    *,
    schedule: RetrySchedule,
    now: datetime,
    fraction: float,
    doubt_resolution_time: timedelta = _AT_ONCE,
    intervals: tuple[Interval, ...] = (),
) -> Moved:
    """Record the outcome of the running attempt.

    A message in doubt is not sent again before ``doubt_resolution_time`` is over, in which the provider's events may resolve
    it. The ``intervals`` do not count for the retry window if the provider asked to wait.

    Raises:
        IllegalMove: When the attempt is not running.
    """
    event = _RECORDED[outcome.result]
    running = attempt = _running(row, attempt_id, event)
    is_contradicted = outcome.result is not Result.ACCEPTED and attempt.evidence is not None
    attempt = replace(
        _apply(attempt, outcome.result, code=outcome.code, reason=outcome.reason),
        state=AttemptState.RECORDED,
        ended_at=now,
        evidence=_stronger(attempt.evidence, outcome.evidence or Evidence.ACCEPTED)
        if outcome.result is Result.ACCEPTED
        else attempt.evidence,
        is_doubted=outcome.result is Result.IN_DOUBT or is_contradicted,
        is_our_fault=attempt.is_our_fault or outcome.is_our_fault,
        provider_ref=outcome.provider_ref or attempt.provider_ref,
        retry_after_s=outcome.retry_after_s,
        receipt_due_at=outcome.receipt_due_at or attempt.receipt_due_at,
        took_s=outcome.took_s,
    )
    wait = doubt_resolution_time if outcome.result is Result.IN_DOUBT else _AT_ONCE
    due = partial(_retry_at, schedule=schedule, now=now, fraction=fraction, intervals=intervals, doubt_resolution_time=wait)
    return _fire(row, with_attempt(row, calls.record(running, attempt, now=now)), event, now=now, due=due, is_end=True)


def release(row: NotificationFacts, attempt_id: str, *, now: datetime) -> Moved:
    """Return the running attempt unsent: it does not count, and the row is due at once.

    If the provider has reported on the attempt, it was sent: it is put in doubt instead.

    Raises:
        IllegalMove: When the attempt is not running.
    """
    attempt = _running(row, attempt_id, "released")
    if attempt.result is not None:
        return _doubt(row, attempt, "doubted", now=now, due_at=now)
    unsent = replace(attempt, state=AttemptState.NOT_SENT, ended_at=now, over_at=attempt.over_at and now)
    return _fire(row, with_attempt(row, unsent), "released", now=now, is_end=True)


def set_apart(row: NotificationFacts, attempt_id: str, outcome: Outcome, *, half: str, now: datetime) -> Moved:
    """Return the running attempt of a message of several that was refused for its content: the row leaves again with its half.

    Nothing was sent: the attempt does not count, and the row is due at once. If the provider has reported on the attempt, it is
    put in doubt instead.

    Args:
        row: The notification.
        attempt_id: The attempt.
        outcome: The refusal, with its code and reason.
        half: The first attempt of the half that the attempt belongs to.
        now: The instant.

    Raises:
        IllegalMove: When the attempt is not running.
    """
    attempt = _running(row, attempt_id, "released")
    if attempt.result is None:
        reason = outcome.reason or outcome.code or "its content was refused"
        row = with_attempt(row, replace(attempt, half=half, code=outcome.code, reason=reason))
    return release(row, attempt_id, now=now)


def lose(row: NotificationFacts, attempt_id: str, *, now: datetime, doubt_resolution_time: timedelta = _AT_ONCE) -> Moved:
    """Put the running attempt in doubt, since its lease has expired; the row is due when the provider can no longer resolve it.

    The attempt loses its token, so that its former holder can no longer record it.

    Raises:
        IllegalMove: When the attempt is not running.
    """
    attempt = _running(row, attempt_id, "lease_expired")
    due_at = resend_at(now, severity=row.severity, called_at=attempt.started_at, doubt_resolution_time=doubt_resolution_time)
    return _doubt(row, replace(attempt, token=""), "lease_expired", now=now, due_at=due_at)


def receive(
    row: NotificationFacts,
    attempt_id: str,
    receipt: Receipt,
    *,
    schedule: RetrySchedule,
    now: datetime,
    fraction: float,
    half: str | None = None,
    intervals: tuple[Interval, ...] = (),
) -> Moved:
    """Apply a receipt to its attempt; on a CANCELLED row only the attempt changes.

    A message of several that is refused for its content is a temporary failure, whatever its code: the row leaves again with its
    half at once, unless it has been sent again since.

    Args:
        row: The notification.
        attempt_id: The attempt.
        receipt: The report.
        schedule: The policy's schedule for retries.
        now: The instant.
        fraction: The jitter of a retry.
        half: The first attempt of the half that the attempt belongs to, if its message of several is refused for its content.
        intervals: They do not count for the retry window if the latest attempt's provider asked to wait.
    """
    before = attempt = attempt_of(row, attempt_id)
    is_contradicted = attempt.state is AttemptState.RECORDED and attempt.evidence is None
    is_latest = any(each.id == attempt_id for each in counted(row)[-1:])
    result = receipt.result if half is None else Result.TEMPORARY_FAILURE
    attempt = replace(
        _apply(attempt, result, code=receipt.code, reason=receipt.reason),
        half=half if is_latest and half is not None else attempt.half,
        evidence=_stronger(attempt.evidence, receipt.evidence or Evidence.ACCEPTED),
        is_doubted=attempt.is_doubted or is_contradicted,
        is_our_fault=attempt.is_our_fault or receipt.is_our_fault,
        provider_ref=attempt.provider_ref or receipt.provider_ref or "",
    )
    event = _REPORTED.get(result, "noted") if result else "noted"
    due = partial(_retry_at, schedule=schedule, now=now, fraction=fraction, intervals=intervals)
    moved = _fire(row, with_attempt(row, calls.receive(before, attempt, receipt, now=now)), event, now=now, due=due)
    return _brought_forward(moved, now=now) if attempt.half != before.half else moved


def defer(row: NotificationFacts, why: DeferralReason, *, until: datetime, now: datetime) -> Moved:
    """Defer a queued row without using an attempt; a row that a pause defers does not age.

    Raises:
        IllegalMove: When it is not queued.
    """
    deferred = replace(
        row, due_at=until, rung_at=None, deferred_since=row.deferred_since or now, deferred_by=why, waits_until=None
    )
    if why is DeferralReason.PAUSE:
        deferred = replace(deferred, paused_since=row.paused_since or now, paused_until=until)
    elif why is DeferralReason.SILENCE:
        deferred = replace(deferred, has_been_silenced=True)
    return _fire(row, deferred, "deferred", now=now)


def postpone(row: NotificationFacts, *, due_at: datetime, until: datetime, now: datetime) -> Moved:
    """Let a queued row wait for others of its lane, or for a call to end, without deferring it: a deferral goes on.

    Raises:
        IllegalMove: When it is not queued.
    """
    return _fire(row, replace(row, due_at=due_at, rung_at=None, waits_until=until), "postponed", now=now)


def end(row: NotificationFacts, why: Ended, *, reason: str, now: datetime) -> Moved:
    """End a queued row without a result; late if it is at rest."""
    moved = _fire(row, replace(row, ended=why, ended_at=now, reason=reason), why.value, now=now)
    return moved if moved.has_moved else replace(moved, after=row)


def stop(row: NotificationFacts, event: StopEvent, *, now: datetime) -> Moved:
    """Allow no further attempt: CANCELLED takes the place of QUEUED."""
    return _fire(row, replace(row, is_stopped=True), event, now=now)


def _brought_forward(moved: Moved, *, now: datetime) -> Moved:
    """Let a queued row leave at once, unless it waits for more than its next attempt."""
    row = moved.after
    if row.due_at is None or row.due_at <= now or row.deferred_by is not None or row.waits_until is not None:
        return moved
    return replace(moved, after=replace(row, due_at=now, rung_at=None))


def _retry_at(
    row: NotificationFacts,
    *,
    schedule: RetrySchedule,
    now: datetime,
    fraction: float,
    intervals: tuple[Interval, ...],
    doubt_resolution_time: timedelta = _AT_ONCE,
) -> datetime | None:
    """Return the time of the next attempt: by the policy's schedule, or at once with the half of a message."""
    attempts = counted(row)
    if attempts[-1].is_halved and attempts[-1].retry_after_s is None:
        return now
    due_at = next_due(
        schedule,
        attempts=max(1, len(used_up(row))),
        first_started_at=attempts[0].started_at,
        now=now,
        fraction=fraction,
        retry_after_s=attempts[-1].retry_after_s,
        intervals=intervals,
    )
    return due_at and resend_at(due_at, severity=row.severity, called_at=now, doubt_resolution_time=doubt_resolution_time)


class _NotificationSubject:
    """The subject of the machine.

    Attributes:
        row: The row as the event has left it; after a move, in its new state.
    """

    def __init__(
        self, row: NotificationFacts, state: NotificationState, now: datetime, due: Callable[..., datetime | None]
    ) -> None:
        self.state = str(state)
        self.row = row
        self._now = now
        self._due = due

    def heads_for(self, move: Move) -> bool:
        return move.target == self._arrived.state

    def arrive(self, move: Move) -> None:
        del move
        self.row = self._arrived

    @cached_property
    def _arrived(self) -> NotificationFacts:
        """The row in its target state."""
        state = state_of(self.row)
        if state is not NotificationState.QUEUED:
            return _at_rest_or_sending(self.row, state)
        if self.state == state:
            return replace(self.row, reason="")
        due_at = self._due(self.row)
        if due_at is None:
            ended = replace(self.row, ended=Ended.BEYOND_WINDOW, ended_at=self._now)
            return _at_rest_or_sending(ended, NotificationState.FAILED)
        return _requeued(self.row, due_at, now=self._now)


def _requeued(row: NotificationFacts, due_at: datetime, *, now: datetime) -> NotificationFacts:
    attempts = counted(row)
    is_deferred = bool(attempts) and attempts[-1].retry_after_s is not None
    return replace(
        row,
        state=NotificationState.QUEUED,
        reason="",
        due_at=due_at,
        rung_at=None,
        deferred_since=now if is_deferred else None,
        deferred_by=DeferralReason.RETRY_AFTER if is_deferred else None,
        waits_until=None,
    )


def _at_rest_or_sending(row: NotificationFacts, state: NotificationState) -> NotificationFacts:
    """Return the row in a state in which no attempt is awaited."""
    reason = _failure(row) if state is NotificationState.FAILED else ""
    return replace(
        row, state=state, reason=reason, due_at=None, rung_at=None, deferred_since=None, deferred_by=None, waits_until=None
    )


def _failure(row: NotificationFacts) -> str:
    """Return why a row is FAILED."""
    if row.ended:
        return row.reason or row.ended.value
    attempts = counted(row)
    if calls.is_unheard(used_up(row)):
        return calls.UNHEARD
    return attempts[-1].reason or attempts[-1].code or "the attempts are used up"


def _fire(
    before: NotificationFacts,
    row: NotificationFacts,
    event: str,
    *,
    now: datetime,
    due: Callable[[NotificationFacts], datetime | None] | None = None,
    is_end: bool = False,
) -> Moved:
    """Fire an event; the end of a call is logged even if the state stays, since the metrics are made from the log."""
    subject = _NotificationSubject(row, before.state, now, due or (lambda _: now))
    is_end &= _MACHINE.fire(event, subject)
    return Moved(after=subject.row, event=event, has_moved=is_end or subject.row.state is not before.state)


def _running(row: NotificationFacts, attempt_id: str, event: str) -> AttemptFacts:
    attempt = attempt_of(row, attempt_id)
    if attempt.state is not AttemptState.RUNNING:
        raise IllegalMove(_MACHINE.table.name, row.state, event)
    return attempt


def _doubt(row: NotificationFacts, attempt: AttemptFacts, event: str, *, now: datetime, due_at: datetime) -> Moved:
    doubted = replace(_apply(attempt, Result.IN_DOUBT), state=AttemptState.RECORDED, ended_at=now, is_doubted=True)
    return _fire(
        row, with_attempt(row, calls.record(attempt, doubted, now=now)), event, now=now, due=lambda _: due_at, is_end=True
    )


def _apply(attempt: AttemptFacts, result: Result | None, *, code: str = "", reason: str = "") -> AttemptFacts:
    """Set the result of an attempt, with its code and reason, if it is stronger than the present one."""
    if result is None or (attempt.result is not None and attempt.result.strength >= result.strength):
        return attempt
    return replace(attempt, result=result, code=code, reason=reason)


def _stronger(one: Evidence | None, other: Evidence) -> Evidence:
    order = list(Evidence)
    return other if one is None or order.index(other) > order.index(one) else one
