"""Claims for all threads of a process: threads that want work on a channel at the same time share one transaction."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial

from notifyflow.channels.abilities import reports
from notifyflow.channels.base import Channel
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery.claim import claim
from notifyflow.pipeline.transaction import journal
from notifyflow.pipeline.transaction.group_commit import GroupCommit
from notifyflow.pipeline.transaction.ports import Claimed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.set_use_case import SetResult


@dataclass(slots=True, eq=False)
class Hand:
    """A thread's wanted work, and the attempts that it was dealt and has not begun.

    Attributes:
        requested_ids: The notifications of its ring.
        limit: How many attempts it takes at most.
        is_given_up: Whether the thread is done with it: attempts that are dealt to it later are released.
    """

    requested_ids: Sequence[str]
    limit: int
    is_given_up: bool = False
    _attempts: deque[Claimed] | None = None

    def deal(self, attempts: Sequence[Claimed]) -> None:
        """Deal it attempts, once: a claim whose thread was cut short is dealt again."""
        if self._attempts is None:
            self._attempts = deque(attempts)

    def drain(self) -> Iterator[Claimed]:
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
        self._group_commits: dict[str, GroupCommit[Hand, frozenset[str]]] = {}

    def fill(self, channel: str, hand: Hand) -> frozenset[str]:
        """Deal a hand due notifications of a channel, the most urgent first.

        Returns:
            The notifications that were dealt, or ended since they can no longer be sent.

        Raises:
            StorageUnavailable: When the database did not answer in time.
        """
        return self._group_commit(channel).commit(hand)

    def _group_commit(self, channel: str) -> GroupCommit[Hand, frozenset[str]]:
        if channel not in self._group_commits:
            new = GroupCommit(
                partial(self._claim, channel),
                self._report,
                most=self._deps.set_size,
                size=lambda hand: hand.limit,
                monitor=self._monitor,
            )
            self._group_commits.setdefault(channel, new)
        return self._group_commits[channel]

    def _claim(self, channel: str, hands: Sequence[Hand]) -> SetResult[frozenset[str]]:
        providers = self._channels[channel].providers if channel in self._channels else ()
        claims = claim(
            self._deps,
            channel,
            [each for hand in hands for each in hand.requested_ids],
            limit=sum(hand.limit for hand in hands),
            providers=[provider.name for provider in providers],
            reporting=[provider.name for provider in providers if reports(provider)],
        )
        self._owe(claims.locked)
        ended = {each.id for each in claims.follow_ups.failed}
        dealt: list[frozenset[str] | Exception] = [frozenset(ended | ids) for ids in _deal(claims.claimed, hands)]
        if claims.interruption is not None:  # the rings of hands that got nothing are not handled
            dealt = [each or StorageUnavailable(0, "the claim was cut short") for each in dealt]
        for hand in hands:
            if hand.is_given_up:
                journal.aside(lambda hand=hand: self._release(list(hand.drain())))  # type: ignore[misc]
        return SetResult(tuple(dealt), claims.follow_ups, claims.interruption)


def _deal(attempts: Sequence[Claimed], hands: Sequence[Hand]) -> list[set[str]]:
    """Deal attempts in their order: each to the hand whose ring named it, if it has room, else to the hand with the fewest."""
    named = {each: hand for hand in reversed(hands) for each in hand.requested_ids}
    dealt: dict[Hand, list[Claimed]] = {hand: [] for hand in hands}
    for each in attempts:
        hand = named.get(each.message.notification_id)
        if hand is None or len(dealt[hand]) == hand.limit:
            hand = min((some for some in hands if len(dealt[some]) < some.limit), key=lambda some: _count(dealt[some]))
        dealt[hand].append(each)
    for hand, some in dealt.items():
        hand.deal(some)
    return [{each.message.notification_id for call in some for each in call.attempts} for some in dealt.values()]


def _count(calls: Sequence[Claimed]) -> int:
    """Return how many notifications some calls carry."""
    return sum(len(call.attempts) for call in calls)
