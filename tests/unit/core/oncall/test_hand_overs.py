from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.oncall.directory import read_directory
from notifyflow.core.oncall.hand_overs import HandOver, hand_overs, to_tell
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedules import Calendar, DutyReason, Override, Shift

DIRECTORY = """
recipients = { ada = {}, ben = {}, cy = {} }
default.to = ["@primary"]
[schedules.primary]
timezone = "Europe/Berlin"
handover = true
layers = [{ who = %s, from = 2026-12-07T09:00:00, every = "%s", only = "%s" }]
[schedules.secondary]
timezone = "UTC"
layers = [{ who = ["ada", "ben"], from = 2026-12-07T08:00:00, every = "1d" }]
[schedules.legacy]
ical = "https://calendar.example.com/oncall.ics"
handover = true
"""
MONDAY = datetime(2026, 12, 7, 8, 0, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
ADA, BEN, CY = ("ada",), ("ben",), ("cy",)


def roster(who: str = '["ada", "ben"]', every: str = "1d", only: str = "Mon-Sun", **more: object) -> Roster:
    return Roster(directory=read_directory(DIRECTORY % (who, every, only), SHIPPED), **more)  # type: ignore[arg-type]


def primary(roster: Roster, since: datetime, until: datetime) -> list[tuple[timedelta, tuple[str, ...], tuple[str, ...]]]:
    """Return the hand-overs of a schedule: how long after the first turn's beginning, from whom and to whom."""
    found = hand_overs(roster, roster.directory.schedules["primary"], since=since, until=until)
    return [(each.at - MONDAY, each.before, each.after) for each in found]


def taken(*people: str, begins: timedelta, ends: timedelta, instead_of: str = "") -> Override:
    begins_at, ends_at = MONDAY + begins, MONDAY + ends
    return Override(
        id="o",
        schedule="primary",
        people=people,
        instead_of=instead_of,
        begins_at=begins_at,
        ends_at=ends_at,
        made_by="cy",
        made_at=MONDAY,
    )


def test_a_rotation_hands_over_when_a_turn_ends():
    found = hand_overs(roster(), roster().directory.schedules["primary"], since=MONDAY, until=MONDAY + DAY)
    assert found == (HandOver(schedule="primary", at=MONDAY + DAY, before=ADA, after=BEN, until=MONDAY + 2 * DAY),)
    assert primary(roster(), MONDAY + DAY, MONDAY + 2 * DAY - HOUR) == []
    assert primary(roster(), MONDAY - DAY, MONDAY) == [(0 * DAY, (), ADA)]


def test_a_hand_over_is_at_its_local_time_on_both_sides_of_a_change_of_clocks():
    spring = datetime(2027, 3, 28, 7, 0, tzinfo=UTC)  # 09:00 in summer time, and 23 hours after the one before
    found = hand_overs(roster(), roster().directory.schedules["primary"], since=spring - DAY, until=spring)
    assert [each.at for each in found] == [spring - 23 * HOUR, spring]


def test_a_turn_of_the_same_people_is_no_hand_over():
    assert primary(roster('["ada", "ada"]'), MONDAY, MONDAY + WEEK) == []
    assert primary(roster('[["ada", "ben"], ["ben", "ada"]]'), MONDAY, MONDAY + WEEK) == []
    assert primary(roster(overrides=(taken("ada", begins=HOUR, ends=2 * HOUR),)), MONDAY, MONDAY + 3 * HOUR) == []
    alone = roster('["ada"]')
    (found,) = hand_overs(alone, alone.directory.schedules["primary"], since=MONDAY - HOUR, until=MONDAY)
    assert found.until is None


def test_an_override_in_a_shift_hands_over_at_its_start_and_back_at_its_end():
    overridden = roster(overrides=(taken("cy", begins=HOUR, ends=2 * HOUR),))
    assert primary(overridden, MONDAY, MONDAY + 3 * HOUR) == [(HOUR, ADA, CY), (2 * HOUR, CY, ADA)]


def test_a_gap_is_handed_over_to_nobody_and_from_nobody():
    days = roster('["ada"]', only="Mon-Fri 09:00-18:00")
    assert primary(days, MONDAY, MONDAY + DAY) == [(9 * HOUR, ADA, ()), (DAY, (), ADA)]


def test_a_hand_over_concerns_who_begins_and_who_ends_and_not_who_stays():
    pairs = roster('[["ada", "ben"], ["cy", "ben"]]')
    (found,) = hand_overs(pairs, pairs.directory.schedules["primary"], since=MONDAY, until=MONDAY + DAY)
    assert found.people == ("cy", "ada")


@pytest.mark.parametrize(("late", "told"), [(-1, 0), (0, 0), (1.9, 0), (2, 1), (59, 1), (60, 0)])
def test_people_are_told_within_an_hour_once_nothing_has_changed_for_two_minutes(late: float, told: int):
    assert len(to_tell(roster(), {}, MONDAY + DAY + timedelta(minutes=late))) == told


def told_at(*minutes: float, at: float, handled: float | None = None) -> list[tuple[float, tuple[str, ...], tuple[str, ...]]]:
    """Return what is to be told when Ben and Cy take the duty of Ada in turn at these minutes."""
    overrides = [
        replace(taken("ben" if number % 2 else "cy", begins=timedelta(minutes=each), ends=9 * HOUR), id=f"{number:03}")
        for number, each in enumerate(minutes)
    ]
    marks = {} if handled is None else {"primary": MONDAY + timedelta(minutes=handled)}
    found = to_tell(roster('["ada"]', overrides=tuple(overrides)), marks, MONDAY + timedelta(minutes=at))
    return [((each.at - MONDAY) / timedelta(minutes=1), each.before, each.after) for each in found if each.at > MONDAY]


def test_changes_that_follow_each_other_closely_are_one_hand_over():
    assert told_at(10, 11, 12.5, at=14.4) == []
    assert told_at(10, 11, 12.5, at=14.5) == [(12.5, ADA, CY)]
    assert told_at(10, 12.1, at=15) == [(10, ADA, CY), (12.1, CY, BEN)]
    clicks = [10 + 0.5 * number for number in range(40)]
    assert told_at(*clicks, at=19.9) == []
    assert told_at(*clicks, at=20) == [(20, ADA, CY)]
    assert told_at(*clicks, at=30.4, handled=20) == []
    assert told_at(*clicks, at=31.5, handled=20) == [(29.5, CY, BEN)]


def test_a_calendar_hands_over_and_a_schedule_without_the_setting_tells_nobody():
    shifts = (Shift(people=BEN, begins_at=MONDAY + HOUR, ends_at=MONDAY + WEEK, why=DutyReason.CALENDAR),)
    legacy = Calendar(schedule="legacy", shifts=shifts, fetched_at=MONDAY)
    found = to_tell(roster(calendars={"legacy": legacy}), {}, MONDAY + HOUR + timedelta(minutes=2))
    assert [(each.schedule, each.before, each.after) for each in found] == [("legacy", (), BEN)]
    directory = roster().directory
    silent = {name: replace(each, handover=False) for name, each in directory.schedules.items()}
    assert to_tell(Roster(directory=replace(directory, schedules=silent)), {}, MONDAY + DAY + HOUR / 2) == ()
