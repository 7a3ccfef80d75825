"""What many threads submit at once is committed together: each gets its own result, and no key is opened twice."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import TypeVar

import pytest

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.core.delivery.model import Notified
from notifyflow.core.intake.requests import Submission
from notifyflow.errors import IdempotencyMismatch, StorageUnavailable
from notifyflow.pipeline.transaction.idempotency import Once
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.integration.engine.test_deliver import NotedBell
from tests.patience import PatientStore
from tests.waiting import wait_until

T = TypeVar("T")

THREADS = 50
DEADLINE_S = 60
ADA = Recipient(id="ada", email="ada@example.com")


class CountingStore(PatientStore):
    """A store that counts its transactions, and is away for some of them."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.transactions = 0
        self.away_for = 0

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        self.transactions += 1
        if self.away_for:
            self.away_for -= 1
            raise StorageUnavailable(0.0)
        return super().run(use_case, timeout_s=timeout_s, tries=tries)


@pytest.fixture
def store(database_url: str) -> Iterator[CountingStore]:
    opened = CountingStore(database_url)
    yield opened
    opened.close()


@pytest.fixture
def bell() -> NotedBell:
    return NotedBell()


@pytest.fixture
def flow(store: CountingStore, bell: NotedBell) -> Iterator[NotifyFlow]:
    with NotifyFlow(Settings(), store=store, channels=channels(ScriptedProvider()), bell=bell) as opened:
        opened.notify(_incident("first"), [ADA])
        yield opened


def _incident(key: str, severity: Severity = Severity.ERROR) -> Incident:
    return Incident(key=key, title="orders db is down", severity=severity)


def _new(flow: NotifyFlow, key: str, severity: Severity = Severity.ERROR) -> Callable[[], Notified]:
    return lambda: flow.notify(_incident(key, severity), [ADA])


def _together(flow: NotifyFlow, submissions: Sequence[Callable[[], Notified]]) -> list[Future[Notified]]:
    """Let threads submit while another one's transaction runs, which waits for ours; return what became of theirs."""
    group_commit = flow._service._submissions._group_commit

    def hold(ledger: Ledger) -> list[Future[Notified]]:
        ledger.incidents.lock_newest_of([("", "first")])
        leads = pool.submit(flow.notify, _incident("first"), [ADA])
        wait_until(lambda: group_commit._has_leader and not group_commit._waiting)
        futures = [pool.submit(each) for each in submissions]
        wait_until(lambda: len(group_commit._waiting) == len(submissions))
        return [leads, *futures]

    with ThreadPoolExecutor(len(submissions) + 1) as pool:
        leads, *futures = Store.run(flow._store, hold)
        leads.result(DEADLINE_S)
    return futures


def test_threads_with_one_key_open_one_incident_and_count_the_others(flow: NotifyFlow) -> None:
    together = Barrier(THREADS)

    def submit(_: int) -> Notified:
        together.wait(DEADLINE_S)
        return flow.notify(_incident("db-1"), [ADA])

    with ThreadPoolExecutor(THREADS) as pool:
        notified = list(pool.map(submit, range(THREADS)))
    assert len({each.incident_id for each in notified}) == 1
    assert [each.is_new for each in notified].count(True) == 1
    status = flow.status("db-1")
    assert status.facts.times_seen == THREADS
    assert len(status.escalations) == 1


def test_threads_with_keys_of_their_own_share_one_transaction_and_its_rings(
    flow: NotifyFlow, store: CountingStore, bell: NotedBell
) -> None:
    before, bell.rung = store.transactions, []
    futures = _together(flow, [_new(flow, f"db-{number}") for number in range(THREADS)])
    assert all(each.result(DEADLINE_S).is_new for each in futures)
    assert store.transactions - before == 2  # theirs, and the one they waited for
    assert len(bell.rung) < THREADS
    assert sum(len(ids) for _, _, ids in bell.rung) == THREADS


def test_submissions_with_one_key_or_one_idempotency_key_are_never_in_one_set(flow: NotifyFlow, store: CountingStore) -> None:
    def once(key: str) -> Callable[[], Notified]:
        submission = Submission(incident=_incident(key), recipients=(ADA,))
        name = Once(api_key_id="a", idempotency_key="k", fingerprint="f")
        return lambda: flow._service.submit(submission, once=name)

    before = store.transactions
    futures = _together(flow, [_new(flow, "db-1"), _new(flow, "db-1"), once("db-2"), once("db-3")])
    first, second, third, fourth = (each.result(DEADLINE_S) for each in futures)
    assert (first.is_new, second.is_new) in [(True, False), (False, True)]
    assert third == fourth
    assert store.transactions - before == 3


def test_a_request_that_is_refused_harms_no_other_of_its_set(flow: NotifyFlow) -> None:
    def once(fingerprint: str) -> Notified:
        submission = Submission(incident=_incident("db-1"), recipients=(ADA,))
        name = Once(api_key_id="a", idempotency_key="k", fingerprint=fingerprint)
        return flow._service.submit(submission, once=name)

    once("f")
    futures = _together(flow, [_new(flow, "db-2"), lambda: once("g"), _new(flow, "db-3")])
    assert [type(each.exception(DEADLINE_S)) for each in futures] == [type(None), IdempotencyMismatch, type(None)]
    assert flow.status("db-1").facts.times_seen == 1
    assert flow.find("db-2")
    assert flow.find("db-3")


def test_critical_ones_go_first(flow: NotifyFlow) -> None:
    crowd = [Recipient(id=f"p{number}", email=f"p{number}@example.com") for number in range(100)]  # 301 rows
    large = [lambda number=number: flow.notify(_incident(f"large-{number}"), crowd) for number in range(2)]  # type: ignore[misc]
    futures = _together(flow, [*large, _new(flow, "urgent", Severity.CRITICAL)])
    assert all(each.result(DEADLINE_S).is_new for each in futures)
    opened = {key: flow.status(key).facts.opened_at for key in ("large-0", "large-1", "urgent")}
    assert opened["urgent"] == min(opened.values()) < max(opened.values())


def test_a_large_submission_does_not_wait_for_the_others(flow: NotifyFlow) -> None:
    group_commit = flow._service._submissions._group_commit
    group_commit._has_leader = True  # as if another thread's transaction took its time
    crowd = [Recipient(id=f"p{number}", email=f"p{number}@example.com") for number in range(200)]
    assert len(flow.notify(_incident("db-1"), crowd).added) == 200
    group_commit._has_leader = False


def test_a_submission_that_waits_too_long_for_others_is_stored_beside_them(database_url: str, bell: NotedBell) -> None:
    """Within the five seconds that a sender waits."""
    with (
        closing(Store(database_url)) as store,
        NotifyFlow(Settings(), store=store, channels=channels(ScriptedProvider()), bell=bell) as flow,
    ):
        group_commit = flow._service._submissions._group_commit
        group_commit._has_leader = True  # as if a transaction of others waited for somebody
        assert flow.notify(_incident("db-1"), [ADA]).is_new
        assert not group_commit._waiting
        group_commit._has_leader = False


def test_whose_time_is_not_over_when_that_of_the_set_is_is_stored_with_another_set(
    flow: NotifyFlow, store: CountingStore
) -> None:
    store.away_for = 1
    assert flow.notify(_incident("db-1"), [ADA]).is_new


_FORKED_WHILE_ONE_LEADS = """
import os, signal, sys
from notifyflow import Incident, NotifyFlow, Recipient, Settings

with NotifyFlow(Settings(database_url=sys.argv[1])) as flow:
    ada = Recipient(id="ada", email="ada@example.com")
    flow.notify(Incident(key="db-1", title="down"), [ada])
    flow._service._submissions._group_commit._has_leader = True  # as if another thread's transaction ran
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(not flow.notify(Incident(key="db-2", title="down"), [ada]).is_new)
    raise SystemExit(os.waitpid(child, 0)[1])
"""


def test_a_child_that_is_forked_while_another_thread_leads_submits_its_own(database_url: str) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _FORKED_WHILE_ONE_LEADS, database_url]
    environment = os.environ | {"NOTIFYFLOW_DRAIN_S": "0"}
    assert subprocess.run(command, timeout=DEADLINE_S, check=False, env=environment).returncode == 0
