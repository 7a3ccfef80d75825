"""A page that was wished for belongs to no tier until its channel's tier opens."""

from dataclasses import replace

import pytest

from notifyflow.core.delivery import chain, tier_rules
from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery.escalation import AlertOperations, DecisionContext, OpenTier
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import EscalationState, Evidence, IncidentState, NotificationState, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT, Failed, OpeningRule, Unacknowledged
from tests.facts import NOW, attempt, context, incident, minutes, page, seconds

QUEUED, SENDING, SENT = NotificationState.QUEUED, NotificationState.SENDING, NotificationState.SENT
DELIVERED, FAILED = NotificationState.DELIVERED, NotificationState.FAILED
AWAITED = attempt(1, Result.ACCEPTED, receipt_due_at=NOW + seconds(60))
BOTH_FAILED = (page("email", FAILED), page("slack", FAILED))
CRITICAL = Severity.CRITICAL


def wished(channel: str, *given: object, **fields: object) -> NotificationFacts:
    return page(channel, *given, id=f"w-{channel}", tier=0, **fields)


def critical(
    *pages: NotificationFacts, tier: int = 1, addresses: str = "email slack sms voice", **fields: object
) -> DecisionContext:
    return context(*pages, tier=tier, severity=CRITICAL, addresses=addresses, **fields)


def openings(of: DecisionContext, *, now_s: float = 0) -> list[OpenTier]:
    decided = escalations.decide(of, event="recorded", now=NOW + seconds(now_s))
    return [effect for effect in decided.effects if isinstance(effect, OpenTier)]


@pytest.mark.parametrize(
    "row",
    [
        wished("sms", QUEUED),
        wished("sms", SENDING, attempt(1)),
        wished("sms", SENT, AWAITED),
        wished("sms", SENT, attempt(1, Result.ACCEPTED)),
        wished("sms", DELIVERED, attempt(1, Result.DELIVERED)),
    ],
)
def test_a_wished_page_that_arrived_or_still_may_becomes_the_page_of_its_tier(row: NotificationFacts) -> None:
    of = critical(*BOTH_FAILED, row)
    decided = escalations.decide(of, event="recorded", now=NOW)
    assert decided.effects == (OpenTier(number=2, channels=(), adopted=("sms",)),)
    assert decided.steps[0].detail == {"tier": "2", "why": "failed", "adopted": "sms"}
    assert [each.tier for each in escalations.with_adopted(of, decided).notifications] == [1, 1, 2]


@pytest.mark.parametrize(
    ("row", "now_s"), [(wished("sms", FAILED, attempt(1, Result.PERMANENT_FAILURE)), 0), (wished("sms", SENT, AWAITED), 60)]
)
def test_a_tier_gets_a_page_of_its_own_where_the_wished_one_failed_or_is_overdue(row: NotificationFacts, now_s: float) -> None:
    assert openings(critical(*BOTH_FAILED, row), now_s=now_s) == [OpenTier(number=2, channels=("sms",))]


def test_a_tier_that_opens_by_its_timer_gets_a_page_of_its_own() -> None:
    rules = (Failed(at_least=2), Unacknowledged(after=minutes(5)))
    policy = replace(DEFAULT, tiers=(DEFAULT.tiers[0], replace(DEFAULT.tiers[1], rules=rules)))
    of = critical(*BOTH_FAILED, wished("sms", DELIVERED, attempt(1, Result.DELIVERED)), policy=policy)
    assert openings(of, now_s=299) == [OpenTier(number=2, channels=(), adopted=("sms",))]
    assert openings(of, now_s=300) == [OpenTier(number=2, channels=("sms",))]


def test_an_adopted_page_that_is_suspected_opens_the_tier_behind_at_once() -> None:
    failing = wished("sms", QUEUED, attempt(1, Result.TEMPORARY_FAILURE), attempt(2, Result.TEMPORARY_FAILURE))
    assert openings(critical(*BOTH_FAILED, failing)) == [
        OpenTier(number=2, channels=(), adopted=("sms",)),
        OpenTier(number=3, channels=("voice",)),
    ]


def test_an_adopted_page_counts_beside_those_that_its_tier_queues() -> None:
    rules: tuple[OpeningRule, ...] = (Failed(at_least=2),)
    tiers = (DEFAULT.tiers[0], replace(DEFAULT.tiers[1], channels=("sms", "push")), replace(DEFAULT.tiers[2], rules=rules))
    failing = wished("sms", QUEUED, attempt(1, Result.TEMPORARY_FAILURE), attempt(2, Result.TEMPORARY_FAILURE))
    of = critical(*BOTH_FAILED, failing, addresses="email slack sms push voice", policy=replace(DEFAULT, tiers=tiers))
    assert openings(of) == [OpenTier(number=2, channels=("push",), adopted=("sms",))]


def test_a_wished_page_on_its_way_is_no_reason_to_wait_and_one_that_failed_none_to_alert() -> None:
    sent = page("email", SENT, attempt(1, Result.ACCEPTED))
    for row in (wished("voice", QUEUED), wished("voice", SENT, AWAITED), wished("voice", FAILED)):
        of = critical(sent, row, addresses="email voice", policy=replace(DEFAULT, tiers=DEFAULT.tiers[:1]))
        decided = escalations.decide(of, event="recorded", now=NOW)
        assert (decided.after.state, decided.effects) == (EscalationState.REACHED, ())


def test_an_unsent_wished_page_is_decided_on_when_it_expires() -> None:
    of = critical(page("email", DELIVERED), wished("voice", QUEUED, due_at=NOW + minutes(1)))
    decided = escalations.decide(of, event="recorded", now=NOW)
    assert decided.after.next_decision_at == NOW + DEFAULT.fresh_for_critical


@pytest.mark.parametrize(
    ("call", "has_all_failed"),
    [
        (wished("voice", SENT, AWAITED), True),
        (wished("voice", DELIVERED, attempt(1, Result.DELIVERED)), False),
        (wished("voice", DELIVERED, attempt(1, Result.DELIVERED, evidence=Evidence.HUMAN)), False),
    ],
)
def test_only_a_wished_page_that_arrived_keeps_a_step_from_failing(call: NotificationFacts, *, has_all_failed: bool) -> None:
    policy = replace(DEFAULT, tiers=DEFAULT.tiers[:2])
    of = critical(page("sms", FAILED, tier=2), call, tier=2, policy=policy)
    assert chain.has_all_failed(of, NOW) is has_all_failed
    assert (tier_rules.name_state(of, NOW, is_opening=False) is EscalationState.REACHED) is not has_all_failed


def test_a_key_that_was_pressed_on_a_wished_call_is_no_critical_failure() -> None:
    answered = wished("voice", DELIVERED, attempt(1, Result.DELIVERED, evidence=Evidence.HUMAN))
    both = (page("email", FAILED), page("sms", FAILED, tier=2))
    alerts = [
        any(
            isinstance(each, AlertOperations)
            for each in escalations.decide(critical(*rows, tier=2), event="recorded", now=NOW).effects
        )
        for rows in (both, (*both, answered))
    ]
    assert alerts == [True, False]


def test_an_address_that_comes_later_is_paged_as_wished_unless_nobody_is_paged_any_more() -> None:
    of = replace(critical(page("email", SENT, attempt(1, Result.ACCEPTED)), addresses="email voice"), wishes=("voice", "email"))
    added = escalations.decide(of, event="address_added", now=NOW)
    assert added.effects == (OpenTier(number=0, channels=("voice",)),)
    taken = replace(of, incident=incident(state=IncidentState.ACKNOWLEDGED))
    assert escalations.decide(taken, event="address_added", now=NOW).effects == ()
    assert openings(of) == [], "a wish counts from the next round"
