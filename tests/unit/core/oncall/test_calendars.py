from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Recipient
from notifyflow.core.oncall.calendars import MOST_CHARACTERS, MOST_EVENTS, CalendarRead, read_calendar
from notifyflow.core.oncall.schedules import DutyReason, Schedule
from notifyflow.core.text import quoted
from notifyflow.errors import InvalidCalendar

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
PEOPLE = {
    each.id: each
    for each in (
        Recipient(id="ada", name="Ada Lovelace", email="Ada@example.com"),
        Recipient(id="ben", name="Ben", addresses={"email": "ben@example.com"}),
        Recipient(id="cy", name="Twin"),
        Recipient(id="dan", name="Twin"),
    )
}
LEGACY = Schedule(name="legacy", timezone="Europe/Berlin", ical="https://calendar.example.com/oncall.ics")
ODD_ZONE = """BEGIN:VTIMEZONE
TZID:Company Time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19810329T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;UNTIL=20260329T010000Z;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""
DAY = "DTSTART;TZID=Europe/Berlin:20261201T090000\nDTEND;TZID=Europe/Berlin:20261202T090000\n"


def event(fields: str, uid: str = "1") -> str:
    return f"BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20261128T000000Z\n{fields.strip()}\nEND:VEVENT\n"


def calendar(*parts: str) -> str:
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//tests//EN\n{''.join(parts)}END:VCALENDAR\n"


def read(*parts: str, zone: str = "Europe/Berlin", now: datetime = NOW) -> CalendarRead:
    schedule = Schedule(name="legacy", timezone=zone, ical="https://calendar.example.com/oncall.ics")
    return read_calendar(calendar(*parts), schedule, PEOPLE, now=now)


def shifts(*parts: str, zone: str = "Europe/Berlin", now: datetime = NOW) -> list[tuple[str, str, str]]:
    found = read(*parts, zone=zone, now=now).calendar.shifts
    assert {each.why for each in found} <= {DutyReason.CALENDAR}
    return [("+".join(each.people), f"{each.begins_at:%d %H:%M}", f"{each.ends_at:%d %H:%M}") for each in found]


def refused(document: str) -> str:
    with pytest.raises(InvalidCalendar) as error:
        read_calendar(document, LEGACY, PEOPLE, now=NOW)
    (fault,) = error.value.faults
    assert fault.where == "schedules.legacy.ical"
    return fault.what


def test_an_event_is_a_shift_of_whom_its_title_names():
    found = read(event(f"{DAY}SUMMARY:ada"))
    assert found.faults == ()
    assert (found.calendar.schedule, found.calendar.fetched_at) == ("legacy", NOW)
    assert shifts(event(f"{DAY}SUMMARY:ada")) == [("ada", "01 08:00", "02 08:00")]


@pytest.mark.parametrize(
    ("named", "people"),
    [
        ("SUMMARY:ada", "ada"),
        ("SUMMARY: ada lovelace ", "ada"),
        ("SUMMARY:ADA@example.com", "ada"),
        ("SUMMARY:Ben\\, ada", "ada+ben"),
        ("SUMMARY:On call\nATTENDEE;CN=Ben:mailto:BEN@example.com", "ben"),
        ("ATTENDEE:MAILTO:ben@example.com\nATTENDEE:mailto:ada@example.com", "ada+ben"),
        ("ATTENDEE;PARTSTAT=DECLINED:mailto:ben@example.com\nATTENDEE:mailto:ada@example.com", "ada"),
        ("ATTENDEE;CUTYPE=ROOM:mailto:room@example.com\nSUMMARY:ada", "ada"),
    ],
)
def test_people_are_found_by_mail_address_or_by_title(named: str, people: str):
    found = read(event(DAY + named))
    assert ["+".join(each.people) for each in found.calendar.shifts] == [people]
    assert found.faults == ()


def test_names_of_nobody_are_faults():
    found = read(
        event(f"{DAY}SUMMARY:ada"),
        event(f"{DAY}SUMMARY:Zoe", "2"),
        event(f"{DAY}SUMMARY:Twin", "3"),
        event(f"{DAY}SUMMARY:ben\\, Yan", "4"),
        event(f"{DAY}ATTENDEE:mailto:zoe@example.com\nATTENDEE:mailto:ben@example.com", "5"),
    )
    assert [str(fault) for fault in found.faults] == [
        f"schedules.legacy.ical: no recipient is called {name}. "
        "Give a recipient this id, name or mail address, or correct the event; it puts nobody else on duty."
        for name in ("'Zoe'", "'Twin'", "'ben, Yan'", "'zoe…' (15 characters)")
    ]
    assert [each.people for each in found.calendar.shifts] == [("ada", "ben")]


def test_events_at_one_time_put_all_of_their_people_on_duty():
    assert shifts(
        event("DTSTART:20261201T080000Z\nDTEND:20261201T120000Z\nSUMMARY:ada"),
        event("DTSTART:20261201T100000Z\nDURATION:PT4H\nSUMMARY:ben", "2"),
        event("DTSTART:20261201T090000Z\nDTEND:20261201T110000Z\nSUMMARY:ada", "3"),
        event("DTSTART:20261201T150000Z\nDTEND:20261201T160000Z\nSUMMARY:cy", "4"),
    ) == [
        ("ada", "01 08:00", "01 10:00"),
        ("ada+ben", "01 10:00", "01 12:00"),
        ("ben", "01 12:00", "01 14:00"),
        ("cy", "01 15:00", "01 16:00"),
    ]


def test_whole_days_and_times_without_a_zone_are_local_in_the_zone_of_the_schedule():
    day = event("DTSTART;VALUE=DATE:20261201\nSUMMARY:ada")
    days = event("DTSTART;VALUE=DATE:20261203\nDTEND;VALUE=DATE:20261205\nSUMMARY:ben", "2")
    floating = event("DTSTART:20261206T090000\nDTEND:20261206T170000\nSUMMARY:ada", "3")
    assert shifts(day, days, floating) == [
        ("ada", "30 23:00", "01 23:00"),
        ("ben", "02 23:00", "04 23:00"),
        ("ada", "06 08:00", "06 16:00"),
    ]
    assert shifts(day, zone="America/New_York") == [("ada", "01 05:00", "02 05:00")]


def test_repeated_events_keep_their_local_time():
    weekly = (
        "DTSTART;TZID=Europe/Berlin:20260907T090000\nDTEND;TZID=Europe/Berlin:20260908T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2\n"
    )
    found = shifts(event(f"{weekly}SUMMARY:ada"), now=datetime(2026, 10, 12, 12, tzinfo=UTC))
    assert found == [
        ("ada", "19 07:00", "20 07:00"),
        *[("ada", f"{day:02} 08:00", f"{day + 1:02} 08:00") for day in (2, 16)],
        ("ada", "30 08:00", "01 08:00"),
    ]


def test_repeated_events_end_by_count_or_by_date():
    daily = f"{DAY}SUMMARY:ada\nRRULE:FREQ=DAILY"
    assert len(shifts(event(f"{daily};COUNT=3;INTERVAL=2"))) == 3
    assert shifts(event(f"{daily};UNTIL=20261203T080000Z")) == [("ada", "01 08:00", "04 08:00")]
    assert shifts(event(f"{daily};UNTIL=20991231T000000Z"))[-1][2] == "28 08:00"
    dates = "DTSTART;VALUE=DATE:20261201\nSUMMARY:ada\nRRULE:FREQ=DAILY;UNTIL=20261203"
    assert shifts(event(dates)) == [("ada", "30 23:00", "03 23:00")]
    floating = "DTSTART:20261201T090000\nDTEND:20261201T100000\nSUMMARY:ada\nRRULE:FREQ=WEEKLY"
    assert [begins for _, begins, _ in shifts(event(floating))][:2] == ["01 08:00", "08 08:00"]


def test_exceptions_additions_and_replacements_of_repeated_events_count():
    series = event(
        f"{DAY}SUMMARY:ada\nRRULE:FREQ=WEEKLY;COUNT=4\n"
        "EXDATE;TZID=Europe/Berlin:20261208T090000\nRDATE;TZID=Europe/Berlin:20261210T090000"
    )
    moved = event(
        "RECURRENCE-ID;TZID=Europe/Berlin:20261215T090000\nDTSTART:20261216T080000Z\nDTEND:20261217T080000Z\nSUMMARY:ben"
    )
    ended = event(
        "RECURRENCE-ID:20261222T080000Z\nSTATUS:CANCELLED\nDTSTART:20261222T080000Z\nDTEND:20261223T080000Z\nSUMMARY:ada"
    )
    assert shifts(series, moved, ended) == [
        ("ada", "01 08:00", "02 08:00"),
        ("ada", "10 08:00", "11 08:00"),
        ("ben", "16 08:00", "17 08:00"),
    ]
    whole_days = event("DTSTART;VALUE=DATE:20261201\nSUMMARY:ada\nRRULE:FREQ=DAILY;COUNT=3")
    replaced = event("RECURRENCE-ID;VALUE=DATE:20261202\nDTSTART;VALUE=DATE:20261202\nSUMMARY:ben")
    assert [people for people, *_ in shifts(whole_days, replaced)] == ["ada", "ben", "ada"]
    period = event(f"{DAY}SUMMARY:ada\nRDATE;VALUE=PERIOD:20261210T080000Z/20261210T120000Z")
    assert shifts(period)[1][1] == "10 08:00"


def test_events_outside_of_the_window_are_left_out():
    before = event("DTSTART:20261126T000000Z\nDTEND:20261127T120000Z\nSUMMARY:ada")
    into = event("DTSTART:20261126T000000Z\nDTEND:20261127T120001Z\nSUMMARY:ben", "2")
    after = event("DTSTART:20270127T120000Z\nDTEND:20270128T000000Z\nSUMMARY:ada\nRRULE:FREQ=DAILY", "3")
    assert shifts(before, into, after) == [("ben", "26 00:00", "27 12:00")]
    assert shifts(after) == []


LAST_YEAR = "DTSTART:20251201T080000Z\nDTEND:20251208T080000Z\n"


@pytest.mark.parametrize(
    "over",
    [
        LAST_YEAR,
        f"{LAST_YEAR}RRULE:FREQ=WEEKLY;UNTIL=20260301T080000Z\n",
        f"{LAST_YEAR}RRULE:FREQ=WEEKLY;COUNT=9\n",
        f"{DAY}STATUS:CANCELLED\n",
        "DTSTART:20261126T000000Z\nDTEND:20261127T120000Z\n",
    ],
)
def test_a_calendar_whose_events_from_yesterday_on_name_nobody_is_refused(over: str):
    """A year in which the directory's people were on duty does not make a rota of strangers theirs."""
    old, new = event(f"{over}SUMMARY:ada"), event(f"{DAY}SUMMARY:Zoe", "2")
    for document in (calendar(old, new), calendar(old)):
        assert refused(document) == "none of its events from yesterday on names a recipient of the directory"
    later = event("DTSTART:20270601T080000Z\nDTEND:20270608T080000Z\nSUMMARY:ada", "3")
    assert shifts(old, new, later) == []


def test_only_names_in_events_that_are_not_over_are_reported():
    gone = event(f"{LAST_YEAR}SUMMARY:Yan"), event(f"{LAST_YEAR}RRULE:FREQ=WEEKLY;UNTIL=20260301T080000Z\nSUMMARY:Kim", "2")
    found = read(*gone, event(f"{DAY}SUMMARY:Zoe", "3"), event(f"{DAY}SUMMARY:ada", "4"))
    assert [each.what for each in found.faults] == ["no recipient is called 'Zoe'"]


def test_a_windows_name_of_a_time_zone_is_understood():
    outlook = DAY.replace("Europe/Berlin", "W. Europe Standard Time")
    quoted = DAY.replace("Europe/Berlin", '"W. Europe Standard Time"').replace(";TZID", ";VALUE=DATE-TIME;TZID")
    for fields in (outlook, quoted):
        assert shifts(event(f"{fields}SUMMARY:ada")) == [("ada", "01 08:00", "02 08:00")]
    series = f"{outlook}SUMMARY:ada\nRRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;TZID=W. Europe Standard Time:20261208T090000"
    moved = "RECURRENCE-ID;TZID=W. Europe Standard Time:20261215T090000\nDTSTART:20261216T080000Z\nDURATION:P1D\nSUMMARY:ben"
    assert [people for people, *_ in shifts(event(series), event(moved))] == ["ada", "ben"]


def test_the_rules_of_the_file_itself_come_before_those_that_a_windows_name_has():
    odd = ODD_ZONE.replace("Company Time", "Tokyo Standard Time")
    shift = "DTSTART;TZID=Tokyo Standard Time:20261201T090000\nDURATION:PT8H\nSUMMARY:ada"
    assert shifts(odd, event(shift)) == [("ada", "01 08:00", "01 16:00")]
    assert shifts(event(shift)) == [("ada", "01 00:00", "01 08:00")]


@pytest.mark.parametrize("zone", ["Europe", "America", "x" * 400, "../../etc/passwd", "zone.tab", "Atlantis", "\x00"])
def test_a_time_zone_that_nobody_knows_is_named(zone: str):
    assert refused(calendar(event(f"{DAY.replace('Europe/Berlin', zone)}SUMMARY:ada"))) == (
        f"its time zone {quoted(zone)} is not known, and the file does not say what it is"
    )


def test_a_change_of_a_repetition_and_all_later_ones_is_refused_while_the_series_goes_on():
    series = "DTSTART:20251201T080000Z\nDTEND:20251202T080000Z\nRRULE:FREQ=WEEKLY%s\nSUMMARY:%s"
    change = "RECURRENCE-ID;RANGE=THISANDFUTURE:20251222T080000Z\nDTSTART:20251223T080000Z\nDTEND:20251224T080000Z\nSUMMARY:ben"
    other = event(f"{DAY}SUMMARY:ada", "2")
    for who in ("ada", "Zoe"):
        for status in ("", "\nSTATUS:CANCELLED"):
            assert refused(calendar(event(series % ("", who)), event(change + status), other)) == (
                "an event changes a repetition and all later ones (RANGE=THISANDFUTURE)"
            )
    for ended in (";COUNT=9", ";UNTIL=20260301T080000Z"):
        assert shifts(event(series % (ended, "ada")), event(change), other) == [("ada", "01 08:00", "02 08:00")]


def test_events_without_a_begin_or_a_length_are_no_shifts():
    assert shifts(event("SUMMARY:ada"), event("DTSTART:20261201T080000Z\nSUMMARY:ada", "2"), event(f"{DAY}SUMMARY:ben", "3")) == [
        ("ben", "01 08:00", "02 08:00")
    ]


def test_a_time_zone_of_the_file_itself_counts_also_after_its_rule_has_ended():
    shift = "DTSTART;TZID=Company Time:%sT090000\nDURATION:PT8H\nSUMMARY:ada"
    summer, winter = event(shift % "20260728"), event(shift % "20261201", "2")
    assert shifts(ODD_ZONE, summer, now=datetime(2026, 7, 28, tzinfo=UTC)) == [("ada", "28 07:00", "28 15:00")]
    assert shifts(ODD_ZONE, summer, winter) == [("ada", "01 08:00", "01 16:00")]


def test_what_does_not_matter_may_be_broken():
    odd = 'GEO:nowhere\nATTACH;FMTTYPE=x:::\nX-ODD;A="b:c\nBEGIN:VALARM\nTRIGGER:never\nEND:VALARM\n'
    todo = "BEGIN:VTODO\nDUE:never\nEND:VTODO\nNAME;X=:\n"
    assert shifts(todo, event(f"{DAY}{odd}SUMMARY:a\n da")) == [("ada", "01 08:00", "02 08:00")]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ("", "it is not an iCalendar file"),
        ("<html>Log in</html>", "it is not an iCalendar file"),
        (calendar(), "it has no events"),
        (calendar("BEGIN:VEVENT\n" * 5, "END:VEVENT\n" * 5), "none of its events from yesterday on names a recipient"),
        (calendar(event("DTSTART:20261201T090000Z\nSUMMARY:Zoe")), "none of its events from yesterday on names a recipient"),
        (calendar(event(f"{DAY}SUMMARY:ada"))[:-30], "it is not a valid iCalendar file"),
        (calendar(event("DTSTART:tomorrow\nSUMMARY:ada")), "it is not a valid iCalendar file (CalendarParseError)"),
        (
            calendar(event("DTSTART:20261201T080000Z\nDURATION:P999999W\nSUMMARY:ada")),
            "it is not a valid iCalendar file (OverflowError)",
        ),
        (
            calendar(event("RECURRENCE-ID:never\nDTSTART:20261201T080000Z\nSUMMARY:ada")),
            "it is not a valid iCalendar file (ValueError)",
        ),
        ("END:VCALENDAR\n" + "BEGIN:VCALENDAR\n" * 50_000, "it has no events"),
    ],
)
def test_a_calendar_that_says_nothing_about_the_duty_is_refused(document: str, what: str):
    assert refused(document).startswith(what)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ("x" * 10_000_000, f"it has 10,000,000 characters, {MOST_CHARACTERS:,} are allowed"),
        (calendar("BEGIN:VEVENT\nEND:VEVENT\n" * 6_000), f"it has more than {MOST_EVENTS:,} events"),
        (calendar(ODD_ZONE * 101, event(f"{DAY}SUMMARY:ada")), "its time zones have more than 200 rules"),
        (
            calendar(event(f"{DAY}SUMMARY:{'a,' * 15_000}")),
            "one of its lines is too long, or its events have too many single dates",
        ),
        (calendar(event(f"{DAY}ATTENDEE{';X=1' * 300}:mailto:a@b.c")), "one of its lines is too long"),
        (calendar(event(DAY + f"EXDATE:{','.join(['20261203'] * 1_000)}\n" * 6)), "one of its lines is too long"),
        (calendar(event(f"{DAY}SUMMARY:ada\nRRULE:FREQ=MINUTELY")), "it has more than 5,000 events within 61 days"),
        (calendar(ODD_ZONE.replace("YEARLY", "SECONDLY")), "one of its time zones changes its clocks by an unusual rule"),
        (calendar(ODD_ZONE.replace("FREQ", "COUNT=5;FREQ")), "one of its time zones changes its clocks by an unusual rule"),
    ],
)
def test_a_calendar_that_would_cost_too_much_is_refused(document: str, what: str):
    assert refused(document).startswith(what)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=DAILY;BYHOUR=" + ",".join(["1"] * 5_000),
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYHOUR=9",
        "FREQ=MINUTELY;BYDAY=MO",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=DAILY;INTERVAL=2;BYMONTH=2",
        "FREQ=DAILY;BYYEARDAY=366",
        "FREQ=DAILY;BYWEEKNO=53",
        "FREQ=DAILY;BYDAY=MO,TU;BYSETPOS=3",
        ";".join(
            [
                "FREQ=YEARLY;BYDAY=53MO;BYHOUR=1,2,3,4,5,6,7,8,9,10;BYMINUTE=1,2,3,4,5,6,7,8,9",
                "BYSECOND=1,2,3,4,5,6,7,8,9,10,11,12",
            ]
        ),
    ],
)
def test_a_rule_that_repeats_too_often_or_fits_hardly_any_date_is_refused(rule: str):
    assert refused(calendar(event(f"{DAY.replace('2026', '2025')}SUMMARY:ada\nRRULE:{rule}"))).startswith(
        "its events repeat too often"
    )


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=MONTHLY;BYDAY=1MO", [7, 4]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", [30, 31]),
        ("FREQ=MONTHLY;BYMONTHDAY=15,31", [15, 31, 15]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", [31]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", [24]),
        ("FREQ=YEARLY;BYWEEKNO=52;BYDAY=MO", [21]),
        ("FREQ=WEEKLY;INTERVAL=4;BYDAY=MO,TH", [30, 3, 28, 31, 25]),
        ("FREQ=DAILY;INTERVAL=28", [30, 28, 25]),
    ],
)
def test_usual_rules_are_followed(rule: str, days: list[int]):
    start = "DTSTART;TZID=Europe/Berlin:20251229T090000\nDTEND;TZID=Europe/Berlin:20251229T100000\n"
    found = shifts(event(f"{start}SUMMARY:ada\nRRULE:{rule}"))
    assert [int(begins[:2]) for _, begins, _ in found] == days


LINES = st.sampled_from(
    [
        *(f"{edge}:{name}" for edge in ("BEGIN", "END") for name in ("VEVENT", "VCALENDAR", "VTIMEZONE", "STANDARD", "DAYLIGHT")),
        *("TZID:Odd", "TZID:", "TZID:Europe", "TZOFFSETTO:+0100", "TZOFFSETTO:+9999", "TZOFFSETFROM:0", "TZNAME:"),
        *(f"DTSTART;TZID={zone}:20261201T090000" for zone in ("Odd", "Europe", "America", "x" * 400, '"a:b"', "../..", "\x00")),
        *(
            "DTSTART:20261201",
            "DTSTART:99991231T235959",
            "DTSTART;VALUE=DATE:00010101",
            "DTSTART;TZID=Tokyo Standard Time:00010101T000000",
        ),
        *("DTEND:20261202T090000Z", "DTEND:00010101T000000", "DURATION:-P1D", "DURATION:P9999999D", "DURATION:PT0S"),
        *("RRULE:FREQ=YEARLY", "RRULE:FREQ=DAILY;UNTIL=99991231", "RRULE:FREQ=DAILY;COUNT=9", "RRULE:UNTIL=20269999", "RRULE:="),
        *("RRULE:FREQ=DAILY;BYDAY=+99MO", "RRULE:FREQ=YEARLY;INTERVAL=9999999999", "RRULE:FREQ=DAILY;COUNT=99999999999999999999"),
        *(
            "RDATE:20261203",
            "RDATE;VALUE=PERIOD:20261203T000000Z/P1D",
            "RDATE;TZID=Africa:20261203T090000",
            "EXDATE:20261203T090000",
        ),
        *("RECURRENCE-ID:20261203", "RECURRENCE-ID;TZID=Asia:20261203T090000", "RECURRENCE-ID;RANGE=THISANDFUTURE:20261201"),
        *("UID:1", "SUMMARY:ada", "ATTENDEE:mailto:ben@example.com", "ATTENDEE;CN=", "STATUS:CANCELLED", "STATUS:ODD"),
        *(" folded", ":", ";", "\x00", '"', "\ud800", "DTSTAMP:", "X:\u0665"),
    ]
)


PARTS = ("BEGIN", "END", "VEVENT", "DTSTART", "TZID", "RRULE", "FREQ", "RDATE", "EXDATE", "DURATION", "UNTIL", "ATTENDEE", "UID")
VALUES = ("DAILY", "YEARLY", "Europe", "Etc", "Odd", "20261201T090000", "20261203", "P1D", "-1", "0", "99999", "ada", "Z", "/")
ANY_LINES = st.lists(st.sampled_from((*PARTS, *VALUES, ":", ";", "=", ",", '"', "\\")) | st.text(max_size=4), max_size=9).map(
    "".join
)
"""Lines that were put together from the parts of lines."""


@settings(max_examples=300)
@given(st.lists(LINES | ANY_LINES, max_size=14), st.booleans())
@example(["DTSTART:99991231T235959", "DURATION:P9999999D", "SUMMARY:ada"], True)
@example(["DTSTART;TZID=Europe:20261201T090000", "DURATION:P1D", "SUMMARY:ada"], True)
@example([f"DTSTART;TZID={'x' * 400}:20261201T090000", "DURATION:P1D", "SUMMARY:ada"], True)
def test_any_text_is_read_or_refused(lines: list[str], is_event: bool):
    inner = "\n".join(lines)
    document = calendar(event(inner)) if is_event else inner
    try:
        found = read_calendar(document, LEGACY, PEOPLE, now=NOW)
    except InvalidCalendar:
        return
    times = [time for each in found.calendar.shifts for time in (each.begins_at, each.ends_at)]
    assert times == sorted(times)
    assert times[1] > NOW - timedelta(days=1) if times else not found.calendar.shifts
