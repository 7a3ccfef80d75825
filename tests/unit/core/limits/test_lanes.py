"""A storm begins with the third incident of a minute; from then on first attempts wait for the beat, each only once."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import AttemptState, DeferralReason, Kind, Result, Severity
from notifyflow.core.limits import lanes
from notifyflow.core.limits.lanes import LEAD, Arrivals, Class, Departure, Lane
from tests.builders import START
from tests.facts import attempt, seconds
from tests.facts import page as a_page

CRITICAL, ERROR, WARNING, INFO = Severity
TEXT, CHAT = timedelta(seconds=60), timedelta(seconds=10)
LANE = Lane(id="lane", channel="sms")
STORM = Lane(id="lane", channel="sms", left_at=START, urgent_from=START, urgent_until=START + lanes.LASTS)


def page(severity: Severity = ERROR, *, came: datetime = START, **values: object) -> NotificationFacts:
    return replace(a_page("sms"), severity=severity, created_at=came, due_at=came, namespace="shop", **values)


def arrivals(severity: Severity, incidents: int = 1, *, namespace: str = "shop", first_id: str = "0") -> Arrivals:
    return Arrivals(namespace=namespace, severity=severity, incidents=incidents, first_id=first_id)


def leaves(
    row: NotificationFacts,
    lane: Lane | None = STORM,
    *came: Arrivals,
    longest: timedelta = TEXT,
    now: datetime = START,
) -> tuple[Departure, timedelta]:
    departure, until = lanes.departure(row, lane, came, lanes.patience(row, (), longest), now=now)
    return departure, until - now


def test_a_lane_names_the_channel_and_the_address_and_reveals_neither() -> None:
    known = lanes.lane_of(b"key", "sms", "+15005550006")
    assert known == lanes.lane_of(b"key", "sms", "+15005550006")
    assert len(known) == 16
    others = {lanes.lane_of(*each) for each in ((b"key", "voice", "+15005550006"), (b"key", "sms", "+1"), (b"", "sms", "+1"))}
    assert len({known, *others}) == 4


def test_critical_and_error_are_counted_apart_from_warning_and_info() -> None:
    assert [lanes.class_of(each) for each in Severity] == [Class.URGENT, Class.URGENT, Class.CALM, Class.CALM]
    assert lanes.severities_of(Class.CALM) == (WARNING, INFO)
    two_and_two = [arrivals(CRITICAL), arrivals(ERROR), arrivals(WARNING, 2)]
    assert not any(lanes.may_begin(two_and_two, each) for each in Class)
    assert lanes.may_begin([*two_and_two, arrivals(ERROR, namespace="billing")], Class.URGENT)


@pytest.mark.parametrize("severities", Class)
def test_a_storm_begins_with_its_first_wait_and_ends_five_minutes_after_its_newest_incident(severities: Class) -> None:
    severity = ERROR if severities is Class.URGENT else INFO
    lane = lanes.begin(LANE, severities, lanes.Start(third_at=START, left_at=START - seconds(1)), now=START + seconds(1))
    assert lane.left_at == START - seconds(1)
    again = lanes.Start(third_at=START + seconds(2), left_at=None)
    assert lanes.begin(lane, severities, again, now=START + seconds(2)) == lane
    assert [lanes.is_stormy(lane, each, now=START + seconds(2)) for each in Class] == [each is severities for each in Class]
    later = lanes.go_on(lane, [page(severity, came=START + seconds(100)), page(WARNING), page(ERROR)], now=START + seconds(100))
    last = START + seconds(100) + lanes.LASTS
    assert [lanes.is_stormy(later, severities, now=at) for at in (last - seconds(1), last)] == [True, False]
    assert lanes.go_on(later, [page(severity)], now=START + seconds(110)) == later


def test_a_second_storm_does_not_move_the_beat_of_the_first() -> None:
    both = lanes.begin(
        replace(STORM, beat_at=START + seconds(58)),
        Class.CALM,
        lanes.Start(third_at=START, left_at=None),
        now=START + seconds(20),
    )
    assert (both.left_at, both.beat_at, both.calm_from) == (START, START + seconds(58), START)


def test_without_a_storm_a_page_leaves_at_once_and_alone() -> None:
    assert leaves(page(), None) == leaves(page(), Lane(id="lane", channel="sms")) == (Departure.ALONE, seconds(0))
    assert leaves(page(WARNING)) == (Departure.ALONE, seconds(0))
    assert leaves(page(), now=START + lanes.LASTS)[0] is Departure.TOGETHER  # late by our own fault


@pytest.mark.parametrize("held_up", [{"deferred_by": DeferralReason.LIMIT}, {"waits_until": START}])
def test_what_could_not_leave_when_it_was_due_leaves_with_others(held_up: dict[str, object]) -> None:
    assert leaves(page(**held_up), None) == (Departure.TOGETHER, seconds(0))


def test_what_was_deferred_does_not_wait_in_a_storm_too() -> None:
    assert leaves(page(deferred_by=DeferralReason.PAUSE)) == (Departure.TOGETHER, seconds(0))


def test_late_by_an_outage_leaves_with_others() -> None:
    assert leaves(page(), None, now=START + seconds(59))[0] is Departure.ALONE
    assert leaves(page(), None, now=START + seconds(60))[0] is Departure.TOGETHER
    assert not lanes.joins(replace(page(), due_at=None), now=START + seconds(60))


@pytest.mark.parametrize(
    ("severity", "longest", "wait"), [(ERROR, TEXT, 60), (CRITICAL, TEXT, 30), (ERROR, CHAT, 10), (CRITICAL, CHAT, 10)]
)
def test_in_a_storm_a_first_attempt_waits_for_the_beat(severity: Severity, longest: timedelta, wait: int) -> None:
    row = page(severity, came=START + seconds(1))
    came = [arrivals(CRITICAL)]
    assert leaves(row, STORM, *came, longest=longest, now=START + seconds(1)) == (Departure.WAITS, seconds(wait - 1))
    late = replace(STORM, left_at=START + seconds(5))
    assert leaves(row, late, *came, longest=longest, now=START + seconds(6)) == (Departure.WAITS, seconds(wait - 5))
    almost = START + seconds(wait) - LEAD
    assert leaves(row, STORM, *came, longest=longest, now=almost - seconds(0.1))[0] is Departure.WAITS
    assert leaves(row, STORM, *came, longest=longest, now=almost)[0] is Departure.WITH_ALL


def test_the_critical_pages_of_an_escalation_wait_half_a_minute_in_all() -> None:
    mail = page(CRITICAL, attempts=(attempt(started_at=START + seconds(8)),))
    chat = page(CRITICAL, attempts=(attempt(started_at=START + seconds(2)),))
    joined = page(CRITICAL, tier=2, waits_until=START + seconds(5))
    text = page(CRITICAL, came=START + seconds(40), tier=2, attempts=(attempt(started_at=START + seconds(49)),))
    earlier = (mail, chat, joined, page(CRITICAL), text)
    waits = [lanes.patience(page(CRITICAL, came=START + seconds(at)), earlier, TEXT) for at in (0, 4, 40, 45, 60)]
    assert waits == [seconds(30), seconds(26), seconds(22), seconds(17), seconds(13)]
    held_up = replace(mail, created_at=START - seconds(99))
    assert lanes.patience(page(CRITICAL, came=START + seconds(60)), (*earlier, held_up), TEXT) == seconds(0)
    assert lanes.patience(page(ERROR, came=START + seconds(60)), earlier, TEXT) == TEXT
    assert lanes.patience(page(CRITICAL), earlier, CHAT) == CHAT
    paused = page(CRITICAL, deferred_by=DeferralReason.PAUSE, deferred_since=START + seconds(29))
    assert lanes.patience(page(CRITICAL, came=START + seconds(40)), (paused,), CHAT) == seconds(1)


def test_in_a_storm_before_whose_start_no_message_left_nothing_waits() -> None:
    assert leaves(page(), replace(STORM, left_at=None)) == (Departure.WITH_ALL, seconds(0))


def test_a_status_update_waits_in_any_storm_and_prolongs_none() -> None:
    update = page(INFO, kind=Kind.STATUS_UPDATE)
    calm = Lane(id="lane", channel="sms", left_at=START, calm_from=START, calm_until=START + lanes.LASTS)
    assert [leaves(update, each)[0] for each in (STORM, calm, LANE)] == [Departure.WAITS, Departure.WAITS, Departure.ALONE]
    assert lanes.go_on(calm, [replace(update, created_at=START + seconds(9))], now=START + seconds(9)) == calm


def test_in_a_storm_a_page_that_was_called_waits_for_the_next_call() -> None:
    def calls(row: NotificationFacts, lane: Lane = STORM, *, now: datetime = START) -> tuple[Departure, timedelta]:
        departure, until = lanes.call_departure(row, lane, (), TEXT, now=now)
        return departure, until - now

    failed = page(CRITICAL, attempts=(attempt(result=Result.TEMPORARY_FAILURE),))
    assert calls(failed, now=START + seconds(10)) == (Departure.WAITS, seconds(50))
    assert calls(failed, now=START + lanes.REPEATED_AFTER - LEAD) == (Departure.WITH_ALL, seconds(0))
    others = [attempt(state=AttemptState.NOT_SENT), attempt(result=Result.TEMPORARY_FAILURE, is_doubted=True)]
    others.append(attempt(result=Result.TEMPORARY_FAILURE, sent_with="a0", half="a1"))
    rows = [replace(failed, attempts=(each,)) for each in others]
    for row in (*rows, replace(failed, deferred_by=DeferralReason.LIMIT), replace(failed, severity=WARNING)):
        assert calls(row) == (Departure.ALONE, seconds(0))
    assert calls(failed, replace(STORM, left_at=None)) == (Departure.ALONE, seconds(0))
    assert calls(page())[0] is Departure.WAITS


def test_a_retry_leaves_with_others_only_after_quiet_hours() -> None:
    tried = page(attempts=(attempt(),), deferred_by=DeferralReason.QUIET)
    assert leaves(tried, None)[0] is Departure.TOGETHER
    assert leaves(replace(tried, deferred_by=DeferralReason.LIMIT), None)[0] is Departure.ALONE


def test_no_page_waits_twice() -> None:
    row = page(waits_until=START + seconds(60))
    just_left = lanes.left(STORM, now=START + seconds(57))
    assert (just_left.left_at, just_left.beat_at) == (START + seconds(57), None)
    assert leaves(row, just_left, now=START + seconds(57)) == (Departure.WAITS, seconds(3))
    assert leaves(row, just_left, now=START + seconds(60))[0] is Departure.WITH_ALL


def test_what_came_before_the_storm_and_what_was_tried_before_does_not_wait() -> None:
    assert leaves(page(came=START - seconds(0.001)))[0] is Departure.ALONE
    tried = replace(page(CRITICAL), attempts=(attempt(),))
    assert leaves(tried, STORM, arrivals(CRITICAL))[0] is Departure.ALONE


def test_the_first_critical_page_of_its_namespace_within_a_minute_does_not_wait() -> None:
    row = page(CRITICAL, came=START + seconds(5))
    now = START + seconds(6)
    others = [arrivals(CRITICAL, namespace="billing"), arrivals(ERROR), arrivals(CRITICAL, first_id=row.id)]
    assert leaves(row, STORM, *others, now=now)[0] is Departure.ALONE
    assert leaves(row, STORM, arrivals(CRITICAL), now=now)[0] is Departure.WAITS
    assert leaves(replace(row, waits_until=START + seconds(30)), STORM, *others, now=now)[0] is Departure.WAITS
    assert leaves(row, replace(STORM, left_at=START + seconds(60)), now=START + seconds(65))[0] is Departure.WITH_ALL


def test_the_first_page_that_waits_leads_the_others() -> None:
    lane, due_at = lanes.add_waiting(STORM, START + seconds(60), now=START)
    assert (due_at, lane.beat_at) == (START + seconds(58), START + seconds(58))
    assert lanes.add_waiting(lane, START + seconds(61), now=START) == (lane, START + seconds(61))
    sooner, due_at = lanes.add_waiting(lane, START + seconds(30), now=START)
    assert (due_at, sooner.beat_at) == (START + seconds(28), START + seconds(28))
    again, due_at = lanes.add_waiting(lane, START + seconds(90), now=START + seconds(58))  # the leader was due, and did not leave
    assert (due_at, again.beat_at) == (START + seconds(88), START + seconds(88))


def test_a_page_that_comes_long_after_the_last_message_waits_for_what_comes_with_it() -> None:
    now = START + seconds(100)
    row, other = page(came=now), page(came=now + seconds(0.5))
    assert leaves(row, now=now) == (Departure.WAITS, seconds(4))
    lane, due_at = lanes.add_waiting(STORM, now + seconds(4), now=now)
    assert due_at == now + seconds(2)
    assert leaves(other, lane, now=other.created_at) == (Departure.WAITS, seconds(4))
    assert lanes.add_waiting(lane, other.created_at + seconds(4), now=other.created_at)[1] > due_at
    assert leaves(replace(row, waits_until=now + seconds(4)), lane, now=due_at)[0] is Departure.WITH_ALL


@pytest.mark.parametrize("left_s", [2.0, 0.5])
def test_a_page_that_may_wait_for_little_longer_waits_for_half_of_it(left_s: float) -> None:
    now, row = START + seconds(100), page(CRITICAL, came=START + seconds(100))
    departure, until = lanes.departure(row, STORM, [arrivals(CRITICAL)], seconds(left_s), now=now)
    assert (departure, until) == (Departure.WAITS, now + seconds(left_s))
    assert lanes.add_waiting(STORM, until, now=now)[1] == now + seconds(left_s / 2)
    assert lanes.departure(row, STORM, [arrivals(CRITICAL)], seconds(0), now=now)[0] is Departure.WITH_ALL


@given(
    severity=st.sampled_from(Severity),
    came=st.floats(0, 400),
    left=st.floats(-400, 400),
    waited=st.floats(0, 400),
    longest=st.sampled_from([TEXT, CHAT]),
)
def test_a_page_never_waits_longer_than_its_beat(
    severity: Severity, came: float, left: float, waited: float, longest: timedelta
) -> None:
    at = START + seconds(came)
    lane = Lane(
        id="lane",
        channel="sms",
        left_at=min(START + seconds(left), at + seconds(waited)),
        urgent_from=START,
        urgent_until=at + seconds(waited) + lanes.LASTS,
        calm_from=START,
        calm_until=at + seconds(waited) + lanes.LASTS,
    )
    row = page(severity, came=at)
    departure, until = lanes.departure(
        row, lane, [arrivals(severity)], lanes.patience(row, (), longest), now=at + seconds(waited)
    )
    bound = min(longest, seconds(30)) if severity is CRITICAL else longest
    assert seconds(0) <= until - (at + seconds(waited))
    assert until - at <= max(bound, seconds(waited))
    assert (departure is Departure.WAITS) == (until > at + seconds(waited))
