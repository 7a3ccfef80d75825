"""A thread that commits for others is cut short at any line: what it committed is handed over, and nothing is stored twice."""

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from notifyflow.core.delivery.model import AttemptState, Notified, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.engine.recording import Recorder
from notifyflow.engine.shared_claims import Batch, Claimer
from notifyflow.pipeline.delivery.notify import Submitted
from notifyflow.pipeline.delivery.record import Recording
from notifyflow.pipeline.transaction.ports import Claimed, FollowUps
from notifyflow.service.delivery.submissions import Submissions
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, REFUSED, a_contact, a_recipient, an_incident
from tests.cutting import Cut, CutStore
from tests.driver import Driver
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.servers.postgres import Postgres
from tests.servers.relay import Holding
from tests.waiting import wait_until

STEPS = {True: 7, False: 1}
"""Of the many lines of a transaction, one in so many is tried; of those after it, each."""


@dataclass
class Scene:
    """Threads over a store that cuts one of them short."""

    driver: Driver
    store: CutStore
    is_before: bool
    reported: list[FollowUps] = field(default_factory=list)

    @property
    def deps(self) -> Any:
        return replace(self.driver.deps, transactions=self.store)

    @property
    def rung(self) -> list[str]:
        return [due.notification_id for each in self.reported for due in each.due]

    def cut_at_each_line(self, act: Callable[[int], object]) -> int:
        """Do something again and again, cut short at one line after the other until it comes to its end; return how often."""
        for number in range(10_000):
            self.reported.clear()
            self.driver.clock.pass_time(timedelta(minutes=1))  # the providers take 100 a minute
            self.store.lines = number * STEPS[self.is_before]
            try:
                act(number)
            except Cut:
                continue
            return number
        raise AssertionError

    def pages(self, key: str) -> list[Any]:
        return [row for each in self.driver.status(key).escalations for row in each.notifications]


@pytest.fixture(params=[True, False], ids=["in the transaction", "after it"])
def scene(store: Store, request: pytest.FixtureRequest, unmeasured: None) -> Scene:
    return Scene(Driver(store), CutStore(store, is_before=request.param), request.param)


def _submitted(key: str, severity: Severity = Severity.ERROR) -> Submitted:
    checked = CheckedIncident(incident=an_incident(key=key, severity=severity), contacts=(a_contact("ada", "email"),), faults=())
    return Submitted(checked=checked, policy=DEFAULT)


def test_submissions_are_stored_once_and_rung_for(scene: Scene, store: Store) -> None:
    submissions = Submissions(UseCases(scene.deps, scene.reported.append), within=store.within)

    def submit(number: int) -> None:
        neighbours = submissions._group_commit.add(_submitted(f"b-{number}"), until=Deadline(60))
        try:
            submissions.store(_submitted(f"a-{number}"), Deadline(60))
        finally:
            sys.settrace(None)
            submissions._group_commit.wait_for([neighbours])
            assert isinstance(neighbours.result, Notified)
            assert neighbours.result.is_new
            keys = [f"b-{number}"] if scene.is_before else [f"a-{number}", f"b-{number}"]
            stored = [each for each in keys if store.read(lambda reads, key=each: reads.status(key)) is not None]
            assert stored == keys
            assert [scene.driver.status(key).facts.times_seen for key in keys] == [1] * len(keys)
            assert {row.id for key in keys for row in scene.pages(key)} <= set(scene.rung)

    assert scene.cut_at_each_line(submit) > 10


def test_outcomes_are_recorded_once_and_what_follows_is_reported(scene: Scene) -> None:
    recorder = Recorder(
        scene.deps, scene.reported.append, is_stopping=lambda: False, pause=time.sleep, monitor=threading.Condition
    )

    def record(number: int) -> None:
        key = f"a-{number}"
        scene.driver.notify(an_incident(key), *(a_recipient(who, "email", "sms") for who in ("ada", "ben")))
        claimed = scene.driver.claim("email")
        recordings = [Recording(lease=each.lease, outcome=REFUSED) for each in claimed]
        opened = [recorder.add(each, what, timedelta()) for each, what in zip(claimed, recordings, strict=True)]
        try:
            recorder.wait_for(opened[:1])
        finally:
            sys.settrace(None)
            recorder.wait_for(opened[1:])
            assert opened[1].pending.result is None
            mails = [row for row in scene.pages(key) if row.channel == "email"]
            texts = {row.id for row in scene.pages(key) if row.channel == "sms"}
            assert [row.attempts[0].state for row in mails] == [AttemptState.RECORDED] * 2
            assert len(texts) == 2
            assert texts <= set(scene.rung)
            assert {row.id for each in scene.reported for row in each.failed} == {row.id for row in mails}

    assert scene.cut_at_each_line(record) > 10


def test_claimed_attempts_are_dealt_to_the_threads_that_wait(scene: Scene) -> None:
    def release(unsent: Sequence[Claimed]) -> None:
        assert not unsent

    claimer = Claimer(
        scene.deps,
        channels(ScriptedProvider()),
        report=scene.reported.append,
        release=release,
        owe=lambda ids: None,
        monitor=threading.Condition,
    )

    def claim(number: int) -> None:
        key = f"a-{number}"
        scene.driver.notify(an_incident(key), *(a_recipient(who, "email") for who in ("ada", "ben")))
        named = [row.id for row in scene.pages(key)]
        batches = [Batch([each], 1) for each in named]
        neighbours = claimer._group_commit("email").add(batches[1])
        try:
            claimer.fill("email", batches[0])
        finally:
            sys.settrace(None)
            claimer._group_commit("email").wait_for([neighbours])
            assert neighbours.result == frozenset(named[1:])
            assigned = [[each.message.notification_id for each in batch.take()] for batch in batches]
            assert assigned[1] == named[1:]
            running = [row.id for row in scene.pages(key) if any(each.state is AttemptState.RUNNING for each in row.attempts)]
            assert sorted(running) == sorted(each for some in assigned for each in some)
            for claimed in scene.driver.claim("email"):  # what was put back
                scene.driver.record(claimed, ACCEPTED)

    assert scene.cut_at_each_line(claim) > 10


@pytest.fixture
def relay(postgres_server: Postgres) -> Iterator[Holding]:
    with Holding(postgres_server.port) as running:
        yield running


THREADS = 40


def test_a_time_limit_that_strikes_while_the_server_commits_is_one_threads_own(
    relay: Holding, postgres_url: str, unmeasured: None
) -> None:
    """As dramatiq raises it: an exception that is set in the leading thread, which waits for the server's answer."""
    store = Store(f"postgresql://postgres@127.0.0.1:{relay.port}/{postgres_url.rpartition('/')[2]}")
    driver = Driver(store)
    reported: list[FollowUps] = []
    submissions = Submissions(UseCases(driver.deps, reported.append), within=store.within)
    submissions.store(_submitted("first"), Deadline(60))
    threads: dict[str, int] = {}

    def submit(key: str) -> Notified | None:
        threads[key] = threading.get_ident()
        with suppress(Cut):
            return submissions.store(_submitted(key), Deadline(60))
        return None

    keys = [f"db-{number}" for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        submissions._group_commit._has_leader = True  # until all have come
        futures = [pool.submit(submit, key) for key in keys]
        wait_until(lambda: len(submissions._group_commit._waiting) == THREADS)
        relay.holds = True
        with submissions._group_commit._monitor as _:
            submissions._group_commit._has_leader = False
            submissions._group_commit._monitor.notify_all()
        assert relay.is_held.wait(60)
        (leader,) = {each.ident for each in threading.enumerate() if _is_committing(each)}
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(leader), ctypes.py_object(Cut)) == 1
        notified = [future.result(60) for future in futures]
    assert sum(each is None for each in notified) == 1
    assert all(each.is_new for each in notified if each is not None)
    assert [driver.status(key).facts.times_seen for key in keys] == [1] * THREADS
    pages = {row.id for key in keys for each in driver.status(key).escalations for row in each.notifications}
    assert pages <= {due.notification_id for each in reported for due in each.due}
    store.close()


def _is_committing(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "_commit" and "/storage/" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False
