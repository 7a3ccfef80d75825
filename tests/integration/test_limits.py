"""Whatever limits, illnesses and pauses come together: nothing is lost or burnt, and no provider gets more than its limit."""

import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.model import Ended, NotificationState, Severity
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.pipeline.delivery.outages import pause, resume
from notifyflow.pipeline.delivery.sweep import next_wake_at
from notifyflow.storage.store import Store
from tests import invariants
from tests.builders import ACCEPTED, BUSY, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.pipeline.delivery.test_limits import PAIR, REFUSING, THROTTLED, UNHEALTHY
from tests.leases import record_one

MINUTE = timedelta(minutes=1)
OUTCOMES = (ACCEPTED, BUSY, UNHEALTHY, REFUSING, THROTTLED)
AT_REST = {NotificationState.SENT, NotificationState.FAILED}
STEPS = st.one_of(
    st.tuples(st.just("notify"), st.sampled_from((Severity.CRITICAL, Severity.ERROR, Severity.ERROR)), st.integers(1, 4)),
    st.tuples(st.just("work"), st.sampled_from(OUTCOMES)),
    st.tuples(st.just("pass_time"), st.sampled_from((1, 5, 31, 61, 300))),
    st.tuples(st.just("pause"), st.sampled_from((PauseScope.ALL, PauseScope.PROVIDER)), st.booleans()),
    st.tuples(st.just("resume"), st.sampled_from((PauseScope.ALL, PauseScope.PROVIDER))),
)


class Play:
    """One driver of limits on a database of its own."""

    def __init__(self, store: Store, limits: Sequence[int]) -> None:
        self.driver = Driver(store)
        self.driver.deps = replace(self.driver.deps, limits=dict(zip(PAIR, limits, strict=True)), is_bundling=False)
        self.keys: list[str] = []

    def notify(self, severity: Severity, count: int) -> None:
        self.keys.append(f"k{len(self.keys):03}")
        people = [a_recipient(f"p{number}", "email") for number in range(count)]
        self.driver.notify(an_incident(self.keys[-1], severity=severity), *people)

    def work(self, outcome=ACCEPTED) -> None:  # type: ignore[no-untyped-def]
        while claimed := self.driver.claim("email", providers=PAIR):
            for each in claimed:
                record_one(self.driver.deps, each, outcome, has_alternative=True)

    def pass_time(self, seconds: int) -> None:
        self.driver.clock.pass_time(timedelta(seconds=seconds))
        self.driver.sweep()

    def pause(self, scope: PauseScope, is_for_critical: bool) -> None:
        now = self.driver.clock.now()
        ends_at = now + timedelta(minutes=10)
        name = "" if scope is PauseScope.ALL else PAIR[0]
        wanted = Pause(scope=scope, name=name, ends_at=ends_at, paused_at=now, paused_by="ada", is_for_critical=is_for_critical)
        pause(self.driver.deps, wanted)

    def resume(self, scope: PauseScope) -> None:
        resume(self.driver.deps, scope, "" if scope is PauseScope.ALL else PAIR[0])

    def heal(self) -> None:
        """Let everybody be well, and time pass, until nothing waits."""
        for _ in range(2000):
            self.driver.sweep()
            self.work()
            wake_at = next_wake_at(self.driver.deps)
            if wake_at is None:
                return
            self.driver.clock.at = max(self.driver.clock.at, wake_at)
        raise AssertionError("it does not come to rest")


@pytest.fixture(scope="session")
def template(_sqlite_template: Path) -> Path:
    return _sqlite_template


@pytest.mark.usefixtures("unmeasured")
@settings(max_examples=40)
@given(steps=st.lists(STEPS, min_size=1, max_size=25), limits=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_limits_lose_and_burn_nothing(steps: list[tuple[str, ...]], limits: tuple[int, int], template: Path) -> None:
    with TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{shutil.copy(template, folder)}")
        try:
            play = Play(store, limits)
            for name, *given_ in steps:
                getattr(play, name)(*given_)
            play.heal()
            _assert_sound(play, limits)
        finally:
            store.close()


def _assert_sound(play: Play, limits: Sequence[int]) -> None:
    began: dict[str, list[tuple[datetime, bool]]] = defaultdict(list)
    for key in play.keys:
        status = play.driver.status(key)
        invariants.check(status)
        for row in (row for each in status.escalations for row in each.notifications):
            assert row.state in AT_REST
            assert row.ended in (None, Ended.BEYOND_WINDOW)
            assert len(counted(row)) == len(row.attempts) <= row.max_attempts
            assert row.state is NotificationState.SENT or len(row.attempts) == row.max_attempts, "only attempts use a row up"
            for attempt in row.attempts:
                began[attempt.provider].append((attempt.started_at, row.severity is Severity.CRITICAL))
    for provider, limit in zip(PAIR, limits, strict=True):
        for start, _ in began[provider]:
            within = [is_urgent for at, is_urgent in began[provider] if start <= at < start + MINUTE]
            assert len(within) <= limit
            assert within.count(False) <= max(1, limit * 4 / 5)
