"""Threads commit together: one leads, everybody gets a result of its own, and nothing that was handed over is forgotten."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from notifyflow.pipeline.gathering import Gathering

DEADLINE_S = 60


class Commits:
    """Keeps the sets that were committed."""

    def __init__(self) -> None:
        self.sets: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.sets.append(list(items))
        return [ValueError(str(item)) if item < 0 else item * 10 for item in items]


@pytest.fixture
def commits() -> Commits:
    return Commits()


def test_what_was_handed_over_is_committed_together(commits: Commits) -> None:
    gathering: Gathering[int, int] = Gathering(commits, most=10)
    tickets = [gathering.hand_over(item) for item in (1, 2, 3)]
    gathering.settle(tickets[:1])
    assert commits.sets == [[1, 2, 3]]
    assert [ticket.result for ticket in tickets] == [10, 20, 30]
    gathering.settle(tickets)
    assert commits.sets == [[1, 2, 3]]


def test_an_urgent_item_goes_first(commits: Commits) -> None:
    gathering: Gathering[int, int] = Gathering(commits, most=2)
    tickets = [gathering.hand_over(1), gathering.hand_over(2), gathering.hand_over(3, is_urgent=True)]
    gathering.settle(tickets)
    assert commits.sets == [[3, 1], [2]]


def test_an_error_of_one_item_is_its_own(commits: Commits) -> None:
    gathering: Gathering[int, int] = Gathering(commits, most=10)
    good, bad = gathering.hand_over(1), gathering.hand_over(-1)
    gathering.settle([good, bad])
    assert good.result == 10
    assert isinstance(bad.result, ValueError)


def test_an_error_of_the_commit_is_everybodys() -> None:
    def commit(items: Sequence[int]) -> list[int | Exception]:
        raise OSError

    gathering: Gathering[int, int] = Gathering(commit, most=10)
    tickets = [gathering.hand_over(1), gathering.hand_over(2)]
    gathering.settle(tickets)
    assert [type(ticket.result) for ticket in tickets] == [OSError, OSError]


def test_while_one_transaction_runs_the_next_fills() -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    sets: list[int] = []

    def commit(items: Sequence[int]) -> list[int | Exception]:
        sets.append(len(items))
        has_begun.set()
        assert may_end.wait(DEADLINE_S)
        return list(items)

    gathering: Gathering[int, int] = Gathering(commit, most=100)

    def hand_over(item: int) -> object:
        ticket = gathering.hand_over(item)
        gathering.settle([ticket])
        return ticket.result

    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(hand_over, 0)
        assert has_begun.wait(DEADLINE_S)
        others = [pool.submit(hand_over, item) for item in range(1, 10)]
        while len(gathering._waiting) < 9:
            threading.Event().wait(0.001)
        may_end.set()
        assert [each.result(DEADLINE_S) for each in (first, *others)] == list(range(10))
    assert sets == [1, 9]


def test_a_leader_that_is_interrupted_hands_on() -> None:
    calls: list[list[int]] = []

    def commit(items: Sequence[int]) -> list[int | Exception]:
        calls.append(list(items))
        if len(calls) == 1:
            raise KeyboardInterrupt
        return list(items)

    gathering: Gathering[int, int] = Gathering(commit, most=10)
    mine, neighbours = gathering.hand_over(1), gathering.hand_over(2)
    with pytest.raises(KeyboardInterrupt):
        gathering.settle([mine])
    assert not neighbours.is_settled
    gathering.settle([neighbours])
    assert calls == [[1, 2], [1, 2]]
    assert (mine.result, neighbours.result) == (1, 2)


_FORKED_WHILE_ONE_LEADS = """
import os, signal, threading
from notifyflow.app.forks import FORKED
from notifyflow.pipeline.gathering import Gathering

has_begun, may_end = threading.Event(), threading.Event()

def commit(items):
    if items == ["parent"]:
        has_begun.set()
        may_end.wait()
    return [f"{item} is committed" for item in items]

gathering = Gathering(commit, most=10)
FORKED.add(gathering)
leader = threading.Thread(target=gathering.commit, args=["parent"])
leader.start()
has_begun.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    os._exit(gathering.commit("child") != "child is committed")
_, status = os.waitpid(child, 0)
may_end.set()
leader.join()
raise SystemExit(status)
"""


def test_a_child_that_is_forked_while_another_thread_leads_commits_its_own() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _FORKED_WHILE_ONE_LEADS]
    assert subprocess.run(command, timeout=DEADLINE_S, check=False).returncode == 0
