from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import StepState
from notifyflow.core.oncall.duty_documents import duty_document
from notifyflow.core.oncall.duty_report import duty
from notifyflow.core.oncall.overrides import LONGEST, MOST_PEOPLE, Swap, Wish, find_schedule, has_duty, plan
from notifyflow.core.oncall.roster import EMPTY, Roster
from notifyflow.core.oncall.schedules import DutyReason, Override
from notifyflow.errors import InvalidOverride
from tests.unit.core.delivery.test_chain import one
from tests.unit.core.oncall.test_roster import MONDAY, ROSTER, calendar

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NOW = MONDAY + HOUR  # Ada is on duty until Tuesday 09:00, then Ben and Cy


def wish(*people: str, schedules: tuple[str, ...] = ("@primary",), hours: float = 8, **fields: object) -> Wish:
    return Wish(**({"schedules": schedules, "people": people, "ends_at": NOW + hours * HOUR, "by": "dan"} | fields))


def swap(first: datetime, second: datetime, by: str = "dan") -> Swap:
    return Swap(schedule="@primary", first=first, second=second, by=by)


def planned(wanted: Wish | Swap, roster: Roster = ROSTER) -> tuple[Override, ...]:
    return plan(wanted, roster, (f"o{number}" for number in count(1)), now=NOW)


def after(wanted: Wish | Swap, roster: Roster = ROSTER) -> Roster:
    return replace(roster, overrides=(*roster.overrides, *planned(wanted, roster)))


def on_duty(roster: Roster, at: datetime) -> tuple[str, ...]:
    return roster.on_duty(roster.directory.schedules["primary"], at).people


def faults(wanted: Wish | Swap, roster: Roster = ROSTER) -> list[tuple[str, str]]:
    with pytest.raises(InvalidOverride) as caught:
        planned(wanted, roster)
    return [(fault.where, fault.what) for fault in caught.value.faults]


def test_a_duty_is_taken_from_now_on_and_given_back():
    roster = after(wish("cy"))
    at = [on_duty(roster, NOW + hours * HOUR) for hours in (-1, 0, 7, 8)]
    assert at == [("ada",), ("cy",), ("cy",), ("ada",)]
    (made,) = roster.overrides
    assert (made.id, made.schedule, made.made_by, made.made_at) == ("o1", "primary", "dan", NOW)


def test_a_begin_that_has_passed_means_now_and_a_later_one_is_kept():
    assert planned(wish("cy", begins_at=NOW - DAY))[0].begins_at == NOW
    assert planned(wish("cy", begins_at=NOW + HOUR))[0].begins_at == NOW + HOUR


def test_somebody_is_covered_for_in_all_schedules_whenever_they_are_on_duty():
    roster = after(wish("ada", schedules=(), instead_of="ben", hours=100))
    assert [each.schedule for each in roster.overrides] == ["primary", "legacy"]
    assert on_duty(roster, NOW) == ("ada",)
    assert on_duty(roster, NOW + DAY) == ("ada", "cy")


def test_a_schedule_that_is_named_twice_is_changed_once():
    assert len(planned(wish("cy", schedules=("primary", "@primary")))) == 1


def test_the_people_of_two_shifts_change_places():
    roster = after(swap(NOW, NOW + DAY))
    assert [on_duty(roster, NOW + days * DAY) for days in (0, 1, 2)] == [("ben", "cy"), ("ada",), ("ada",)]
    assert [each.begins_at for each in roster.overrides] == [NOW, MONDAY + DAY]
    assert on_duty(after(swap(NOW, NOW + DAY), roster), NOW) == ("ada",)


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_swap_leaves_everybody_as_many_shifts_as_before(first: int, second: int):
    wanted = swap(NOW + first * DAY, NOW + second * DAY)
    schedule = ROSTER.directory.schedules["primary"]

    def hours(roster: Roster) -> dict[tuple[str, ...], timedelta]:
        found: dict[tuple[str, ...], timedelta] = {}
        for each in roster.shifts(schedule, begin=NOW + DAY, end=NOW + 42 * DAY):
            found[each.people] = found.get(each.people, timedelta(0)) + each.ends_at - each.begins_at
        return found

    if (first - second) % 2 and first and second:
        assert hours(after(wanted)) == hours(ROSTER)
    elif not (first - second) % 2:
        assert faults(wanted)[0][0] == "second"


INSTANTS = st.integers(-100, 400).map(lambda quarters: NOW + quarters * HOUR / 4)
PEOPLE = st.lists(st.sampled_from(["ada", "ben", "cy"]), min_size=1, max_size=2, unique=True).map(tuple)


@given(PEOPLE, st.integers(0, 200), st.integers(1, 200), INSTANTS)
def test_a_taken_duty_is_that_of_its_people_within_its_time_and_as_before_otherwise(
    people: tuple[str, ...], begin: int, length: int, at: datetime
):
    begins_at, ends_at = NOW + begin * HOUR / 4, NOW + (begin + length) * HOUR / 4
    roster = after(wish(*people, begins_at=begins_at, ends_at=ends_at))
    assert on_duty(roster, at) == (people if begins_at <= at < ends_at else on_duty(ROSTER, at))


@given(st.sampled_from(["ada", "ben", "cy"]), PEOPLE, st.integers(1, 200), INSTANTS)
def test_somebody_who_is_covered_for_is_not_on_duty_and_nobody_else_is_sent_home(
    away: str, people: tuple[str, ...], length: int, at: datetime
):
    if away in people:
        return
    ends_at = NOW + length * HOUR / 4
    before, now = on_duty(ROSTER, at), on_duty(after(wish(*people, instead_of=away, ends_at=ends_at)), at)
    if NOW <= at < ends_at and away in before:
        assert set(now) == set(before) - {away} | set(people)
    else:
        assert now == before


def test_every_fault_of_a_wish_is_named():
    wrong = wish("zoe", schedules=("@primar",), instead_of="kim", ends_at=NOW, by=" ")
    assert [where for where, _ in faults(wrong)] == ["schedule", "people", "instead_of", "until", "by"]
    assert faults(wish("cy", instead_of="cy")) == [("people", "cy would be their own substitute")]
    assert faults(wish()) == [("people", "it is empty")]
    assert faults(wish("cy", begins_at=NOW + 9 * HOUR)) == [("until", "it is not after the beginning")]
    assert faults(wish("cy", ends_at=NOW + LONGEST + HOUR))[0][1].endswith("is too long")
    assert faults(wish("cy", by="d" * 300))[0][0] == "by"
    assert faults(wish(*["cy"] * (MOST_PEOPLE + 1))) == [("people", "there are 21, 20 are allowed")]


def test_every_fault_of_a_swap_is_named():
    assert faults(swap(MONDAY - HOUR, NOW - 30 * DAY)) == [
        ("first", "nobody is on duty then"),
        ("first", "its shift has passed"),
        ("second", "nobody is on duty then"),
        ("second", "its shift has passed"),
    ]
    assert faults(swap(NOW, NOW + 2 * DAY, by="")) == [("by", "it is empty")]
    assert faults(swap(NOW, NOW + 2 * DAY)) == [("second", "ada is on duty in both")]


def test_a_shift_without_an_end_cannot_be_swapped():
    legacy = Swap(schedule="legacy", first=NOW, second=NOW, by="dan")
    assert ("first", "its shift has no end") in faults(legacy)


def test_without_schedules_nothing_can_be_changed():
    assert faults(wish("cy"), EMPTY)[0] == ("schedule", "the directory has no schedules")
    with pytest.raises(InvalidOverride, match="is not a known schedule"):
        find_schedule(ROSTER, "@primar")
    assert find_schedule(ROSTER, "@primary").name == "primary"


def test_a_duty_shows_who_is_next_and_what_changes_it():
    roster = after(wish("cy"))
    found = duty(roster, roster.directory.schedules["primary"], NOW, weeks=1)
    assert (found.on_duty.people, found.on_duty.why) == (("cy",), DutyReason.OVERRIDE)
    assert found.next is not None
    assert (found.next.people, found.next.begins_at) == (("ada",), NOW + 8 * HOUR)
    assert len(found.shifts) == 9
    assert found.overrides == list(roster.overrides)
    written = duty_document(found).as_json()
    assert written["overrides"][0]["instead_of"] is None
    assert written["calendar_fetched_at"] is None
    assert duty(roster, roster.directory.schedules["primary"], NOW + DAY, weeks=0).overrides == []


def test_a_shift_without_a_begin_or_an_end_has_none_in_its_document():
    written = duty_document(duty(ROSTER, ROSTER.directory.schedules["legacy"], NOW, weeks=1)).as_json()
    shift = {"people": [], "begins_at": None, "ends_at": None, "why": "nobody"}
    assert (written["on_duty"], written["next"], written["shifts"]) == (shift, None, [shift])


def test_a_duty_says_when_its_calendar_was_read():
    roster = replace(ROSTER, calendars={"legacy": calendar("ada"), "primary": calendar("ada")})
    schedules = roster.directory.schedules
    assert duty(roster, schedules["legacy"], NOW, weeks=0).calendar_fetched_at == MONDAY
    assert duty(roster, schedules["primary"], NOW, weeks=0).calendar_fetched_at is None


def test_a_started_step_has_the_duty_that_an_override_of_its_schedule_changes() -> None:
    def override(**fields: Any) -> Override:
        times: dict[str, Any] = {"begins_at": NOW, "ends_at": NOW + HOUR, "made_at": NOW}
        return Override(**({"id": "o1", "schedule": "primary", "people": ("cy",), "made_by": "cy"} | times | fields))

    step = one(to=("leads", "@primary"), state=StepState.STARTED, paged=("ada",))
    assert has_duty(step, override())
    assert has_duty(step, override(instead_of="ada"))
    assert not has_duty(step, override(instead_of="ben"))
    assert not has_duty(step, override(schedule="leads"))
    assert not has_duty(replace(step, state=StepState.WAITING), override())
