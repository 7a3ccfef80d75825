from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.accounts.rate_limit import consume

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def test_a_minutes_worth_may_come_at_once_and_the_next_has_to_wait_for_its_turn():
    state = None
    for _ in range(60):
        state, wait = consume(state, a_minute=60, now=NOW)
        assert wait == timedelta(0)
    kept, wait = consume(state, a_minute=60, now=NOW)
    assert (kept, wait) == (state, SECOND)
    assert consume(state, a_minute=60, now=NOW + SECOND)[1] == timedelta(0)


def test_whoever_was_quiet_has_the_whole_burst_again_and_no_more():
    state, _ = consume(NOW, a_minute=1, now=NOW + 10 * MINUTE)
    assert consume(state, a_minute=1, now=NOW + 10 * MINUTE)[1] == MINUTE


def test_many_are_admitted_together_or_not_at_all():
    state, wait = consume(None, a_minute=60, now=NOW, count=50)
    assert wait == timedelta(0)
    assert consume(state, a_minute=60, now=NOW, count=11) == (state, SECOND)
    assert consume(state, a_minute=60, now=NOW, count=10)[1] == timedelta(0)
    assert consume(None, a_minute=60, now=NOW + 10 * MINUTE, count=61)[1] > timedelta(0)


@given(st.integers(1, 50), st.lists(st.integers(0, 20_000), max_size=200))
def test_no_minute_has_more_than_twice_the_limit_and_the_returned_wait_is_enough(a_minute: int, pauses_ms: list[int]):
    state, now, admitted = None, NOW, []
    for pause_ms in pauses_ms:
        now += timedelta(milliseconds=pause_ms)
        after, wait = consume(state, a_minute=a_minute, now=now)
        if wait:
            assert after == state
            assert consume(state, a_minute=a_minute, now=now + wait)[1] == timedelta(0)
        else:
            admitted.append(now)
        state = after
    assert all(sum(at <= each < at + MINUTE for each in admitted) <= 2 * a_minute for at in admitted)
