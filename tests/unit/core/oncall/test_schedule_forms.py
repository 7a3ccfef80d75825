from datetime import datetime, time, timedelta
from typing import Any

import pytest

from notifyflow.core.delivery.model import Recipient
from notifyflow.core.delivery.policy import DEFAULT, SHIPPED, Acknowledgement, Policy
from notifyflow.core.hours import Hours
from notifyflow.core.oncall.directory import Directory, Route, Then, read_directory
from notifyflow.core.oncall.reach import reach
from notifyflow.core.oncall.schedules import Every, Layer, Schedule, Unit
from notifyflow.errors import InvalidDirectory

PEOPLE = '[recipients]\nada = { phone = "+1500" }\nben = { phone = "+1600" }\ncy = { email = "cy@example.com" }\ndan = {}\n'
GOOD = f"""
{PEOPLE}
[groups]
leads = ["cy"]
[schedules.primary]
timezone = "Europe/Berlin"
[[schedules.primary.layers]]
who = ["ada", ["ben", "cy"]]
from = 2026-12-07T09:00:00
every = "1w"
[[schedules.primary.layers]]
who = ["dan"]
from = 2026-12-07T09:00:00
every = "12h"
only = "Mon-Fri 09:00-18:00, Sat"
[schedules.legacy]
ical = "https://calendar.example.com/oncall.ics"
may_have_gaps = true
handover = true
[[routes]]
match = {{ team = "orders" }}
to = ["@primary"]
then = [{{ after = "10m", to = ["leads"] }}, {{ after = "20m", to = ["operations"] }}]
over_after = "5m"
[default]
to = ["ada"]
"""


def layers(only: str = '"Mon"', every: str = '"1d"', first: str = "2026-12-07T09:00:00", who: str = '["ada"]') -> str:
    table = f"{{ who = {who}, from = {first}, every = {every}, only = {only} }}"
    return f'{PEOPLE}\n[schedules.primary]\ntimezone = "Europe/Berlin"\nlayers = [{table}]\n[default]\nto = ["ada"]\n'


def chain(fields: str, policies: dict[str, Policy] | None = None) -> Directory:
    return read_directory(f'{PEOPLE}\n[default]\nto = ["ada"]\n{fields}', policies or dict(SHIPPED))


def faults(document: str, policies: dict[str, Policy] | None = None) -> list[str]:
    with pytest.raises(InvalidDirectory) as refused:
        read_directory(document, policies or dict(SHIPPED))
    return [str(fault) for fault in refused.value.faults]


def hours(days: set[int], begins: int, ends: int) -> Hours:
    return Hours(days=frozenset(days), begins=time(begins), ends=time(ends))


def check(_channel: str, address: str) -> str:
    return address


def test_schedules_and_chains_are_what_the_file_says():
    directory = read_directory(GOOD, SHIPPED)
    assert directory.schedules["legacy"] == Schedule(
        name="legacy", timezone="UTC", ical="https://calendar.example.com/oncall.ics", may_have_gaps=True, handover=True
    )
    first = datetime(2026, 12, 7, 9)  # noqa: DTZ001 # local time
    assert directory.schedules["primary"] == Schedule(
        name="primary",
        timezone="Europe/Berlin",
        layers=(
            Layer(who=(("ada",), ("ben", "cy")), first=first, every=Every(count=1, unit=Unit.WEEKS)),
            Layer(
                who=(("dan",),),
                first=first,
                every=Every(count=12, unit=Unit.HOURS),
                only=(hours({0, 1, 2, 3, 4}, 9, 18), hours({5}, 0, 0)),
            ),
        ),
    )
    assert directory.routes[0] == Route(
        to=("@primary",),
        match={"team": ("orders",)},
        then=(Then(after=timedelta(minutes=10), to=("leads",)), Then(after=timedelta(minutes=20), to=("operations",))),
        over_after=timedelta(minutes=5),
    )
    assert (directory.default.then, directory.default.over_after) == ((), timedelta(minutes=15))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Mon-Fri 09:00-18:00", [hours({0, 1, 2, 3, 4}, 9, 18)]),
        ("sat - sun", [hours({5, 6}, 0, 0)]),
        ("Fri-Mon 18:00 - 24:00", [hours({4, 5, 6, 0}, 18, 0)]),
        ("22:00-07:00", [hours(set(range(7)), 22, 7)]),
        ("Mon Wed-Thu 08:00-09:00,Sun", [hours({0, 2, 3}, 8, 9), hours({6}, 0, 0)]),
        ("00:00-24:00", [hours(set(range(7)), 0, 0)]),
    ],
)
def test_hours_are_days_and_times(written: str, expected: list[Hours]):
    assert read_directory(layers(only=f'"{written}"'), SHIPPED).schedules["primary"].layers[0].only == tuple(expected)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "Mon-Fri,",
        "Mo-Fr 09:00-18:00",
        "-",
        "Mon-",
        "Mon-Tue-Wed",
        "Mon 9-18",
        "Mon 25:00-26:00",
        "09:60-10:00",
        "24:00-06:00",
    ],
)
def test_other_hours_are_refused(written: str):
    assert faults(layers(only=f'"{written}"')) == [
        f"schedules.primary.layers[0].only: {written!r} does not name hours of the week. "
        'Write days, hours or both, as in "Mon-Fri 09:00-18:00, Sat 10:00-14:00".'
    ]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"only": "5"}, "only: 5 does not name hours of the week"),
        ({"every": '"5h"'}, "every: '5h' does not divide a day. Use 1, 2, 3, 4, 6, 8, 12 or 24 hours, or whole days."),
        ({"every": '"0h"'}, "every: '0h' does not divide a day"),
        ({"every": '"48h"'}, "every: '48h' does not divide a day"),
        ({"every": '"0d"'}, "every: '0d' is not a plausible length of a turn. Use at least one day, and at most ten years."),
        ({"every": '"121mo"'}, "every: '121mo' is not a plausible length of a turn"),
        ({"every": '"1m"'}, "every: '1m' is not the length of a turn. Write a number and h, d, w or mo"),
        ({"every": "7"}, "every: 7 is not the length of a turn"),
        ({"first": "2026-12-07"}, "from: 2026-12-07 has no time. Write both, without quotes"),
        ({"first": '"2026-12-07T09:00:00"'}, "from: '2026-12-07T09:00:00' is not a date and time. Write both, without quotes"),
        (
            {"first": "2026-12-07T09:00:00Z"},
            "has an offset from UTC. Leave it out; it is a local time of the schedule's time zone.",
        ),
        ({"first": "0026-12-07T09:00:00"}, "is not a plausible time. Say when the first turn begins."),
        ({"who": "[]"}, "who: it is empty. Name who takes turns."),
        ({"who": '["ada", []]'}, "who[1]: it is empty. Name at least one recipient, or leave the turn out."),
        ({"who": '["ada", 5]'}, "who[1]: 5 is not a list. Put it in [ ]."),
        ({"who": '[["ada", "be"]]'}, "who[0]: 'be' is not a known recipient. Use ben, if that was meant."),
    ],
)
def test_a_faulty_layer_is_named_with_its_remedy(fields: dict[str, Any], fault: str):
    (found,) = faults(layers(**fields))
    assert found.startswith("schedules.primary.layers[0].")
    assert fault in found


def test_all_faults_of_schedules_are_listed_at_once():
    assert faults(
        """
        [recipients]
        ada = {}
        operations = {}
        "@ben" = {}
        [groups]
        leads = ["ada"]
        [schedules]
        empty = {}
        broken = 5
        "@at" = { ical = "https://example.com" }
        both = { ical = "https://example.com", timezone = "UTC", layers = [{}] }
        calendar = { ical = "ftp://example.com", timezone = "Berlin", may_have_gaps = "yes", handover = 1 }
        zoneless = { layers = [5, { who = ["leads"], from = 2026-12-07T09:00:00, every = "1w", until = 5 }] }
        [default]
        to = ["@broken", "@ghost", "empty"]
        """
    ) == [
        "schedules.broken: 5 is not a table. Give fields and their values.",
        "schedules.both.layers[0].who: it is missing. Give it a value.",
        "schedules.both.layers[0].from: it is missing. Give it a value.",
        "schedules.both.layers[0].every: it is missing. Give it a value.",
        "schedules.calendar.may_have_gaps: 'yes' is neither true nor false. Write true or false.",
        "schedules.calendar.handover: 1 is neither true nor false. Write true or false.",
        "schedules.zoneless.layers[0]: 5 is not a table. Give fields and their values.",
        "schedules.zoneless.layers[1].until: 'until' is not a known field. Use one of who, from, every, only.",
        "schedules.zoneless.timezone: it is missing. Say where the layers' times are local, such as Europe/Berlin.",
        "recipients.operations: its name is the one of the people of operations. Choose another name.",
        "recipients.@ben: its name begins with @. Leave the @ out; it marks a schedule where a route names one.",
        "schedules.@at: its name begins with @. Leave the @ out; it marks a schedule where a route names one.",
        "default.to: '@ghost' is not a known schedule. Use one of ada, operations, @ben, leads, @empty, @broken, @@at, @both, "
        "@calendar, @zoneless.",
        "default.to: 'empty' is not a known recipient or group. Use @empty, if that was meant.",
        "schedules.empty: it has neither layers nor a calendar. Add a layer, or `ical` with the URL of a calendar.",
        "schedules.both.ical: it has layers, too. Keep one of them; an override changes the duty of either.",
        "schedules.calendar.ical: 'ftp…' (17 characters) is not a web address. Give one that begins with https://.",
        "schedules.calendar.timezone: 'Berlin' is not a time zone. Use an IANA name such as Europe/Berlin.",
        "schedules.zoneless.layers[1].who[0]: 'leads' is a group. Name its members; those in [ ] share a turn.",
    ]


def test_all_faults_of_chains_are_listed_at_once():
    steps = """then = [
        { after = "0s", to = ["ben", "operations"] },
        { after = "10m", to = ["operations"] },
        { after = "25h", to = [] },
        { after = 5, to = ["@ghost"] },
        { to = "ben" },
        5,
    ]
    over_after = "0s"
    """
    assert faults(f'{PEOPLE}\n[default]\nto = ["operations"]\n{steps}') == [
        'default.then[3].after: 5 is not a duration. Write a number and d, h, m or s, such as "90s" or "5m".',
        "default.then[4].after: it is missing. Give it a value.",
        "default.then[4].to: 'ben' is not a list. Put it in [ ].",
        "default.then[5]: 5 is not a table. Give fields and their values.",
        "default.to: operations can only be the last step of a chain. Name whom to page first.",
        "default.then[0].after: 0 s is not a valid time of a step. Give more than 0 and at most 24 h, such as 10m.",
        "default.then[0].to: operations stands beside others or before the last step. "
        "Make it the last step, alone, or leave it out: a chain that ends unacknowledged pages them anyway.",
        "default.then[1].to: operations stands beside others or before the last step. "
        "Make it the last step, alone, or leave it out: a chain that ends unacknowledged pages them anyway.",
        "default.then[2].after: 25 h 00 m is not a valid time of a step. Give more than 0 and at most 24 h, such as 10m.",
        "default.then[2].to: it is empty. Name recipients, groups, schedules or operations.",
        "default.then[3].to: '@ghost' is not a known schedule. Use one of ada, ben, cy, dan.",
        "default.over_after: 0 s is not a valid time of a step. Give more than 0 and at most 24 h, such as 10m.",
    ]


def test_a_chain_has_a_time_of_its_last_step_only_with_steps():
    (fault,) = faults(f'{PEOPLE}\n[default]\nto = ["ada"]\nover_after = "5m"')
    assert fault == "default.over_after: it is the time of the last step, and there is no `then`. Add steps, or leave it out."


def test_a_chain_has_at_most_twenty_steps():
    step = '{ after = "1m", to = ["ben"] }'
    assert len(chain(f"then = [{', '.join([step] * 20)}]").default.then) == 20
    (fault,) = faults(f'{PEOPLE}\n[default]\nto = ["ada"]\nthen = [{", ".join([step] * 21)}]')
    assert fault == "default.then: it has 21 steps, 20 are allowed. Page more people in one step."


def test_a_policy_that_wants_an_acknowledgement_of_each_has_no_chain():
    each = Policy(name="each", tiers=DEFAULT.tiers, acknowledgement=Acknowledgement.EACH)
    fields = 'policy = "each"\nthen = [{ after = "1m", to = ["ben"] }]'
    (fault,) = faults(f'{PEOPLE}\n[default]\nto = ["ada"]\n{fields}', {"each": each})
    assert fault == (
        "default.then: the policy each wants an acknowledgement of each recipient, so that nothing is handed on. "
        "Leave it out, or choose a policy that one acknowledgement ends."
    )


def test_a_schedule_that_nobody_has_resolved_is_a_recipient_without_an_address():
    directory = read_directory(GOOD, SHIPPED)
    assert directory.at(directory.routes[0]) == (Recipient(id="@primary"),)


def test_everybody_who_can_be_paged_is_known():
    directory = read_directory(GOOD, SHIPPED)
    assert [each.id for each in directory.everybody(directory.routes[0].names)] == ["ada", "ben", "cy", "dan"]
    assert [each.id for each in directory.everybody(["leads", "operations", "@ghost"])] == ["cy", "@ghost"]
    assert [each.id for each in directory.everybody(["@legacy"])] == ["ada", "ben", "cy", "dan"]
    assert directory.numbers(check, ["sms"]) == {"+1500": ("ada",), "+1600": ("ben",)}
    assert directory.people(check) == {"ada": {"sms", "voice"}, "ben": {"sms", "voice"}, "cy": {"email"}, "dan": set()}


def test_each_step_that_reaches_nobody_is_named():
    document = f"""
        {PEOPLE}
        [schedules.primary]
        timezone = "UTC"
        layers = [{{ who = ["dan"], from = 2026-12-07T09:00:00, every = "1w" }}]
        [schedules.legacy]
        ical = "https://calendar.example.com/oncall.ics"
        [default]
        to = ["cy"]
        then = [
            {{ after = "10m", to = ["@primary"] }},
            {{ after = "10m", to = ["@legacy"] }},
            {{ after = "10m", to = ["operations"] }},
        ]
        """
    found = reach(document, check, ("email", "sms", "voice"), ("email", "sms", "voice"), SHIPPED)
    assert [(fault.where, fault.what) for fault in found.faults] == [
        ("recipients.dan", "dan has no address"),
        ("default.then[0]", "none of its recipients can be reached"),
    ]
