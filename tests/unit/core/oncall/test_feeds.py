"""Feeds: which shifts they have, under which ids, and what a feed can show."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from ical.calendar_stream import IcsCalendarStream
from ical.event import Event

from notifyflow.core.delivery.model import Recipient
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.oncall import feeds
from notifyflow.core.oncall.directory import Directory, Route
from notifyflow.core.oncall.feeds import AHEAD, BACK, Feed, address, faults, title, write
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedules import Calendar, DutyReason, Every, Layer, Override, Schedule, Shift, Unit
from tests.facts import NOW

DAY = timedelta(days=1)
TODAY = NOW.date()
BEGIN = datetime.combine(TODAY, time.min, UTC)
PRIMARY = Schedule(
    name="primary",
    timezone="Europe/Berlin",
    layers=(
        Layer(
            who=(("ada",), ("ben", "cy")),
            first=datetime.fromisoformat("2026-01-05T09:00"),
            every=Every(count=1, unit=Unit.WEEKS),
        ),
    ),
)
LATER = Schedule(
    name="later",
    timezone="UTC",
    layers=(Layer(who=(("ada",),), first=datetime.fromisoformat("2026-12-01T09:00"), every=Every(count=1, unit=Unit.MONTHS)),),
)
DIRECTORY = Directory(
    recipients=FrozenDict(
        {"ada": Recipient(id="ada", name="Ada; L,\\"), "ben": Recipient(id="ben", name="Ben"), "cy": Recipient(id="cy")}
    ),
    schedules=FrozenDict({"primary": PRIMARY, "later": LATER}),
    default=Route(to=("ada",)),
)


def a_roster(*overrides: Override) -> Roster:
    return Roster(directory=DIRECTORY, overrides=overrides)


def a_feed(*, schedule: str | None = None, recipient: str | None = None) -> Feed:
    return Feed(id="1", digest="d", schedule=schedule, recipient_id=recipient, made_by="grace", made_at=NOW)


def events(feed: Feed, roster: Roster | None = None, today: date = TODAY) -> list[Event]:
    return list(IcsCalendarStream.calendar_from_ics(write(feed, roster or a_roster(), today)).events)


def test_the_feed_of_a_schedule_has_its_shifts_of_some_time() -> None:
    roster = a_roster()
    found = events(a_feed(schedule="primary"))
    shifts = list(roster.shifts(PRIMARY, begin=BEGIN - BACK, end=BEGIN + AHEAD))
    assert [(each.dtstart, each.dtend) for each in found] == [(each.begins_at, each.ends_at) for each in shifts]
    assert [each.summary for each in found[:2]] == ["Ben and cy (@primary)", "Ada; L,\\ (@primary)"]
    assert all(each.transparency == "TRANSPARENT" for each in found)


def test_the_feed_of_a_calendar_ends_with_the_last_event_that_is_known() -> None:
    legacy = Schedule(name="legacy", timezone="UTC", ical="https://calendar.example.com/oncall.ics")
    shift = Shift(people=("ada",), begins_at=BEGIN, ends_at=BEGIN + DAY, why=DutyReason.CALENDAR)
    calendar = Calendar(schedule="legacy", shifts=(shift,), fetched_at=BEGIN - 100 * DAY)
    directory = replace(DIRECTORY, schedules=FrozenDict({"legacy": legacy}))
    roster = Roster(directory=directory, calendars=FrozenDict({"legacy": calendar}))
    assert roster.on_duty(legacy, BEGIN + 2 * DAY).people == ("ada",)
    assert [(each.dtstart, each.dtend) for each in events(a_feed(schedule="legacy"), roster)] == [(BEGIN, BEGIN + DAY)]


def test_the_feed_of_a_person_has_all_their_duties_and_no_other() -> None:
    found = events(a_feed(recipient="ben"))
    assert {each.summary for each in found} == {"On call: @primary with cy"}
    assert {each.summary for each in events(a_feed(recipient="ada"))} == {"On call: @primary", "On call: @later"}


def test_nobody_is_no_event() -> None:
    found = events(a_feed(schedule="later"))
    assert min(each.dtstart for each in found) == datetime(2026, 12, 1, 9, tzinfo=UTC)


def test_a_shift_keeps_its_id_while_days_pass_and_people_change() -> None:
    feed = a_feed(schedule="primary")
    before = {each.uid: each.dtstart for each in events(feed)}
    after = {each.uid: each.dtstart for each in events(feed, today=TODAY + DAY)}
    assert len(before) == len(events(feed))
    assert len(before.keys() & after.keys()) >= len(before) - 1
    assert all(before[uid] == after[uid] for uid in before.keys() & after.keys())
    shift = a_roster().on_duty(PRIMARY, NOW)
    override = Override(
        id="1", schedule="primary", people=("cy",), begins_at=shift.begins_at, ends_at=shift.ends_at, made_by="cy", made_at=NOW
    )
    (changed,) = [each for each in events(feed, a_roster(override)) if each.dtstart == shift.begins_at]
    assert before[changed.uid] == shift.begins_at
    assert (changed.summary, changed.description) == ("cy (@primary)", "By an override.")


def test_a_feed_says_the_same_all_day() -> None:
    assert write(a_feed(schedule="primary"), a_roster(), TODAY) == write(a_feed(schedule="primary"), a_roster(), TODAY)


@pytest.mark.parametrize("feed", [a_feed(schedule="gone"), a_feed(recipient="eve")])
def test_what_the_directory_does_not_have_any_more_has_no_event(feed: Feed) -> None:
    assert events(feed) == []


def test_a_feed_has_a_title() -> None:
    assert title(a_feed(schedule="primary"), a_roster()) == "On call: @primary"
    assert title(a_feed(recipient="ben"), a_roster()) == "On call: Ben"


@pytest.mark.parametrize(
    ("schedule", "recipient", "what"),
    [
        ("primary", "", None),
        ("@primary", "", None),
        ("", "ada", None),
        ("", "", "it is of neither or of both"),
        ("primary", "ada", "it is of neither or of both"),
        ("@gone", "", "unknown"),
        ("", "eve", "unknown"),
    ],
)
def test_a_feed_shows_what_the_directory_has(schedule: str, recipient: str, what: str | None) -> None:
    found = list(faults(a_roster(), schedule, recipient))
    assert len(found) == (what is not None)
    assert what in (None, "unknown") or found[0].what == what


def test_the_token_stands_in_the_address_only() -> None:
    assert address("https://notify.example/below/", "t") == "https://notify.example/below/oncall/feeds/t.ics"
    assert address(None, "t") == "/oncall/feeds/t.ics"
    assert "d" * 64 not in repr(Feed(id="1", digest="d" * 64, schedule="p", recipient_id=None, made_by="a", made_at=NOW))


def one_of(by: str, expires_at: datetime | None = None) -> Feed:
    return Feed(id="1", digest="d", schedule="p", recipient_id=None, made_by=by, made_at=NOW, expires_at=expires_at)


def test_a_feed_is_over_when_it_expires_and_otherwise_never() -> None:
    assert not one_of("ada").is_over(NOW + timedelta(days=10_000))
    assert not one_of("ada", NOW).is_over(NOW - timedelta(seconds=1))
    assert one_of("ada", NOW).is_over(NOW)


def test_one_person_makes_so_many_feeds_and_all_of_them_so_many() -> None:
    of_ada, of_all = [one_of("ada")] * feeds.MOST_OF_ONE, [one_of("ben")] * feeds.MOST
    assert [fault.what for fault in feeds.too_many(of_ada[1:], "ada")] == []
    assert [fault.what for fault in feeds.too_many(of_ada, "ada")] == ["you have made 500 already"]
    assert [fault.what for fault in feeds.too_many(of_ada, "ben")] == []
    assert [fault.what for fault in feeds.too_many(of_all[1:], "ada")] == []
    assert [fault.what for fault in feeds.too_many(of_all, "ada")] == ["there are 2,000 already"]
