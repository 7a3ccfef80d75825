"""Schedules around changes of clocks, in all zones, equal a reference that walks the calendar and the clock.

A run draws a few hundred. ``python -m tests.unit.core.oncall.test_schedules_properties`` tries every change of clocks of
every zone.
"""

import random
import sys
from calendar import monthrange
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import groupby, pairwise
from time import perf_counter
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifyflow.core import local_time
from notifyflow.core.hours import Hours
from notifyflow.core.oncall.schedules import Every, Layer, Schedule, Unit, on_duty, shifts, turn
from tests.rotas import STEP, changes_of_clocks, every_layer, pinned_zones, turns

YEARS = range(2018, 2028)
"""Ten years, of which tzdata knows the first and foretells the others."""
AROUND = timedelta(hours=26)
MONDAY = datetime(2018, 1, 1)  # noqa: DTZ001 # local times


@pytest.fixture(autouse=True, scope="module")
def _same_zones_everywhere() -> Iterator[None]:
    with pinned_zones():
        yield


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, datetime]:
    """Draw a zone, and a change of its clocks or any other instant."""
    name = draw(st.sampled_from(sorted(available_timezones())))
    year = draw(st.sampled_from(YEARS))
    changes = changes_of_clocks(ZoneInfo(name), datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    any_instant = st.integers(0, 365 * 96 - 1).map(lambda number: datetime(year, 1, 1, tzinfo=UTC) + number * STEP)
    return name, draw(st.sampled_from(changes) | any_instant if changes else any_instant)


def period(at: datetime) -> tuple[timedelta, datetime, datetime]:
    """Return the period around a moment, and the steps in which to walk through it: a few clocks change at one past."""
    past = (at - datetime(YEARS[0], 1, 1, tzinfo=UTC)) % STEP
    return (timedelta(minutes=1) if past else STEP), at - past - AROUND, at - past + AROUND


def any_schedule(chance: random.Random, name: str, moment: datetime) -> Schedule:
    """Make a schedule with hand-overs near a moment."""
    _, begin, _ = period(moment)
    local = local_time.shown(begin + AROUND, ZoneInfo(name))
    layers = tuple(any_layer(chance, number, local) for number in range(chance.randint(1, 3)))
    return Schedule(name="any", timezone=name, layers=layers)


def any_layer(chance: random.Random, number: int, local: datetime) -> Layer:
    unit = chance.choice(list(Unit))
    every = Every(count=chance.choice((1, 2, 3, 4, 6, 8, 12, 24) if unit is Unit.HOURS else (1, 1, 2, 3, 5)), unit=unit)
    near = local + chance.choice((chance.randint(-8, 8), chance.randint(-104, 104))) * STEP
    days_ago = chance.choice((0, 0, 1, 2, 20, 60) if unit is Unit.HOURS else (0, 1, 7, 30, 400, 3_700))
    months_ago = chance.choice((0, 1, 2, 7, 13, 100))
    first = earlier(near, months_ago) if unit is Unit.MONTHS else near - timedelta(days=days_ago)
    only = tuple(any_hours(chance, local) for _ in range(chance.choice((0, 0, 1, 2))))
    who = tuple((f"{number}.{each}",) for each in range(chance.choice((1, 2, 3, 7))))
    return Layer(who=who, first=first, every=every, only=only)


def earlier(near: datetime, months: int) -> datetime:
    """Return the same day of an earlier month; of the last day of a month, the 31st, if that month has one."""
    is_last = (near + timedelta(days=1)).day == 1
    year, month = divmod(near.year * 12 + near.month - 1 - months, 12)
    days = monthrange(year, month + 1)[1]
    return near.replace(year=year, month=month + 1, day=days if is_last else min(near.day, days))


def any_hours(chance: random.Random, local: datetime) -> Hours:
    def near() -> time:
        return (local + chance.randint(-12, 12) * STEP).time() if chance.random() < 0.6 else time(chance.randrange(24))

    days = frozenset(chance.sample(range(7), chance.choice((1, 2, 5, 7))))
    return Hours(days=days, begins=near(), ends=chance.choice((near(), time(0))))


def compare(schedule: Schedule, at: datetime) -> int:
    """Compare the time around a moment with the reference, and return how many shifts it has."""
    step, begin, end = period(at)
    walked = list(turns(schedule, begin, end, step))
    expected = [
        (() if each is None else schedule.layers[each[0]].who[each[1] % len(schedule.layers[each[0]].who)], next(group)[0])
        for each, group in groupby(walked, key=lambda pair: pair[1])
    ]
    found = list(shifts(schedule, begin=begin, end=end))
    assert [(shift.people, max(shift.begins_at, begin)) for shift in found] == expected
    assert all(before.ends_at == after.begins_at for before, after in pairwise(found))
    assert found[0].begins_at <= begin < end <= found[-1].ends_at
    return len(found)


@settings(max_examples=100)
@given(moments(), st.randoms(use_true_random=False))
def test_shifts_equal_those_of_somebody_who_walks_the_calendar(moment: tuple[str, datetime], chance: random.Random):
    name, at = moment
    compare(any_schedule(chance, name, at), at)


@settings(max_examples=25)
@given(moments(), st.randoms(use_true_random=False))
def test_each_layer_has_one_turn_at_every_instant_that_it_covers(moment: tuple[str, datetime], chance: random.Random):
    name, at = moment
    schedule = any_schedule(chance, name, at)
    zone = ZoneInfo(name)
    step, begin, end = period(at)
    for instant, numbers in every_layer(schedule, begin, end, step):
        for layer, number in zip(schedule.layers, numbers, strict=True):
            people, since, until = turn(layer, zone, instant)
            assert people == (() if number is None else layer.who[number % len(layer.who)])
            assert since <= instant < until


@settings(max_examples=50)
@given(moments(), st.randoms(use_true_random=False))
def test_the_shift_at_an_instant_is_the_one_of_the_period_around_it(moment: tuple[str, datetime], chance: random.Random):
    name, at = moment
    schedule = any_schedule(chance, name, at)
    instant = at + timedelta(seconds=chance.uniform(-1, 1) * AROUND.total_seconds())
    end = at + AROUND + timedelta(seconds=1)  # the instant may be the last one that is drawn, and the end is outside
    around = [each for each in shifts(schedule, begin=at - AROUND, end=end) if each.begins_at <= instant < each.ends_at]
    assert around == [on_duty(schedule, instant)]


@settings(max_examples=50)
@given(moments(), st.lists(st.integers(-104 * 60, 104 * 60), min_size=2, max_size=10))
def test_hand_overs_rise_and_each_is_the_first_instant_at_which_clocks_show_its_time(moment: tuple[str, datetime], minutes):
    zone = ZoneInfo(moment[0])
    wanted = [local_time.shown(moment[1], zone) + timedelta(minutes=each) for each in sorted(minutes)]
    found = [local_time.instant(local, zone) for local in wanted]
    assert found == sorted(found)
    for local, at in zip(wanted, found, strict=True):
        assert local_time.shown(at, zone) >= local
        before = at - timedelta(microseconds=1)
        assert all(local_time.shown(before - timedelta(minutes=each), zone) < local for each in range(0, 26 * 60, 7))


def main(rounds: int) -> None:
    """Compare schedules around every change of clocks in every zone, ``rounds`` for each, and print the figures."""
    chance = random.Random(1)
    counted: Counter[str] = Counter()
    started = perf_counter()
    with pinned_zones():
        for name in sorted(available_timezones()):
            changes = changes_of_clocks(
                ZoneInfo(name), datetime(YEARS[0], 1, 1, tzinfo=UTC), datetime(YEARS[-1] + 1, 1, 1, tzinfo=UTC)
            )
            elsewhere = [MONDAY.replace(tzinfo=UTC) + chance.randrange(3_650 * 96) * STEP for _ in range(5)]
            for at in (*changes, *elsewhere):
                for _ in range(rounds):
                    schedule = any_schedule(chance, name, at)
                    counted["shifts"] += compare(schedule, at)
                    counted["schedules"] += 1
            counted["changes of clocks"] += len(changes)
            counted["zones"] += 1
    figures = ", ".join(f"{number:,} {what}" for what, number in sorted(counted.items()))
    sys.stdout.write(f"{figures}: {perf_counter() - started:.0f} s\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
