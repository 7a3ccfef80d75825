"""Escalation fires exactly when the rule says, for every policy; and between two looks nothing changes by itself."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery.escalation import AlertOperations, Decided, DecisionContext, OpenTier, StartRound
from notifyflow.core.delivery.machines import ESCALATION
from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState, Severity
from tests.facts import page
from tests.oracle import is_unproven, name, open_next, opens
from tests.strategies import brinks, contexts, moments

CAUSES = st.sampled_from(["recorded", "received", "timer_due", "address_added", "round_due"])
A_MOMENT = timedelta(microseconds=1)


def after(context: DecisionContext, decided: Decided, now: datetime) -> DecisionContext:
    """Write a decision as the ledger would: new pages are queued, due at once."""
    facts = decided.after
    new = tuple(
        page(
            channel,
            id=f"n-{effect.number}-{channel}",
            tier=effect.number,
            severity=facts.severity,
            created_at=now,
            max_attempts=facts.policy.retries.schedule(channel, facts.severity).attempts,
        )
        for effect in decided.effects
        if isinstance(effect, OpenTier)
        for channel in effect.channels
    )
    return replace(context, escalation=facts, notifications=escalations.with_adopted(context, decided).notifications + new)


@pytest.mark.usefixtures("unmeasured")
@settings(max_examples=300)
@given(st.data(), CAUSES)
def test_tiers_open_exactly_while_the_oracle_says_so(data: st.DataObject, cause: escalations.Cause) -> None:
    context = data.draw(brinks() | contexts())
    now = data.draw(moments(context))
    decided = escalations.decide(context, event=cause, now=now)
    expected = 0
    walked = context
    while opens(walked, now):
        expected += 1
        walked = open_next(walked, now)
    if any(isinstance(effect, StartRound) for effect in decided.effects):
        expected, walked = 0, context
    assert escalations.with_adopted(context, decided).notifications == walked.notifications
    steps = [step for step in decided.steps if step.event == "tier_opened"]
    assert len(steps) == expected
    assert decided.after.tier == context.escalation.tier + expected
    numbers = [effect.number for effect in decided.effects if isinstance(effect, OpenTier)]
    assert len(set(numbers)) == len(numbers)
    for effect in decided.effects:
        if isinstance(effect, OpenTier):
            meant = context.escalation.policy.tiers[effect.number - 1].channels if effect.number else context.wishes
            assert effect.channels or effect.adopted
            assert context.addresses.intersection(meant).issuperset((*effect.channels, *effect.adopted))
            if effect.number > context.escalation.tier:
                assert context.escalation.severity not in context.escalation.policy.tiers[effect.number - 1].shut_for


@pytest.mark.usefixtures("unmeasured")
@given(st.data(), CAUSES)
def test_a_decision_is_sound(data: st.DataObject, cause: escalations.Cause) -> None:
    context = data.draw(contexts())
    now = data.draw(moments(context))
    decided = escalations.decide(context, event=cause, now=now)
    assert_steps_replay(context, decided)
    assert decided.after.state == name(after(context, decided, now), now)
    assert_active_only_while_something_is_to_come(context, decided)
    assert_critical_failures_are_marked(context, decided)
    is_lost = is_unproven(replace(context, escalation=decided.after), now) and not opening(decided)
    assert decided.after.critical_at is not None or not is_lost
    is_told = any(each.reason == "unproven" for each in decided.effects if isinstance(each, AlertOperations))
    assert is_lost or decided.after.state is EscalationState.EXHAUSTED or not is_told
    if not any(isinstance(effect, StartRound) for effect in decided.effects):  # that one is replaced and decides no more
        again = escalations.decide(after(context, decided, now), event=cause, now=now)
        assert again == Decided(after=decided.after)


def opening(decided: Decided) -> bool:
    return any(isinstance(effect, OpenTier | StartRound) for effect in decided.effects)


def assert_steps_replay(context: DecisionContext, decided: Decided) -> None:
    state: str = context.escalation.state
    for step in decided.steps:
        assert step.source == state
        assert step.target in ESCALATION.targets(step.source, step.event)
        state = step.target
    assert state == decided.after.state


def assert_active_only_while_something_is_to_come(context: DecisionContext, decided: Decided) -> None:
    is_in_hand = any(row.state in (NotificationState.QUEUED, NotificationState.SENDING) for row in context.pages)
    openings = [effect for effect in decided.effects if isinstance(effect, OpenTier)]
    is_opening = any(effect.number and effect.channels for effect in openings)
    has_joined = any(effect.adopted for effect in openings)
    if decided.after.state is EscalationState.ACTIVE:
        assert is_in_hand or is_opening or has_joined or decided.after.next_decision_at is not None
    else:
        assert not is_in_hand
        assert not is_opening
    if is_opening or any(row.state is NotificationState.QUEUED for row in (*context.pages, *context.wished)):
        assert decided.after.next_decision_at is not None


def assert_critical_failures_are_marked(context: DecisionContext, decided: Decided) -> None:
    alerts = [effect for effect in decided.effects if isinstance(effect, escalations.AlertOperations)]
    is_info = context.escalation.severity is Severity.INFO
    assert len(alerts) == (decided.after.critical_at is not None)
    is_round = any(step.event == "round_due" for step in decided.steps)
    is_replaced = any(isinstance(effect, StartRound) for effect in decided.effects)
    assert is_round or not is_replaced
    if (is_round or decided.after.state is EscalationState.EXHAUSTED) and not is_replaced:
        assert bool(alerts) is not is_info
    assert not (is_info and alerts)


@given(st.data())
def test_until_the_next_decision_time_alone_changes_nothing(data: st.DataObject) -> None:
    context = data.draw(contexts())
    now = data.draw(moments(context))
    decided = escalations.decide(context, event="recorded", now=now)
    later = after(context, decided, now)
    next_decision_at = decided.after.next_decision_at
    assume(next_decision_at is None or next_decision_at > now)
    between = [
        at
        for at in (data.draw(moments(later)), (next_decision_at or now) - A_MOMENT)
        if now <= at and (not next_decision_at or at < next_decision_at)
    ]
    for at in between:
        assert escalations.decide(later, event="timer_due", now=at) == Decided(after=decided.after)


@settings(max_examples=30)
@given(st.data(), st.sampled_from(["resolved", "replaced"]))
def test_after_the_end_nothing_opens(data: st.DataObject, event: str) -> None:
    context = data.draw(contexts())
    now = data.draw(moments(context))
    for ended in (escalations.acknowledge(context, now=now), escalations.close(context, event=event, now=now)):
        assert (ended.after.next_decision_at, ended.after.next_round_at) == (None, None)
        late = escalations.decide(replace(context, escalation=ended.after), event="recorded", now=now)
        assert late == Decided(after=ended.after)


@settings(max_examples=50)
@given(st.data())
def test_a_start_opens_the_first_tier_that_has_an_address_or_is_exhausted(data: st.DataObject) -> None:
    context = data.draw(contexts())
    new = replace(context, notifications=(), escalation=replace(context.escalation, tier=0, state=EscalationState.ACTIVE))
    new = replace(new, incident=replace(new.incident, state=IncidentState.OPEN))
    decided = escalations.start(new, now=new.escalation.started_at)
    opened = [effect.number for effect in decided.effects if isinstance(effect, OpenTier) and effect.number]
    early = [
        channel for effect in decided.effects if isinstance(effect, OpenTier) and not effect.number for channel in effect.channels
    ]
    reachable = []
    for number, tier in enumerate(new.escalation.policy.tiers, start=1):
        if new.escalation.severity not in tier.shut_for and new.addresses.intersection(tier.channels):
            reachable.append(number)
    assert opened == reachable[:1]
    first = new.escalation.policy.tiers[reachable[0] - 1].channels if reachable else ()
    assert early == [channel for channel in new.wishes if channel in new.addresses and channel not in first]
    assert decided.after.state is (EscalationState.ACTIVE if reachable else EscalationState.EXHAUSTED)
    assert decided.steps == ()
