"""What pages somebody is put off by outages for a quarter of an hour at most, however long and however many they are."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.intervals import GRACE, LONGEST, POLLED_GRACE, Interval, Outage, PausedInterval, moved, paged_at
from notifyflow.core.delivery.model import Severity
from tests.facts import NOW, minutes, seconds

CRITICAL = Severity.CRITICAL


def outage(began: float, ended: float) -> Outage:
    """Make an outage that began and ended so many minutes after NOW."""
    return Outage(began_at=NOW + minutes(began), ended_at=NOW + minutes(ended))


def stop(began: float, ended: float) -> PausedInterval:
    return PausedInterval(began_at=NOW + minutes(began), ended_at=NOW + minutes(ended))


def paged(after_min: float, *intervals: Interval, severity: Severity = CRITICAL, grace: timedelta = GRACE) -> float:
    """Return after how many minutes a deadline that many minutes after NOW is over."""
    return (paged_at(NOW + minutes(after_min), intervals, since=NOW, severity=severity, grace=grace) - NOW) / minutes(1)


def test_a_short_outage_puts_it_off_by_its_length() -> None:
    assert paged(5) == 5
    assert paged(5, outage(1, 11)) == 15
    assert paged(5, outage(-9, 3)) == 8
    assert paged(5, outage(1, 8), outage(9, 12)) == 15


def test_a_long_one_puts_it_off_until_just_after_its_end() -> None:
    assert paged(5, outage(1, 121)) == 121 + GRACE / minutes(1)
    assert paged(5, outage(1, 121), grace=POLLED_GRACE) == 122
    assert paged(30, outage(1, 21)) == 45, "a quarter of an hour later, long after its end"


def test_several_put_it_off_by_a_quarter_of_an_hour_together() -> None:
    assert paged(5, outage(1, 11), outage(12, 22), outage(22.5, 40)) == 22 + GRACE / minutes(1)
    assert paged(40, outage(1, 11), outage(12, 22), outage(56, 70)) == 55


def test_later_outages_give_no_new_grace() -> None:
    crashes = [outage(each, each + 1.2) for each in range(1, 200, 2)]
    assert paged(5, *crashes) == paged(5, *crashes[:14])


def test_a_pause_puts_it_off_by_all_of_its_length_and_no_outage_within_it_counts() -> None:
    assert paged(5, stop(1, 121)) == 125
    assert paged(5, stop(1, 121), outage(2, 100)) == 125
    assert paged(5, stop(1, 31), outage(11, 41)) == 45, "ten minutes of it are alone"
    assert paged(5, outage(1, 61), stop(61.1, 91)) == 91 + (GRACE - seconds(6)) / minutes(1), "the grace stands still, too"


@pytest.mark.parametrize("severity", [Severity.ERROR, Severity.WARNING, Severity.INFO])
def test_what_is_not_critical_is_put_off_by_all_of_it(severity: Severity) -> None:
    assert paged(5, outage(1, 121), severity=severity) == 125


@st.composite
def intervals(draw: st.DrawFn) -> list[Interval]:
    """Make outages one after the other, and pauses anywhere."""
    found: list[Interval] = []
    at = draw(st.integers(-300, 600))
    for _ in range(draw(st.integers(0, 6))):
        ended = at + draw(st.integers(61, 1800))
        found.append(Outage(began_at=NOW + seconds(at), ended_at=NOW + seconds(ended)))
        at = ended + draw(st.integers(1, 120))
    for _ in range(draw(st.integers(0, 3))):
        began = draw(st.integers(-300, 4000))
        found.append(PausedInterval(began_at=NOW + seconds(began), ended_at=NOW + seconds(began + draw(st.integers(1, 1200)))))
    return draw(st.permutations(found))


def by_the_second(wait_s: int, known: Sequence[Interval]) -> datetime:
    """Return when a clock rings that stands still in pauses, and in outages for the first quarter of an hour."""
    at, left_s, allowance_s, seen_in = NOW, wait_s, LONGEST.total_seconds(), None
    while left_s:
        stopped = [each for each in known if each.began_at <= at < each.ended_at]
        at += seconds(1)
        if any(isinstance(each, PausedInterval) for each in stopped):
            continue
        if stopped and allowance_s:
            allowance_s -= 1
            continue
        left_s -= 1
        seen_in = stopped[0] if stopped and not left_s else None
    return at if seen_in is None else _after(seen_in.ended_at, known)


def _after(ended_at: datetime, known: Sequence[Interval]) -> datetime:
    """Return the end of the grace after an outage, which stands still in pauses."""
    at, left = ended_at, GRACE
    while left:
        is_paused = any(isinstance(each, PausedInterval) and each.began_at <= at < each.ended_at for each in known)
        at += seconds(1)
        left -= timedelta() if is_paused else seconds(1)
    return at


@given(wait_s=st.integers(1, 2400), known=intervals())
def test_it_is_what_a_clock_shows_that_is_stopped_by_hand(wait_s: int, known: list[Interval]) -> None:
    assert paged_at(NOW + seconds(wait_s), known, since=NOW, severity=CRITICAL) == by_the_second(wait_s, known)


@given(wait_s=st.integers(1, 2400), known=intervals())
def test_it_is_never_later_than_what_silences_and_a_quarter_of_an_hour_or_the_end_of_its_outage(
    wait_s: int, known: list[Interval]
) -> None:
    deadline = NOW + seconds(wait_s)
    at = paged_at(deadline, known, since=NOW, severity=CRITICAL)
    paused_intervals = [each for each in known if isinstance(each, PausedInterval)]
    latest = moved(deadline + LONGEST, paused_intervals, since=NOW)
    ends = [each.ended_at for each in known if isinstance(each, Outage) and each.began_at <= latest]
    assert deadline <= at <= max([latest, *(moved(each + GRACE, paused_intervals, since=each) for each in ends)])
