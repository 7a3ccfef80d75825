"""A provider never gets more than its limit, CRITICAL always finds its fifth, and an unhealthy one is left alone for a while."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Condition, DeferralReason
from notifyflow.core.limits.provider_health import (
    Circuit,
    Obstacle,
    ProviderHealth,
    circuit,
    grant,
    obstacle,
    record_outcome,
    used,
)
from notifyflow.core.limits.slots import Wanted
from tests.facts import LEASE, NOW, minutes, seconds

HEALTH = ProviderHealth(channel="sms", provider="twilio")
ARRIVALS = st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), min_size=1, max_size=120)
"""Milliseconds that pass, and whether somebody CRITICAL asks then."""


def allocate(
    health: ProviderHealth, limit: int, *, is_urgent: bool = False, at: timedelta = timedelta(0)
) -> ProviderHealth | Obstacle:
    wanted = Wanted(namespace="", is_urgent=is_urgent)
    blocked = obstacle(health, wanted, limit=limit, now=NOW + at)
    return blocked or grant(health, wanted, limit=limit, now=NOW + at, lease_until=NOW + at + LEASE)


def spend(count: int, *, limit: int = 100, is_urgent: bool = False) -> ProviderHealth:
    health = HEALTH
    for _ in range(count):
        granted = allocate(health, limit, is_urgent=is_urgent)
        assert isinstance(granted, ProviderHealth)
        health = granted
    return health


def fail(
    health: ProviderHealth, condition: Condition = Condition.UNHEALTHY, *, times: int = 1, is_new: bool = True, at: float = 0
) -> ProviderHealth:
    for _ in range(times):
        health = record_outcome(health, condition, is_new=is_new, throttle_s=None, now=NOW + seconds(at))
    return health


@given(ARRIVALS, st.integers(1, 30))
def test_no_minute_whatever_holds_more_than_the_limit_nor_more_calm_ones_than_four_fifths(
    arrivals: list[tuple[int, bool]], limit: int
) -> None:
    health, at = HEALTH, timedelta(0)
    granted: list[tuple[timedelta, bool]] = []
    for wait_ms, is_urgent in arrivals:
        at += timedelta(milliseconds=wait_ms)
        allocated = allocate(health, limit, is_urgent=is_urgent, at=at)
        if isinstance(allocated, ProviderHealth):
            health = allocated
            granted.append((at, is_urgent))
        else:
            assert (allocated.why, allocated.provider) == (DeferralReason.LIMIT, "twilio")
            assert NOW + at < allocated.until <= NOW + at + seconds(65)
            assert isinstance(allocate(health, limit, is_urgent=is_urgent, at=allocated.until - NOW), ProviderHealth), (
                "the estimate is no lie"
            )
    for began, _ in granted:
        within = [is_urgent for at, is_urgent in granted if began <= at < began + minutes(1)]
        assert len(within) <= limit
        assert within.count(False) <= max(1, limit * 4 / 5)


@given(st.integers(5, 300), st.data())
def test_what_is_not_critical_cannot_use_what_is_reserved_for_critical(limit: int, data: st.DataObject) -> None:
    calm = data.draw(st.integers(1, limit))
    health = HEALTH
    for _ in range(calm):
        allocated = allocate(health, limit)
        health = allocated if isinstance(allocated, ProviderHealth) else health
    for _ in range(limit // 5):
        allocated = allocate(health, limit, is_urgent=True)
        assert isinstance(allocated, ProviderHealth)
        health = allocated


def test_critical_may_use_all_and_then_waits_like_the_others() -> None:
    blocked = allocate(spend(100, is_urgent=True), 100, is_urgent=True)
    assert isinstance(blocked, Obstacle)
    assert blocked.until == NOW + seconds(65)


def test_a_limit_of_one_a_minute_reserves_nothing_for_critical() -> None:
    assert isinstance(allocate(HEALTH, 1), ProviderHealth)
    assert isinstance(allocate(spend(1, limit=1), 1, is_urgent=True), Obstacle)


def test_a_clock_that_is_put_back_opens_no_second_minute() -> None:
    assert isinstance(allocate(spend(80), 100, at=-seconds(30)), Obstacle)
    later = allocate(spend(79), 100, at=-seconds(30))
    assert isinstance(later, ProviderHealth)
    assert sum(each.calm for each in later.spent) == 80


def test_a_providers_retry_after_counts_for_all_and_an_hour_at_most() -> None:
    health = record_outcome(HEALTH, Condition.HEALTHY, is_new=True, throttle_s=30, now=NOW)
    health = record_outcome(health, Condition.HEALTHY, is_new=True, throttle_s=3, now=NOW)
    assert allocate(health, 100, is_urgent=True) == Obstacle(
        why=DeferralReason.RETRY_AFTER, until=NOW + seconds(30), provider="twilio"
    )
    assert isinstance(allocate(health, 100, at=seconds(30)), ProviderHealth)
    nonsense = record_outcome(HEALTH, Condition.UNHEALTHY, is_new=True, throttle_s=1e8, now=NOW)
    assert nonsense.throttled_until == NOW + minutes(60)


def test_five_notifications_in_a_row_open_the_circuit_and_nothing_less_does() -> None:
    assert circuit(fail(HEALTH, times=4), NOW) is Circuit.CLOSED
    assert circuit(fail(HEALTH, times=9, is_new=False), NOW) is Circuit.CLOSED, "one address alone, however often"
    mended = fail(fail(fail(HEALTH, times=4), Condition.HEALTHY), times=4)
    assert circuit(mended, NOW) is Circuit.CLOSED
    opened = fail(HEALTH, times=5)
    assert allocate(opened, 100, is_urgent=True) == Obstacle(
        why=DeferralReason.CIRCUIT, until=NOW + seconds(30), provider="twilio"
    )
    assert fail(opened, at=1) == opened, "what began before tells nothing new"


def test_after_its_rest_one_attempt_at_a_time_finds_out() -> None:
    opened = fail(HEALTH, times=5)
    assert circuit(opened, NOW + seconds(30)) is Circuit.HALF_OPEN
    probing = allocate(opened, 100, at=seconds(30))
    assert isinstance(probing, ProviderHealth)
    assert allocate(probing, 100, at=seconds(31)) == Obstacle(
        why=DeferralReason.CIRCUIT, until=NOW + seconds(90), provider="twilio"
    )
    assert isinstance(allocate(probing, 100, at=seconds(90)), ProviderHealth), "the attempt was lost: another one finds out"
    well = fail(probing, Condition.HEALTHY, at=32)
    assert (circuit(well, NOW), well.failures, well.times_opened) == (Circuit.CLOSED, 0, 0)


@pytest.mark.parametrize(
    ("condition", "why", "open_for_s"),
    [
        (Condition.UNHEALTHY, DeferralReason.CIRCUIT, [30, 60, 120, 240, 300, 300]),
        (Condition.REFUSING, DeferralReason.SUSPENSION, [60, 120, 240, 480, 900, 900]),
    ],
)
def test_a_circuit_stays_open_longer_each_time(condition: Condition, why: DeferralReason, open_for_s: list[int]) -> None:
    health = fail(HEALTH, condition, times=5 if condition is Condition.UNHEALTHY else 1)
    at = 0
    for each_s in open_for_s:
        assert (health.circuit_opened_by, health.circuit_open_until) == (why, NOW + seconds(at + each_s))
        at += each_s
        health = fail(health, condition, at=at)


def test_the_use_of_a_limit_is_what_was_granted_within_the_last_minute() -> None:
    health = spend(3)
    assert used(health, NOW) == 3
    assert used(health, NOW + seconds(59)) == 3
    assert used(health, NOW + seconds(66)) == 0
