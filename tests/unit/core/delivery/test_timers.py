"""A tier whose timer is over opens with all before it; a failure opens the next one only."""

from dataclasses import replace

from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery.escalation import DecisionContext, OpenTier
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import EscalationState, NotificationState, Severity
from notifyflow.core.delivery.policy import DEFAULT, Failed, OpeningRule, Policy, Tier, Unacknowledged, opening_rules
from tests.facts import NOW, context, minutes, page, seconds

CRITICAL = Severity.CRITICAL


def critical(*pages: NotificationFacts, addresses: str = "email sms voice", **fields: object) -> DecisionContext:
    return context(*pages, tier=1, severity=CRITICAL, addresses=addresses, **fields)


def openings(of: DecisionContext, *, now_s: float = 0) -> list[OpenTier]:
    decided = escalations.decide(of, event="recorded", now=NOW + seconds(now_s))
    return [effect for effect in decided.effects if isinstance(effect, OpenTier)]


def ladder(*rules: tuple[OpeningRule, ...], shut: tuple[int, ...] = ()) -> Policy:
    """Make a policy of mail, text and call, of which some are shut for CRITICAL."""
    first = Tier(name="mail", channels=("email",))
    later = [
        Tier(name=name, channels=(name,), rules=own, shut_for=(CRITICAL,) if number in shut else ())
        for number, (name, own) in enumerate(zip(("sms", "voice", "push"), rules, strict=False), start=2)
    ]
    return replace(DEFAULT, tiers=(first, *later))


FAILURE: tuple[OpeningRule, ...] = (Failed(at_least=1),)
TIMER: tuple[OpeningRule, ...] = (Unacknowledged(after=minutes(5)),)
ARRIVED = page("email", NotificationState.DELIVERED)


def test_a_tier_whose_timer_is_over_opens_with_all_before_it() -> None:
    of = critical(ARRIVED, policy=ladder(FAILURE, TIMER))
    waiting = escalations.decide(of, event="received", now=NOW)
    assert (waiting.after.state, waiting.after.next_decision_at) == (EscalationState.ACTIVE, NOW + minutes(5))
    assert openings(of, now_s=299) == []
    assert openings(of, now_s=300) == [OpenTier(number=2, channels=("sms",)), OpenTier(number=3, channels=("voice",))]


def test_the_timer_of_a_shut_tier_opens_what_is_before_it_and_it_is_passed_at_once() -> None:
    of = critical(ARRIVED, addresses="email sms voice push", policy=ladder(FAILURE, TIMER, FAILURE, shut=(3,)))
    assert openings(of, now_s=300) == [OpenTier(number=2, channels=("sms",)), OpenTier(number=4, channels=("push",))]


def test_the_timer_of_a_tier_that_pages_nobody_opens_nothing_if_nothing_is_behind_it() -> None:
    assert openings(critical(ARRIVED, policy=ladder(FAILURE, TIMER, shut=(3,))), now_s=300) == []
    assert openings(critical(ARRIVED, addresses="email sms", policy=ladder(FAILURE, TIMER)), now_s=300) == []


def test_a_failure_opens_the_next_tier_only() -> None:
    assert openings(critical(page("email", NotificationState.FAILED), policy=ladder(TIMER, FAILURE))) == []


def test_the_rules_that_open_a_tier_name_a_later_timer_that_is_over_sooner() -> None:
    tiers = ladder(FAILURE, TIMER, FAILURE).tiers
    assert opening_rules(tiers[1:]) == (*FAILURE, *TIMER)
    assert opening_rules(tiers[2:]) == TIMER
    assert opening_rules(tiers[3:]) == FAILURE
    assert opening_rules(ladder((Unacknowledged(after=minutes(3)),), TIMER).tiers[1:]) == (Unacknowledged(after=minutes(3)),)
