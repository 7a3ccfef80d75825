"""Quiet hours begin and end by the recipient's own clocks, and stop all clocks but those of CRITICAL."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifyflow.core.delivery import rounds
from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.intervals import PausedInterval, moved
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.page_rules import expires_at
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Policy
from notifyflow.core.delivery.tier_rules import next_decision_at
from notifyflow.core.hours import Hours
from notifyflow.core.limits import quiet
from notifyflow.core.limits.quiet import Quiet, quiet_times, read_quiet
from tests import rotas
from tests.facts import NOW, context, escalation, minutes
from tests.rotas import STEP, changes_of_clocks, pinned_zones

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NIGHT = Quiet(begins=time(22), ends=time(7))
ADA = Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@example.com"}, timezone="UTC", quiet="22:00-07:00")
AWAKE = datetime(2026, 11, 25, 21, 0, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def _same_zones_everywhere() -> Iterator[None]:
    with pinned_zones():
        yield


def times(hours: str, zone: str, since: str, until: str) -> list[str]:
    """Return the begins and ends of quiet times between two dates, as the clocks of UTC show them."""
    begin, end = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (since, until))
    found = quiet_times(read_quiet(hours), ZoneInfo(zone), begin, end)
    return [f"{each.began_at:%d %H:%M}-{each.ended_at:%d %H:%M}" for each in found]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("22:00-07:00", NIGHT),
        (" 22:00 - 07:00 ", NIGHT),
        ("12:30-13:00", Quiet(begins=time(12, 30), ends=time(13))),
        ("17:00-09:00", Quiet(begins=time(17), ends=time(9))),
        ("20:00-00:00", Quiet(begins=time(20), ends=time(0))),
    ],
)
def test_quiet_hours_are_a_begin_and_an_end(written: str, meant: Quiet) -> None:
    assert read_quiet(written) == meant
    assert read_quiet(str(meant)) == meant


@pytest.mark.parametrize(
    "written", ["", "22-7", "10pm-7am", "22:00", "24:00-07:00", "22:60-07:00", "22:00-07:00 Mon-Fri", "２２:00-07:00"]
)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"^does not say when quiet hours begin and end$"):
        read_quiet(written)


@pytest.mark.parametrize("written", ["07:00-07:00", "07:00-23:01", "00:00-23:59"])
def test_a_day_has_to_leave_time_for_pages(written: str) -> None:
    with pytest.raises(ValueError, match=r"^leaves less than 8 hours of the day for pages$"):
        read_quiet(written)


def test_quiet_hours_that_have_begun_belong_to_a_time_and_those_that_end_with_its_begin_do_not() -> None:
    assert times("22:00-07:00", "UTC", "2026-11-25T03:00", "2026-11-26T22:01") == [
        "24 22:00-25 07:00",
        "25 22:00-26 07:00",
        "26 22:00-27 07:00",
    ]
    assert times("22:00-07:00", "UTC", "2026-11-25T07:00", "2026-11-25T22:00") == []
    assert times("12:00-13:00", "Asia/Kolkata", "2026-11-25T00:00", "2026-11-26T00:00") == ["25 06:30-25 07:30"]


@pytest.mark.parametrize(
    ("hours", "zone", "since", "expected"),
    [
        ("22:00-07:00", "Europe/Berlin", "2026-03-28T12:00", ["28 21:00-29 05:00"]),
        ("22:00-07:00", "Europe/Berlin", "2026-10-24T12:00", ["24 20:00-25 06:00"]),
        ("02:30-07:00", "Europe/Berlin", "2026-03-28T12:00", ["29 01:00-29 05:00"]),
        ("22:00-02:30", "Europe/Berlin", "2026-03-28T12:00", ["28 21:00-29 01:00"]),
        ("02:10-02:50", "Europe/Berlin", "2026-03-28T12:00", []),
        ("02:30-07:00", "Europe/Berlin", "2026-10-24T12:00", ["25 00:30-25 06:00"]),
        ("22:00-02:30", "Europe/Berlin", "2026-10-24T12:00", ["24 20:00-25 00:30"]),
        ("22:00-07:00", "Pacific/Apia", "2011-12-29T18:00", ["30 08:00-30 17:00"]),
        ("01:45-02:15", "Australia/Lord_Howe", "2026-10-03T12:00", ["03 15:15-03 15:30"]),
    ],
)
def test_changes_of_clocks(hours: str, zone: str, since: str, expected: list[str]) -> None:
    until = datetime.fromisoformat(since) + 20 * HOUR
    assert times(hours, zone, since, until.isoformat()) == expected


@given(st.deferred(lambda: st.sampled_from(sorted(available_timezones()))), st.integers(0, 10_000_000))
@example("Pacific/Apia", 0)
@example("Australia/Lord_Howe", 0)
@example("Africa/Casablanca", 7)
def test_they_last_while_a_clock_on_the_wall_says_so_around_every_change_of_clocks(name: str, seed: int) -> None:
    chance, zone = random.Random(seed), ZoneInfo(name)
    year = chance.choice(range(2009, 2028))
    first = datetime(year, 1, 1, tzinfo=UTC)
    moment = chance.choice(changes_of_clocks(zone, first, first + 365 * DAY) or [first + 5 * DAY])
    moment = moment.replace(minute=moment.minute // 15 * 15, second=0)
    since, until = moment - 26 * HOUR, moment + 26 * HOUR
    hours = Hours(days=frozenset(range(7)), begins=_any_time(chance), ends=_any_time(chance))
    if hours.begins == hours.ends:
        return
    found = quiet_times(Quiet(begins=hours.begins, ends=hours.ends), zone, since, until)
    assert all(one.ended_at < other.began_at for one, other in pairwise(found))
    latest = datetime.combine(date.min, time.min)
    at = since - 27 * HOUR
    while at < until:
        latest = max(latest, at.astimezone(zone).replace(tzinfo=None))
        if at >= since:
            assert any(each.began_at <= at < each.ended_at for each in found) is rotas.last(hours, latest), (name, at)
        at += STEP


def _any_time(chance: random.Random) -> time:
    return time(chance.choice((0, 1, 2, 3, chance.randrange(24))), chance.choice((0, 15, 30, 45)))


def test_nobody_is_quiet_for_critical_and_nobody_without_quiet_hours() -> None:
    assert quiet.paused_intervals(ADA, Severity.CRITICAL, since=NOW, until=NOW + DAY) == ()
    assert quiet.paused_intervals(replace(ADA, quiet=None), Severity.INFO, since=NOW, until=NOW + DAY) == ()
    assert quiet.quiet_until(ADA, Severity.CRITICAL, NOW) is None
    assert quiet.quiet_until(ADA, Severity.ERROR, NOW) == datetime(2026, 11, 25, 7, tzinfo=UTC)
    assert quiet.quiet_until(ADA, Severity.ERROR, datetime(2026, 11, 25, 7, tzinfo=UTC)) is None


def test_several_people_are_quiet_while_each_of_them_is() -> None:
    ben = replace(ADA, recipient_id="ben", quiet="23:30-05:00")
    cy = replace(ADA, recipient_id="cy", quiet="04:00-08:00", timezone="America/New_York")
    since = AWAKE - 3 * HOUR

    def shared(*people: Contact) -> list[tuple[datetime, datetime]]:
        found = quiet.shared_intervals(people, Severity.ERROR, since=since, until=since + DAY)
        return [(each.began_at - since, each.ended_at - since) for each in found]  # type: ignore[misc]

    assert shared(ADA, ben) == [(5.5 * HOUR, 11 * HOUR)]
    assert shared(ADA, ben, cy) == []
    assert shared(ADA, replace(ben, quiet=None)) == []
    assert shared() == []


def test_the_time_of_a_step_passes_only_while_one_of_those_before_is_awake() -> None:
    ben = replace(ADA, recipient_id="ben", quiet="00:00-05:00")

    def due_at(*people: Contact, after: timedelta, severity: Severity = Severity.ERROR) -> datetime:
        return moved(AWAKE + after, quiet.step_intervals(people, severity, after, since=AWAKE, now=AWAKE), since=AWAKE)

    assert due_at(ADA, after=2 * HOUR) == AWAKE + 11 * HOUR
    assert due_at(ADA, ben, after=5 * HOUR) == AWAKE + 10 * HOUR
    assert due_at(ADA, ben, after=DAY) == AWAKE + DAY + 2 * 5 * HOUR
    assert due_at(ADA, after=2 * HOUR, severity=Severity.CRITICAL) == due_at(after=2 * HOUR) == AWAKE + 2 * HOUR


def _context(policy: Policy, contact: Contact = ADA, severity: Severity = Severity.ERROR) -> DecisionContext:
    fresh = context(policy=policy, severity=severity, started_at=AWAKE, tier=1, addresses="email sms voice")
    return replace(fresh, paused_intervals=quiet.escalation_intervals(contact, fresh.escalation, AWAKE))


def test_a_tier_a_round_and_the_age_of_a_page_wait_for_their_end() -> None:
    late = replace(INSISTENT, repeat=replace(INSISTENT.repeat, every=90 * minutes(1)))  # type: ignore[type-var]
    assert rounds.due_at(_context(late)) == AWAKE + 90 * minutes(1) + 9 * HOUR
    assert next_decision_at(_context(late), AWAKE, is_opening=False) == AWAKE + minutes(5)
    night = replace(_context(late), escalation=replace(_context(late).escalation, started_at=AWAKE + 2 * HOUR))
    assert next_decision_at(night, AWAKE + 2 * HOUR, is_opening=False) == AWAKE + 10 * HOUR + minutes(5)
    asleep = _context(DEFAULT)
    assert expires_at(asleep.escalation, asleep.paused_intervals) == AWAKE + DAY + 2 * 9 * HOUR


@given(
    st.sampled_from(("22:00-07:00", "17:00-09:00", "00:00-16:00", "12:00-12:01")),
    st.integers(1, 100),
    st.integers(0, 200),
    st.booleans(),
)
def test_no_deadline_lies_beyond_the_quiet_times_that_are_known(hours: str, fresh_h: int, age_h: int, has_pause: bool) -> None:
    policy = replace(INSISTENT, fresh_for=fresh_h * HOUR)
    facts = escalation(policy=policy, started_at=AWAKE)
    contact, now = replace(ADA, quiet=hours), AWAKE + age_h * HOUR
    pause = (PausedInterval(began_at=now, ended_at=now + DAY),) if has_pause else ()
    known = quiet.escalation_intervals(contact, facts, now)
    more = quiet.paused_intervals(contact, Severity.ERROR, since=AWAKE, until=now + 100 * DAY)
    for since in (AWAKE, now):
        assert moved(since + policy.fresh_for, (*known, *pause), since=since) == moved(
            since + policy.fresh_for, (*more, *pause), since=since
        )


def test_nothing_stops_the_clocks_of_critical_or_of_a_recipient_without_quiet_hours() -> None:
    assert _context(INSISTENT, severity=Severity.CRITICAL).paused_intervals == ()
    assert _context(INSISTENT, replace(ADA, quiet=None)).paused_intervals == ()


def test_the_longest_wait_is_one_of_a_timer_a_round_a_retry_window_or_the_age_of_a_page() -> None:
    short = replace(INSISTENT, fresh_for=HOUR, repeat=replace(INSISTENT.repeat, every=2 * HOUR))  # type: ignore[type-var]
    assert quiet.longest_wait(short, Severity.ERROR) == 2 * HOUR
    assert quiet.longest_wait(DEFAULT, Severity.ERROR) == DAY
