from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from notifyflow.core.delivery.intervals import PausedInterval
from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import CRITICAL_SCHEDULE, NORMAL_SCHEDULE, RetrySchedule
from notifyflow.core.delivery.retry import next_due, resend_at
from tests import strategies

START = datetime(2026, 11, 25, 2, 14, tzinfo=UTC)
fractions = st.floats(0, 1, exclude_max=True)


def due_in_s(
    schedule: RetrySchedule, *, attempts: int, elapsed_s: float = 0, fraction: float = 0.5, retry_after_s: float | None = None
) -> float | None:
    now = START + timedelta(seconds=elapsed_s)
    due_at = next_due(
        schedule, attempts=attempts, first_started_at=START, now=now, fraction=fraction, retry_after_s=retry_after_s
    )
    return None if due_at is None else (due_at - now).total_seconds()


def test_what_was_paused_is_no_part_of_the_window() -> None:
    paused = [PausedInterval(began_at=START + timedelta(seconds=60), ended_at=START + timedelta(seconds=660))]
    times = {
        "attempts": 1,
        "first_started_at": START,
        "now": START + timedelta(seconds=700),
        "fraction": 0.5,
        "retry_after_s": 90,
    }
    assert next_due(NORMAL_SCHEDULE, **times) is None
    assert next_due(NORMAL_SCHEDULE, **times, intervals=paused) == START + timedelta(seconds=790)


def test_the_shipped_schedules_wait_as_the_rules_say() -> None:
    assert [due_in_s(NORMAL_SCHEDULE, attempts=number) for number in (1, 2, 3, 4)] == [30, 60, 120, 240]
    assert [due_in_s(CRITICAL_SCHEDULE, attempts=number) for number in (1, 2, 3, 4)] == [2, 10, 60, 480]


@given(
    schedule=strategies.schedules().filter(lambda schedule: schedule.delays),
    data=st.data(),
    fraction=fractions,
    elapsed=strategies.spans,
)
def test_a_wait_stays_within_its_jitter_however_late_the_attempt_was(
    schedule: RetrySchedule, data: st.DataObject, fraction: float, elapsed: timedelta
) -> None:
    attempts = data.draw(st.integers(1, len(schedule.delays)))
    wait_s = due_in_s(schedule, attempts=attempts, elapsed_s=elapsed.total_seconds(), fraction=fraction)
    delay_s = schedule.delays[attempts - 1].total_seconds()
    assert wait_s is not None
    assert delay_s * (1 - schedule.jitter) - 1e-5 <= wait_s <= delay_s * (1 + schedule.jitter) + 1e-5


@given(retry_after_s=st.floats(0, 1_200) | st.floats(), elapsed_s=st.floats(0, 86_400), fraction=fractions)
def test_retry_after_is_honoured_but_never_beyond_the_window(retry_after_s: float, elapsed_s: float, fraction: float) -> None:
    assume(not abs(elapsed_s + retry_after_s - 600) < 1e-5)  # instants are whole microseconds
    own_s = due_in_s(NORMAL_SCHEDULE, attempts=1, elapsed_s=elapsed_s, fraction=fraction)
    wait_s = due_in_s(NORMAL_SCHEDULE, attempts=1, elapsed_s=elapsed_s, fraction=fraction, retry_after_s=retry_after_s)
    assert own_s is not None
    if not retry_after_s > own_s:
        assert wait_s == own_s
    elif elapsed_s + retry_after_s > 600:
        assert wait_s is None
    else:
        assert wait_s is not None
        assert abs(wait_s - retry_after_s) < 1e-5


def test_a_retry_after_shorter_than_our_wait_ends_nothing_after_an_outage() -> None:
    assert due_in_s(NORMAL_SCHEDULE, attempts=1, elapsed_s=7_200, retry_after_s=5) == 30
    assert due_in_s(NORMAL_SCHEDULE, attempts=1, elapsed_s=7_200, retry_after_s=31) is None


@given(wait=strategies.spans, doubt_resolution_time=strategies.spans, severity=st.sampled_from(Severity))
def test_a_doubt_that_events_may_resolve_is_not_resent_before_unless_it_is_critical(
    wait: timedelta, doubt_resolution_time: timedelta, severity: Severity
) -> None:
    due_at = resend_at(START + wait, severity=severity, called_at=START, doubt_resolution_time=doubt_resolution_time)
    assert due_at - START == (wait if severity is Severity.CRITICAL else max(wait, doubt_resolution_time))
