"""When a job is expected: every so often or by a cron expression, also on days on which clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifyflow.core.oncall.timetables import EARLY, Timetable, timetable_faults
from tests.watched_job_oracle import minutes_of

HOUR = timedelta(hours=1)
BERLIN, LORD_HOWE = "Europe/Berlin", "Australia/Lord_Howe"


def at(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def times(cron: str, since: str, count: int, zone: str = BERLIN) -> list[str]:
    """Return the next times of a cron expression as the clocks of the zone show them, with the offset."""
    table, found = Timetable(cron=cron, timezone=zone), [at(since)]
    while len(found) <= count:
        found.append(table.after(found[-1]))
    return [each.astimezone(ZoneInfo(zone)).isoformat(" ", "minutes") for each in found[1:]]


def test_every_counts_from_the_success_and_cron_from_the_clock() -> None:
    assert Timetable(every=HOUR).after_success(at("2026-11-25T03:17")) == at("2026-11-25T04:17")
    assert Timetable(cron="0 3 * * *").after(at("2026-11-25T03:00")) == at("2026-11-26T03:00")
    assert Timetable(cron="0 3 * * *").after(at("2026-11-25T02:59:59")) == at("2026-11-25T03:00")


def test_a_success_a_little_before_its_time_counts_for_it() -> None:
    table = Timetable(cron="0 3 * * *")
    assert table.after_success(at("2026-11-25T02:59:51")) == at("2026-11-26T03:00")
    assert table.after_success(at("2026-11-25T02:59:49")) == at("2026-11-25T03:00")
    assert (table.early, Timetable(every=HOUR, grace=2 * HOUR).early) == (EARLY, HOUR / 2)


def test_a_job_whose_time_is_skipped_runs_just_after_and_the_next_day_at_its_time() -> None:
    assert times("30 2 * * *", "2026-03-28T12:00", 2) == ["2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]
    assert times("0 1 * * *", "2026-03-28T12:00", 2) == ["2026-03-29 01:00+01:00", "2026-03-30 01:00+02:00"]


def test_a_job_whose_time_comes_twice_runs_once() -> None:
    assert times("30 2 * * *", "2026-10-24T12:00", 2) == ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]


def test_between_the_two_the_next_time_is_never_before_now() -> None:
    between = "2026-10-25T01:15"  # 02:15 for the second time
    assert times("30 2 * * *", between, 1) == ["2026-10-26 02:30+01:00"]
    assert times("10,20 2 * * *", "2026-10-25T00:15", 2) == ["2026-10-25 02:20+02:00", "2026-10-26 02:10+01:00"]


def test_a_job_of_every_hour_runs_in_both() -> None:
    assert times("0 * * * *", "2026-10-24T23:30", 4) == [
        "2026-10-25 02:00+02:00",
        "2026-10-25 02:00+01:00",
        "2026-10-25 03:00+01:00",
        "2026-10-25 04:00+01:00",
    ]
    assert times("0 * * * *", "2026-03-29T00:30", 2) == ["2026-03-29 03:00+02:00", "2026-03-29 04:00+02:00"]


def test_no_time_is_left_out_where_clocks_change_by_half_an_hour() -> None:
    spring, autumn = "2027-10-02T14:30", "2027-04-03T14:20"  # 02:00 becomes 02:30, and 02:00 becomes 01:30
    assert times("52 * * * *", spring, 3, LORD_HOWE) == [
        "2027-10-03 01:52+10:30",
        "2027-10-03 02:52+11:00",
        "2027-10-03 03:52+11:00",
    ]
    assert times("*/20 2,3 * * *", spring, 3, LORD_HOWE) == [
        "2027-10-03 02:40+11:00",
        "2027-10-03 03:00+11:00",
        "2027-10-03 03:20+11:00",
    ]
    assert times("36 * * * *", autumn, 3, LORD_HOWE) == [
        "2027-04-04 01:36+11:00",
        "2027-04-04 01:36+10:30",
        "2027-04-04 02:36+10:30",
    ]
    assert times("10 */6 * * *", "2027-04-03T13:00", 2, LORD_HOWE) == ["2027-04-04 00:10+11:00", "2027-04-04 06:10+10:30"]
    assert times("10 */6 * * *", "2027-04-03T15:10", 1, LORD_HOWE) == ["2027-04-04 06:10+10:30"]
    assert times("45 1 * * *", autumn, 2, LORD_HOWE) == ["2027-04-04 01:45+11:00", "2027-04-05 01:45+10:30"]


@pytest.mark.parametrize("changes_at", ["2027-04-03T15:00", "2027-10-02T15:30"])
@pytest.mark.parametrize("hour", ["*", "1", "2"])
def test_around_a_change_by_half_an_hour_the_times_are_those_of_a_walk(changes_at: str, hour: str) -> None:
    since = at(changes_at) - 4 * HOUR
    for minute in range(1, 60, 7):
        cron, until = f"{minute} {hour} * * *", since + 30 * HOUR
        table, found = Timetable(cron=cron, timezone=LORD_HOWE), [since]
        while found[-1] < until:
            found.append(table.after(found[-1]))
        expected = [each for each in minutes_of(cron, LORD_HOWE, since, until) if since < each < until]
        assert [each for each in found[1:] if each < until] == expected


def test_the_first_time_whose_grace_is_not_over_is_on_the_same_grid() -> None:
    table = Timetable(every=HOUR, grace=HOUR / 4)
    assert table.not_over(at("2026-11-25T03:00"), at("2026-11-25T03:14")) == at("2026-11-25T03:00")
    assert table.not_over(at("2026-11-25T03:00"), at("2026-11-25T03:15")) == at("2026-11-25T04:00")
    assert table.not_over(at("2026-11-25T03:00"), at("2026-11-25T09:30")) == at("2026-11-25T10:00")
    nightly = Timetable(cron="0 3 * * *", grace=HOUR)
    assert nightly.not_over(at("2026-11-25T03:00"), at("2026-11-28T03:30")) == at("2026-11-28T03:00")
    assert nightly.not_over(at("2026-11-25T03:00"), at("2026-11-28T04:00")) == at("2026-11-29T03:00")


@pytest.mark.parametrize(
    ("timetable", "where"),
    [
        (Timetable(), "x"),
        (Timetable(every=HOUR, cron="0 3 * * *"), "x"),
        (Timetable(every=HOUR / 120), "x.every"),
        (Timetable(every=400 * 24 * HOUR), "x.every"),
        (Timetable(every=HOUR, grace=timedelta()), "x.grace"),
        (Timetable(cron="0 3 * * *", timezone="Europe/Atlantis"), "x.timezone"),
        (Timetable(cron="0 3 * *"), "x.cron"),
        (Timetable(cron="0 0 3 * * *"), "x.cron"),
        (Timetable(cron="61 3 * * *"), "x.cron"),
        (Timetable(cron="0 0 30 2 *"), "x.cron"),
    ],
)
def test_a_bad_timetable_is_refused_with_its_place(timetable: Timetable, where: str) -> None:
    assert [fault.where for fault in timetable_faults("x", timetable)] == [where]


def test_a_good_one_has_no_fault() -> None:
    for timetable in (Timetable(every=HOUR), Timetable(cron="*/5 * * * MON-FRI", timezone=BERLIN)):
        assert list(timetable_faults("x", timetable)) == []
