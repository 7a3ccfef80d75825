"""Records the outcomes of attempts and decides on them, a set at a time, for the holders of their leases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts, Outcome
from notifyflow.core.delivery.model import AttemptState, Receipt
from notifyflow.errors import Fenced, NotifyflowError
from notifyflow.pipeline.delivery import decisions, outages, provider_health, receive
from notifyflow.pipeline.delivery.receive import Carried
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetResult, SetUseCase, keep_apart
from notifyflow.storage.ledger import AttemptRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The lease of a claimed attempt.

    Attributes:
        unsure: The follow-ups of an earlier call whose commit is unknown; None without one.
    """

    attempt_id: str
    token: str
    unsure: FollowUps | None = None


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
class Release:
    """An attempt whose call was not made.

    Attributes:
        reason: Why, for the transition log; nothing personal.
    """

    lease: Lease
    reason: str = ""


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
    """Give attempts back whose calls were not made, in one transaction.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _LoadedAttempts:
    """The locked and loaded values of a set: attempts, receipts that waited for a provider's id, other attempts of the calls."""

    refs: Mapping[str, AttemptRef]
    waited: Mapping[str, Sequence[Receipt]]
    carried: Carried


def _load_recordings(tx: Transaction, recordings: Sequence[Recording]) -> _LoadedAttempts:
    """Lock and load the rows for decisions about all attempts at once; receipts first, then incidents."""
    refs = _find(tx, [each.lease for each in recordings])
    told = [(refs[each.lease.attempt_id], each.outcome) for each in recordings if each.lease.attempt_id in refs]
    waited = receive.match_waiting(tx, [(ref, outcome.provider_ref) for ref, outcome in told if not ref.is_sent_with_another])
    carried = receive.find_carried(tx, [refs[each] for each in waited])
    receive.lock_all(tx, [(refs[each], some) for each, some in waited.items()], carried, others=refs.values())
    return _LoadedAttempts(refs=refs, waited=waited, carried=carried)


def _find(tx: Transaction, leases: Sequence[Lease]) -> Mapping[str, AttemptRef]:
    refs = tx.ledger.attempts.refs([each.attempt_id for each in leases])
    keep_apart([each.attempt_id in refs and refs[each.attempt_id].is_operations for each in leases])
    return refs


def _load_releases(tx: Transaction, releases: Sequence[Release]) -> _LoadedAttempts:
    refs = _find(tx, [each.lease for each in releases])
    decisions.load(tx, list(refs.values()))
    return _LoadedAttempts(refs=refs, waited={}, carried={})


def _record(tx: Transaction, loaded: _LoadedAttempts, recording: Recording) -> None:
    outcome, ref = recording.outcome, _ref(loaded, recording.lease)
    escalation, row = decisions.lock(tx, ref)
    attempt = _leased(row, recording.lease)
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
    waited = loaded.waited.get(attempt.id, ())
    if not receive.has_acknowledgement(waited):  # the acknowledgement is applied first, and decides
        decisions.decide_page(tx, escalation, row, cause="recorded")
    if not ref.is_sent_with_another:  # one call reports its provider's health once
        provider_health.record_outcome(tx, row, ref.provider, outcome)
        if outcome.is_our_fault and tx.ledger.incidents.get(ref.incident_id).namespace != namespaces.OPERATIONS:
            tx.notices.append((outcome.reason or outcome.code, ref.provider))
    receive.apply_receipts(tx, ref, waited, loaded.carried)


def _completed(tx: Transaction, attempt: AttemptFacts, recording: Recording) -> Outcome:
    """Return an outcome with the time at which its receipt is overdue, which counts from the response.

    The provider's id belongs to the attempt that made the call; polling it covers all attempts of the call.
    """
    outcome = recording.outcome
    awaited = lifecycle.awaited_until(attempt, tx.now)
    retry_after_s = None if recording.has_alternative else outcome.retry_after_s
    outcome = replace(outcome, receipt_due_at=outcome.receipt_due_at or awaited, retry_after_s=retry_after_s)
    return replace(outcome, provider_ref="", took_s=None) if attempt.is_sent_with_another else outcome


def _release(tx: Transaction, loaded: _LoadedAttempts, released: Release) -> None:
    escalation, row = decisions.lock(tx, _ref(loaded, released.lease))
    attempt = _leased(row, released.lease)
    reason = {"reason": released.reason} if released.reason else {}
    tx.write(row, lifecycle.release(row, attempt.id, now=tx.now), attempt=attempt.id, **reason)
    decisions.decide_page(tx, escalation, row, cause="recorded")


def _ref(loaded: _LoadedAttempts, lease: Lease) -> AttemptRef:
    if lease.attempt_id not in loaded.refs:
        raise Fenced(lease.attempt_id)
    return loaded.refs[lease.attempt_id]


def _leased(row: NotificationFacts, lease: Lease) -> AttemptFacts:
    attempt = lifecycle.find(row, lease.attempt_id)
    if attempt.token == lease.token and attempt.state is AttemptState.RUNNING:
        return attempt
    if attempt.token == lease.token and lease.unsure is not None:  # an expired lease has no token
        raise _RecordedBefore(lease.unsure)
    raise Fenced(lease.attempt_id)


_RECORD = SetUseCase("record", _load_recordings, _record, blames=lambda recording: ("attempt", recording.lease.attempt_id))
_RELEASE = SetUseCase("release", _load_releases, _release, blames=lambda released: ("attempt", released.lease.attempt_id))
