"""Records the outcomes of attempts and decides on them, a set at a time, for the holders of their leases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, NotificationFacts, Outcome
from notifyflow.core.delivery.model import AttemptState, Receipt
from notifyflow.errors import Fenced, NotifyflowError
from notifyflow.pipeline.delivery import decisions, eligibility, outages, provider_health, receive
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps, Lease
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetResult, SetUseCase, keep_apart
from notifyflow.storage.ledger import AttemptRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The outcome of a call.

    Attributes:
        outcome: The provider's response, or that it is unknown.
        has_alternative: Whether another provider can carry the next attempt, so that this one's Retry-After delays nothing.
    """

    lease: Lease
    outcome: Outcome
    has_alternative: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Halved:
    """The refusal of a message of several for its content.

    Attributes:
        outcome: The provider's response.
        half: The first attempt of the half in which the attempt leaves again.
    """

    outcome: Outcome
    half: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An attempt whose call was not made, or carried a message of several that was refused for its content.

    Attributes:
        reason: Why, for the transition log; nothing personal.
        halved: The refusal; None if the call was not made.
    """

    lease: Lease
    reason: str = ""
    halved: Halved | None = None


def record(deps: Dependencies, recordings: Sequence[Recording]) -> SetResult[None]:
    """Record the outcomes of calls of different attempts, in one transaction.

    Returns:
        For each, None or its own error: ``Fenced`` when its lease has expired, and the attempt is in doubt. The follow-ups,
            such as opened tiers and failures. If an earlier call recorded the attempts, its follow-ups.

    Raises:
        CommitUnknown: When it is unknown whether they are recorded; call again, with its follow-ups as ``unsure``.
        StorageUnavailable: When the database does not answer in time; nothing was recorded.
    """
    return _with_earlier_follow_ups(_RECORD.run(deps, recordings))


def release(deps: Dependencies, releases: Sequence[Release]) -> SetResult[None]:
    """Give attempts back of which nothing was sent, in sets.

    They do not count, and the attempt before each decides; without one, the notification is due.

    Returns:
        As ``record``.

    Raises:
        CommitUnknown: As ``record``.
        StorageUnavailable: When the database does not answer in time; nothing was released.
    """
    return _with_earlier_follow_ups(_RELEASE.run(deps, releases))


class _RecordedBefore(NotifyflowError):
    """Raised when the earlier call, whose commit was unknown, has recorded the attempt."""

    def __init__(self, follow_ups: FollowUps) -> None:
        super().__init__()
        self.follow_ups = follow_ups


def _with_earlier_follow_ups(done: SetResult[None]) -> SetResult[None]:
    before = [each for each in done.results if isinstance(each, _RecordedBefore)]
    return replace(
        done,
        results=tuple(None if isinstance(each, _RecordedBefore) else each for each in done.results),
        follow_ups=sum((each.follow_ups for each in before), done.follow_ups),
    )


def _load_recordings(tx: Transaction, recordings: Sequence[Recording]) -> Mapping[str, Sequence[Receipt]]:
    """Lock and load the rows for decisions about all attempts at once; receipts first, then incidents.

    Returns:
        The receipts that waited for a provider's id, by attempt.
    """
    refs = _refs([each.lease for each in recordings])
    waited = receive.match_waiting(tx, [(refs[each.lease.attempt_id], each.outcome.provider_ref) for each in recordings])
    receive.lock_all(tx, [(refs[each], some) for each, some in waited.items()], others=refs.values())
    return waited


def _refs(leases: Sequence[Lease]) -> Mapping[str, AttemptRef]:
    keep_apart([each.ref.is_operations for each in leases])
    return {each.attempt_id: each.ref for each in leases}


def _load_releases(tx: Transaction, releases: Sequence[Release]) -> None:
    decisions.load(tx, list(_refs([each.lease for each in releases]).values()))


def _record(tx: Transaction, receipts: Mapping[str, Sequence[Receipt]], recording: Recording) -> None:
    outcome, ref = recording.outcome, recording.lease.ref
    escalation, row, attempt = _lock(tx, recording.lease)
    moved = lifecycle.record(
        row,
        attempt.id,
        _completed(tx, attempt, recording),
        schedule=decisions.schedule(escalation, row),
        now=tx.now,
        fraction=decisions.fraction(tx, ref),
        doubt_resolution_time=tx.deps.doubt_resolution_time(attempt.provider),
        intervals=outages.intervals(tx, row) if outcome.retry_after_s and not recording.has_alternative else (),
    )
    tx.write(row, moved, attempt=attempt.id, result=outcome.result.value, code=outcome.code, reason=outcome.reason)
    waited = receipts.get(attempt.id, ())
    if not receive.has_acknowledgement(waited):  # the acknowledgement is applied first, and decides
        decisions.decide_page(tx, escalation, row, cause="recorded")
    if not ref.is_sent_with_another:  # one call reports its provider's health once
        provider_health.record_outcome(tx, row, ref.provider, outcome)
        if outcome.is_our_fault and tx.ledger.incidents.get(ref.incident_id).namespace != namespaces.OPERATIONS:
            tx.notices.append((outcome.reason or outcome.code, ref.provider))
    receive.apply_receipts(tx, ref, waited)


def _completed(tx: Transaction, attempt: AttemptFacts, recording: Recording) -> Outcome:
    """Return an outcome with the time at which its receipt is overdue, which counts from the response.

    The provider's id belongs to the attempt that made the call; polling it covers all attempts of the call.
    """
    outcome = recording.outcome
    awaited = lifecycle.awaited_until(attempt, tx.now)
    retry_after_s = None if recording.has_alternative else outcome.retry_after_s
    outcome = replace(outcome, receipt_due_at=outcome.receipt_due_at or awaited, retry_after_s=retry_after_s)
    return replace(outcome, provider_ref="", took_s=None) if attempt.is_sent_with_another else outcome


def _release(tx: Transaction, loaded: None, released: Release) -> None:
    escalation, row, attempt = _lock(tx, released.lease)
    detail = {"reason": released.reason} if released.reason else {}
    if (halved := released.halved) is None:
        moved = lifecycle.release(row, attempt.id, now=tx.now)
    else:
        moved = lifecycle.set_apart(row, attempt.id, halved.outcome, half=halved.half, now=tx.now)
        detail |= {"code": halved.outcome.code, "half": halved.half}
    tx.write(row, moved, attempt=attempt.id, **detail)
    decisions.decide_page(tx, escalation, row, cause="recorded")
    if halved is not None and not attempt.is_sent_with_another:  # one call reports its provider's health once
        provider_health.record_outcome(tx, row, attempt.provider, halved.outcome)
        eligibility.refund(tx, row, escalation, spent_at=attempt.started_at)


def _lock(tx: Transaction, lease: Lease) -> tuple[EscalationFacts, NotificationFacts, AttemptFacts]:
    """Lock the rows of an attempt.

    Raises:
        Fenced: When its lease is over, or it is gone: the database is an older copy, or a standby that lacked it was promoted.
        _RecordedBefore: When an earlier call recorded it.
    """
    if not tx.ledger.notifications.is_stored(lease.ref.notification_id):
        raise Fenced(lease.attempt_id, is_gone=True)
    escalation, row = decisions.lock(tx, lease.ref)
    attempt = next((each for each in row.attempts if each.id == lease.attempt_id), None)
    if attempt is not None and attempt.token == lease.token:  # an expired lease has no token
        if attempt.state is AttemptState.RUNNING:
            return escalation, row, attempt
        if lease.unsure is not None:
            raise _RecordedBefore(lease.unsure)
    raise Fenced(lease.attempt_id, is_gone=attempt is None)


_RECORD = SetUseCase("record", _load_recordings, _record, blames=lambda recording: ("attempt", recording.lease.attempt_id))
_RELEASE = SetUseCase(
    "release", _load_releases, _release, blames=lambda released: ("attempt", released.lease.attempt_id), is_in_sets=True
)
