from dataclasses import replace
from datetime import UTC, datetime, timedelta

from notifyflow.core.delivery.model import Contact
from notifyflow.core.delivery.policy import DEFAULT, SHIPPED, Policy, Tier
from notifyflow.core.oncall.directory import read_directory
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedules import Calendar, DutyReason, Override, Shift
from notifyflow.core.upkeep.duty_warnings import DutyWarning, DutyWarningKind, duty_warnings, gaps

NOW = datetime(2026, 12, 7, 10, 0, tzinfo=UTC)  # a Monday
MONTH = timedelta(days=30)
BY_PHONE = ("sms", "voice")
WAYS = {"ada": ("email", *BY_PHONE), "ben": ("email",), "cy": (), "dan": BY_PHONE}
PEOPLE = {who: Contact(recipient_id=who, name=who, addresses=dict.fromkeys(ways, "x")) for who, ways in WAYS.items()}
DOCUMENT = """
[recipients]
ada = {{}}
ben = {{}}
cy = {{}}
dan = {{}}
[schedules.always]
timezone = "Europe/Berlin"
layers = [{{ who = ["ada"], from = 2026-01-01T09:00:00, every = "1w" }}]
[schedules.office]
timezone = "Europe/Berlin"
layers = [{{ who = ["ada"], from = 2026-01-01T09:00:00, every = "1w", only = "Mon-Fri 09:00-18:00" }}]
[schedules.nights]
timezone = "Europe/Berlin"
layers = [{{ who = ["ada"], from = 2026-01-01T09:00:00, every = "1w", only = "Mon-Fri 18:00-08:00, Sat, Sun" }}]
[schedules.turns]
timezone = "Europe/Berlin"
layers = [{{ who = ["ada", "cy"], from = 2026-12-07T09:00:00, every = "1d" }}]
[schedules.late]
timezone = "UTC"
layers = [{{ who = ["ada"], from = 2027-12-07T09:00:00, every = "1d" }}]
[schedules.legacy]
ical = "https://calendar.example.com/oncall.ics"
[default]
{default}
"""


def roster(default: str, **fields: object) -> Roster:
    return Roster(directory=read_directory(DOCUMENT.format(default=default), SHIPPED), **fields)


def findings(default: str, kind: DutyWarningKind, people: dict[str, Contact] = PEOPLE, **fields: object) -> list[DutyWarning]:
    return [each for each in duty_warnings(roster(default, **fields), people, SHIPPED, now=NOW) if each.kind is kind]


def preferring(who: str, **channels: tuple[str, ...]) -> dict[str, Contact]:
    return {**PEOPLE, who: replace(PEOPLE[who], channels=channels)}


def test_gaps_are_named_with_the_first_one_in_the_zone_of_the_schedule():
    found = {each.where: each for each in findings('to = ["ada"]', DutyWarningKind.GAP)}
    assert sorted(found) == ["schedules.late", "schedules.nights", "schedules.office"]
    office = found["schedules.office"]
    assert str(office.fault) == (
        "schedules.office: nobody is on duty from Mon 7 Dec 18:00 CET to Tue 8 Dec 09:00 CET, and 21 more times. "
        "Add a layer before the others, or write may_have_gaps = true into the schedule if it is meant."
    )
    assert (office.begins_at, office.ends_at, office.count) == (
        datetime(2026, 12, 7, 17, tzinfo=UTC),
        datetime(2026, 12, 8, 8, tzinfo=UTC),
        22,
    )
    assert not office.is_fault
    assert found["schedules.late"].what == "nobody is on duty from Mon 7 Dec 10:00 UTC on"


def test_gaps_that_are_meant_are_no_finding_but_a_chain_that_ends_in_one_is():
    document = DOCUMENT.format(default='to = ["@office"]')
    meant = document.replace("[schedules.office]", "[schedules.office]\nmay_have_gaps = true")
    found = duty_warnings(Roster(directory=read_directory(meant, SHIPPED)), PEOPLE, SHIPPED, now=NOW)
    assert "schedules.office" not in [each.where for each in found]
    assert gaps(found, ["office", "nights"])["office"] == 0
    assert [each.kind for each in found if each.where == "default"] == [DutyWarningKind.NOBODY_REACHED]


def test_people_on_duty_who_cannot_be_reached_are_named_with_their_times():
    (found,) = findings('to = ["ada"]', DutyWarningKind.UNREACHABLE)
    assert str(found.fault) == (
        "schedules.turns: cy cannot be reached, and is on duty from Tue 8 Dec 09:00 CET to Wed 9 Dec 09:00 CET, "
        "and 14 more times. "
        "Give them an address that a configured provider carries, or let somebody else take the duty."
    )
    assert (found.person, found.count, found.is_fault) == ("cy", 15, True)


def test_overrides_and_calendars_count():
    taken = Override(
        id="o", schedule="always", people=("cy",), begins_at=NOW, ends_at=NOW + timedelta(hours=8), made_by="ada", made_at=NOW
    )
    shift = Shift(people=("cy",), begins_at=NOW - timedelta(days=1), ends_at=NOW + timedelta(days=2), why=DutyReason.CALENDAR)
    calendar = Calendar(schedule="legacy", shifts=(shift,), fetched_at=NOW)
    found = findings('to = ["ada"]', DutyWarningKind.UNREACHABLE, overrides=(taken,), calendars={"legacy": calendar})
    assert [(each.where, each.begins_at) for each in found if each.where != "schedules.turns"] == [
        ("schedules.always", NOW),
        ("schedules.legacy", NOW),
    ]
    (gap,) = (
        each
        for each in findings('to = ["ada"]', DutyWarningKind.GAP, calendars={"legacy": calendar})
        if each.where == "schedules.legacy"
    )
    assert gap.begins_at == shift.ends_at


def test_a_chain_that_reaches_nobody_at_some_time_is_a_fault():
    chain = 'to = ["@office"]\nthen = [{ after = "10m", to = ["@nights", "cy"] }]'
    (found,) = findings(chain, DutyWarningKind.NOBODY_REACHED)
    assert str(found.fault) == (
        "default: its chain reaches nobody from Tue 8 Dec 08:00 CET to Tue 8 Dec 09:00 CET, and 21 more times. "
        "Add somebody who can always be reached, or operations, as its last step."
    )
    assert found.is_fault
    assert findings('to = ["@turns"]', DutyWarningKind.NOBODY_REACHED)[0].begins_at == datetime(2026, 12, 8, 8, tzinfo=UTC)
    assert (
        findings('to = ["@late"]', DutyWarningKind.NOBODY_REACHED)[0].what
        == "its chain reaches nobody from Mon 7 Dec 10:00 UTC on"
    )


def test_a_chain_that_always_reaches_somebody_is_none():
    for chain in (
        'to = ["@always"]',
        'to = ["@office"]\nthen = [{ after = "10m", to = ["ben"] }]',
        'to = ["@office"]\nthen = [{ after = "10m", to = ["operations"] }]',
        'to = ["@legacy", "@office"]',
        'to = ["cy"]',
    ):
        assert findings(chain, DutyWarningKind.NOBODY_REACHED) == []


def test_a_policy_without_the_channels_of_those_on_duty_reaches_nobody():
    chats = Policy(name="insistent", tiers=(Tier(name="chat", channels=("slack",)),))
    found = duty_warnings(roster('to = ["@always"]'), PEOPLE, {"insistent": chats}, now=NOW)
    assert [each.kind for each in found if each.where == "default"] == [DutyWarningKind.NOBODY_REACHED]


def test_a_step_that_is_shorter_than_its_tiers_need_is_named():
    steps = '[{ after = "9m", to = ["ben"] }, { after = "10m", to = ["dan"] }]'
    found = findings(f'to = ["ada"]\nthen = {steps}\nover_after = "30s"', DutyWarningKind.SHORT_STEP)
    assert [str(each.fault) for each in found] == [
        "default.then[0].after: the step is over after 9 m, and the policy insistent opens its last tier for ada after 10 m. "
        "Give it at least 10 m, or choose a policy that is faster.",
        "default.over_after: the step is over after 30 s, and the policy insistent opens its last tier for dan after 10 m. "
        "Give it at least 10 m, or choose a policy that is faster.",
    ]
    assert not found[0].is_fault
    assert (found[0].begins_at, found[0].ends_at, found[0].person) == (None, None, "")


def test_a_step_needs_the_time_of_those_whom_it_may_page_by_the_channels_that_they_prefer():
    def short(first: str, people: dict[str, Contact] = PEOPLE, **fields: object) -> list[str]:
        step = '{ after = "9m", to = ["operations"] }'
        found = findings(f'to = ["{first}"]\nthen = [{step}]\nover_after = "9m"', DutyWarningKind.SHORT_STEP, people, **fields)
        return [each.what.partition("last tier ")[2] for each in found]

    operations = "for operations after 10 m"
    assert short("ben") == [operations], "he has mail only"
    assert short("@turns") == ["for ada after 10 m", operations]
    assert short("@legacy") == ["for ada after 10 m", operations], "anybody may be on duty"
    shift = Shift(people=("ben", "eve"), begins_at=NOW, ends_at=NOW + MONTH, why=DutyReason.CALENDAR)
    calendar = Calendar(schedule="legacy", shifts=(shift,), fetched_at=NOW)
    assert short("@legacy", calendars={"legacy": calendar}) == [operations]
    one_each = preferring("ada", WARNING=("email",), ERROR=("voice",), CRITICAL=("voice",))
    called_twice = "for ada after 10 m for CRITICAL"
    assert short("ada", one_each) == [called_twice, operations], "she is called at once, and again by the last tier"
    all_three = preferring("ada", WARNING=("sms", "voice", "email"), ERROR=("voice",), CRITICAL=("voice",))
    assert short("ada", all_three) == ["for ada after 10 m for CRITICAL and WARNING", operations]


def test_who_prefers_only_channels_that_nothing_carries_cannot_be_reached_for_a_severity():
    people = preferring("ada", INFO=("slack", "sms"), WARNING=("slack",), ERROR=("email",), CRITICAL=("slack",))
    found = [each for each in findings('to = ["ada"]', DutyWarningKind.UNREACHABLE, people) if each.where == "schedules.always"]
    assert [str(each.fault) for each in found] == [
        "schedules.always: ada cannot be reached for WARNING and INFO, and is on duty from Mon 7 Dec 11:00 CET on. "
        "Let them prefer a channel that a configured provider carries, too."
    ]
    assert findings('to = ["@always"]', DutyWarningKind.NOBODY_REACHED, people) == []


def test_a_policy_that_opens_tiers_by_outcome_alone_needs_no_time():
    steps = 'policy = "default"\nthen = [{ after = "1s", to = ["ben"] }]'
    assert findings(f'to = ["ada"]\n{steps}', DutyWarningKind.SHORT_STEP) == []
    assert findings('to = ["ada"]', DutyWarningKind.SHORT_STEP) == []


def test_a_route_with_an_unknown_policy_is_left_out():
    found = duty_warnings(roster('to = ["@late"]'), PEOPLE, {"default": DEFAULT}, now=NOW)
    assert [each for each in found if each.where == "default"] == []


def test_gaps_are_counted_by_schedule_also_where_there_are_none():
    found = duty_warnings(roster('to = ["ada"]'), PEOPLE, SHIPPED, now=NOW)
    assert gaps(found, ["always", "office"]) == {"always": 0, "office": 22}
