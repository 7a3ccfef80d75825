from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import (
    DEFAULT,
    INSISTENT,
    SHIPPED,
    Failed,
    Policy,
    Repeat,
    Retries,
    RetrySchedule,
    Tier,
    Unacknowledged,
)
from notifyflow.core.intake.policy_validation import hazards, validate_policy, warnings
from tests import strategies

NEVER = timedelta(0)
FIRST, SECOND, THIRD = DEFAULT.tiers


def places(policy: Policy) -> list[str]:
    return [fault.where for fault in validate_policy(policy)]


@pytest.mark.parametrize("policy", SHIPPED.values(), ids=SHIPPED)
def test_the_shipped_policies_are_sound(policy: Policy) -> None:
    assert validate_policy(policy, strategies.CHANNELS) == ()


@given(strategies.policies())
def test_what_the_strategy_makes_is_sound(policy: Policy) -> None:
    assert validate_policy(policy, strategies.CHANNELS) == ()


@pytest.mark.parametrize(
    ("policy", "where"),
    [
        (replace(DEFAULT, name=""), ["policy.name"]),
        (replace(DEFAULT, tiers=()), ["default.tiers"]),
        (replace(DEFAULT, tiers=(replace(FIRST, name=" a"),)), ["default.tiers[0].name"]),
        (replace(DEFAULT, tiers=(replace(FIRST, channels=()),)), ["default.tiers[0].channels"]),
        (replace(DEFAULT, tiers=(replace(FIRST, channels=("sms", "sms")),)), ["default.tiers[0].channels"]),
        (replace(DEFAULT, tiers=(replace(FIRST, rules=(Failed(at_least=1),)),)), ["default.tiers[0].rules"]),
        (replace(DEFAULT, tiers=(replace(FIRST, shut_for=(Severity.INFO,)),)), ["default.tiers[0].shut_for"]),
        (replace(DEFAULT, tiers=(FIRST, replace(SECOND, rules=()))), ["default.tiers[1].rules"]),
        (replace(DEFAULT, tiers=(FIRST, replace(SECOND, rules=(Failed(at_least=0),)))), ["default.tiers[1].rules[0].failed"]),
        (
            replace(DEFAULT, tiers=(FIRST, replace(SECOND, rules=(Failed(at_least=1), Unacknowledged(after=NEVER))))),
            ["default.tiers[1].rules[1].unacknowledged_after"],
        ),
        (replace(DEFAULT, suspected_after_deferral=-timedelta(1)), ["default.suspected_after_deferral"]),
        (replace(DEFAULT, fresh_for=timedelta(367)), ["default.fresh_for"]),
        (replace(DEFAULT, overdue_after={"sms": NEVER}), ["default.overdue_after.sms"]),
        (replace(DEFAULT, suspected_after_attempts=0), ["default.suspected_after_attempts"]),
        (replace(DEFAULT, repeat=Repeat(every=NEVER, rounds=0)), ["default.repeat.every", "default.repeat.rounds"]),
    ],
)
def test_a_contradiction_is_refused_where_it_stands(policy: Policy, where: list[str]) -> None:
    assert places(policy) == where


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        (RetrySchedule(delays=(), window=NEVER), "window"),
        (RetrySchedule(delays=(), jitter=1.01), "jitter"),
        (RetrySchedule(delays=(), jitter=float("nan")), "jitter"),
        (RetrySchedule(delays=(timedelta(seconds=1),) * 20), "delays"),
        (RetrySchedule(delays=(NEVER,)), "delays[0]"),
        (RetrySchedule(delays=(timedelta(minutes=11),)), "window"),
    ],
)
def test_a_schedule_is_validated_wherever_it_stands(schedule: RetrySchedule, field: str) -> None:
    assert places(replace(DEFAULT, retries=Retries(normal=schedule))) == [f"default.retries.normal.{field}"]
    assert places(replace(DEFAULT, retries=Retries(critical=schedule))) == [f"default.retries.critical.{field}"]
    assert places(replace(DEFAULT, retries=Retries(by_channel={"sms": schedule}))) == [f"default.retries.by_channel.sms.{field}"]


def test_an_unknown_channel_is_refused_once_the_channels_are_known() -> None:
    policy = replace(
        INSISTENT,
        tiers=(Tier(name="primary", channels=("emial",)),),
        retries=Retries(by_channel={"vioce": RetrySchedule(delays=())}),
        overdue_after={"smss": timedelta(1)},
        critical_channels=("fax",),
    )
    assert validate_policy(policy) == ()
    assert [str(fault) for fault in validate_policy(policy, strategies.CHANNELS)] == [
        "insistent.tiers[0].channels: 'emial' is not a known channel. Use email, if that was meant.",
        "insistent.retries.by_channel: 'vioce' is not a known channel. Use voice, if that was meant.",
        "insistent.overdue_after: 'smss' is not a known channel. Use sms, if that was meant.",
        "insistent.critical_channels: 'fax' is not a known channel. Use one of email, slack, teams, push, sms, voice.",
    ]


def test_a_severity_that_can_never_leave_the_first_tier_is_warned_of() -> None:
    shut = (Severity.ERROR, Severity.INFO)
    policy = replace(DEFAULT, tiers=(FIRST, replace(SECOND, shut_for=shut), replace(THIRD, shut_for=shut)))
    assert validate_policy(policy) == ()
    assert [str(fault) for fault in warnings(policy)] == [
        "default.tiers: ERROR can never leave the first tier: shut_for names it in every later one. "
        "Leave ERROR out of one shut_for, or page it by a policy of its own."
    ]


@pytest.mark.parametrize(
    "policy",
    [
        *SHIPPED.values(),
        replace(DEFAULT, tiers=(FIRST,)),
        replace(DEFAULT, tiers=(FIRST, replace(SECOND, shut_for=tuple(Severity)), THIRD)),
    ],
    ids=[*SHIPPED, "one tier", "the last tier is open"],
)
def test_a_policy_whose_ladder_leads_on_is_warned_of_nothing(policy: Policy) -> None:
    assert warnings(policy) == ()


@pytest.mark.parametrize("policy", SHIPPED.values(), ids=SHIPPED)
def test_no_shipped_policy_may_leave_a_phone_silent(policy: Policy) -> None:
    assert hazards(policy) == ()


def test_a_receipt_that_is_missed_when_its_page_is_too_old_to_escalate_is_a_hazard() -> None:
    short = replace(DEFAULT, escalate_within=timedelta(minutes=5))
    assert [fault.what.split(" is overdue")[0] for fault in hazards(short)] == [
        f"a missing receipt of {channel}" for channel in ("email", "push")
    ]
    assert hazards(replace(short, escalate_within=timedelta(minutes=5, seconds=1))) == ()
    assert hazards(replace(short, is_suspicion_on=False)) == (), "no missing receipt opens anything there, on purpose"
    timed = replace(short, tiers=(FIRST, replace(SECOND, rules=(Unacknowledged(after=timedelta(minutes=1)),))))
    assert hazards(timed) == (), "a timer opens the next tier"


def test_a_timer_that_is_over_only_after_the_next_round_has_started_is_a_hazard() -> None:
    early = Repeat(every=timedelta(minutes=10), rounds=3)
    (found,) = hazards(replace(INSISTENT, repeat=early))
    assert (found.where, found.what) == (
        "insistent.tiers[2].rules",
        "a round starts every 10 m, before the timer of 10 m is over",
    )
    assert hazards(replace(INSISTENT, repeat=replace(early, rounds=1))) == (), "no round comes after the only one"
    never = tuple(Severity)
    assert hazards(replace(INSISTENT, repeat=replace(early, never_for=never))) == ()
