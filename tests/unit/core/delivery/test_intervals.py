"""Deadlines after an outage of our own: moved by its length, once, and never into another."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.intervals import (
    GRACE,
    OUTAGE_AFTER,
    Interval,
    Outage,
    PausedInterval,
    counted,
    moved,
    outage_since,
    paged_at,
)
from notifyflow.core.delivery.model import Severity
from tests.facts import NOW, minutes, seconds

INSTANT = timedelta(microseconds=1)
spans = st.timedeltas(timedelta(), timedelta(hours=3))


def outage(began: float, ended: float) -> Outage:
    """Make an outage that began and ended so many minutes after NOW."""
    return Outage(began_at=NOW + minutes(began), ended_at=NOW + minutes(ended))


@st.composite
def outages(draw: st.DrawFn) -> list[Outage]:
    """Make outages, one after the other, in any order."""
    at, found = NOW - timedelta(hours=1), []
    for _ in range(draw(st.integers(0, 4))):
        began_at = at + draw(spans) + INSTANT
        at = began_at + draw(spans)
        found.append(Outage(began_at=began_at, ended_at=at))
    return draw(st.permutations(found))


def test_no_sweep_for_more_than_a_minute_is_an_outage() -> None:
    assert outage_since(NOW, NOW + OUTAGE_AFTER) is None
    assert outage_since(NOW, NOW - OUTAGE_AFTER) is None
    found = outage_since(NOW, NOW + OUTAGE_AFTER + INSTANT)
    assert found == Outage(began_at=NOW, ended_at=NOW + OUTAGE_AFTER + INSTANT)
    assert found.length == OUTAGE_AFTER + INSTANT


def test_a_deadline_moves_by_what_was_waited_through() -> None:
    deadline = NOW + minutes(5)
    assert moved(deadline, [], since=NOW) == deadline
    assert moved(deadline, [outage(1, 61)], since=NOW) == deadline + minutes(60)
    assert moved(deadline, [outage(1, 3)], since=NOW) == deadline + minutes(2)
    assert moved(deadline, [outage(-30, 2)], since=NOW) == deadline + minutes(2)
    assert moved(deadline, [outage(-30, -1)], since=NOW) == deadline
    assert moved(deadline, [outage(5, 60)], since=NOW) == deadline


def test_a_moved_deadline_may_meet_the_next_outage() -> None:
    assert moved(NOW + minutes(5), [outage(6, 16), outage(1, 3)], since=NOW) == NOW + minutes(17)


@given(span=spans, known=outages())
def test_a_deadline_is_never_sooner_than_it_was_set_and_never_within_an_outage(span: timedelta, known: list[Outage]) -> None:
    deadline = moved(NOW + span, known, since=NOW)
    assert deadline >= NOW + span
    assert not any(each.began_at < deadline < each.ended_at for each in known if each.ended_at > NOW and span)
    ours = sum((max(min(each.ended_at, deadline) - max(each.began_at, NOW), timedelta()) for each in known), timedelta())
    assert deadline - ours == NOW + span


def stop(began: float, ended: float) -> PausedInterval:
    """Make a pause that began and ended so many minutes after NOW."""
    return PausedInterval(began_at=NOW + minutes(began), ended_at=NOW + minutes(ended))


def test_what_several_cover_is_counted_once() -> None:
    deadline = NOW + minutes(5)
    assert moved(deadline, [outage(1, 31), stop(21, 61)], since=NOW) == deadline + minutes(60)
    assert moved(deadline, [stop(1, 61), outage(21, 31)], since=NOW) == deadline + minutes(60)
    assert moved(deadline, [stop(1, 3), outage(1, 3), stop(-9, 2)], since=NOW) == deadline + minutes(3)


def test_what_counts_is_what_nothing_covers() -> None:
    known = [outage(1, 31), stop(21, 61), stop(90, 200), stop(300, 400)]
    assert counted(NOW, NOW + minutes(100), known) == minutes(30)
    assert counted(NOW + minutes(10), NOW + minutes(20), known) == timedelta()
    assert counted(NOW, NOW + minutes(100), []) == minutes(100)


@given(span=spans, known=st.lists(st.tuples(st.integers(-60, 300), st.integers(0, 200))))
def test_a_deadline_is_reached_when_enough_has_counted(span: timedelta, known: list[tuple[int, int]]) -> None:
    intervals = [stop(began, began + length) for began, length in known]
    deadline = moved(NOW + span, intervals, since=NOW)
    assert counted(NOW, deadline, intervals) == span
    covered = {minute for began, length in known for minute in range(max(began, 0), began + length)}
    passed = [NOW + minutes(minute) for minute in covered if NOW + minutes(minute + 1) <= deadline]
    assert deadline - NOW - span == minutes(len(passed))


@given(one=spans, other=spans, known=outages())
def test_what_was_due_first_is_due_first_after_all_outages(one: timedelta, other: timedelta, known: list[Outage]) -> None:
    def after(span: timedelta) -> datetime:
        return moved(NOW + span, known, since=NOW)

    assert after(min(one, other)) <= after(max(one, other))


@given(span=spans, known=outages(), later=spans)
def test_while_an_outage_lasts_nothing_becomes_due(span: timedelta, known: list[Outage], later: timedelta) -> None:
    began_at = max((each.ended_at for each in known), default=NOW) + seconds(1)
    now = began_at + later
    was_due = began_at >= moved(NOW + span, known, since=NOW)
    is_due = now >= moved(NOW + span, [*known, Outage(began_at=began_at, ended_at=now)], since=NOW)
    assert is_due == was_due or now == began_at


def test_of_a_critical_page_what_outages_and_a_pause_cover_together_counts_once() -> None:
    def paged(*intervals: Interval, severity: Severity = Severity.CRITICAL) -> timedelta:
        return paged_at(NOW + minutes(5), intervals, since=NOW, severity=severity) - NOW

    pause = PausedInterval(began_at=NOW + minutes(1), ended_at=NOW + minutes(4))
    assert paged(pause, outage(2, 3)) == paged(pause, outage(2, 3), outage(2, 2.5)) == minutes(8)
    assert paged(pause, outage(3, 7)) == minutes(11)
    assert paged(outage(-3, -2), pause) == minutes(8)
    assert paged(outage(2, 62), severity=Severity.ERROR) == minutes(65)
    assert paged(outage(2, 62)) == minutes(62) + GRACE, "it passed in the outage, and answers may come in first"
