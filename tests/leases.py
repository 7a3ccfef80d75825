"""Records and releases single attempts, as the only ones of their transactions."""

from notifyflow.core.delivery.facts import Outcome
from notifyflow.pipeline.delivery.record import Recording, Release, record, release
from notifyflow.pipeline.transaction.ports import Claimed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.set_use_case import SetResult


def record_one(deps: Dependencies, claimed: Claimed, outcome: Outcome, *, has_alternative: bool = False) -> FollowUps:
    """Record one outcome; raise the error that concerns it."""
    return _only(record(deps, [Recording(lease=claimed.lease, outcome=outcome, has_alternative=has_alternative)]))


def release_one(deps: Dependencies, claimed: Claimed) -> FollowUps:
    """Release one attempt; raise the error that concerns it."""
    return _only(release(deps, [Release(lease=claimed.lease)]))


def _only(done: SetResult[None]) -> FollowUps:
    (error,) = done.results
    if error is not None:
        raise error
    return done.follow_ups
