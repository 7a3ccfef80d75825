"""The rehearsal finds what lets a page wake nobody, and nothing where the shipped policies page an ordinary person."""

from datetime import timedelta
from typing import Any, cast

import pytest

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, OPERATIONS, SHIPPED, Policy, Repeat
from notifyflow.core.upkeep import rehearsal
from notifyflow.core.upkeep.forecast import ChannelModel, ProviderBehaviour
from notifyflow.core.upkeep.rehearsal import Broken, Danger, Weakness, rehearse, tells_nobody
from tests.capabilities import CALLING, CAPABILITIES

MODELS = {
    name: ChannelModel(providers=(name,), has_receipts=name in ("sms", "voice", "email"), capabilities=CAPABILITIES[name])
    for name in ("email", "slack", "teams", "push", "sms", "voice")
}


def person(ways: str, who: str = "ada", **fields: Any) -> Contact:
    return Contact(recipient_id=who, name=who, addresses={each: f"{who}@{each}" for each in ways.split()}, **fields)


OPS = person("email sms voice", "ops")
EVERYTHING = "email slack teams push sms voice"


def rehearsed(
    *people: Contact, policies: tuple[Policy, ...] = tuple(SHIPPED.values()), operations: tuple[Contact, ...] = (OPS,)
) -> tuple[Weakness, ...]:
    found = rehearse({each.name: each for each in policies}, people, operations, MODELS, CALLING)
    return tuple(each for each in found if isinstance(each, Weakness))


@pytest.mark.parametrize("channels", ["email", "email sms voice", "slack sms voice", "voice", "email slack sms voice"])
def test_it_finds_nothing_where_the_shipped_policies_page_an_ordinary_person(channels: str) -> None:
    assert rehearsed(person(channels)) == ()


def test_it_finds_nothing_for_somebody_with_a_wish() -> None:
    wish = {Severity.CRITICAL: ("voice",), Severity.ERROR: ("email",)}
    assert rehearsed(person("email slack sms voice", channels=wish)) == ()


def test_it_finds_a_missing_receipt_that_opens_no_tier() -> None:
    hasty = replace(DEFAULT, name="hasty", escalate_within=timedelta(minutes=5))
    (found,) = rehearsed(person("email sms voice"), policies=(hasty,))
    assert (found.danger, found.course) == (Danger.SILENT_PHONE, (("email", ProviderBehaviour.SILENT),))
    assert str(found.fault) == (
        "policies.hasty: CRITICAL to ada: the phone stays silent if the mail is accepted and no receipt comes. "
        "Let a failure, a missing receipt or a timer open each tier up to the call."
    )


def test_it_finds_rounds_that_come_before_the_timer_of_the_call() -> None:
    early = replace(INSISTENT, name="early", repeat=Repeat(every=timedelta(minutes=8), rounds=3))
    found = rehearsed(person("email sms voice"), policies=(early,))
    assert [(each.danger, each.course) for each in found] == [
        (Danger.SILENT_PHONE, (("email", ProviderBehaviour.ACCEPTED), ("sms", ProviderBehaviour.ACCEPTED)))
    ]


def test_it_finds_somebody_whom_only_a_push_reaches() -> None:
    found = rehearsed(person("push", "fay"), policies=(DEFAULT,))
    assert [(each.danger, each.course, each.severities) for each in found] == [
        (Danger.NO_PROOF, (("push", ProviderBehaviour.SILENT),), (Severity.CRITICAL,))
    ]


def test_it_finds_that_nobody_is_in_operations_once_for_all_who_are_paged_alike() -> None:
    found = rehearsed(person("email"), person("email", "ben"), person("", "gone"), policies=(DEFAULT,), operations=())
    assert found == (
        Weakness(
            danger=Danger.NOBODY_TOLD,
            policy="default",
            severities=(Severity.CRITICAL, Severity.ERROR, Severity.WARNING),
            people=("ada", "ben"),
            course=(("email", ProviderBehaviour.REFUSED),),
        ),
    )


def test_that_nobody_is_told_differs_from_every_other_finding() -> None:
    (alone,) = rehearsed(person("email"), policies=(DEFAULT,), operations=())
    (unproven,) = rehearsed(person("push"), policies=(DEFAULT,))
    broken = Broken(policy="default", name="KeyError", error=KeyError())
    assert [tells_nobody(each) for each in (alone, unproven, broken)] == [True, False, False]


def test_it_rehearses_operations_by_its_own_policy() -> None:
    found = rehearsed(policies=(DEFAULT, OPERATIONS), operations=(person("push", "ops"),))
    assert [(each.policy, each.danger, each.people) for each in found] == [("operations", Danger.NO_PROOF, ("ops",))]


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "MOST_RUNS", 3)
    hasty = replace(DEFAULT, escalate_within=timedelta(minutes=5))
    assert len(rehearsed(person(EVERYTHING), policies=(hasty,))) == 0


def test_a_rehearsal_that_breaks_is_named_and_hides_nothing_that_the_others_find() -> None:
    models = MODELS | {"pigeon": ChannelModel(providers=("loft",), capabilities=cast("Any", None))}
    hasty = replace(DEFAULT, name="hasty", escalate_within=timedelta(minutes=5))
    birds = replace(hasty, name="birds", tiers=(replace(DEFAULT.tiers[0], channels=("email", "pigeon")), *DEFAULT.tiers[1:]))
    torn = replace(DEFAULT, name="torn", tiers=cast("Any", None))
    people = (person("email pigeon sms voice", "ben"), person("email sms voice"))
    found = rehearse({each.name: each for each in (torn, birds, hasty)}, people, (OPS,), models, CALLING)
    severities = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING)
    assert [(each.policy, each.severities, each.people, each.name) for each in found if isinstance(each, Broken)] == [
        ("torn", severities, ("ben", "ada"), "TypeError"),
        ("birds", severities, ("ben",), "AttributeError"),
    ]
    assert [(each.policy, each.danger, each.people) for each in found if isinstance(each, Weakness)] == [
        ("birds", Danger.SILENT_PHONE, ("ada",)),
        ("hasty", Danger.SILENT_PHONE, ("ben", "ada")),
    ]
    assert str(found[1].fault) == (
        "policies.birds: CRITICAL, ERROR, WARNING to ben: the rehearsal broke: AttributeError. "
        "Find app.rehearsal_broke in the log."
    )
