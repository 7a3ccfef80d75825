"""What comes next is never empty while anything is due, and comes as it says if nothing comes in."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery import tier_rules
from notifyflow.core.delivery.escalation import AlertOperations, Decided, DecisionContext, OpenTier, StartRound
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.intervals import PausedInterval
from notifyflow.core.delivery.model import (
    LIVE,
    REACHING,
    DeferralReason,
    EscalationState,
    IncidentState,
    Kind,
    NotificationState,
    Result,
)
from notifyflow.core.delivery.page_rules import is_pending
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.core.insight.next_events import NextEvent, NextEventKind, NextEventPremise, Wait, events_of, next_events
from tests.facts import NOW, attempt, context, incident, minutes, page, seconds
from tests.strategies import brinks, contexts, moments


@st.composite
def stored(draw: st.DrawFn) -> tuple[DecisionContext, datetime]:
    """Make a context as a decision has left it: its timers are set, and no earlier."""
    before = draw(brinks() | contexts())
    now = draw(moments(before))
    decided = escalations.decide(before, event="recorded", now=now)
    if any(isinstance(effect, OpenTier | StartRound) for effect in decided.effects):
        return replace(before, escalation=replace(before.escalation, next_decision_at=now)), now
    rows = tuple(replace(row, due_at=row.due_at or now) if row.state is NotificationState.QUEUED else row for row in before.pages)
    return replace(before, escalation=decided.after, notifications=rows), now


@pytest.mark.usefixtures("unmeasured")
@given(stored())
def test_it_is_never_empty_while_anything_is_due(found: tuple[DecisionContext, datetime]) -> None:
    facts, now = found
    escalation = facts.escalation
    is_due = escalation.state in LIVE and (escalation.next_decision_at or escalation.next_round_at)
    coming = next_events(facts, now)
    if is_due or any(is_pending(facts, row, now) for row in facts.pages):
        assert coming
    assert [each.at or now for each in coming] == sorted(each.at or now for each in coming)
    assert all(each.at is None or each.at >= now for each in coming)


@pytest.mark.usefixtures("unmeasured")
@given(stored())
def test_a_tier_opens_exactly_when_it_says(found: tuple[DecisionContext, datetime]) -> None:
    facts, now = found
    if any(each.is_quarantined and each.ended_at >= now for each in facts.paused_intervals):
        return
    decisions = [
        each
        for each in next_events(facts, now)
        if each.what in (NextEventKind.TIER, NextEventKind.ROUND, NextEventKind.OPERATIONS)
    ]
    first = next(iter(decisions), None)
    at = now
    while True:  # sweep every time that a timer is due, as the sweeper does
        due = [each for each in (facts.escalation.next_decision_at, facts.escalation.next_round_at) if each is not None]
        if not due or facts.escalation.state not in LIVE:
            assert first is None
            return
        at = max(at, min(due))
        if any(row.due_at and row.state is NotificationState.QUEUED for row in facts.pages):
            return  # an attempt comes first, or the page expires
        event = "round_due" if facts.escalation.next_round_at == min(due) != facts.escalation.next_decision_at else "timer_due"
        decided = escalations.decide(facts, event=event, now=at)
        effects = [each for each in decided.effects if not isinstance(each, AlertOperations) or each.is_paging]
        if effects:
            kinds = {OpenTier: NextEventKind.TIER, StartRound: NextEventKind.ROUND, AlertOperations: NextEventKind.OPERATIONS}
            assert first is not None
            assert (first.what, first.at) == (kinds[type(effects[0])], at)  # type: ignore[index]
            return
        facts = replace(facts, escalation=decided.after)


def only(what: NextEventKind, coming: tuple[NextEvent, ...]) -> NextEvent:
    (found,) = (each for each in coming if each.what is what)
    return found


@pytest.mark.parametrize(
    ("fields", "wait"),
    [
        ({}, Wait.RETRY),
        ({"deferred_by": DeferralReason.LIMIT, "deferred_since": NOW}, Wait.LIMIT),
        ({"deferred_by": DeferralReason.RETRY_AFTER, "deferred_since": NOW}, Wait.RETRY_AFTER),
        ({"deferred_by": DeferralReason.CIRCUIT, "deferred_since": NOW}, Wait.CIRCUIT),
        ({"deferred_by": DeferralReason.SUSPENSION, "deferred_since": NOW}, Wait.SUSPENSION),
        ({"deferred_by": DeferralReason.PAUSE, "deferred_since": NOW}, Wait.PAUSE),
        ({"deferred_by": DeferralReason.QUIET, "deferred_since": NOW}, Wait.QUIET),
        ({"deferred_by": DeferralReason.SILENCE, "deferred_since": NOW}, Wait.SILENCE),
        ({"waits_until": NOW + seconds(22)}, Wait.POSTPONED),
        ({"waits_until": NOW, "due_at": NOW}, Wait.TURN),
        ({"attempts": (attempt(1, Result.IN_DOUBT),)}, Wait.DOUBT),
        ({"due_at": NOW}, Wait.TURN),
        ({"due_at": None}, Wait.TURN),
    ],
)
def test_every_wait_of_an_attempt_is_named(fields: dict[str, object], wait: Wait) -> None:
    row = page("email", **({"due_at": NOW + seconds(20), "attempts": (attempt(1, Result.TEMPORARY_FAILURE),)} | fields))
    coming = only(NextEventKind.ATTEMPT, next_events(context(row, tier=1), NOW))
    assert coming.wait is wait
    assert coming.at == (NOW if wait is Wait.TURN else NOW + seconds(20))
    assert (coming.channels, coming.attempt) == (("email",), 2)


def test_a_silenced_page_opens_no_tier_before_it_is_sent() -> None:
    silence = PausedInterval(began_at=NOW, ended_at=NOW + minutes(120))
    row = page("email", due_at=silence.ended_at, deferred_by=DeferralReason.SILENCE, deferred_since=NOW)
    facts = replace(
        context(row, addresses="email sms", tier=1, next_decision_at=NOW + minutes(1440)), paused_intervals=(silence,)
    )
    assert [(each.what, each.at) for each in next_events(facts, NOW)] == [(NextEventKind.ATTEMPT, silence.ended_at)]


@pytest.mark.parametrize(("late_s", "is_late"), [(0, False), (4, False), (6, True), (6000, True)])
def test_what_should_have_come_says_since_when_it_is_late(late_s: int, is_late: bool) -> None:
    now = NOW + seconds(late_s)
    since = NOW if is_late else None
    queued = next_events(context(page("email", due_at=NOW), tier=1), now)
    running = next_events(context(page("email", NotificationState.SENDING, attempt(1, lease_until=NOW)), tier=1), now)
    started = {"policy": INSISTENT, "started_at": NOW - minutes(15), "next_round_at": NOW}
    timed = next_events(context(page("email", NotificationState.SENT), tier=3, **started), now)
    for found in (only(NextEventKind.ATTEMPT, queued), only(NextEventKind.DOUBT, running), only(NextEventKind.ROUND, timed)):
        assert (found.at, found.late_since) == (now, since)


def test_a_decision_that_is_late_says_so_though_nothing_comes_of_it() -> None:
    facts = context(page("email", NotificationState.DELIVERED), tier=1, next_decision_at=NOW)
    settled = replace(facts, escalation=replace(facts.escalation, state=EscalationState.REACHED))
    (decision,) = next_events(settled, NOW + minutes(1))
    assert (decision.what, decision.late_since) == (NextEventKind.DECISION, NOW)


def test_an_attempt_that_runs_is_put_in_doubt_when_its_lease_expires() -> None:
    running = attempt(1)
    row = page("email", state=NotificationState.SENDING, attempts=(running,))
    coming = only(NextEventKind.DOUBT, next_events(context(row, tier=1), NOW))
    assert (coming.at, coming.provider, coming.premise) == (running.lease_until, running.provider, NextEventPremise.NO_RESULT)


def test_a_receipt_becomes_overdue_and_is_then_no_longer_waited_for() -> None:
    sent = attempt(1, Result.ACCEPTED, receipt_due_at=NOW + minutes(5))
    facts = context(page("email", state=NotificationState.SENT, attempts=(sent,)), tier=1)
    facts = replace(facts, escalation=escalations.decide(facts, event="recorded", now=NOW).after)
    found = next_events(facts, NOW + minutes(1))
    assert only(NextEventKind.OVERDUE, found).at == NOW + minutes(5)
    end = only(NextEventKind.END, found)
    assert (end.state, end.at) == (EscalationState.REACHED, only(NextEventKind.UNCONFIRMED, found).at)
    assert [each.what for each in next_events(facts, NOW + minutes(6))] == [NextEventKind.UNCONFIRMED, NextEventKind.END]


def test_a_page_that_is_paused_for_longer_than_it_stays_fresh_expires_and_operations_is_alerted() -> None:
    row = page("email", due_at=NOW + timedelta(hours=30), created_at=NOW)
    facts = context(row, tier=1, addresses="email")
    facts = replace(facts, escalation=escalations.decide(facts, event="recorded", now=NOW).after)
    found = next_events(facts, NOW)
    assert {each.what for each in found} == {NextEventKind.EXPIRY, NextEventKind.OPERATIONS, NextEventKind.END}
    assert len({each.at for each in found}) == 1


def test_a_status_update_is_shown_though_its_escalation_is_over() -> None:
    row = page("email", kind=Kind.STATUS_UPDATE, tier=None, due_at=NOW, created_at=NOW)
    over = context(row, tier=1, state=EscalationState.ACKNOWLEDGED, about=incident(state=IncidentState.ACKNOWLEDGED))
    assert [each.what for each in next_events(over, NOW)] == [NextEventKind.ATTEMPT]
    assert [each.what for each in next_events(over, NOW + timedelta(days=9))] == [NextEventKind.EXPIRY]


def test_insistent_texts_calls_and_pages_again_until_the_last_round_tells_operations() -> None:
    sent = page("email", state=NotificationState.SENT, attempts=(attempt(1, Result.ACCEPTED),))
    facts = context(sent, tier=1, policy=INSISTENT, next_round_at=NOW + minutes(15))
    facts = replace(facts, escalation=escalations.decide(facts, event="recorded", now=NOW).after)
    coming = next_events(facts, NOW + minutes(1))
    assert [(each.what, each.at, each.channels) for each in coming] == [
        (NextEventKind.TIER, NOW + minutes(5), ("sms",)),
        (NextEventKind.TIER, NOW + minutes(10), ("voice",)),
        (NextEventKind.ROUND, NOW + minutes(15), ()),
    ]
    assert {each.premise for each in coming} == {NextEventPremise.NOBODY_ACKNOWLEDGES}
    last = replace(facts, escalation=replace(facts.escalation, repetition=3))
    assert only(NextEventKind.OPERATIONS, next_events(last, NOW)).at == NOW + minutes(15)


def test_a_timed_tier_without_an_address_hands_its_condition_on_to_the_next() -> None:
    sent = page("email", state=NotificationState.SENT, attempts=(attempt(1, Result.ACCEPTED),))
    facts = context(sent, tier=1, policy=INSISTENT, addresses="email voice")
    facts = replace(facts, escalation=escalations.decide(facts, event="recorded", now=NOW).after)
    coming = only(NextEventKind.TIER, next_events(facts, NOW))
    assert (coming.tier, coming.at, coming.premise) == (3, NOW + minutes(5), NextEventPremise.NOBODY_ACKNOWLEDGES)


def test_a_quarantined_incident_waits_for_its_release() -> None:
    row = page("email", due_at=NOW)
    held = replace(context(row, tier=1), paused_intervals=(PausedInterval(began_at=NOW, ended_at=NOW, is_quarantined=True),))
    assert [(each.what, each.at) for each in next_events(held, NOW)] == [(NextEventKind.RELEASE, None)]
    at_rest = replace(held, notifications=(page("email", state=NotificationState.DELIVERED),))
    assert next_events(at_rest, NOW) == ()


def test_a_critical_failure_that_is_only_linked_tells_nobody() -> None:
    facts = context()
    linked = Decided(after=facts.escalation, effects=(AlertOperations(reason="exhausted", is_paging=False),))
    assert list(events_of(facts, linked, now=NOW)) == []


def test_a_timer_that_changes_nothing_as_far_as_is_known_is_shown_as_a_decision() -> None:
    done = page("email", state=NotificationState.DELIVERED, attempts=(attempt(1, Result.DELIVERED),))
    facts = context(done, tier=1, state=EscalationState.REACHED, next_decision_at=NOW + minutes(1))
    assert [(each.what, each.at) for each in next_events(facts, NOW)] == [(NextEventKind.DECISION, NOW + minutes(1))]


@given(stored())
def test_where_it_is_too_late_no_failure_opens_a_tier(found: tuple[DecisionContext, datetime]) -> None:
    facts, now = found
    failed = replace(facts, notifications=tuple(_failed(row) if row.state in REACHING else row for row in facts.notifications))
    if tier_rules.reason_to_open(facts, now) is None and tier_rules.is_too_late_to_open(facts, now):
        assert tier_rules.reason_to_open(failed, now) is None
        assert tier_rules.reason_to_open(failed, now + timedelta(days=1)) is None


@given(stored())
def test_where_a_failure_opens_a_tier_it_was_not_too_late(found: tuple[DecisionContext, datetime]) -> None:
    facts, now = found
    failed = replace(facts, notifications=tuple(_failed(row) if row.state in REACHING else row for row in facts.notifications))
    if tier_rules.reason_to_open(failed, now) == "failed":
        assert not tier_rules.is_too_late_to_open(facts, now)


def _failed(row: NotificationFacts) -> NotificationFacts:
    return replace(row, state=NotificationState.FAILED)


@pytest.mark.parametrize(
    ("facts", "hours", "is_late"),
    [
        (context(page("email", NotificationState.SENT)), 0.5, False),
        (context(page("email", NotificationState.SENT)), 1.5, True),
        (context(page("email", NotificationState.QUEUED)), 1.5, False),
        (context(page("email", NotificationState.QUEUED)), 99, True),
        (context(page("email", NotificationState.SENT), addresses="email"), 1.5, False),
        (context(page("email", NotificationState.SENT), about=incident(state=IncidentState.ACKNOWLEDGED)), 1.5, False),
        (context(page("email", NotificationState.SENT), policy=INSISTENT), 0.05, False),
        (context(), 1.5, False),
    ],
)
def test_pages_are_too_old_an_hour_after_they_left_unless_another_is_to_come(
    facts: DecisionContext, hours: float, is_late: bool
) -> None:
    assert tier_rules.is_too_late_to_open(facts, NOW + timedelta(hours=hours)) is is_late
