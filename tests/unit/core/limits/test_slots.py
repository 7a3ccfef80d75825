"""However namespaces send, a provider gets no more than its limit, and one that has had little finds what is kept for it."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.limits.provider_health import Obstacle, ProviderHealth, grant, obstacle
from notifyflow.core.limits.slots import Wanted
from notifyflow.core.namespaces import OPERATIONS
from tests.facts import LEASE, NOW, minutes, seconds

NAMES = ("loud", "other", "quiet", OPERATIONS)
REQUESTS = st.lists(
    st.tuples(st.integers(0, 9_000), st.sampled_from(NAMES), st.booleans(), st.integers(1, 12)), min_size=1, max_size=25
)
"""Milliseconds that pass, who asks then, whether CRITICAL, and how often at once."""
MINE = st.lists(st.tuples(st.integers(0, 9_000), st.booleans(), st.integers(1, 40)), min_size=1, max_size=25)


def ask(health: ProviderHealth, name: str, limit: int, at: timedelta, *, is_urgent: bool = False) -> ProviderHealth | Obstacle:
    wanted = Wanted(namespace=name, is_urgent=is_urgent)
    blocked = obstacle(health, wanted, limit=limit, now=NOW + at)
    return blocked or grant(health, wanted, limit=limit, now=NOW + at, lease_until=NOW + at + LEASE)


def has_sent(*names: str) -> ProviderHealth:
    health = ProviderHealth(channel="sms", provider="twilio")
    for name in names:
        granted = ask(health, name, 100, -minutes(50))
        assert isinstance(granted, ProviderHealth)
        health = granted
    return health


@given(REQUESTS, st.integers(1, 30))
def test_no_minute_has_more_than_the_limit_nor_more_calm_ones_than_four_fifths(
    requests: list[tuple[int, str, bool, int]], limit: int
) -> None:
    health, at = has_sent(), timedelta(0)
    granted: list[tuple[timedelta, bool]] = []
    for wait_ms, name, is_urgent, times in requests:
        at += timedelta(milliseconds=wait_ms)
        for _ in range(times):
            asked = ask(health, name, limit, at, is_urgent=is_urgent)
            if isinstance(asked, ProviderHealth):
                health = asked
                granted.append((at, is_urgent))
                continue
            assert NOW + at < asked.until <= NOW + at + seconds(65)
            assert isinstance(ask(health, name, limit, asked.until - NOW, is_urgent=is_urgent), ProviderHealth)
            break
    for began, _ in granted:
        within = [is_urgent for at, is_urgent in granted if began <= at < began + minutes(1)]
        assert len(within) <= limit
        assert within.count(False) <= max(1, limit * 4 / 5)


@given(MINE, st.sampled_from([10, 25, 100]))
def test_a_flood_of_one_leaves_each_other_a_fifth_of_each_share(requests: list[tuple[int, bool, int]], limit: int) -> None:
    health, at = has_sent("loud", "quiet"), timedelta(0)
    for wait_ms, is_urgent, times in requests:
        at += timedelta(milliseconds=wait_ms)
        for _ in range(times):
            asked = ask(health, "loud", limit, at, is_urgent=is_urgent)
            if isinstance(asked, Obstacle):
                break
            health = asked
    reserve = limit // 5
    wishes = [False] * max(1, (limit - reserve) // 5) + [True] * max(1, reserve // 5)
    for is_urgent in wishes:
        granted = ask(health, "quiet", limit, at, is_urgent=is_urgent)
        assert isinstance(granted, ProviderHealth), granted
        health = granted


def test_who_has_sent_nothing_for_an_hour_is_forgotten() -> None:
    health = has_sent("loud", "quiet")
    for number in range(2):
        granted = ask(health, "loud", 100, minutes(11 + 2 * number))
        assert isinstance(granted, ProviderHealth)
        health = granted
    assert [each.namespace for each in health.namespace_slots] == ["loud"]


def taken_by(*asked: tuple[str, bool], limit: int = 10) -> list[bool]:
    """Say which of some notifications got a slot of a minute, when two namespaces have sent within the hour."""
    health, found = has_sent("loud", "quiet"), []
    for name, is_urgent in asked:
        granted = ask(health, name, limit, timedelta(), is_urgent=is_urgent)
        found.append(isinstance(granted, ProviderHealth))
        health = granted if isinstance(granted, ProviderHealth) else health
    return found


LOUD, QUIET = ("loud", False), ("quiet", False)
LOUD_ALARM, QUIET_ALARM, OWN_ALARM = ("loud", True), ("quiet", True), (OPERATIONS, True)


def test_of_ten_slots_a_minute_one_is_kept_for_another_and_two_for_what_is_critical() -> None:
    assert taken_by(*[LOUD] * 8, QUIET, QUIET) == [True] * 7 + [False, True, False]
    assert taken_by(*[LOUD] * 7, QUIET, LOUD_ALARM, QUIET_ALARM, LOUD_ALARM) == [True] * 10 + [False]


def test_a_flood_of_what_is_critical_leaves_a_slot_of_the_reserve_and_of_the_rest() -> None:
    assert taken_by(*[LOUD_ALARM] * 9, QUIET_ALARM, QUIET) == [True] * 8 + [False, True, True]
    assert taken_by(*[LOUD_ALARM] * 9, OWN_ALARM) == [True] * 8 + [False, True]
