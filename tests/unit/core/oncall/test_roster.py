from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from notifyflow.core.delivery.chain import ChainPlace
from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.oncall.directory import read_directory
from notifyflow.core.oncall.duty_report import with_people
from notifyflow.core.oncall.roster import EMPTY, Roster, calendars_read_at
from notifyflow.core.oncall.schedules import Calendar, DutyReason, Override, Shift, on_duty
from tests.chains import step

MONDAY = datetime(2026, 12, 7, 9, 0, tzinfo=UTC)
DIRECTORY = read_directory(
    """
    recipients = { ada = { name = "Ada", email = "ada@example.com" }, ben = { name = "Ben" }, cy = { name = "Ben" } }
    groups.leads = ["ben", "cy"]
    default.to = ["@primary"]
    [schedules.primary]
    timezone = "UTC"
    layers = [{ who = ["ada", ["ben", "cy"]], from = 2026-12-07T09:00:00, every = "1d" }]
    [schedules.legacy]
    ical = "https://calendar.example.com/oncall.ics"
    """,
    SHIPPED,
)
ROSTER = Roster(directory=DIRECTORY)


def names(roster: Roster, *wanted: str, at: datetime = MONDAY) -> list[str]:
    return [each.id for each in roster.people(wanted, at).recipients]


def override(*people: str, **fields: object) -> Override:
    given = {
        "id": "o1",
        "schedule": "primary",
        "begins_at": MONDAY,
        "ends_at": MONDAY + timedelta(hours=8),
        "made_by": "dan",
        "made_at": MONDAY,
    }
    return Override(people=people, **(given | fields))


def calendar(*people: str) -> Calendar:
    shift = Shift(people=people, begins_at=MONDAY, ends_at=MONDAY + timedelta(days=1), why=DutyReason.CALENDAR)
    return Calendar(schedule="legacy", shifts=(shift,), fetched_at=MONDAY)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (("ada",), ["ada"]),
        (("leads", "ada", "cy"), ["ben", "cy", "ada"]),
        (("@primary", "ada"), ["ada"]),
        (("zoe", "@none"), ["zoe", "@none"]),
        (("@legacy",), []),
        ((), []),
    ],
)
def test_names_become_people_each_once(wanted: tuple[str, ...], found: list[str]):
    assert names(ROSTER, *wanted) == found


def test_a_person_comes_with_their_addresses_and_a_stranger_without():
    known, unknown = ROSTER.people(["ada", "zoe"], MONDAY).recipients
    assert known == DIRECTORY.recipients["ada"]
    assert unknown.ways == {}


def test_who_was_on_duty_is_said_of_each_schedule_and_of_nothing_else():
    found = ROSTER.people(["ada", "@primary", "@legacy", "@none"], MONDAY + timedelta(days=1))
    assert found.duty == {"@primary": ("ben", "cy"), "@legacy": ()}
    assert [each.id for each in found.recipients] == ["ada", "ben", "cy", "@none"]


def test_an_override_of_a_schedule_changes_its_duty_and_no_other():
    roster = replace(ROSTER, overrides=(override("cy"), override("ben", schedule="legacy")))
    assert names(roster, "@primary") == ["cy"]
    assert names(roster, "@primary", at=MONDAY + timedelta(hours=8)) == ["ada"]
    assert names(roster, "@legacy") == ["ben"]


def test_the_shifts_are_those_of_the_schedule_with_its_overrides_and_its_calendar():
    schedule = DIRECTORY.schedules["primary"]
    roster = replace(ROSTER, overrides=(override("cy"),), calendars={"legacy": calendar("ada")})
    found = list(roster.shifts(schedule, begin=MONDAY, end=MONDAY + timedelta(days=2)))
    assert [(each.people, each.why) for each in found] == [
        (("cy",), DutyReason.OVERRIDE),
        (("ada",), DutyReason.LAYER),
        (("ben", "cy"), DutyReason.LAYER),
    ]
    assert roster.on_duty(schedule, MONDAY) == on_duty(schedule, MONDAY, overrides=roster.overrides)
    legacy = DIRECTORY.schedules["legacy"]
    assert [each.people for each in roster.shifts(legacy, begin=MONDAY, end=MONDAY + timedelta(days=1))] == [("ada",)]


def test_with_another_directory_a_calendar_counts_only_if_its_address_is_the_same():
    roster = replace(ROSTER, overrides=(override("cy"),), calendars={"legacy": calendar("ada"), "gone": calendar("ada")})
    assert set(roster.of_file(DIRECTORY).calendars) == {"legacy"}
    other = replace(DIRECTORY, schedules={"legacy": replace(DIRECTORY.schedules["legacy"], ical="https://example.com/other.ics")})
    assert roster.of_file(other) == replace(roster, directory=other, calendars={})


def test_a_schedule_is_found_with_and_without_its_mark():
    assert ROSTER.schedule("@primary") is ROSTER.schedule("primary") is DIRECTORY.schedules["primary"]
    assert ROSTER.schedule("none") is None


def test_before_a_directory_was_read_every_alert_has_a_recipient_without_an_address():
    (only,) = EMPTY.people(EMPTY.directory.default.to, MONDAY).recipients
    assert only.ways == {}


def test_a_person_is_named_as_the_directory_names_them():
    directory = read_directory('[recipients]\nada = { name = "Ada" }\nben = {}\n[default]\nto = ["ada"]\n', SHIPPED)
    roster = Roster(directory=directory)
    assert [roster.name_of(each) for each in ("ada", "ben", "gone", "@legacy")] == ["Ada", "ben", "gone", "somebody unknown"]


def test_the_next_step_of_a_chain_pages_those_on_duty_by_the_names_that_were_given_first():
    def people(*to: str, **given: str) -> dict[str, str]:
        following = step(2, to=to)
        place = ChainPlace(step=1, steps=2, following=following, paged=frozenset({"dan"}), people=given)
        return dict(with_people(place, ROSTER, MONDAY).people)

    assert people("@primary", "zoe", zoe="Zoe") == {"ada": "Ada", "zoe": "Zoe"}
    assert people("leads", ben="Benjamin") == {"ben": "Benjamin", "cy": "Ben"}
    assert people("@legacy", "dan") == {}
    assert dict(with_people(ChainPlace(step=1, steps=1, following=None), ROSTER, MONDAY).people) == {}


def test_each_schedule_of_a_calendar_says_when_that_could_be_read():
    assert calendars_read_at(ROSTER) == {"legacy": None}
    assert calendars_read_at(replace(ROSTER, calendars={"legacy": calendar("ada")})) == {"legacy": calendar("ada").fetched_at}
