"""A limit, an unhealthy provider or a pause delays, and loses nothing: no attempt is burnt, and the escalation goes its way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.facts import NotificationFacts, Outcome
from notifyflow.core.delivery.model import Condition, DeferralReason, NotificationState, Result, Severity
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.limits.provider_health import OPEN_AT_MOST, ProviderHealth
from notifyflow.pipeline.delivery.outages import pause, pauses, resume
from notifyflow.pipeline.transaction.ports import Claimed
from tests.builders import BUSY, REFUSED, UNKNOWN, a_contact, a_recipient, an_incident
from tests.driver import Driver
from tests.leases import record_one

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it

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


def limited(driver: Driver, **limits: int) -> Driver:
    driver.deps = replace(driver.deps, limits={f"the {channel} provider": limit for channel, limit in limits.items()} | limits)
    return driver


def page(driver: Driver, key: str, *channels: str, severity: Severity = Severity.ERROR) -> NotificationFacts:
    driver.notify(an_incident(key, severity=severity), a_recipient("ada", *(channels or ("email",))))
    return driver.pages(key=key)[(channels or ("email",))[0]]


def claim(driver: Driver, channel: str = "email", providers: Sequence[str] = PAIR) -> list[Claimed]:
    return list(driver.claim(channel, providers=providers))


def finish(driver: Driver, claimed: Claimed, outcome: Outcome) -> None:
    record_one(driver.deps, claimed, outcome, has_alternative=True)


def health_of(driver: Driver, provider: str) -> ProviderHealth:
    found = driver.store.run(lambda ledger: ledger.providers.get("email", provider))
    assert found is not None
    return found


def stop(
    driver: Driver, scope: PauseScope = PauseScope.ALL, name: str = "", *, minutes: int = 30, is_for_critical: bool = False
) -> None:
    now = driver.clock.now()
    wanted = Pause(
        scope=scope,
        name=name,
        ends_at=now + timedelta(minutes=minutes),
        paused_at=now,
        paused_by="ada",
        is_for_critical=is_for_critical,
    )
    pause(driver.deps, wanted)


def test_what_gets_no_slot_is_deferred_burns_nothing_and_is_sent_in_the_order_it_came(driver: Driver) -> None:
    limited(driver, email=10)
    keys = [f"k{number:02}" for number in range(30)]
    for key in keys:
        page(driver, key)
        driver.clock.pass_time(timedelta(milliseconds=1))
    driver.deliver()
    assert [driver.pages(key=key)["email"].state for key in keys] == [SENT] * 8 + [QUEUED] * 22
    waiting = driver.pages(key=keys[-1])["email"]
    assert (waiting.deferred_by, waiting.attempts) == (DeferralReason.LIMIT, ())
    driver.pass_time(minutes=5)
    assert [each.message.notification_id for each in driver.seen] == [driver.pages(key=key)["email"].id for key in keys]
    done = driver.pages(key=keys[-1])["email"]
    assert (done.state, done.deferred_since, done.deferred_by, len(done.attempts)) == (SENT, None, None, 1)
    assert [line.event for line in driver.status(keys[-1]).transitions if line.machine == "notification"] == [
        "queued",
        "deferred",
        "claimed",
        "accepted",
    ], "the log says why, once"
    (line,) = (line for line in driver.status(keys[-1]).transitions if line.event == "deferred")
    assert (line.detail["why"], line.detail["provider"]) == ("limit", "the email provider")


def test_what_only_one_provider_may_carry_keeps_nobody_waiting_whom_the_other_can_reach(driver: Driver) -> None:
    limited(driver, twilio=1)
    driver.deps = replace(driver.deps, senders={"sms": {"twilio": "+1", "twilio-b": "+2"}})
    people = [a_recipient(who, "sms") for who in ("ada", "ben", "cy")]
    driver.store.run(lambda ledger: ledger.replies.opt_out("+2", "ben@sms", at=driver.clock.now()))
    for person in people:
        driver.notify(an_incident(person.id), person)
        driver.clock.pass_time(timedelta(milliseconds=1))
    carried = [driver.claim("sms", limit=1, providers=("twilio", "twilio-b")) for _ in people]
    assert [[(each.message.address, each.provider) for each in claims] for claims in carried] == [
        [("ada@sms", "twilio")],
        [],
        [("cy@sms", "twilio-b")],
    ]
    assert driver.pages("ben", key="ben")["sms"].deferred_by is DeferralReason.LIMIT


def test_what_gets_no_slot_from_a_claim_whose_clock_is_behind_waits_for_its_slot_and_no_ring(driver: Driver) -> None:
    limited(driver, twilio=1)
    driver.deps = replace(driver.deps, senders={"sms": {"twilio": "+1", "twilio-b": "+2"}})
    driver.store.run(lambda ledger: ledger.replies.opt_out("+2", "ben@sms", at=driver.clock.now()))
    for person in ("ada", "ben", "cy"):
        driver.notify(an_incident(person), a_recipient(person, "sms"))
    driver.claim("sms", driver.pages(key="ada")["sms"].id, limit=1, providers=("twilio",))
    driver.clock.at -= timedelta(milliseconds=5)
    for person, providers in (("ben", ("twilio", "twilio-b")), ("cy", ("twilio",))):
        before = driver.pages(person, key=person)["sms"]
        assert driver.claim("sms", before.id, limit=1, providers=providers) == ()
        after = driver.pages(person, key=person)["sms"]
        assert (before.rung_at is None, after.rung_at, after.deferred_by) == (False, None, DeferralReason.LIMIT)


def test_a_slot_is_not_kept_for_what_was_cancelled(driver: Driver) -> None:
    limited(driver, email=5)
    for number in range(20):
        page(driver, f"k{number:02}")
    driver.deliver()
    for number in range(4, 18):
        driver.resolve(key=f"k{number:02}")
    driver.pass_time(seconds=66)
    assert [driver.pages(key=key)["email"].state for key in ("k18", "k19")] == [SENT, SENT]


def test_critical_finds_its_fifth_though_the_others_wait(driver: Driver) -> None:
    limited(driver, email=10)
    for number in range(20):
        page(driver, f"k{number}")
    driver.deliver()
    page(driver, "urgent", severity=Severity.CRITICAL)
    driver.deliver()
    assert driver.pages(key="urgent")["email"].state is SENT


def test_a_critical_page_without_a_slot_does_not_use_up_the_ring_of_another(driver: Driver) -> None:
    limited(driver, email=5)
    for number in range(12):
        page(driver, f"k{number}", severity=Severity.CRITICAL)
    driver.deliver()
    page(driver, "urgent", severity=Severity.CRITICAL)
    calm = page(driver, "calm")
    assert driver.claim("email", calm.id, limit=1) == ()
    assert driver.pages(key="calm")["email"].deferred_by is DeferralReason.LIMIT


def test_what_a_limit_defers_too_long_is_suspected_and_passed_over(driver: Driver) -> None:
    limited(driver, email=1)
    page(driver, "first", severity=Severity.CRITICAL)
    driver.deliver()
    page(driver, "second", "email", "sms", severity=Severity.CRITICAL)
    driver.deliver()
    driver.pass_time(seconds=31)
    assert driver.pages(key="second")["email"].state is QUEUED
    assert driver.pages(key="second")["sms"].state is SENT


def test_what_is_not_critical_is_suspected_after_its_whole_window(driver: Driver) -> None:
    limited(driver, email=1)
    for number in range(15):
        page(driver, f"k{number:02}", "email", "sms")
    driver.deliver()
    driver.pass_time(minutes=9)
    assert "sms" not in driver.pages(key="k14")
    driver.pass_time(minutes=2)
    assert driver.pages(key="k14")["sms"].state is SENT
    assert driver.pages(key="k14")["email"].state is QUEUED


@pytest.mark.parametrize("outcome", [BUSY, UNKNOWN, REFUSING])
def test_after_a_failure_the_next_provider_makes_the_next_attempt(driver: Driver, outcome: Outcome) -> None:
    page(driver, "k")
    (first,) = claim(driver)
    finish(driver, first, outcome)
    driver.clock.pass_time(timedelta(seconds=45))
    (second,) = claim(driver)
    assert (first.provider, second.provider) == PAIR
    finish(driver, second, BUSY)
    driver.clock.pass_time(timedelta(seconds=90))
    (third,) = claim(driver)
    assert third.provider == "ses"
    assert [each.provider for each in driver.pages(key="k")["email"].attempts] == ["ses", "smtp", "ses"]


def test_when_the_limit_of_one_is_used_up_the_other_carries(driver: Driver) -> None:
    limited(driver, ses=1)
    page(driver, "k1")
    page(driver, "k2")
    assert [each.provider for each in claim(driver)] == ["ses", "smtp"]


def test_a_retry_after_defers_nothing_that_another_provider_can_carry(driver: Driver) -> None:
    page(driver, "k1")
    (first,) = claim(driver)
    finish(driver, first, THROTTLED)
    row = driver.pages(key="k1")["email"]
    assert row.due_at is not None
    assert row.due_at - driver.clock.now() <= timedelta(seconds=40)
    assert row.deferred_since is None
    page(driver, "k2")
    assert [each.provider for each in claim(driver)] == ["smtp"], "it holds for everybody"


def test_a_retry_after_defers_everything_without_another_provider(driver: Driver) -> None:
    for key in ("k1", "k2"):
        page(driver, key)
    first, second = claim(driver, providers=["ses"])
    driver.record(first, THROTTLED)
    driver.record(second, BUSY)
    driver.clock.pass_time(timedelta(seconds=45))
    assert claim(driver, providers=["ses"]) == []
    deferred = driver.pages(key="k2")["email"]
    assert (deferred.deferred_by, len(deferred.attempts)) == (DeferralReason.RETRY_AFTER, 1)


def test_an_unhealthy_provider_gets_nothing_until_one_attempt_finds_it_well(driver: Driver) -> None:
    for number in range(5):
        page(driver, f"k{number}")
    for each in claim(driver, providers=["ses"]):
        driver.record(each, UNHEALTHY)
    assert health_of(driver, "ses").circuit_opened_by is DeferralReason.CIRCUIT
    (health,) = driver.outcome.health_updates
    assert health.provider == "ses"
    page(driver, "k5")
    assert [each.provider for each in claim(driver)] == ["smtp"]
    driver.clock.pass_time(timedelta(seconds=45))
    (probe,) = claim(driver, providers=["ses"])
    deferred = [driver.pages(key=f"k{number}")["email"] for number in range(5)]
    assert [row.deferred_by for row in deferred if row.id != probe.message.notification_id] == [DeferralReason.CIRCUIT] * 4
    driver.record(probe)
    assert health_of(driver, "ses").circuit_opened_by is None
    assert len(claim(driver, providers=["ses"])) == 4, "what waited for it is due at once"


def test_no_more_is_brought_forward_than_the_limit_lets_through_and_what_is_urgent_comes_first(driver: Driver) -> None:
    for number in range(24):
        page(driver, f"k{number:02}")
    page(driver, "urgent", severity=Severity.CRITICAL)
    *waiting, probe = claim(driver, providers=["ses"])
    for each in waiting[:5]:
        driver.record(each, UNHEALTHY)
    for each in waiting[5:]:
        driver.release(each)
    driver.clock.pass_time(timedelta(seconds=25))
    assert claim(driver, providers=["ses"]) == [], "its circuit is open"
    limited(driver, ses=1)
    driver.record(probe)
    rows = [driver.pages(key=key)["email"] for key in ("urgent", *(f"k{number:02}" for number in range(24)))]
    now = driver.clock.now()
    due = [row for row in rows if row.due_at is not None and row.due_at <= now]
    assert len(due) == OPEN_AT_MOST // timedelta(minutes=1)
    assert due[0] == rows[0], "the urgent one is among them"


@pytest.mark.parametrize("outcome", [BUSY, REFUSED])
def test_a_recipient_that_is_refused_opens_no_circuit(driver: Driver, outcome: Outcome) -> None:
    for number in range(8):
        page(driver, f"k{number}")
    for each in claim(driver, providers=["ses"]):
        driver.record(each, outcome)
    assert health_of(driver, "ses").failures == 0
    assert driver.outcome.health_updates == ()


def test_one_notification_alone_opens_no_circuit(driver: Driver) -> None:
    page(driver, "k")
    for _ in range(5):
        (each,) = claim(driver, providers=["ses"])
        driver.record(each, UNHEALTHY)
        driver.clock.pass_time(timedelta(minutes=6))
    assert health_of(driver, "ses").failures == 1


def test_a_provider_that_refuses_us_is_suspended_and_operations_gets_one_notice(driver: Driver) -> None:
    driver.deps = replace(driver.deps, operations=(a_contact("ops", "slack"),))
    page(driver, "k1", "email", "sms")
    page(driver, "k2", "email", "sms")
    (first, second) = claim(driver, providers=["ses"])
    driver.record(first, REFUSING)
    driver.record(second, REFUSING)
    assert health_of(driver, "ses").circuit_opened_by is DeferralReason.SUSPENSION
    operations_incident = driver.status("notifyflow/operations")
    assert operations_incident.content.body.count("does not accept our credentials") == 1
    page(driver, "k3", "email", "sms")
    assert claim(driver, providers=["ses"]) == []
    driver.pass_time(seconds=1)
    deferred = driver.pages(key="k3")
    assert (deferred["email"].deferred_by, deferred["email"].attempts) == (DeferralReason.SUSPENSION, ())
    assert "sms" in deferred, "it would be refused as those before were: suspected at once"


def test_a_pause_defers_suspects_nobody_and_ends_by_itself(driver: Driver) -> None:
    stop(driver)
    page(driver, "k", "email", "sms")
    page(driver, "urgent", severity=Severity.CRITICAL)
    driver.deliver()
    driver.pass_time(minutes=29)
    row = driver.pages(key="k")["email"]
    assert (row.deferred_by, row.attempts) == (DeferralReason.PAUSE, ())
    assert "sms" not in driver.pages(key="k")
    assert driver.pages(key="urgent")["email"].state is SENT
    assert [each.paused_by for each in pauses(driver.deps)] == ["ada"]
    driver.pass_time(minutes=2)
    assert driver.pages(key="k")["email"].state is SENT
    assert pauses(driver.deps) == ()


def test_a_pause_that_is_ended_lets_everything_go_at_once(driver: Driver) -> None:
    stop(driver, PauseScope.CHANNEL, "email", is_for_critical=True)
    for severity in (Severity.ERROR, Severity.CRITICAL):
        page(driver, severity.value, severity=severity)
    driver.deliver()
    assert driver.seen == []
    assert resume(driver.deps, PauseScope.CHANNEL, "email")
    assert not resume(driver.deps, PauseScope.CHANNEL, "email")
    driver.pass_time(seconds=0)
    assert len(driver.seen) == 2


def test_while_one_provider_is_paused_the_other_carries(driver: Driver) -> None:
    stop(driver, PauseScope.PROVIDER, "ses")
    page(driver, "k")
    assert [each.provider for each in claim(driver)] == ["smtp"]


def test_a_second_pause_of_the_same_replaces_the_first(driver: Driver) -> None:
    stop(driver)
    stop(driver, minutes=60)
    (only,) = pauses(driver.deps)
    assert only.ends_at == driver.clock.now() + timedelta(minutes=60)


def test_a_status_update_that_is_deferred_needs_no_decision(driver: Driver) -> None:
    page(driver, "db-1")
    driver.deliver()
    page(driver, "db-2")
    (claimed,) = claim(driver, providers=["ses"])
    finish(driver, claimed, THROTTLED)
    driver.acknowledge(by="eve")
    assert claim(driver, providers=["ses"]) == []
    assert [row.deferred_by for row in driver.status_updates("ada", "db-1")] == [DeferralReason.RETRY_AFTER]
    assert driver.escalation(key="db-1").next_decision_at is None
