"""A limit, an unhealthy provider or a pause delays, and loses nothing: no attempt is burnt, and the escalation goes its way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.facts import NotificationFacts, Outcome
from notifyflow.core.limits import ProviderHealth
from notifyflow.core.model import Condition, DeferralReason, NotificationState, Result, Severity
from notifyflow.core.pauses import Pause, Scope
from notifyflow.pipeline.pause import pause, pauses, resume
from notifyflow.pipeline.ports import Claimed
from notifyflow.pipeline.record import record
from tests.builders import BUSY, REFUSED, UNKNOWN, Story, a_contact, a_recipient, an_incident

QUEUED, SENT = NotificationState.QUEUED, NotificationState.SENT
PAIR = ("ses", "smtp")
UNHEALTHY = replace(UNKNOWN, condition=Condition.UNHEALTHY)
REFUSING = Outcome(
    result=Result.TEMPORARY_FAILURE,
    code="401",
    reason="does not accept our credentials",
    is_our_fault=True,
    condition=Condition.REFUSING,
)
THROTTLED = Outcome(
    result=Result.TEMPORARY_FAILURE, code="429", reason="asks for fewer requests", retry_after_s=90, throttle_s=90
)


def limited(story: Story, **limits: int) -> Story:
    story.deps = replace(story.deps, limits={f"the {channel} provider": limit for channel, limit in limits.items()} | limits)
    return story


def page(story: Story, key: str, *channels: str, severity: Severity = Severity.ERROR) -> NotificationFacts:
    story.notify(an_incident(key, severity=severity), a_recipient("ada", *(channels or ("email",))))
    return story.pages(key=key)[(channels or ("email",))[0]]


def claim(story: Story, channel: str = "email", providers: Sequence[str] = PAIR) -> list[Claimed]:
    return list(story.claim(channel, providers=providers))


def finish(story: Story, claimed: Claimed, outcome: Outcome) -> None:
    record(story.deps, claimed.attempt_id, claimed.token, outcome, has_alternative=True)


def health_of(story: Story, provider: str) -> ProviderHealth:
    found = story.store.run(lambda ledger: ledger.provider_health("email", provider))
    assert found is not None
    return found


def stop(story: Story, scope: Scope = Scope.ALL, name: str = "", *, minutes: int = 30, is_for_critical: bool = False) -> None:
    now = story.clock.now()
    wanted = Pause(
        scope=scope,
        name=name,
        ends_at=now + timedelta(minutes=minutes),
        paused_at=now,
        paused_by="ada",
        is_for_critical=is_for_critical,
    )
    pause(story.deps, wanted)


def test_what_gets_no_slot_is_deferred_burns_nothing_and_is_sent_in_the_order_it_came(story: Story) -> None:
    limited(story, email=10)
    keys = [f"k{number:02}" for number in range(30)]
    for key in keys:
        page(story, key)
        story.clock.pass_time(timedelta(milliseconds=1))
    story.deliver()
    assert [story.pages(key=key)["email"].state for key in keys] == [SENT] * 8 + [QUEUED] * 22
    waiting = story.pages(key=keys[-1])["email"]
    assert (waiting.deferred_by, waiting.attempts) == (DeferralReason.LIMIT, ())
    story.pass_time(minutes=5)
    assert [each.notification_id for each in story.seen] == [story.pages(key=key)["email"].id for key in keys]
    done = story.pages(key=keys[-1])["email"]
    assert (done.state, done.deferred_since, done.deferred_by, len(done.attempts)) == (SENT, None, None, 1)
    assert [line.event for line in story.status(keys[-1]).transitions if line.machine == "notification"] == [
        "queued",
        "deferred",
        "claimed",
        "accepted",
    ], "the log says why, once"
    (line,) = (line for line in story.status(keys[-1]).transitions if line.event == "deferred")
    assert (line.detail["why"], line.detail["provider"]) == ("limit", "the email provider")


def test_what_only_one_provider_may_carry_keeps_nobody_waiting_whom_the_other_can_reach(story: Story) -> None:
    limited(story, twilio=1)
    story.deps = replace(story.deps, senders={"twilio": "+1", "twilio-b": "+2"})
    people = [a_recipient(who, "sms") for who in ("ada", "ben", "cy")]
    story.store.run(lambda ledger: ledger.opt_out("+2", "ben@sms", at=story.clock.now()))
    for person in people:
        story.notify(an_incident(person.id), person)
        story.clock.pass_time(timedelta(milliseconds=1))
    carried = [story.claim("sms", limit=1, providers=("twilio", "twilio-b")) for _ in people]
    assert [[(each.address, each.provider) for each in claims] for claims in carried] == [
        [("ada@sms", "twilio")],
        [],
        [("cy@sms", "twilio-b")],
    ]
    assert story.pages("ben", key="ben")["sms"].deferred_by is DeferralReason.LIMIT


def test_a_slot_is_not_kept_for_what_was_cancelled(story: Story) -> None:
    limited(story, email=5)
    for number in range(20):
        page(story, f"k{number:02}")
    story.deliver()
    for number in range(4, 18):
        story.resolve(key=f"k{number:02}")
    story.pass_time(seconds=66)
    assert [story.pages(key=key)["email"].state for key in ("k18", "k19")] == [SENT, SENT]


def test_critical_finds_its_fifth_though_the_others_wait(story: Story) -> None:
    limited(story, email=10)
    for number in range(20):
        page(story, f"k{number}")
    story.deliver()
    page(story, "urgent", severity=Severity.CRITICAL)
    story.deliver()
    assert story.pages(key="urgent")["email"].state is SENT


def test_what_a_limit_defers_too_long_is_suspected_and_passed_over(story: Story) -> None:
    limited(story, email=1)
    page(story, "first", severity=Severity.CRITICAL)
    story.deliver()
    page(story, "second", "email", "sms", severity=Severity.CRITICAL)
    story.deliver()
    story.pass_time(seconds=31)
    assert story.pages(key="second")["email"].state is QUEUED
    assert story.pages(key="second")["sms"].state is SENT


def test_what_is_not_critical_is_suspected_after_its_whole_window(story: Story) -> None:
    limited(story, email=1)
    for number in range(15):
        page(story, f"k{number:02}", "email", "sms")
    story.deliver()
    story.pass_time(minutes=9)
    assert "sms" not in story.pages(key="k14")
    story.pass_time(minutes=2)
    assert story.pages(key="k14")["sms"].state is SENT
    assert story.pages(key="k14")["email"].state is QUEUED


@pytest.mark.parametrize("outcome", [BUSY, UNKNOWN, REFUSING])
def test_after_a_failure_the_next_provider_makes_the_next_attempt(story: Story, outcome: Outcome) -> None:
    page(story, "k")
    (first,) = claim(story)
    finish(story, first, outcome)
    story.clock.pass_time(timedelta(seconds=45))
    (second,) = claim(story)
    assert (first.provider, second.provider) == PAIR
    finish(story, second, BUSY)
    story.clock.pass_time(timedelta(seconds=90))
    (third,) = claim(story)
    assert third.provider == "ses"
    assert [each.provider for each in story.pages(key="k")["email"].attempts] == ["ses", "smtp", "ses"]


def test_when_the_limit_of_one_is_used_up_the_other_carries(story: Story) -> None:
    limited(story, ses=1)
    page(story, "k1")
    page(story, "k2")
    assert [each.provider for each in claim(story)] == ["ses", "smtp"]


def test_a_retry_after_holds_nobody_whom_another_provider_can_carry(story: Story) -> None:
    page(story, "k1")
    (first,) = claim(story)
    finish(story, first, THROTTLED)
    row = story.pages(key="k1")["email"]
    assert row.due_at is not None
    assert row.due_at - story.clock.now() <= timedelta(seconds=40)
    assert row.deferred_since is None
    page(story, "k2")
    assert [each.provider for each in claim(story)] == ["smtp"], "it holds for everybody"


def test_a_retry_after_holds_everybody_where_there_is_nobody_else(story: Story) -> None:
    for key in ("k1", "k2"):
        page(story, key)
    first, second = claim(story, providers=["ses"])
    story.record(first, THROTTLED)
    story.record(second, BUSY)
    story.clock.pass_time(timedelta(seconds=45))
    assert claim(story, providers=["ses"]) == []
    deferred = story.pages(key="k2")["email"]
    assert (deferred.deferred_by, len(deferred.attempts)) == (DeferralReason.RETRY_AFTER, 1)


def test_an_ill_provider_is_left_alone_and_one_attempt_finds_out_when_it_is_well(story: Story) -> None:
    for number in range(5):
        page(story, f"k{number}")
    for each in claim(story, providers=["ses"]):
        story.record(each, UNHEALTHY)
    assert health_of(story, "ses").circuit_opened_by is DeferralReason.CIRCUIT
    (health,) = story.outcome.health_updates
    assert health.provider == "ses"
    page(story, "k5")
    assert [each.provider for each in claim(story)] == ["smtp"]
    story.clock.pass_time(timedelta(seconds=45))
    (probe,) = claim(story, providers=["ses"])
    deferred = [story.pages(key=f"k{number}")["email"] for number in range(5)]
    assert [row.deferred_by for row in deferred if row.id != probe.notification_id] == [DeferralReason.CIRCUIT] * 4
    story.record(probe)
    assert health_of(story, "ses").circuit_opened_by is None
    assert len(claim(story, providers=["ses"])) == 4, "what waited for it is due at once"


@pytest.mark.parametrize("outcome", [BUSY, REFUSED])
def test_a_recipient_that_is_refused_opens_no_circuit(story: Story, outcome: Outcome) -> None:
    for number in range(8):
        page(story, f"k{number}")
    for each in claim(story, providers=["ses"]):
        story.record(each, outcome)
    assert health_of(story, "ses").failures == 0
    assert story.outcome.health_updates == ()


def test_one_notification_alone_opens_no_circuit(story: Story) -> None:
    page(story, "k")
    for _ in range(5):
        (each,) = claim(story, providers=["ses"])
        story.record(each, UNHEALTHY)
        story.clock.pass_time(timedelta(minutes=6))
    assert health_of(story, "ses").failures == 1


def test_a_provider_that_refuses_us_is_suspended_and_operations_is_told_once(story: Story) -> None:
    story.deps = replace(story.deps, operations=(a_contact("ops", "slack"),))
    page(story, "k1", "email", "sms")
    page(story, "k2", "email", "sms")
    (first, second) = claim(story, providers=["ses"])
    story.record(first, REFUSING)
    story.record(second, REFUSING)
    assert health_of(story, "ses").circuit_opened_by is DeferralReason.SUSPENSION
    told = story.status("notifyflow/operations")
    assert told.content.body.count("does not accept our credentials") == 1
    page(story, "k3", "email", "sms")
    assert claim(story, providers=["ses"]) == []
    story.pass_time(seconds=1)
    deferred = story.pages(key="k3")
    assert (deferred["email"].deferred_by, deferred["email"].attempts) == (DeferralReason.SUSPENSION, ())
    assert "sms" in deferred, "it would be refused as those before were: suspected at once"


def test_a_pause_defers_suspects_nobody_and_ends_by_itself(story: Story) -> None:
    stop(story)
    page(story, "k", "email", "sms")
    page(story, "urgent", severity=Severity.CRITICAL)
    story.deliver()
    story.pass_time(minutes=29)
    row = story.pages(key="k")["email"]
    assert (row.deferred_by, row.attempts) == (DeferralReason.PAUSE, ())
    assert "sms" not in story.pages(key="k")
    assert story.pages(key="urgent")["email"].state is SENT
    assert [each.paused_by for each in pauses(story.deps)] == ["ada"]
    story.pass_time(minutes=2)
    assert story.pages(key="k")["email"].state is SENT
    assert pauses(story.deps) == ()


def test_a_pause_that_is_taken_back_lets_everything_go_at_once(story: Story) -> None:
    stop(story, Scope.CHANNEL, "email", is_for_critical=True)
    for severity in (Severity.ERROR, Severity.CRITICAL):
        page(story, severity.value, severity=severity)
    story.deliver()
    assert story.seen == []
    assert resume(story.deps, Scope.CHANNEL, "email")
    assert not resume(story.deps, Scope.CHANNEL, "email")
    story.pass_time(seconds=0)
    assert len(story.seen) == 2


def test_while_one_provider_is_paused_the_other_carries(story: Story) -> None:
    stop(story, Scope.PROVIDER, "ses")
    page(story, "k")
    assert [each.provider for each in claim(story)] == ["smtp"]


def test_a_second_pause_of_the_same_takes_the_place_of_the_first(story: Story) -> None:
    stop(story)
    stop(story, minutes=60)
    (only,) = pauses(story.deps)
    assert only.ends_at == story.clock.now() + timedelta(minutes=60)


def test_a_status_update_that_is_deferred_asks_for_no_decision(story: Story) -> None:
    page(story, "db-1")
    story.deliver()
    page(story, "db-2")
    (claimed,) = claim(story, providers=["ses"])
    finish(story, claimed, THROTTLED)
    story.acknowledge(by="eve")
    assert claim(story, providers=["ses"]) == []
    assert [row.deferred_by for row in story.status_updates("ada", "db-1")] == [DeferralReason.RETRY_AFTER]
    assert story.escalation(key="db-1").next_decision_at is None
