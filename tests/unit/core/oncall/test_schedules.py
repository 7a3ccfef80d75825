from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifyflow.core.hours import EARLIEST, LATEST, Hours
from notifyflow.core.local_time import instant
from notifyflow.core.oncall.schedules import Calendar, DutyReason, Every, Layer, Override, Schedule, Shift, Unit, on_duty, shifts
from tests.rotas import pinned_zones

WORKDAYS = frozenset(range(5))
DAYS = frozenset(range(7))


@pytest.fixture(autouse=True, scope="module")
def _same_zones_everywhere() -> Iterator[None]:
    with pinned_zones():
        yield


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def every(text: str) -> Every:
    unit = text.lstrip("0123456789")
    return Every(count=int(text.removesuffix(unit)), unit=Unit(unit))


def layer(*who: str, first: str = "2026-12-07T09:00", length: str = "1w", only: tuple[Hours, ...] = ()) -> Layer:
    return Layer(who=tuple(tuple(each.split("+")) for each in who), first=local(first), every=every(length), only=only)


def schedule(*layers: Layer, zone: str = "Europe/Berlin") -> Schedule:
    return Schedule(name="primary", timezone=zone, layers=layers)


def rota(plan: Schedule, begin: str, end: str) -> list[tuple[str, str]]:
    """Return who is on duty, and since when in local time, in a period given in local time."""
    zone = ZoneInfo(plan.timezone)
    found = shifts(plan, begin=instant(local(begin), zone), end=instant(local(end), zone))
    return [("+".join(each.people), f"{each.begins_at.astimezone(zone):%d %H:%M}") for each in found]


def override(begins: str, ends: str, *people: str, instead_of: str = "", made: int = 1, of: str = "primary") -> Override:
    return Override(
        id=f"o{made}",
        schedule=of,
        people=people,
        instead_of=instead_of,
        begins_at=utc(begins),
        ends_at=utc(ends),
        made_by="eve",
        made_at=utc("2026-12-01") + timedelta(minutes=made),
    )


def test_turns_follow_each_other_and_a_turn_may_be_several_people():
    plan = schedule(layer("ada", "ben+cy", "dan"))
    assert rota(plan, "2026-12-07T09:00", "2026-12-29T00:00") == [
        ("ada", "07 09:00"),
        ("ben+cy", "14 09:00"),
        ("dan", "21 09:00"),
        ("ada", "28 09:00"),
    ]
    shift = on_duty(plan, utc("2026-12-15"))
    assert shift == Shift(
        people=("ben", "cy"), begins_at=utc("2026-12-14T08:00"), ends_at=utc("2026-12-21T08:00"), why=DutyReason.LAYER
    )


def test_a_layer_does_not_apply_before_its_first_turn():
    base = layer("ada", first="2026-01-01T00:00", length="1d")
    assert rota(schedule(base, layer("ben")), "2026-12-07T00:00", "2026-12-07T12:00") == [
        ("ada", "07 00:00"),
        ("ben", "07 09:00"),
    ]
    nobody = on_duty(schedule(layer("ben")), utc("2026-12-07T07:59"))
    assert nobody == Shift(people=(), begins_at=EARLIEST, ends_at=utc("2026-12-07T08:00"), why=DutyReason.NOBODY)


def test_the_last_layer_that_applies_wins():
    office = (Hours(days=WORKDAYS, begins=time(9), ends=time(18)),)
    plan = schedule(layer("ada", "ben"), layer("cy", length="1d", only=office))
    assert rota(plan, "2026-12-11T08:00", "2026-12-15T00:00") == [
        ("ada", "10 18:00"),
        ("cy", "11 09:00"),
        ("ada", "11 18:00"),
        ("cy", "14 09:00"),
        ("ben", "14 18:00"),
    ]


def test_the_length_of_a_turn_counts_on_outside_of_its_hours():
    office = (Hours(days=WORKDAYS, begins=time(9), ends=time(18)),)
    plan = schedule(layer("ada", "ben", length="1d", only=office))
    assert rota(plan, "2026-12-11T10:00", "2026-12-15T12:00") == [
        ("ada", "11 09:00"),
        ("", "11 18:00"),
        ("ben", "14 09:00"),
        ("", "14 18:00"),
        ("ada", "15 09:00"),
    ]


def test_hours_before_the_first_turn_do_not_divide_the_time_of_nobody():
    nights = (Hours(days=DAYS, begins=time(22), ends=time(7)),)
    plan = schedule(layer("ada", only=nights))
    before = on_duty(plan, utc("2026-12-01"))
    assert (before.begins_at, before.ends_at) == (EARLIEST, utc("2026-12-07T21:00"))
    assert on_duty(plan, utc("2026-12-07T12:00")) == before
    started = schedule(layer("ada", only=(Hours(days=frozenset({0}), begins=time(8), ends=time(10)),)))
    assert on_duty(started, utc("2026-11-30T08:30")).ends_at == utc("2026-12-07T08:00")


def test_hours_may_pass_midnight_and_the_end_of_the_week():
    nights = (
        Hours(days=WORKDAYS, begins=time(18), ends=time(9)),
        Hours(days=frozenset({5, 6}), begins=time(0), ends=time(0)),
        Hours(days=frozenset({6}), begins=time(12), ends=time(9)),
    )
    assert rota(schedule(layer("ada", only=nights)), "2026-12-10T12:00", "2026-12-14T12:00") == [
        ("", "10 09:00"),
        ("ada", "10 18:00"),
        ("", "11 09:00"),
        ("ada", "11 18:00"),
        ("", "14 09:00"),
    ]


def test_hours_of_the_whole_week_are_no_limit():
    always = (Hours(days=DAYS, begins=time(6), ends=time(6)),)
    assert rota(schedule(layer("ada", only=always)), "2026-12-09T12:00", "2026-12-12T12:00") == [("ada", "07 09:00")]


def test_turns_of_months_are_counted_from_the_first_date():
    plan = schedule(layer("ada", "ben", first="2027-12-31T09:00", length="1mo"))
    assert rota(plan, "2027-12-31T09:00", "2028-05-30T09:00") == [
        ("ada", "31 09:00"),
        ("ben", "31 09:00"),
        ("ada", "29 09:00"),
        ("ben", "31 09:00"),
        ("ada", "30 09:00"),
    ]
    assert on_duty(plan, utc("2028-01-30")).people == ("ada",)
    quarters = schedule(layer("ada", "ben", first="2026-11-30T00:00", length="3mo"))
    assert rota(quarters, "2026-11-30T00:00", "2027-06-01T00:00") == [
        ("ada", "30 00:00"),
        ("ben", "28 00:00"),
        ("ada", "30 00:00"),
    ]


def test_turns_of_hours_stay_at_the_same_local_times():
    plan = schedule(layer("ada", "ben", "cy", first="2026-10-24T09:00", length="12h"))
    assert rota(plan, "2026-10-24T12:00", "2026-10-26T08:00") == [
        ("ada", "24 09:00"),
        ("ben", "24 21:00"),
        ("cy", "25 09:00"),
        ("ada", "25 21:00"),
    ]


def test_a_hand_over_in_a_gap_happens_at_the_first_valid_instant():
    plan = schedule(layer("ada", "ben", "cy", first="2026-03-27T02:30", length="1d"))
    assert rota(plan, "2026-03-28T12:00", "2026-03-30T12:00") == [("ben", "28 02:30"), ("cy", "29 03:00"), ("ada", "30 02:30")]
    hourly = schedule(layer("ada", "ben", "cy", first="2026-03-29T00:00", length="1h"))
    assert rota(hourly, "2026-03-29T01:00", "2026-03-29T05:00") == [("ben", "29 01:00"), ("ada", "29 03:00"), ("ben", "29 04:00")]


def test_a_hand_over_in_a_fold_happens_at_the_first_of_the_two():
    plan = schedule(layer("ada", "ben", first="2026-10-24T02:30", length="1d"))
    handed = on_duty(plan, utc("2026-10-25T00:30"))
    assert (handed.people, handed.begins_at, handed.ends_at) == (("ben",), utc("2026-10-25T00:30"), utc("2026-10-26T01:30"))
    assert on_duty(plan, utc("2026-10-25T01:15")) == handed  # 02:15 for the second time


def test_lord_howe_changes_its_clocks_by_half_an_hour():
    plan = schedule(layer("ada", "ben", "cy", first="2026-10-02T02:15", length="1d"), zone="Australia/Lord_Howe")
    assert rota(plan, "2026-10-03T12:00", "2026-10-05T12:00") == [("ben", "03 02:15"), ("cy", "04 02:30"), ("ada", "05 02:15")]
    hourly = schedule(layer("ada", "ben", "cy", first="2027-04-04T00:45", length="1h"), zone="Australia/Lord_Howe")
    lengths = [
        each.ends_at - each.begins_at for each in shifts(hourly, begin=utc("2027-04-03T13:45"), end=utc("2027-04-03T17:00"))
    ]
    assert lengths == [timedelta(minutes=minutes) for minutes in (60, 90, 60)]


def test_casablanca_is_an_hour_behind_in_ramadan():
    plan = schedule(layer("ada", "ben", "cy", first="2026-02-14T02:30", length="1d"), zone="Africa/Casablanca")
    found = list(shifts(plan, begin=utc("2026-02-14T01:30"), end=utc("2026-02-17T00:00")))
    assert [each.ends_at - each.begins_at for each in found] == [timedelta(hours=24), timedelta(hours=25), timedelta(hours=24)]
    assert rota(plan, "2026-03-21T12:00", "2026-03-23T12:00") == [("cy", "21 02:30"), ("ada", "22 03:00"), ("ben", "23 02:30")]


def test_a_date_that_a_zone_skips_has_no_length():
    daily = schedule(layer("ada", "ben", "cy", first="2011-12-29T00:00", length="1d"), zone="Pacific/Apia")
    assert rota(daily, "2011-12-29T00:00", "2012-01-01T12:00") == [("ada", "29 00:00"), ("cy", "31 00:00"), ("ada", "01 00:00")]
    fridays = (Hours(days=frozenset({4}), begins=time(9), ends=time(17)),)
    plan = schedule(layer("ada", first="2011-12-01T00:00", only=fridays), zone="Pacific/Apia")
    nobody = on_duty(plan, utc("2011-12-31T12:00"))
    assert (nobody.begins_at, nobody.ends_at) == (utc("2011-12-24T03:00"), utc("2012-01-05T19:00"))
    assert on_duty(plan, utc("2011-12-28T12:00")) == nobody


def test_hours_that_a_gap_makes_touch_are_one_shift():
    around = (Hours(days=DAYS, begins=time(0), ends=time(2)), Hours(days=DAYS, begins=time(3), ends=time(6)))
    plan = schedule(layer("ada", first="2026-03-02T09:00", only=around))
    whole = (utc("2026-03-28T23:00"), utc("2026-03-29T04:00"))
    for at in (utc("2026-03-29T00:30"), utc("2026-03-29T03:00")):
        shift = on_duty(plan, at)
        assert (shift.begins_at, shift.ends_at) == whole


def test_an_override_replaces_the_whole_duty():
    plan = schedule(layer("ada", "ben"))
    taken = override("2026-12-14T06:00", "2026-12-14T12:00", "cy")
    for at in (taken.begins_at, utc("2026-12-14T08:30"), taken.ends_at - timedelta(seconds=1)):
        assert on_duty(plan, at, overrides=[taken]) == Shift(
            people=("cy",), begins_at=taken.begins_at, ends_at=taken.ends_at, why=DutyReason.OVERRIDE
        )
    found = list(shifts(plan, begin=utc("2026-12-14"), end=utc("2026-12-15"), overrides=[taken]))
    assert [(each.people, each.begins_at) for each in found] == [
        (("ada",), utc("2026-12-07T08:00")),
        (("cy",), taken.begins_at),
        (("ben",), taken.ends_at),
    ]


def test_an_override_replaces_one_person_whenever_they_are_on_duty():
    plan = schedule(layer("ada+dan", "ben"))
    cover = override("2026-12-10T00:00", "2026-12-22T00:00", "cy", "dan", instead_of="ada")
    found = [
        ("+".join(each.people), each.begins_at, each.why)
        for each in shifts(plan, begin=utc("2026-12-08"), end=utc("2026-12-23"), overrides=[cover])
    ]
    assert found == [
        ("ada+dan", utc("2026-12-07T08:00"), DutyReason.LAYER),
        ("cy+dan", utc("2026-12-10"), DutyReason.OVERRIDE),
        ("ben", utc("2026-12-14T08:00"), DutyReason.LAYER),
        ("cy+dan", utc("2026-12-21T08:00"), DutyReason.OVERRIDE),
        ("ada+dan", utc("2026-12-22"), DutyReason.LAYER),
    ]


def test_the_newest_override_wins_and_changes_what_older_ones_made():
    plan = schedule(layer("ada", "ben"))
    cover = override("2026-12-07T08:00", "2026-12-14T08:00", "ben", instead_of="ada", made=1)
    again = override("2026-12-09T00:00", "2026-12-10T00:00", "cy", instead_of="ben", made=2)
    taken = override("2026-12-09T12:00", "2026-12-11T00:00", "dan", made=3)
    of_another = override("2026-12-07T00:00", "2026-12-30T00:00", "eve", made=4, of="secondary")
    withdrawn = override("2026-12-12T00:00", "2026-12-12T00:00", "eve", made=5)
    found = shifts(plan, begin=utc("2026-12-08"), end=utc("2026-12-13"), overrides=[withdrawn, of_another, taken, again, cover])
    assert [(each.people, each.begins_at) for each in found] == [
        (("ben",), utc("2026-12-07T08:00")),
        (("cy",), utc("2026-12-09")),
        (("dan",), utc("2026-12-09T12:00")),
        (("ben",), utc("2026-12-11")),
    ]


def test_a_calendar_is_the_duty_and_a_gap_in_it_is_nobody():
    plan = Schedule(name="legacy", timezone="Europe/Berlin", ical="https://calendar.example.com/oncall.ics")
    ada = Shift(people=("ada",), begins_at=utc("2026-12-01"), ends_at=utc("2026-12-02"), why=DutyReason.CALENDAR)
    ben = Shift(people=("ben",), begins_at=utc("2026-12-03"), ends_at=utc("2026-12-04"), why=DutyReason.CALENDAR)
    calendar = Calendar(schedule="legacy", shifts=(ada, ben), fetched_at=utc("2026-12-01"))
    found = list(shifts(plan, begin=utc("2026-11-30"), end=utc("2026-12-05"), calendar=calendar))
    assert found[1::2] == [ada, ben]
    assert [(each.people, each.begins_at, each.ends_at, each.why) for each in found[::2]] == [
        ((), EARLIEST, ada.begins_at, DutyReason.NOBODY),
        ((), ada.ends_at, ben.begins_at, DutyReason.NOBODY),
        ((), ben.ends_at, calendar.known_until, DutyReason.NOBODY),
    ]
    never = on_duty(plan, utc("2026-12-01"))
    assert (never.people, never.begins_at, never.ends_at) == ((), EARLIEST, LATEST)


def test_beyond_the_time_of_which_a_calendar_is_known_its_last_people_stay_on_duty():
    plan = Schedule(name="legacy", timezone="UTC", ical="https://calendar.example.com/oncall.ics")
    ada = Shift(people=("ada",), begins_at=utc("2026-12-01"), ends_at=utc("2026-12-02"), why=DutyReason.CALENDAR)
    ben = Shift(people=("ben",), begins_at=utc("2027-01-30"), ends_at=utc("2027-02-07"), why=DutyReason.CALENDAR)
    calendar = Calendar(schedule="legacy", shifts=(ada,), fetched_at=utc("2026-12-01"))
    end = calendar.known_until
    assert end == utc("2027-01-29")

    def found(calendar: Calendar) -> list[tuple[tuple[str, ...], datetime, datetime, DutyReason]]:
        later = shifts(plan, begin=utc("2026-12-02"), end=utc("2027-03-01"), calendar=calendar)
        return [(each.people, each.begins_at, each.ends_at, each.why) for each in later]

    assert found(calendar) == [((), ada.ends_at, end, DutyReason.NOBODY), (("ada",), end, LATEST, DutyReason.LAST_KNOWN)]
    assert found(replace(calendar, shifts=(ada, ben))) == [
        ((), ada.ends_at, end, DutyReason.NOBODY),
        (("ada",), end, ben.begins_at, DutyReason.LAST_KNOWN),
        (("ben",), ben.begins_at, ben.ends_at, DutyReason.CALENDAR),
        (("ben",), ben.ends_at, LATEST, DutyReason.LAST_KNOWN),
    ]
    assert found(replace(calendar, shifts=())) == [((), EARLIEST, LATEST, DutyReason.NOBODY)]


def test_an_instant_beyond_all_calendars_has_the_first_or_the_last_shift():
    plan = schedule(layer("ada"))
    assert on_duty(plan, utc("0001-01-01")) == on_duty(plan, EARLIEST)
    assert on_duty(plan, utc("9999-12-31")) == on_duty(plan, LATEST - timedelta(microseconds=1))
    assert list(shifts(plan, begin=LATEST, end=utc("9999-12-31"))) == []


def test_the_length_of_a_turn_is_written_as_in_the_file():
    assert [str(every(text)) for text in ("12h", "1d", "2w", "1mo")] == ["12h", "1d", "2w", "1mo"]
