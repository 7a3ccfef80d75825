"""Preferred channels page one after another; for CRITICAL nothing is left out and nothing comes later."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.model import Contact, Severity
from notifyflow.core.policy import DEFAULT, INSISTENT, Policy, Tier
from notifyflow.core.preferences import preferred

CHANNELS = ("email", "slack", "teams", "push", "sms", "voice", "pager")


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


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("email",), [("email", "slack", "teams", "push"), ("sms",), ("voice",)]),
        (("voice",), [("voice", "email", "slack", "teams", "push"), ("sms",), ()]),
        (("slack", "voice", "pager"), [("email", "slack", "teams", "push"), ("voice", "sms"), ("pager",)]),
        (("email", "slack", "sms", "voice"), [("email", "slack", "teams", "push"), ("sms",), ("voice",)]),
    ],
)
def test_for_critical_they_only_come_sooner(names: tuple[str, ...], expected: list[tuple[str, ...]]) -> None:
    assert tiers(DEFAULT, Severity.CRITICAL, *names) == expected


@given(st.permutations(CHANNELS), st.integers(0, len(CHANNELS)), st.sampled_from(list(permutations(CHANNELS[:4], 3))))
def test_no_preference_leaves_out_or_delays_a_channel_for_critical(names: list[str], count: int, last: tuple[str, ...]) -> None:
    policy = Policy(
        name="p", tiers=(Tier(name="a", channels=("sms",)), Tier(name="b", channels=last), Tier(name="c", channels=last))
    )
    after = tiers(policy, Severity.CRITICAL, *names[:count])
    for number, tier in enumerate(policy.tiers):
        for channel in tier.channels:
            assert any(channel in each for each in after[: number + 1])


def test_without_a_preference_for_its_severity_a_policy_stays_as_it_is() -> None:
    ada = Contact(recipient_id="ada", name="Ada", addresses={}, channels={"WARNING": ("email",)})
    assert preferred(DEFAULT, ada, Severity.ERROR) is DEFAULT
    assert preferred(DEFAULT, Contact(recipient_id="ada", name="Ada", addresses={}), Severity.ERROR) is DEFAULT
