"""Every way that is left is held up: by what, after how long, and when it is worth telling."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery import held_up
from notifyflow.core.delivery.escalation import AlertOperations, DecisionContext
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.intervals import PausedInterval
from notifyflow.core.delivery.model import DeferralReason, IncidentState, NotificationState, Result, Severity
from notifyflow.core.delivery.policy import INSISTENT
from tests.facts import NOW, attempt, context, incident, minutes, page, seconds

QUEUED, SENDING, SENT = NotificationState.QUEUED, NotificationState.SENDING, NotificationState.SENT
DELIVERED, FAILED = NotificationState.DELIVERED, NotificationState.FAILED
CRITICAL = Severity.CRITICAL
PAUSE = DeferralReason.PAUSE


def held(channel: str = "voice", *, by: DeferralReason = PAUSE, tier: int = 3) -> NotificationFacts:
    return page(channel, deferred_by=by, deferred_since=NOW, tier=tier)


def of(*pages: NotificationFacts, **given: object) -> DecisionContext:
    """Make the context of a CRITICAL recipient whose tiers are all open."""
    return context(page("email", FAILED), *pages, **({"severity": CRITICAL, "tier": 3} | given))


@pytest.mark.parametrize(
    ("why", "after"),
    [
        (DeferralReason.PAUSE, seconds(30)),
        (DeferralReason.SUSPENSION, seconds(30)),
        (DeferralReason.CIRCUIT, seconds(30)),
        (DeferralReason.LIMIT, minutes(2)),
        (DeferralReason.RETRY_AFTER, minutes(2)),
    ],
)
def test_a_way_is_held_up_after_a_while_that_its_obstacle_decides(why: DeferralReason, after: timedelta) -> None:
    only = of(held(by=why))
    assert not held_up.is_held_up(only, NOW + after - seconds(1))
    assert held_up.is_held_up(only, NOW + after)
    assert list(held_up.timers(only, NOW)) == [NOW + after]
    assert list(held_up.timers(only, NOW + after)) == []


@pytest.mark.parametrize(
    "other", [page("sms", QUEUED, tier=2), page("sms", SENDING, tier=2), held("sms", by=DeferralReason.QUIET)]
)
def test_another_way_that_is_open_is_enough(other: NotificationFacts) -> None:
    assert not held_up.is_held_up(of(held(), other), NOW + minutes(1))


def test_a_receipt_is_a_way_until_it_is_overdue() -> None:
    sent = page("sms", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW + minutes(2)), tier=2)
    assert not held_up.is_held_up(of(held(), sent), NOW + minutes(1))
    assert held_up.is_held_up(of(held(), sent), NOW + minutes(2))


def test_where_nothing_is_left_nothing_is_held_up() -> None:
    assert not held_up.is_held_up(of(page("voice", FAILED, tier=3)), NOW + minutes(5))


def test_a_tier_that_a_timer_opens_is_a_way() -> None:
    waiting = replace(of(held("sms", tier=2), tier=2, policy=INSISTENT))
    assert not held_up.is_held_up(waiting, NOW + minutes(9))
    assert held_up.is_held_up(waiting, NOW + minutes(10))


@pytest.mark.parametrize("arrived", [page("sms", DELIVERED, tier=2), page("sms", SENT, tier=2)])
def test_after_an_arrival_only_ways_that_a_timer_opened_count(arrived: NotificationFacts) -> None:
    assert not held_up.is_held_up(of(held(), arrived), NOW + minutes(1))
    assert held_up.is_held_up(of(held(), arrived, policy=INSISTENT), NOW + minutes(1))


def test_it_is_about_open_incidents_and_critical_pages_and_never_about_operations_own() -> None:
    later = NOW + minutes(5)
    for about in (incident(state=IncidentState.ACKNOWLEDGED), incident(is_operations=True)):
        assert not held_up.is_held_up(replace(of(held()), incident=about), later)
        assert list(held_up.timers(replace(of(held()), incident=about), NOW)) == []
    assert not held_up.is_held_up(of(held(), severity=Severity.ERROR), later)


def test_a_pause_of_everything_stops_its_clock() -> None:
    stop = PausedInterval(began_at=NOW, ended_at=NOW + minutes(60))
    paused = replace(of(held()), paused_intervals=(stop,))
    assert not held_up.is_held_up(paused, NOW + minutes(59))
    assert held_up.is_held_up(paused, NOW + minutes(60) + seconds(30))


def test_it_alerts_once_and_leaves_the_other_alerts() -> None:
    later = NOW + seconds(30)
    decided = escalations.decide(of(held()), event="timer_due", now=later)
    assert decided.effects == (AlertOperations(reason="held_up", is_paging=True),)
    assert (decided.after.held_up_at, decided.after.critical_at, decided.after.alerted_at) == (later, None, None)
    again = replace(of(held()), escalation=decided.after)
    assert escalations.decide(again, event="timer_due", now=later + minutes(1)).effects == ()
    assert list(held_up.timers(again, NOW)) == []
    failed = replace(of(page("voice", FAILED, tier=3)), escalation=decided.after)
    assert escalations.decide(failed, event="recorded", now=later).effects == (
        AlertOperations(reason="exhausted", is_paging=True),
    )


def test_in_a_chain_it_is_linked_only() -> None:
    chained = replace(of(held()), incident=incident(run_number=1))
    decided = escalations.decide(chained, event="timer_due", now=NOW + minutes(1))
    assert decided.effects == (AlertOperations(reason="held_up", is_paging=False),)


def test_whoever_operations_was_told_about_is_not_held_up_as_well() -> None:
    known = of(held(), critical_at=NOW, alerted_at=NOW)
    assert escalations.decide(known, event="timer_due", now=NOW + minutes(1)).after.held_up_at is None
