"""A provider is never given more than its limit, CRITICAL always finds its fifth, and who is ill is left alone for a while."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.limits import Carrier, Circuit, Obstacle, circuit, grant, hear, obstacle
from notifyflow.core.model import Hold, Standing
from tests.facts import LEASE, NOW, minutes, seconds

CARRIER = Carrier(channel="sms", provider="twilio")
ARRIVALS = st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), min_size=1, max_size=120)
"""Milliseconds that pass, and whether somebody CRITICAL asks then."""


def ask(carrier: Carrier, limit: int, *, is_urgent: bool = False, at: timedelta = timedelta(0)) -> Carrier | Obstacle:
    blocked = obstacle(carrier, limit=limit, is_urgent=is_urgent, now=NOW + at)
    return blocked or grant(carrier, is_urgent=is_urgent, now=NOW + at, lease_until=NOW + at + LEASE)


def spend(count: int, *, limit: int = 100, is_urgent: bool = False) -> Carrier:
    carrier = CARRIER
    for _ in range(count):
        granted = ask(carrier, limit, is_urgent=is_urgent)
        assert isinstance(granted, Carrier)
        carrier = granted
    return carrier


def fail(carrier: Carrier, standing: Standing = Standing.ILL, *, times: int = 1, is_new: bool = True, at: float = 0) -> Carrier:
    for _ in range(times):
        carrier = hear(carrier, standing, is_new=is_new, narrows_s=None, now=NOW + seconds(at))
    return carrier


@given(ARRIVALS, st.integers(1, 30))
def test_no_minute_whatever_holds_more_than_the_limit_nor_more_calm_ones_than_four_fifths(
    arrivals: list[tuple[int, bool]], limit: int
) -> None:
    carrier, at = CARRIER, timedelta(0)
    granted: list[tuple[timedelta, bool]] = []
    for wait_ms, is_urgent in arrivals:
        at += timedelta(milliseconds=wait_ms)
        answer = ask(carrier, limit, is_urgent=is_urgent, at=at)
        if isinstance(answer, Carrier):
            carrier = answer
            granted.append((at, is_urgent))
        else:
            assert (answer.why, answer.provider) == (Hold.LIMIT, "twilio")
            assert NOW + at < answer.until <= NOW + at + seconds(65)
            assert isinstance(ask(carrier, limit, is_urgent=is_urgent, at=answer.until - NOW), Carrier), "the estimate is no lie"
    for began, _ in granted:
        within = [is_urgent for at, is_urgent in granted if began <= at < began + minutes(1)]
        assert len(within) <= limit
        assert within.count(False) <= max(1, limit * 4 / 5)


@given(st.integers(5, 300), st.data())
def test_what_is_not_critical_cannot_take_what_is_kept_for_critical(limit: int, data: st.DataObject) -> None:
    calm = data.draw(st.integers(1, limit))
    carrier = CARRIER
    for _ in range(calm):
        answer = ask(carrier, limit)
        carrier = answer if isinstance(answer, Carrier) else carrier
    for _ in range(limit // 5):
        answer = ask(carrier, limit, is_urgent=True)
        assert isinstance(answer, Carrier)
        carrier = answer


def test_critical_may_use_all_and_then_waits_like_the_others() -> None:
    blocked = ask(spend(100, is_urgent=True), 100, is_urgent=True)
    assert isinstance(blocked, Obstacle)
    assert blocked.until == NOW + seconds(65)


def test_a_provider_that_takes_one_a_minute_carries_whatever_comes() -> None:
    assert isinstance(ask(CARRIER, 1), Carrier)
    assert isinstance(ask(spend(1, limit=1), 1, is_urgent=True), Obstacle)


def test_a_clock_that_is_put_back_opens_no_second_minute() -> None:
    assert isinstance(ask(spend(80), 100, at=-seconds(30)), Obstacle)
    later = ask(spend(79), 100, at=-seconds(30))
    assert isinstance(later, Carrier)
    assert sum(each.calm for each in later.spent) == 80


def test_what_a_provider_asks_for_holds_for_all_and_an_hour_at_most() -> None:
    carrier = hear(CARRIER, Standing.WELL, is_new=True, narrows_s=30, now=NOW)
    carrier = hear(carrier, Standing.WELL, is_new=True, narrows_s=3, now=NOW)
    assert ask(carrier, 100, is_urgent=True) == Obstacle(why=Hold.RETRY_AFTER, until=NOW + seconds(30), provider="twilio")
    assert isinstance(ask(carrier, 100, at=seconds(30)), Carrier)
    nonsense = hear(CARRIER, Standing.ILL, is_new=True, narrows_s=1e8, now=NOW)
    assert nonsense.narrowed_until == NOW + minutes(60)


def test_five_notifications_in_a_row_open_the_circuit_and_nothing_less_does() -> None:
    assert circuit(fail(CARRIER, times=4), NOW) is Circuit.CLOSED
    assert circuit(fail(CARRIER, times=9, is_new=False), NOW) is Circuit.CLOSED, "one address alone, however often"
    mended = fail(fail(fail(CARRIER, times=4), Standing.WELL), times=4)
    assert circuit(mended, NOW) is Circuit.CLOSED
    opened = fail(CARRIER, times=5)
    assert ask(opened, 100, is_urgent=True) == Obstacle(why=Hold.CIRCUIT, until=NOW + seconds(30), provider="twilio")
    assert fail(opened, at=1) == opened, "what began before tells nothing new"


def test_after_its_rest_one_attempt_at_a_time_finds_out() -> None:
    opened = fail(CARRIER, times=5)
    assert circuit(opened, NOW + seconds(30)) is Circuit.HALF_OPEN
    probing = ask(opened, 100, at=seconds(30))
    assert isinstance(probing, Carrier)
    assert ask(probing, 100, at=seconds(31)) == Obstacle(why=Hold.CIRCUIT, until=NOW + seconds(90), provider="twilio")
    assert isinstance(ask(probing, 100, at=seconds(90)), Carrier), "the attempt was lost: another one finds out"
    well = fail(probing, Standing.WELL, at=32)
    assert (circuit(well, NOW), well.failures, well.times_shut) == (Circuit.CLOSED, 0, 0)


@pytest.mark.parametrize(
    ("standing", "why", "rests_s"),
    [
        (Standing.ILL, Hold.CIRCUIT, [30, 60, 120, 240, 300, 300]),
        (Standing.REFUSING, Hold.SUSPENSION, [60, 120, 240, 480, 900, 900]),
    ],
)
def test_each_rest_is_longer_than_the_one_before(standing: Standing, why: Hold, rests_s: list[int]) -> None:
    carrier = fail(CARRIER, standing, times=5 if standing is Standing.ILL else 1)
    at = 0
    for rest_s in rests_s:
        assert (carrier.shut_by, carrier.shut_until) == (why, NOW + seconds(at + rest_s))
        at += rest_s
        carrier = fail(carrier, standing, at=at)
