"""Which incidents of a key are one series, when a key is flapping, and what a recipient's next escalation carries on."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery import series
from notifyflow.core.delivery.earlier_pages import Earlier
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.intervals import Outage, PausedInterval
from notifyflow.core.delivery.model import (
    AttemptState,
    Contact,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
    Via,
)
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Acknowledgement
from notifyflow.core.delivery.series import Left
from notifyflow.core.delivery.series_carried import Carried, EarlierPage, Series
from tests.facts import NOW, attempt, escalation, incident, minutes, page

CRITICAL, ERROR, WARNING, INFO = Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO
SENT, DELIVERED, FAILED = NotificationState.SENT, NotificationState.DELIVERED, NotificationState.FAILED
RESOLVED, HOUR = IncidentState.RESOLVED, timedelta(hours=1)


def known(**fields: Any) -> Series:
    """Make the series of a second incident, which opened now."""
    return Series(**({"first_id": "first", "severity": ERROR, "openings": (NOW - minutes(10), NOW)} | fields))


def before(opened: float = -20, resolved: float = -10, **fields: Any) -> IncidentFacts:
    """Make a resolved incident, by the minutes from now."""
    times = {"opened_at": NOW + minutes(opened), "resolved_at": NOW + minutes(resolved)}
    return incident(**({"id": "first", "state": RESOLVED} | times | fields))


def follow(first: IncidentFacts, *rows: NotificationFacts, **fields: Any) -> Series | None:
    return series.follow(first, incident(**fields), rows, now=NOW)


@pytest.mark.parametrize(
    ("via", "acknowledges", "resolves"),
    [
        (Via.LINK, True, False),
        (Via.KEY, True, False),
        ("sms", True, False),
        (Via.LIBRARY, True, False),
        (Via.DASHBOARD, True, True),
        (Via.CLI, True, True),
        (Via.API, True, True),
        (Via.ALERTMANAGER, False, False),
        (Via.PAGERDUTY, False, False),
        (Via.CLOUDEVENTS, False, False),
    ],
)
def test_an_integration_ends_no_series_and_only_operators_end_one_by_resolving(
    via: str, acknowledges: bool, resolves: bool
) -> None:
    assert series.acknowledges_in_person(via) is acknowledges
    assert series.resolves_in_person(via) is resolves


@pytest.mark.parametrize(
    ("first", "is_continued"),
    [
        (before(resolved=-30), True),
        (before(opened=-50, resolved=-30.01), False),
        (before(series=known()), True),
        (before(series=known(is_over=True)), False),
        (incident(), False),
    ],
)
def test_an_incident_belongs_to_the_series_if_it_opens_within_half_an_hour_and_nobody_took_it(
    first: IncidentFacts, is_continued: bool
) -> None:
    assert series.is_continued(first, NOW) is is_continued
    assert (follow(first) is not None) is is_continued


def test_the_second_incident_remembers_the_first() -> None:
    followed = follow(before(severity=CRITICAL), page(state=FAILED))
    assert followed == Series(
        first_id="first", severity=CRITICAL, openings=(NOW - minutes(20), NOW), open_for=minutes(10), has_reached=False
    )
    second = before(series=followed, opened=-5, resolved=-1, id="second")
    third = follow(second, page(state=SENT))
    assert third is not None
    assert (third.first_id, third.severity, third.open_for, third.has_reached) == ("first", CRITICAL, minutes(14), True)
    assert series.is_same(second, incident(series=third))
    assert not series.is_same(second, incident(id="another"))


def test_openings_are_remembered_for_an_hour_and_six_of_them() -> None:
    openings = tuple(NOW - minutes(ago) for ago in (60, 50, 40, 30, 20, 10, 5))
    followed = follow(before(series=known(openings=openings)))
    assert followed is not None
    assert followed.openings == (*openings[-5:], NOW)


def test_a_new_series_remembers_only_that_operations_knows_that_its_key_flaps() -> None:
    assert follow(before(resolved=-40, opened=-50, series=known())) is None
    told = known(flapping_at=NOW - HOUR, is_flapping_told=True, has_reached=True, open_for=HOUR)
    assert follow(before(resolved=-40, opened=-50, series=told)) == Series(
        first_id="i", severity=ERROR, openings=(NOW,), flapping_at=NOW - HOUR, is_flapping_told=True
    )


def test_an_acknowledgement_of_a_resolved_incident_counts_for_the_open_one_unless_that_is_more_severe() -> None:
    newest = incident(series=known())
    assert series.covers(before(), newest)
    assert series.covers(before(severity=CRITICAL), newest)
    assert not series.covers(before(severity=WARNING), newest)
    assert not series.covers(before(), replace(newest, state=RESOLVED))
    assert not series.covers(before(id="another"), newest)


def test_what_a_person_has_ended_begins_anew_when_the_incident_opens_again() -> None:
    ended = series.end(incident(series=known()))
    assert ended.series == known(is_over=True)
    assert series.reopen(ended).series is None
    assert series.reopen(incident(series=known())).series == known()
    assert series.reopen(incident()).series is None


def test_it_ends_for_one_recipient_where_each_has_to_acknowledge() -> None:
    for_ada = series.end_for(series.end_for(incident(series=known()), "ada"), "ada")
    assert for_ada.series == known(over_for=("ada",))
    each = replace(DEFAULT, acknowledgement=Acknowledgement.EACH)
    assert not series.goes_on_for(escalation(), for_ada)
    assert series.goes_on_for(escalation(recipient_id="ben"), for_ada)
    assert series.goes_on_for(escalation(), incident())
    assert not series.goes_on_for(escalation(policy=each, state=EscalationState.ACKNOWLEDGED), incident())
    assert series.goes_on_for(escalation(state=EscalationState.ACKNOWLEDGED), incident())
    assert not series.goes_on_for(escalation(round=0), incident())


def flaps(*, after: float = 20, has_reached: bool = False, severity: Severity = CRITICAL, **fields: Any) -> bool | None:
    """Say whether operations is paged of a second incident, when the first was open for ten minutes."""
    facts = known(**({"open_for": minutes(10)} | fields))
    opened = incident(severity=severity, series=facts)
    return series.flapping_pages(opened, has_reached=has_reached, now=NOW + minutes(after))


def test_a_key_is_flapping_once_it_was_open_for_half_an_hour_in_all_or_opened_six_times_in_an_hour() -> None:
    six = tuple(NOW - minutes(each) for each in (50, 40, 30, 20, 10, 0))
    assert flaps(after=19) is None
    assert flaps() is True
    assert flaps(after=1, openings=six) is True
    assert flaps(after=11, openings=six) is None, "the first was an hour ago"
    assert series.flapping_pages(incident(severity=CRITICAL), has_reached=False, now=NOW + HOUR) is None
    assert flaps(is_over=True) is None
    assert flaps(first_id="i") is None, "it is the first of its series"


def test_a_resolve_stops_the_time_that_a_key_was_open() -> None:
    opened = incident(severity=CRITICAL, series=known(open_for=minutes(10)), state=RESOLVED, resolved_at=NOW + minutes(5))
    assert series.flapping_pages(opened, has_reached=False, now=NOW + HOUR) is None


def test_operations_is_paged_for_critical_and_for_errors_that_reached_nobody() -> None:
    assert flaps(has_reached=True) is True
    assert flaps(severity=ERROR) is True
    assert flaps(severity=ERROR, has_reached=True) is False
    assert flaps(severity=WARNING) is False
    assert flaps(severity=INFO) is None


def test_operations_hears_once_a_day_that_a_key_is_flapping_and_once_more_if_it_was_only_linked() -> None:
    recently, yesterday = NOW - HOUR, NOW - timedelta(days=1)
    assert flaps(flapping_at=recently, is_flapping_told=True) is None
    assert flaps(flapping_at=recently, is_flapping_told=False) is True
    assert flaps(flapping_at=recently, severity=WARNING) is None
    assert flaps(flapping_at=yesterday, is_flapping_told=True) is True


def test_it_is_looked_at_when_it_will_have_been_open_for_long_enough() -> None:
    opened = incident(series=known(open_for=minutes(10)))
    assert series.look_at(opened, NOW) == NOW + minutes(20)
    assert series.look_at(opened, NOW + minutes(20)) is None
    assert series.look_at(replace(opened, state=RESOLVED), NOW) is None
    assert series.look_at(incident(), NOW) is None


def test_operations_is_told_once_a_day_and_severity_of_what_nobody_acknowledges_in_a_series() -> None:
    opened = incident(opened_at=NOW, series=known())
    told = series.tell(opened, [ERROR], now=NOW - minutes(5))
    assert series.has_told(told, ERROR, NOW)
    assert not series.has_told(told, CRITICAL, NOW)
    assert not series.has_told(told, ERROR, NOW + timedelta(days=1))
    assert not series.has_told(series.tell(opened, [ERROR], now=NOW), ERROR, NOW), "this incident told it itself"
    assert not series.has_told(incident(), ERROR, NOW)
    assert series.tell(opened, [], now=NOW) == opened


def carry(*rows: NotificationFacts, earlier: tuple[Earlier, ...] = (), until: float = 7, **fields: Any) -> Carried:
    facts = escalation(**({"policy": INSISTENT} | fields))
    return series.carry(facts, rows, earlier, until=NOW + minutes(until), intervals=())


def test_the_clock_and_the_tier_go_on_where_they_stopped() -> None:
    carried = carry(tier=2)
    assert (carried.clock, carried.tier, carried.is_first) == (minutes(7), 2, True)
    assert carry(carried=carried).clock == minutes(14)
    assert carry(until=-1).clock == timedelta()


def test_what_stopped_the_clock_does_not_count_except_outages_for_critical() -> None:
    intervals = (
        Outage(began_at=NOW + minutes(1), ended_at=NOW + minutes(3)),
        PausedInterval(began_at=NOW + minutes(4), ended_at=NOW + minutes(5)),
    )

    def clock(severity: Severity) -> timedelta:
        return series.carry(escalation(severity=severity), [], [], until=NOW + minutes(7), intervals=intervals).clock

    assert (clock(ERROR), clock(CRITICAL)) == (minutes(4), minutes(6))


def test_a_page_carries_what_it_has_waited_unless_it_has_arrived() -> None:
    awaited = page("sms", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW + minutes(1)), tier=2)
    arrived = page("email", DELIVERED)
    update = page("slack", SENT, kind=Kind.STATUS_UPDATE, tier=None)
    assert carry(awaited, arrived, update).pages == (
        EarlierPage(notification_id="n-email", tier=1, channel="email"),
        EarlierPage(notification_id="n-sms", tier=2, channel="sms", waited=minutes(7)),
    )


def test_failures_and_waits_add_up_until_a_page_arrives() -> None:
    failed = page("sms", NotificationState.CANCELLED, attempt(1, Result.TEMPORARY_FAILURE), id="old", tier=2)
    kept = EarlierPage(notification_id="old", tier=2, channel="sms", failures=1, waited=minutes(2), paged_at=NOW - HOUR)
    (again,) = carry(page("sms", tier=2), earlier=(Earlier(kept, failed),)).pages
    assert again == replace(kept, notification_id="n-sms", failures=2, waited=minutes(9))
    (healed,) = carry(page("sms", tier=2), earlier=(Earlier(kept, page("sms", DELIVERED, id="old", tier=2)),)).pages
    assert (healed.failures, healed.waited) == (0, minutes(7))
    (silent,) = carry(earlier=(Earlier(kept, failed),)).pages
    assert silent == replace(kept, waited=minutes(9)), "it was not sent again, and its wait has gone on"


@pytest.mark.parametrize(
    ("made", "paged_at"),
    [
        (attempt(1, Result.ACCEPTED, evidence=Evidence.ACCEPTED), NOW),
        (attempt(1, Result.PERMANENT_FAILURE), NOW),
        (attempt(1, Result.TEMPORARY_FAILURE), NOW - HOUR),
        (attempt(1, state=AttemptState.NOT_SENT, evidence=Evidence.ACCEPTED), NOW - HOUR),
    ],
)
def test_a_channel_was_last_paged_when_an_attempt_left_or_was_refused_for_good(made: Any, paged_at: datetime) -> None:
    kept = EarlierPage(notification_id="old", tier=1, channel="email", paged_at=NOW - HOUR)
    old = page("email", NotificationState.CANCELLED, made, id="old")
    (again,) = carry(page("email"), earlier=(Earlier(kept, old),)).pages
    assert again.paged_at == paged_at


@given(openings=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=6))
def test_gaps_between_the_incidents_of_a_series_do_not_count(openings: list[tuple[int, int]]) -> None:
    at, carried = NOW, None
    for gap, length in openings:
        facts = escalation(started_at=at + minutes(gap), carried=carried)
        at = facts.started_at + minutes(length)
        carried = series.carry(facts, [], [], until=at, intervals=())
    assert carried is not None
    assert carried.clock == minutes(sum(length for _, length in openings))


EMAIL, SMS = (EarlierPage(notification_id=name, tier=tier, channel=name) for tier, name in ((1, "email"), (2, "sms")))
LEFT = Left(
    carried=Carried(clock=minutes(7), tier=2, pages=(EMAIL, SMS)),
    escalation=escalation(policy=INSISTENT, repetition=2),
    contact=Contact(recipient_id="ada", name="", addresses={"email": "a@example.com", "sms": "+15005550011"}),
    is_first=False,
)
NEW = escalation(id="new", policy=INSISTENT)


def test_the_next_escalation_goes_on_with_tier_rounds_and_pages() -> None:
    gone_on = series.go_on(NEW, LEFT, LEFT.contact)
    assert (gone_on.tier, gone_on.repetition, gone_on.started_at) == (2, 2, NOW)
    assert gone_on.carried == replace(LEFT.carried, is_first=False)


def test_a_changed_address_or_policy_carries_no_pages() -> None:
    moved = replace(LEFT.contact, addresses={**LEFT.contact.addresses, "email": "b@example.com"})
    carried = series.go_on(NEW, LEFT, moved).carried
    assert carried is not None
    assert carried.pages == (SMS,)
    other = series.go_on(replace(NEW, policy=DEFAULT), LEFT, LEFT.contact)
    assert other.tier == 1
    assert other.carried == Carried(clock=minutes(7), tier=1, is_first=False)


@pytest.mark.parametrize(
    ("repetition", "clock", "severity", "expected"),
    [(3, 15, ERROR, (1, 4)), (3, 14, ERROR, (2, 3)), (2, 15, ERROR, (2, 2)), (4, 0, ERROR, (1, 4)), (3, 15, INFO, (2, 3))],
)
def test_once_the_last_round_has_passed_an_opening_pages_the_first_tier_only(
    repetition: int, clock: int, severity: Severity, expected: tuple[int, int]
) -> None:
    left = replace(
        LEFT,
        carried=replace(LEFT.carried, clock=minutes(clock)),
        escalation=replace(LEFT.escalation, repetition=repetition),
    )
    gone_on: EscalationFacts = series.go_on(replace(NEW, severity=severity), left, LEFT.contact)
    assert (gone_on.tier, gone_on.repetition) == expected


def test_the_clocks_stop_at_the_acknowledgement_and_otherwise_at_the_resolve() -> None:
    assert series.stopped_at(before()) == NOW - minutes(10)
    assert series.stopped_at(before(acknowledged_at=NOW - minutes(15))) == NOW - minutes(15)
    assert series.stopped_at(incident()) is None
