"""The sweeper's loop: it sweeps when something is due, and nothing but stop ends it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from notifyflow.engine.sweeper import Sweeper
from notifyflow.errors import StorageUnavailable
from tests.builders import HandClock
from tests.log_lines import capture_logs

DEADLINE_S = 30
CLOCK = HandClock()


def sweep_times(times: int, next_wake_at: Callable[[], datetime | None], step: Callable[[], None] = lambda: None) -> list[str]:
    """Let a sweeper sweep some times, and return what it logged."""
    left = threading.Semaphore(0)

    def sweep() -> bool:
        left.release()
        step()
        return True

    sweeper = Sweeper(CLOCK, sweep, next_wake_at, lambda: 0.0)
    with capture_logs() as lines:
        sweeper.start()
        for _ in range(times):
            assert left.acquire(timeout=DEADLINE_S)
        sweeper.stop()
    return [line["event"] for line in lines]


@pytest.mark.parametrize("after_s", [None, -5.0, 0.0, 0.2, 3600.0])
def test_it_sweeps_again_and_again(after_s: float | None) -> None:
    wake_at = None if after_s is None else CLOCK.now() + timedelta(seconds=after_s)
    assert sweep_times(2, lambda: wake_at) == []


def test_a_database_that_is_away_and_a_bug_do_not_end_it() -> None:
    troubles: list[Exception] = [StorageUnavailable(5), ZeroDivisionError("about ada@example.com")]

    def step() -> None:
        if troubles:
            raise troubles.pop(0)

    events = sweep_times(3, lambda: None, step)
    assert events == ["engine.storage_unavailable", "engine.sweep_broke"]


@pytest.mark.parametrize(("is_clean", "pause_s"), [(True, 0.05), (False, 1.0)])
def test_a_row_that_breaks_every_sweep_and_stays_due_does_not_hurry_it(is_clean: bool, pause_s: float) -> None:
    assert Sweeper(CLOCK, lambda: is_clean, CLOCK.now, lambda: 0.0)._turn() == pause_s


def test_a_timer_that_a_clock_that_lags_does_not_see_as_due_yet_does_not_hurry_it() -> None:
    assert Sweeper(CLOCK, lambda: True, lambda: CLOCK.now() + timedelta(minutes=4), lambda: 0.0)._turn() == 1.0
