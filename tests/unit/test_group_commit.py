"""Threads commit together: one is the leader, each gets a result of its own, and no pending item is forgotten."""

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.transaction.group_commit import GroupCommit, TimeIsOver
from notifyflow.pipeline.transaction.ports import FollowUps
from notifyflow.pipeline.transaction.set_use_case import SetResult
from notifyflow.storage.ledger import Due
from tests.waiting import wait_until

DEADLINE_S = 60
RINGS = FollowUps(due=(Due(notification_id="n", channel="email", severity=Severity.ERROR),))


def nothing(follow_ups: FollowUps) -> None:
    raise AssertionError(follow_ups)


class Left:
    """The time that somebody has left, as it is set."""

    waited_s = 0.0

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s


class Commits:
    """Keeps the sets that were committed."""

    def __init__(self) -> None:
        self.sets: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> SetResult[int]:
        self.sets.append(list(items))
        return SetResult(tuple(ValueError(str(item)) if item < 0 else item * 10 for item in items))


@pytest.fixture
def commits() -> Commits:
    return Commits()


def test_what_was_handed_over_is_committed_together(commits: Commits) -> None:
    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=10)
    pending = [group_commit.add(item) for item in (1, 2, 3)]
    group_commit.wait_for(pending[:1])
    assert commits.sets == [[1, 2, 3]]
    assert [one.result for one in pending] == [10, 20, 30]
    group_commit.wait_for(pending)
    assert commits.sets == [[1, 2, 3]]


def test_an_urgent_item_goes_first(commits: Commits) -> None:
    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=2)
    pending = [group_commit.add(1), group_commit.add(2), group_commit.add(3, is_urgent=True)]
    group_commit.wait_for(pending)
    assert commits.sets == [[3, 1], [2]]


def test_an_error_of_one_item_is_its_own(commits: Commits) -> None:
    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=10)
    good, bad = group_commit.add(1), group_commit.add(-1)
    group_commit.wait_for([good, bad])
    assert good.result == 10
    assert isinstance(bad.result, ValueError)


def test_an_error_of_the_commit_is_everybodys() -> None:
    def commit(items: Sequence[int]) -> SetResult[int]:
        raise OSError

    group_commit: GroupCommit[int, int] = GroupCommit(commit, nothing, most=10)
    pending = [group_commit.add(1), group_commit.add(2)]
    group_commit.wait_for(pending)
    assert [type(one.result) for one in pending] == [OSError, OSError]


def test_whoever_waits_for_several_items_waits_for_the_last_too(commits: Commits) -> None:
    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=2)
    pending = [group_commit.add(item) for item in (1, 2, 3, 4, 5)]
    group_commit.wait_for(pending)
    assert commits.sets == [[1, 2], [3, 4], [5]]
    assert [one.result for one in pending] == [10, 20, 30, 40, 50]


def test_whoever_waits_for_several_items_waits_also_while_others_commit_the_last(commits: Commits) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def commit(items: Sequence[int]) -> SetResult[int]:
        if 9 in items:
            has_begun.set()
            assert may_end.wait(DEADLINE_S)
        return commits(items)

    group_commit: GroupCommit[int, int] = GroupCommit(commit, nothing, most=2)
    first = group_commit.add(1)
    group_commit.wait_for([first])
    with ThreadPoolExecutor(2) as pool:
        last = group_commit.add(2)
        leader = pool.submit(group_commit.commit, 9)  # which takes the last with it
        assert has_begun.wait(DEADLINE_S)
        waiting = pool.submit(group_commit.wait_for, [first, last])
        assert not last.is_done
        may_end.set()
        waiting.result(DEADLINE_S)
        assert last.result == 20
        assert leader.result(DEADLINE_S) == 90


def test_while_one_transaction_runs_the_next_fills() -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    sets: list[int] = []

    def commit(items: Sequence[int]) -> SetResult[int]:
        sets.append(len(items))
        has_begun.set()
        assert may_end.wait(DEADLINE_S)
        return SetResult(tuple(items))

    group_commit: GroupCommit[int, int] = GroupCommit(commit, nothing, most=100)

    def hand_over(item: int) -> object:
        one = group_commit.add(item)
        group_commit.wait_for([one])
        return one.result

    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(hand_over, 0)
        assert has_begun.wait(DEADLINE_S)
        others = [pool.submit(hand_over, item) for item in range(1, 10)]
        wait_until(lambda: len(group_commit._waiting) == 9)
        may_end.set()
        assert [each.result(DEADLINE_S) for each in (first, *others)] == list(range(10))
    assert sets == [1, 9]


def test_a_leader_that_is_interrupted_hands_on() -> None:
    calls: list[list[int]] = []

    def commit(items: Sequence[int]) -> SetResult[int]:
        calls.append(list(items))
        if len(calls) == 1:
            raise KeyboardInterrupt
        return SetResult(tuple(items))

    group_commit: GroupCommit[int, int] = GroupCommit(commit, nothing, most=10)
    mine, neighbours = group_commit.add(1), group_commit.add(2)
    with pytest.raises(KeyboardInterrupt):
        group_commit.wait_for([mine])
    assert not neighbours.is_done
    group_commit.wait_for([neighbours])
    assert calls == [[1, 2], [1, 2]]
    assert (mine.result, neighbours.result) == (1, 2)


def test_what_was_stored_before_the_leader_was_interrupted_is_reported() -> None:
    reported: list[FollowUps] = []
    left = StorageUnavailable(0)
    group_commit: GroupCommit[int, int] = GroupCommit(
        lambda _: SetResult((1, left), RINGS, interruption=KeyboardInterrupt()), reported.append, most=10
    )
    mine, neighbours = group_commit.add(1), group_commit.add(2)
    with pytest.raises(KeyboardInterrupt):
        group_commit.wait_for([mine])
    assert (reported, mine.result, neighbours.result) == ([RINGS], 1, left)


def test_items_that_share_a_name_are_not_committed_together(commits: Commits) -> None:
    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=10, names=lambda item: [item % 10])
    group_commit.wait_for([group_commit.add(item) for item in (11, 21, 12, 31, 13)])
    assert commits.sets == [[11, 12, 13], [21], [31]]


def test_an_item_does_not_overtake_one_that_waits_and_shares_a_name(commits: Commits) -> None:
    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=10, names=lambda item: str(item))
    group_commit.wait_for([group_commit.add(item) for item in (12, 23, 34, 5)])
    assert commits.sets == [[12, 5], [23], [34]]


def test_a_transaction_takes_as_much_as_fits_and_at_least_one_item(commits: Commits) -> None:
    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=10, size=lambda item: item)
    group_commit.wait_for([group_commit.add(item) for item in (6, 5, 4, 50, 1)])
    assert commits.sets == [[6, 4], [5, 1], [50]]


def test_urgent_items_keep_their_order(commits: Commits) -> None:
    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=2)
    group_commit.wait_for([group_commit.add(item, is_urgent=item > 5) for item in (1, 6, 7, 8)])
    assert commits.sets == [[6, 7], [8, 1]]


def test_the_follow_ups_of_a_transaction_are_reported_once_before_its_items_are_done() -> None:
    reported: list[FollowUps] = []

    def report(follow_ups: FollowUps) -> None:
        reported.append(follow_ups)
        assert not any(one.is_done for one in pending)

    group_commit: GroupCommit[int, int] = GroupCommit(lambda items: SetResult(tuple(items), RINGS), report, most=10)
    pending = [group_commit.add(item) for item in (1, 2)]
    group_commit.wait_for(pending)
    assert reported == [RINGS]
    assert [one.result for one in pending] == [1, 2]


def test_the_next_transaction_does_not_wait_for_the_report_of_the_last() -> None:
    is_reporting, may_end = threading.Event(), threading.Event()

    def commit(items: Sequence[str]) -> SetResult[str]:
        return SetResult(tuple(items), RINGS if "first" in items else FollowUps())

    def report(follow_ups: FollowUps) -> None:
        is_reporting.set()
        assert may_end.wait(DEADLINE_S)

    group_commit: GroupCommit[str, str] = GroupCommit(commit, report, most=10)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(group_commit.commit, "first")
        assert is_reporting.wait(DEADLINE_S)
        assert group_commit.commit("second") == "second"
        assert not first.done()
        may_end.set()
        assert first.result(DEADLINE_S) == "first"


def test_an_error_in_the_report_reaches_its_caller_and_the_others_get_their_results() -> None:
    def report(follow_ups: FollowUps) -> None:
        raise RuntimeError

    group_commit: GroupCommit[int, int] = GroupCommit(lambda items: SetResult(tuple(items), RINGS), report, most=10)
    other = group_commit.add(1)
    with pytest.raises(RuntimeError):
        group_commit.commit(2)
    group_commit.wait_for([other])
    assert other.result == 1


def test_the_time_of_a_transaction_is_limited_by_the_least_that_one_of_its_set_has_left(commits: Commits) -> None:
    limits: list[float] = []

    @contextmanager
    def within(timeout_s: float) -> Iterator[None]:
        limits.append(timeout_s)
        yield

    group_commit: GroupCommit[int, int] = GroupCommit(commits, nothing, most=2, within=within)
    others = [group_commit.add(0), group_commit.add(1, until=Left(4)), group_commit.add(2, until=Left(3))]
    assert group_commit.commit(3, until=Left(2)) == 30
    assert all(one.is_done for one in others)
    assert commits.sets == [[0, 1], [2, 3]]
    assert limits == [2, 2]  # first its own: it waits for them


@pytest.mark.parametrize(("own", "others"), [(2, 3), (3, 2), (None, 2)])
def test_neither_the_leader_nor_a_neighbour_waits_longer_than_it_has(own: float | None, others: float) -> None:
    limits: list[float] = []

    @contextmanager
    def within(timeout_s: float) -> Iterator[None]:
        limits.append(timeout_s)
        yield

    group_commit: GroupCommit[int, int] = GroupCommit(Commits(), nothing, most=10, within=within)
    group_commit.add(1, until=Left(4))
    group_commit.add(2, until=Left(others))
    assert group_commit.commit(3, until=None if own is None else Left(own)) == 30
    assert limits == [2]


def test_whoever_waits_until_the_time_is_over_takes_the_item_back() -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    sets: list[list[int]] = []

    def commit(items: Sequence[int]) -> SetResult[int]:
        sets.append(list(items))
        has_begun.set()
        assert may_end.wait(DEADLINE_S)
        return SetResult(tuple(items))

    group_commit: GroupCommit[int, int] = GroupCommit(commit, nothing, most=10)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(group_commit.commit, 1)
        assert has_begun.wait(DEADLINE_S)
        left = Left(0.001)
        second = pool.submit(group_commit.commit, 2, until=left)
        wait_until(lambda: len(group_commit._waiting) == 1)
        assert not second.done()
        left.left_s = 0
        with pytest.raises(TimeIsOver):
            second.result(DEADLINE_S)
        may_end.set()
        assert first.result(DEADLINE_S) == 1
    assert group_commit.commit(3) == 3
    assert sets == [[1], [3]]


def test_an_item_whose_transaction_has_begun_gets_its_result_although_its_time_is_over() -> None:
    left = Left(5)

    def commit(items: Sequence[int]) -> SetResult[int]:
        left.left_s = 0
        return SetResult(tuple(items))

    group_commit: GroupCommit[int, int] = GroupCommit(commit, nothing, most=10)
    assert group_commit.commit(1, until=left) == 1
    with pytest.raises(TimeIsOver):
        group_commit.commit(2, until=left)


def test_whoever_is_interrupted_takes_the_own_item_back(commits: Commits) -> None:
    def commit(items: Sequence[int]) -> SetResult[int]:
        if 1 in items:
            raise KeyboardInterrupt
        return commits(items)

    group_commit: GroupCommit[int, int] = GroupCommit(commit, nothing, most=10)
    neighbours = group_commit.add(2)
    with pytest.raises(KeyboardInterrupt):
        group_commit.commit(1)
    group_commit.wait_for([neighbours])
    assert commits.sets == [[2]]


_FORKED_WHILE_ONE_LEADS = """
import os, signal, threading
from notifyflow.app.forks import FORKED
from notifyflow.pipeline.transaction.group_commit import GroupCommit
from notifyflow.pipeline.transaction.set_use_case import SetResult

has_begun, may_end = threading.Event(), threading.Event()

def commit(items):
    if items == ["parent"]:
        has_begun.set()
        may_end.wait()
    return SetResult(tuple(f"{item} is committed" for item in items))

group_commit = GroupCommit(commit, print, most=10)
FORKED.add(group_commit)
leader = threading.Thread(target=group_commit.commit, args=["parent"])
leader.start()
has_begun.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    os._exit(group_commit.commit("child") != "child is committed")
_, status = os.waitpid(child, 0)
may_end.set()
leader.join()
raise SystemExit(status)
"""


def test_a_child_that_is_forked_while_another_thread_leads_commits_its_own() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _FORKED_WHILE_ONE_LEADS]
    assert subprocess.run(command, timeout=DEADLINE_S, check=False).returncode == 0
