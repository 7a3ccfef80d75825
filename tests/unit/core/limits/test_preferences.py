"""Preferred channels page one after another; for CRITICAL they page at the start, and take nothing away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.copies import replace
from notifyflow.core.delivery import escalation
from notifyflow.core.delivery.escalation import OpenTier
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Policy
from notifyflow.core.limits.preferences import preferred
from notifyflow.core.upkeep.forecast import fresh_escalation
from tests.capabilities import CALLING
from tests.wishes import pair


def tiers(policy: Policy, severity: Severity, *names: str) -> list[tuple[str, ...]]:
    contact = Contact(recipient_id="ada", name="Ada", addresses={}, channels={severity: names})
    found = preferred(policy, contact, severity)
    assert [(each.name, each.rules, each.shut_for) for each in found.tiers] == [
        (each.name, each.rules, each.shut_for) for each in policy.tiers
    ]
    return [each.channels for each in found.tiers]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("email",), [("email",), (), ()]),
        (("slack", "sms"), [("slack",), ("sms",), ()]),
        (("sms", "voice", "email", "slack"), [("sms",), ("voice",), ("email", "slack")]),
        (("pager",), [("pager",), (), ()]),
    ],
)
def test_below_critical_they_page_one_after_another_and_alone(names: tuple[str, ...], expected: list[tuple[str, ...]]) -> None:
    assert tiers(INSISTENT, Severity.ERROR, *names) == expected


@pytest.mark.parametrize("names", [("email",), ("voice",), ("slack", "voice", "pager"), ("email", "slack", "sms", "voice")])
def test_for_critical_the_policy_stays_as_it_is(names: tuple[str, ...]) -> None:
    assert tiers(DEFAULT, Severity.CRITICAL, *names) == [each.channels for each in DEFAULT.tiers]


def paged_at_the_start(policy: Policy, addresses: str, *names: str, severity: Severity = Severity.CRITICAL) -> list[OpenTier]:
    ada = Contact(
        recipient_id="ada", name="Ada", addresses={each: f"ada@{each}" for each in addresses.split()}, channels={severity: names}
    )
    fresh = fresh_escalation(ada, policy, severity, CALLING)
    decided = escalation.start(fresh, now=fresh.escalation.started_at)
    return [effect for effect in decided.effects if isinstance(effect, OpenTier)]


def test_for_critical_what_is_wished_for_is_sent_at_the_start_as_well() -> None:
    first = OpenTier(number=1, channels=("email", "slack"))
    assert paged_at_the_start(DEFAULT, "email slack sms voice", "voice", "slack") == [
        first,
        OpenTier(number=0, channels=("voice",)),
    ]
    assert paged_at_the_start(DEFAULT, "email slack sms", "voice", "email") == [first], "one lacks an address, one is there"


def test_a_channel_of_a_tier_that_is_shut_for_critical_is_used_when_it_is_wished_for() -> None:
    shut = tuple(replace(tier, shut_for=(Severity.CRITICAL,) if tier.rules else ()) for tier in DEFAULT.tiers)
    opened = paged_at_the_start(replace(DEFAULT, tiers=shut), "email voice", "voice")
    assert opened == [OpenTier(number=1, channels=("email",)), OpenTier(number=0, channels=("voice",))]


def test_a_wish_for_channels_of_no_tier_reaches_somebody_who_counts_as_unreachable_until_it_arrives() -> None:
    assert paged_at_the_start(DEFAULT, "pager", "pager") == [OpenTier(number=0, channels=("pager",))]


@given(st.integers(0))
def test_no_wish_takes_away_or_delays_a_channel_for_critical(seed: int) -> None:
    assert list(pair(seed).losses()) == []


def test_without_a_preference_for_its_severity_a_policy_stays_as_it_is() -> None:
    ada = Contact(recipient_id="ada", name="Ada", addresses={}, channels={"WARNING": ("email",)})
    assert preferred(DEFAULT, ada, Severity.ERROR) is DEFAULT
    assert preferred(DEFAULT, Contact(recipient_id="ada", name="Ada", addresses={}), Severity.ERROR) is DEFAULT
