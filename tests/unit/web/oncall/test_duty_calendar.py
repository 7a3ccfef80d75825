"""The calendar of a schedule: at every time of every day it names whom the schedule has on duty."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifyflow.core import local_time
from notifyflow.core.hours import LATEST
from notifyflow.core.oncall.schedules import DutyReason, Every, Layer, Override, Schedule, Shift, Unit, on_duty, shifts
from notifyflow.web.oncall.duty_calendar import LANES, CalendarDays, Day, joined, span_at, weeks
from tests.facts import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def rota(timezone: str, *who: str, every: Every, first: str = "2011-01-03T09:00") -> Schedule:
    layer = Layer(who=tuple((each,) for each in who), first=datetime.fromisoformat(first), every=every)
    return Schedule(name="primary", timezone=timezone, layers=(layer,))


def days_of(schedule: Schedule, now: datetime, *overrides: Override) -> tuple[CalendarDays, list[Day]]:
    span = span_at(now, ZoneInfo(schedule.timezone))
    found = list(joined(shifts(schedule, begin=span.begins_at, end=span.ends_at, overrides=overrides)))
    return span, [day for week in weeks(found, span, str.upper) for day in week]


def an_override(begin: datetime, end: datetime, *people: str) -> Override:
    return Override(id="1", schedule="primary", people=people, begins_at=begin, ends_at=end, made_by="ada", made_at=begin)


@pytest.mark.parametrize("every", [Every(count=6, unit=Unit.HOURS), Every(count=1, unit=Unit.DAYS)])
@pytest.mark.parametrize(
    ("timezone", "now"),
    [
        ("UTC", NOW),
        ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 1, tzinfo=UTC)),
        ("Pacific/Apia", datetime(2011, 12, 28, tzinfo=UTC)),  # which has no 30 December in that year
    ],
)
def test_the_calendar_names_who_is_on_duty_at_every_time(timezone: str, now: datetime, every: Every) -> None:
    schedule = rota(timezone, "ada", "ben", "cy", every=every)
    span, days = days_of(schedule, now)
    by_date = {day.date: day for day in days}
    at = span.begins_at
    while at < span.ends_at:
        local = local_time.shown(at, span.zone)
        if local_time.instant(local, span.zone) == at:  # a time that the clocks show twice means the first of the two
            (names,) = [each.names for each in by_date[local.date()].pieces if each.begins <= f"{local:%H:%M}"][-1:]
            assert names == on_duty(schedule, at).people[0].upper(), local
        at += HOUR / 2
    assert len(days) % 7 == 0
    assert [day.name for day in days[:7]] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def test_a_date_that_the_zone_skips_has_no_duty() -> None:
    schedule = rota("Pacific/Apia", "ada", "ben", every=Every(count=1, unit=Unit.DAYS))
    _, days = days_of(schedule, datetime(2011, 12, 28, tzinfo=UTC))
    assert [day.label for day in days if not day.pieces] == ["30 Dec"]


@pytest.mark.parametrize("number", range(7))
def test_the_calendar_holds_the_current_week_and_the_next_four(number: int) -> None:
    span, days = days_of(rota("UTC", "ada", every=Every(count=1, unit=Unit.WEEKS)), NOW + number * DAY)
    assert span.first.weekday() == span.end.weekday() == 0
    assert span.end - span.today >= timedelta(weeks=4)
    assert span.end - span.today < timedelta(weeks=5)
    (today,) = [day for day in days if day.is_today]
    assert today.date == span.today
    assert [day for day in days if day.is_past] == days[: days.index(today)]


def test_nobody_and_an_override_are_told_apart_from_a_turn() -> None:
    schedule = rota("UTC", "ada", every=Every(count=1, unit=Unit.WEEKS), first="2026-11-27T09:00")
    override = an_override(datetime(2026, 11, 28, 18, tzinfo=UTC), datetime(2026, 11, 28, 20, tzinfo=UTC), "ben", "cy")
    _, days = days_of(schedule, NOW, override)
    shown = {day.label: [(each.begins, each.names, each.is_override) for each in day.pieces] for day in days}
    assert shown["26 Nov"] == [("", "", False)]
    assert shown["27 Nov"] == [("", "", False), ("09:00", "ADA", False)]
    assert shown["28 Nov"] == [("", "ADA", False), ("18:00", "BEN and CY", True), ("20:00", "ADA", False)]


def test_a_day_with_many_changes_says_how_many_it_does_not_show() -> None:
    schedule = rota("UTC", "ada", "ben", every=Every(count=1, unit=Unit.HOURS))
    _, days = days_of(schedule, NOW)
    assert {(len(day.pieces), day.hidden) for day in days} == {(5, 19)}


def test_people_keep_their_colour_and_there_are_only_so_many() -> None:
    who = [f"p{number}" for number in range(LANES + 1)]
    _, days = days_of(rota("UTC", *who, every=Every(count=1, unit=Unit.DAYS)), NOW)
    lanes: dict[str, set[int]] = {}
    for day in days:
        for each in day.pieces:
            lanes.setdefault(each.names, set()).add(each.lane)
    assert all(len(each) == 1 for each in lanes.values())
    assert set().union(*lanes.values()) == set(range(LANES))


def test_what_follows_with_the_same_people_for_the_same_reason_is_one() -> None:
    def shift(number: int, why: DutyReason, *people: str) -> Shift:
        return Shift(people=people, begins_at=NOW + number * HOUR, ends_at=NOW + (number + 1) * HOUR, why=why)

    apart = [
        shift(0, DutyReason.LAYER, "ada"),
        shift(1, DutyReason.LAYER, "ada"),
        shift(2, DutyReason.OVERRIDE, "ada"),
        shift(3, DutyReason.NOBODY),
    ]
    assert [(each.begins_at, each.ends_at) for each in joined(apart)] == [
        (NOW, NOW + 2 * HOUR),
        (NOW + 2 * HOUR, NOW + 3 * HOUR),
        (NOW + 3 * HOUR, NOW + 4 * HOUR),
    ]
    assert list(joined([])) == []


def test_a_duty_without_an_end_fills_the_calendar() -> None:
    span = span_at(NOW, ZoneInfo("UTC"))
    (week, *_) = weeks([Shift(people=("ada",), begins_at=NOW - 99 * DAY, ends_at=LATEST, why=DutyReason.OVERRIDE)], span, str)
    assert {each.names for day in week for each in day.pieces} == {"ada"}
