"""Records the outcomes of attempts, for all threads of a process together, and reports the follow-ups.

A thread adds an outcome and goes on with its claim. At any time at most ``_MOST_OPEN`` of its outcomes, none older than
``_LONGEST_OPEN``, are not committed: a crash leaves these attempts in doubt, like the running one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.retry import pause_s
from notifyflow.core.messages import bundle
from notifyflow.errors import CommitUnknown, Fenced, StorageUnavailable
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.delivery.record import Halved, Recording, Release, record, release
from notifyflow.pipeline.transaction.group_commit import GroupCommit, PendingItem
from notifyflow.pipeline.transaction.ports import NOTHING, Claimed, Dependencies, FollowUps, Lease
from notifyflow.pipeline.transaction.set_use_case import SetResult
from notifyflow.pipeline.transaction.use_case import follow_ups_of

_log = get_logger("notifyflow.engine")

_MOST_OPEN = 20
_LONGEST_OPEN = timedelta(milliseconds=50)
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class _Open:
    """An outcome that is not known to be committed.

    Attributes:
        took: How long the call took.
        since: Since when it waits.
        pending: It, as an item of the group commit.
    """

    claimed: Claimed
    took: timedelta
    since: datetime
    pending: PendingItem[Recording, None]


class Recorder:
    """Records for all threads of a process.

    Args:
        deps: The dependencies of the use cases.
        report: Reports the follow-ups of a transaction.
        is_stopping: Returns whether the process stops.
        pause: Waits for some seconds.
        monitor: The lock on which the threads wait for each other.
    """

    def __init__(
        self,
        deps: Dependencies,
        report: Callable[[FollowUps], None],
        *,
        is_stopping: Callable[[], bool],
        pause: Callable[[float], None],
        monitor: Callable[[], AbstractContextManager[bool]],
    ) -> None:
        self._deps = deps
        self._report = report
        self._is_stopping = is_stopping
        self._pause = pause
        self._group_commit = GroupCommit(self._commit, report, most=deps.set_size, monitor=monitor)

    @contextmanager
    def open(self) -> Iterator["Recordings"]:
        """Take a thread's outcomes; all of them are concluded in the end."""
        recordings = Recordings(self)
        try:
            yield recordings
        finally:
            recordings.finish()

    def add(self, claimed: Claimed, recording: Recording, took: timedelta) -> _Open:
        """Add an outcome to the next group."""
        is_urgent = claimed.severity is Severity.CRITICAL
        return _Open(claimed, took, self._deps.clock.now(), self._group_commit.add(recording, is_urgent=is_urgent))

    def wait_for(self, some: Sequence[_Open]) -> None:
        """Return once outcomes are recorded, fenced off or given up; try again, with growing pauses, while their leases last."""
        tries = 0
        while some:
            self._group_commit.wait_for([each.pending for each in some])
            some = [again for each in some if (again := self._conclude(each)) is not None]
            if some:
                tries += 1
                self._pause(pause_s(tries, self._deps.ids.fraction(), first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S))

    def release(self, unsent: Sequence[Claimed], *, reason: str = "") -> None:
        """Give unmade attempts back, all at once; if one cannot be given back, its lease expires."""
        if unsent:
            attempts = [each for call in unsent for each in call.attempts]
            self._release(attempts, [Release(lease=each.lease, reason=reason) for each in attempts])

    def halve(self, refused: Claimed, outcome: Outcome) -> None:
        """Give back what a message of several carried that was refused for its content: either half leaves again, by itself."""
        reason = f"refused for its content with {len(refused.carried)} others: {outcome.reason}"
        releases = [
            Release(lease=each.lease, reason=reason, halved=Halved(outcome=outcome, half=half[0].lease.attempt_id))
            for half in bundle.halves(refused.attempts)
            for each in half
        ]
        self._release(refused.attempts, releases)

    def _release(self, unsent: Sequence[Claimed], releases: Sequence[Release]) -> None:
        done = self._release_in_time(releases, until=min(each.lease_until for each in unsent))
        for each, released, error in zip(unsent, releases, done.results, strict=True):
            if error is None:
                _log.info("engine.attempt_released", **each.ids(), reason=released.reason)
            else:
                _log.warning("engine.release_failed", **each.ids(), error=type(error).__name__)
        self._report(done.follow_ups)
        if done.interruption is not None:
            raise done.interruption

    def _release_in_time(self, releases: Sequence[Release], *, until: datetime) -> SetResult[None]:
        """Release attempts; one whose release is unknown is tried again until it is known, or its lease is over."""
        waiting = dict(enumerate(releases))
        results: dict[int, Exception | None] = {}
        follow_ups = NOTHING
        tries = 0
        while True:
            done = self._try_to_release(list(waiting.values()))
            follow_ups += done.follow_ups
            results.update(zip(waiting, done.results, strict=True))
            is_over = self._is_stopping() or self._deps.clock.now() >= until
            again = ((number, _to_try_again(each, results[number], is_over=is_over)) for number, each in waiting.items())
            waiting = {number: each for number, each in again if each is not None}
            if not waiting or done.interruption is not None:
                return SetResult(tuple(results[number] for number in range(len(releases))), follow_ups, done.interruption)
            tries += 1
            self._pause(pause_s(tries, self._deps.ids.fraction(), first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S))

    def _try_to_release(self, releases: Sequence[Release]) -> SetResult[None]:
        try:
            done = release(self._deps, releases)
        except StorageUnavailable as error:
            done = SetResult((error,) * len(releases))
        return _with_doubts([each.lease for each in releases], done)

    def is_late(self, each: _Open, *, after: timedelta) -> bool:
        """Return whether an outcome will have waited for too long after some time."""
        return self._deps.clock.now() + after - each.since >= _LONGEST_OPEN

    def _commit(self, recordings: Sequence[Recording]) -> SetResult[None]:
        try:
            done = record(self._deps, recordings)
        except CommitUnknown as unknown:
            done = SetResult((unknown,) * len(recordings))
        return _with_doubts([each.lease for each in recordings], done)

    def _conclude(self, each: _Open) -> _Open | None:
        """Log the result of an outcome; add it again if it may still be recorded."""
        recording, result = each.pending.item, each.pending.result
        ids = each.claimed.ids() | {"result": recording.outcome.result.value}
        match result:
            case None:
                _log.info(
                    "engine.attempt_recorded",
                    **ids,
                    code=recording.outcome.code,
                    reason=recording.outcome.reason,
                    took_s=round(each.took.total_seconds(), 3),
                )
            case Fenced(is_gone=True):
                _log.error("engine.attempt_lost", **ids, see="notifyflow check --log")
            case Fenced():
                _log.warning("engine.attempt_fenced", **ids)
            case _Unsure():
                return self._again(each, replace(recording, lease=result.lease))
            case StorageUnavailable():
                is_over = self._deps.clock.now() >= each.claimed.lease_until
                if not is_over or (recording.lease.unsure is not None and not self._is_stopping()):
                    return self._again(each, recording)
                _log.error("engine.attempt_unrecorded", **ids)
            case _:
                _log.error("engine.attempt_unrecorded", **ids, error=type(result).__name__, place=source_line(result))
        return None

    def _again(self, each: _Open, recording: Recording) -> _Open:
        return self.add(each.claimed, recording, each.took)


class _Unsure(Exception):
    """Reports that the commit of a recording is unknown.

    Attributes:
        lease: The recording's lease, with the follow-ups of the commit if it was done.
    """

    def __init__(self, lease: Lease) -> None:
        super().__init__()
        self.lease = lease


def _with_doubts(leases: Sequence[Lease], done: SetResult[None]) -> SetResult[None]:
    """Return the results of a set, with ``_Unsure`` for commits that are unknown.

    The first item of an unknown commit reports its follow-ups once.
    """
    results: list[Exception | None] = list(done.results)
    told: set[int] = set()
    for number, result in enumerate(done.results):
        if isinstance(result, CommitUnknown):
            results[number] = _Unsure(replace(leases[number], unsure=NOTHING if id(result) in told else follow_ups_of(result)))
            told.add(id(result))
    return replace(done, results=tuple(results))


def _to_try_again(released: Release, result: Exception | None, *, is_over: bool) -> Release | None:
    """Return the release to try again, if it is unknown whether it was done; else None."""
    if isinstance(result, _Unsure):
        return replace(released, lease=result.lease)
    is_unknown = isinstance(result, StorageUnavailable) and released.lease.unsure is not None
    return released if is_unknown and not is_over else None


class Recordings:
    """One thread's outcomes that are not concluded."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._open: list[_Open] = []

    def add(self, claimed: Claimed, outcome: Outcome, took: timedelta, *, has_alternative: bool, next_takes: timedelta) -> None:
        """Add an outcome; wait for it and earlier ones if there are too many, or the next call takes too long."""
        for each in claimed.attempts:
            recording = Recording(lease=each.lease, outcome=outcome, has_alternative=has_alternative)
            self._open.append(self._recorder.add(each, recording, took))
        if len(self._open) >= _MOST_OPEN or self._recorder.is_late(self._open[0], after=next_takes):
            self.finish()

    def finish(self) -> None:
        """Wait until all are recorded, fenced off or given up."""
        some, self._open = self._open, []
        self._recorder.wait_for(some)
