"""Claims for all threads of a process: threads that want work on a channel at the same time share one transaction."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial

from notifyflow.channels.base import Channel
from notifyflow.channels.provider_protocols import reports
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.limits.claim import claim
from notifyflow.pipeline.transaction import journal
from notifyflow.pipeline.transaction.group_commit import GroupCommit
from notifyflow.pipeline.transaction.ports import Claimed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.set_use_case import SetResult


@dataclass(slots=True, eq=False)
class Batch:
    """The work that a thread wants, and the attempts that it was assigned and has not begun.

    Attributes:
        requested_ids: The notifications of its ring.
        limit: How many attempts it takes at most.
        is_given_up: Whether the thread is done with it: attempts that are assigned to it later are released.
    """

    requested_ids: Sequence[str]
    limit: int
    is_given_up: bool = False
    _attempts: deque[Claimed] | None = None

    def assign(self, attempts: Sequence[Claimed]) -> None:
        """Assign it attempts, once: a claim whose thread was cut short is assigned again."""
        if self._attempts is None:
            self._attempts = deque(attempts)

    def take(self) -> Iterator[Claimed]:
        """Take the attempts one by one; several threads may do so, and each attempt is taken once."""
        with suppress(IndexError):
            while self._attempts is not None:
                yield self._attempts.popleft()


class Claimer:
    """Claims for the threads of a process.

    Args:
        deps: The dependencies of the use cases.
        channels: Name to channel.
        report: Reports the follow-ups of a transaction.
        release: Gives attempts back.
        owe: Notes notifications that need another ring.
        monitor: The lock on which the threads wait for each other.
    """

    def __init__(
        self,
        deps: Dependencies,
        channels: Mapping[str, Channel],
        *,
        report: Callable[[FollowUps], None],
        release: Callable[[Sequence[Claimed]], None],
        owe: Callable[[Collection[str]], None],
        monitor: Callable[[], AbstractContextManager[bool]],
    ) -> None:
        self._deps = deps
        self._channels = channels
        self._report = report
        self._release = release
        self._owe = owe
        self._monitor = monitor
        self._group_commits: dict[str, GroupCommit[Batch, frozenset[str]]] = {}

    def fill(self, channel: str, batch: Batch) -> frozenset[str]:
        """Assign a batch due notifications of a channel, the most urgent first.

        Returns:
            The notifications that were assigned, deferred, or ended since they can no longer be sent.

        Raises:
            StorageUnavailable: When the database did not answer in time.
        """
        return self._group_commit(channel).commit(batch)

    def _group_commit(self, channel: str) -> GroupCommit[Batch, frozenset[str]]:
        if channel not in self._group_commits:
            new = GroupCommit(
                partial(self._claim, channel),
                self._report,
                most=self._deps.set_size,
                size=lambda batch: batch.limit,
                monitor=self._monitor,
            )
            self._group_commits.setdefault(channel, new)
        return self._group_commits[channel]

    def _claim(self, channel: str, batches: Sequence[Batch]) -> SetResult[frozenset[str]]:
        providers = self._channels[channel].providers if channel in self._channels else ()
        claims = claim(
            self._deps,
            channel,
            [each for batch in batches for each in batch.requested_ids],
            limit=sum(batch.limit for batch in batches),
            providers=[provider.name for provider in providers],
            reporting=[provider.name for provider in providers if reports(provider)],
        )
        self._owe(claims.locked)
        assigned: list[frozenset[str] | Exception] = [frozenset(claims.put_off | ids) for ids in _assign(claims.claimed, batches)]
        if claims.interruption is not None:  # the rings of batches that got nothing are not handled
            assigned = [each or StorageUnavailable(0, "the claim was cut short") for each in assigned]
        for batch in batches:
            if batch.is_given_up:
                journal.aside(lambda batch=batch: self._release(list(batch.take())))  # type: ignore[misc]
        return SetResult(tuple(assigned), claims.follow_ups, claims.interruption)


def _assign(attempts: Sequence[Claimed], batches: Sequence[Batch]) -> list[set[str]]:
    """Assign attempts in their order: each to the batch whose ring named it, if it has room, else to the smallest.

    What leaves a lane together may be more calls than were wanted: then no batch has room.
    """
    named = {each: batch for batch in reversed(batches) for each in batch.requested_ids}
    assigned: dict[Batch, list[Claimed]] = {batch: [] for batch in batches}
    for each in attempts:
        batch = named.get(each.message.notification_id)
        if batch is None or len(assigned[batch]) == batch.limit:
            with_room = [some for some in batches if len(assigned[some]) < some.limit]
            batch = min(with_room or batches, key=lambda some: _count(assigned[some]))
        assigned[batch].append(each)
    for batch, some in assigned.items():
        batch.assign(some)
    return [{each.message.notification_id for call in some for each in call.attempts} for some in assigned.values()]


def _count(calls: Sequence[Claimed]) -> int:
    """Return how many notifications some calls carry."""
    return sum(len(call.attempts) for call in calls)
