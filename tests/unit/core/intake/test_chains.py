"""What is wrong with a chain is named with everything else, and a bad person in it does not silence the good ones."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.model import Contact, Recipient, Step
from notifyflow.core.delivery.policy import DEFAULT, Acknowledgement, Policy
from notifyflow.core.intake.chains import check_chain
from notifyflow.core.intake.validation import CheckedChain, check_incident
from notifyflow.errors import InvalidIncident
from tests.builders import BAD, CHANNELS, a_contact, a_recipient, an_incident, check_address

ADA, BEN = a_recipient("ada", "email"), a_recipient("ben", "sms")
TEN = timedelta(minutes=10)
NAMES = frozenset({"leads", "@primary"})


def check(*then: Any, policy: Policy | None = DEFAULT, over_after: Any = None) -> CheckedChain:
    return check_chain(then, [ADA], check_address, CHANNELS, over_after=over_after, policy=policy, names=NAMES)


def faults(*then: Any, policy: Policy | None = DEFAULT, over_after: Any = None) -> list[tuple[str, str]]:
    return [(each.where, each.what) for each in check(*then, policy=policy, over_after=over_after).refusals]


def test_without_steps_there_is_no_chain() -> None:
    assert check() == CheckedChain()


def test_a_chain_names_everybody_and_keeps_the_people_who_were_given() -> None:
    assert check(Step(to=("@primary", BEN, ADA), after=TEN), Step(to=("operations",))) == CheckedChain(
        chain=Chain(
            to=("ada",),
            then=(
                Planned(to=("@primary", "ben", "ada"), after=TEN),
                Planned(to=("operations",), after=timedelta(minutes=15)),
            ),
            people=(a_contact("ben", "sms"),),
        )
    )


def test_the_last_step_lasts_as_long_as_is_said() -> None:
    step = Step(to=(BEN,), after=TEN)
    chain = check(step, over_after=timedelta(minutes=30)).chain
    assert chain is not None
    assert chain.over_after == timedelta(minutes=30)
    for wrong, what in {
        timedelta(): "0 s is not a valid time of a step",
        timedelta(days=2): "48 h 00 m is not a valid time of a step",
        "30m": "it is str, not timedelta",
    }.items():
        assert faults(step, over_after=wrong) == [("over_after", what)]
    assert faults(over_after=TEN) == [("over_after", "it is the time of the last step, and there is no `then`")]


def test_a_step_may_be_given_as_a_list() -> None:
    assert Step(to=[BEN, "leads"]).to == (BEN, "leads")  # type: ignore[arg-type]


def test_every_fault_is_named_at_once() -> None:
    assert faults(
        Step(to=(), after=timedelta()), Step(to=("operations", "leads")), Step(to=("lead", "@secondary"), after=timedelta(days=2))
    ) == [
        ("then[0].after", "0 s is not a valid time of a step"),
        ("then[0].to", "it is empty"),
        ("then[1].to", "operations stands beside others or before the last step"),
        ("then[2].after", "48 h 00 m is not a valid time of a step"),
        ("then[2].to[0]", "'lead' is not a known recipient or group"),
        ("then[2].to[1]", "'@secondary' is not a known schedule"),
    ]


def test_a_chain_hands_nothing_on_where_everybody_has_to_acknowledge() -> None:
    each = replace(DEFAULT, acknowledgement=Acknowledgement.EACH)
    assert [where for where, _ in faults(Step(to=(BEN,)), policy=each)] == ["then"]
    assert faults(Step(to=(BEN,)), policy=None) == []


def test_a_chain_has_at_most_twenty_steps() -> None:
    assert faults(*[Step(to=(BEN,))] * 20) == []
    assert faults(*[Step(to=(BEN,))] * 21) == [("then", "it has 21 steps, 20 are allowed")]


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("ben", ("then[0]", "it is str, not Step")),
        (Step(to=(BEN,), after=10), ("then[0].after", "it is int, not timedelta")),  # type: ignore[arg-type]
        (Step(to=(BEN, 7)), ("then[0].to[1]", "it is int, not Recipient")),  # type: ignore[arg-type]
    ],
)
def test_a_value_of_the_wrong_type_is_named(step: Any, fault: tuple[str, str]) -> None:
    assert faults(step) == [fault]


def test_a_bad_address_is_a_fault_of_its_person_only() -> None:
    bad = a_recipient("cy", email=BAD, sms="1")
    checked = check(Step(to=("leads", bad)))
    assert [each.where for each in checked.faults] == ["then[0].to[1].addresses.email"]
    assert checked.chain is not None
    assert checked.chain.people == (Contact(recipient_id="cy", name="Cy", addresses={"sms": "1"}),)
    nobody = check(Step(to=(Recipient(id=""),)))
    assert next(each.where for each in nobody.faults) == "then[0].to[0].id"


def test_a_submission_is_refused_with_the_faults_of_its_chain() -> None:
    with pytest.raises(InvalidIncident) as raised:
        check_incident(an_incident(title=""), [ADA], check_address, CHANNELS, chain=check(Step(to=())))
    assert [each.where for each in raised.value.faults] == ["title", "then[0].to"]
    checked = check_incident(an_incident(), [ADA], check_address, CHANNELS, chain=check(Step(to=(BEN,))))
    assert checked.chain == check(Step(to=(BEN,))).chain
