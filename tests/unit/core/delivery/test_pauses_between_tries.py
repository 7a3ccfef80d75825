"""Pauses between tries grow, end at a longest one, and differ from each other."""

from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.retry import pause_s

fractions = st.floats(0, 1, exclude_max=True)


@given(tries=st.integers(1, 10_000), fraction=fractions)
def test_a_pause_is_never_longer_than_the_longest_and_never_shorter_than_half_the_first(tries: int, fraction: float) -> None:
    assert 0.001 <= pause_s(tries, fraction, first_s=0.002, longest_s=0.25) <= 0.25


@given(tries=st.integers(1, 100), fraction=fractions)
def test_pauses_grow(tries: int, fraction: float) -> None:
    one, next_one = (pause_s(each, fraction, first_s=0.002, longest_s=0.25) for each in (tries, tries + 1))
    assert next_one == min(2 * one, pause_s(10_000, fraction, first_s=0.002, longest_s=0.25))


def test_chance_takes_up_to_a_half_off() -> None:
    assert pause_s(3, 0, first_s=1, longest_s=30) == 4
    assert pause_s(3, 0.5, first_s=1, longest_s=30) == 3
