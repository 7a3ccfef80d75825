"""What providers say later: once, in any order, and before the send is recorded too."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import (
    DeferralReason,
    EscalationState,
    IncidentState,
    NotificationState,
    Receipt,
    Result,
    Severity,
)
from notifyflow.core.delivery.policy import DEFAULT, Retries, RetrySchedule
from notifyflow.pipeline.delivery.receive import apply_missed, receive
from notifyflow.pipeline.transaction.ports import ReceiptMatch
from notifyflow.storage.store import Store
from notifyflow.storage.tables import ReceiptRow
from tests.builders import ACCEPTED, REFUSED, UNKNOWN, a_contact, a_recipient, an_incident
from tests.driver import Driver


def _texted(driver: Driver, severity: Severity = Severity.CRITICAL) -> str:
    """Bring a text message to SENT; give its attempt."""
    driver.respond("email", REFUSED)
    driver.notify(an_incident(severity=severity), a_recipient("ada", "email", "sms", "voice"))
    driver.deliver()
    return driver.sent("sms")[0].message.attempt_id


def test_a_receipt_counts_once(driver: Driver) -> None:
    attempt_id = _texted(driver)
    assert driver.report(attempt_id, Result.DELIVERED, event_id="1") is ReceiptMatch.MATCHED
    version = driver.pages()["sms"].version
    assert driver.report(attempt_id, Result.DELIVERED, event_id="1") is ReceiptMatch.REPEATED
    assert driver.pages()["sms"].version == version
    assert driver.pages()["sms"].state is NotificationState.DELIVERED
    assert driver.escalation().state is EscalationState.REACHED


def test_the_strongest_result_counts_in_whatever_order_results_are_reported(driver: Driver) -> None:
    attempt_id = _texted(driver)
    driver.report(attempt_id, Result.DELIVERED)
    driver.report(attempt_id, Result.ACCEPTED)
    driver.report(attempt_id, Result.TEMPORARY_FAILURE)
    assert driver.pages()["sms"].state is NotificationState.DELIVERED


def test_a_bounce_opens_the_next_tier(driver: Driver) -> None:
    attempt_id = _texted(driver)
    driver.report(attempt_id, Result.PERMANENT_FAILURE)
    assert driver.pages()["sms"].state is NotificationState.FAILED
    assert driver.pages()["voice"].state is NotificationState.QUEUED


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.ERROR])
def test_a_fault_of_ours_that_a_receipt_reports_opens_the_next_tier_at_once(driver: Driver, severity: Severity) -> None:
    attempt_id = _texted(driver, severity)
    driver.report(attempt_id, Result.TEMPORARY_FAILURE, is_our_fault=True)
    assert driver.pages()["sms"].state is NotificationState.QUEUED, "its retries go on"
    assert driver.pages()["sms"].attempts[0].is_our_fault
    assert driver.pages()["voice"].state is NotificationState.QUEUED


def test_bad_luck_that_a_receipt_reports_is_tried_again_first(driver: Driver) -> None:
    attempt_id = _texted(driver)
    driver.report(attempt_id, Result.TEMPORARY_FAILURE)
    assert "voice" not in driver.pages()


def test_a_fault_of_ours_in_a_receipt_is_a_notice_to_operations(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "slack")])
    attempt_id = _texted(driver)
    for _ in range(2):
        driver.report(attempt_id, Result.TEMPORARY_FAILURE, is_our_fault=True, reason="our number is not registered")
    driver.deliver()
    (page,) = driver.sent("slack")
    assert page.message.content.title == "the sms provider: our number is not registered"


def test_a_provider_whose_receipt_refuses_all_messages_is_suspended(driver: Driver) -> None:
    attempt_id = _texted(driver)
    driver.report(attempt_id, Result.TEMPORARY_FAILURE, is_our_fault=True, is_general=True)
    (health,) = driver.outcome.health_updates
    assert (health.channel, health.provider, health.circuit_opened_by) == ("sms", "the sms provider", DeferralReason.SUSPENSION)
    driver.notify(an_incident("db-2", severity=Severity.CRITICAL), a_recipient("ben", "sms", "voice"))
    driver.deliver()
    driver.sweep()
    assert "voice" in driver.pages("ben", "db-2"), "what waits for it is suspected at once"


def test_a_fault_of_ours_is_a_fault_of_ours_also_where_the_receipt_waits_for_the_record(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "sms"))
    (claimed,) = driver.claim("email", providers=["ses"])
    blaming = Receipt(provider="ses", event_id="1", result=Result.TEMPORARY_FAILURE, provider_ref="m-1", is_our_fault=True)
    assert receive(driver.deps, blaming, raw="raw").only().value is ReceiptMatch.WAITING
    driver.record(claimed, replace(ACCEPTED, provider_ref="m-1"))
    assert driver.pages()["email"].attempts[0].is_our_fault
    assert driver.pages()["sms"].state is NotificationState.QUEUED


def test_a_fault_of_ours_that_came_before_the_record_is_not_forgotten_by_it(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "sms"))
    (claimed,) = driver.claim("email", providers=["ses"])
    driver.report(claimed.message.attempt_id, Result.TEMPORARY_FAILURE, is_our_fault=True)
    driver.record(claimed, ACCEPTED)
    assert driver.pages()["email"].attempts[0].is_our_fault
    assert driver.pages()["sms"].state is NotificationState.QUEUED


def test_a_receipt_that_was_fetched_and_then_comes_by_callback_counts_as_a_callback(driver: Driver) -> None:
    attempt_id = _texted(driver)
    fetched = Receipt(provider="twilio", event_id="SM1:sent", result=Result.ACCEPTED, attempt_id=attempt_id, is_fetched=True)
    receive(driver.deps, fetched, raw="")
    receive(driver.deps, fetched, raw="")
    count = ReceiptRow.select().where(ReceiptRow.is_fetched).count
    assert driver.store.run(lambda ledger: count(ledger._unit.db)) == 1
    assert receive(driver.deps, replace(fetched, is_fetched=False), raw="raw").only().value is ReceiptMatch.REPEATED
    assert driver.store.run(lambda ledger: count(ledger._unit.db)) == 0


def test_a_bounce_that_comes_days_later_wakes_nobody(driver: Driver) -> None:
    attempt_id = _texted(driver)
    driver.report(attempt_id, Result.DELIVERED)
    driver.clock.pass_time(timedelta(days=2))
    driver.report(attempt_id, Result.PERMANENT_FAILURE)
    assert "voice" not in driver.pages()
    assert driver.escalation().state is EscalationState.EXHAUSTED
    assert driver.escalation().critical_at is not None


def test_a_late_delivery_puts_a_failure_right(driver: Driver) -> None:
    for channel in ("email", "voice"):
        driver.respond(channel, REFUSED)
    driver.respond("sms", UNKNOWN)
    driver.notify(None, a_recipient("ada", "email", "sms", "voice"))
    driver.deliver()
    driver.pass_time(hours=1)
    assert driver.escalation().state is EscalationState.EXHAUSTED
    driver.report(driver.sent("sms")[0].message.attempt_id, Result.DELIVERED)
    assert driver.pages()["sms"].state is NotificationState.DELIVERED
    assert driver.escalation().state is EscalationState.REACHED


def test_a_receipt_may_come_before_its_send_is_recorded(driver: Driver) -> None:
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "sms"))
    (claimed,) = driver.claim("sms")
    assert driver.report(claimed.message.attempt_id, Result.PERMANENT_FAILURE) is ReceiptMatch.MATCHED
    assert driver.pages()["sms"].state is NotificationState.SENDING
    driver.record(claimed, ACCEPTED)
    assert driver.pages()["sms"].state is NotificationState.FAILED


def test_a_receipt_of_an_attempt_that_is_not_ours_is_foreign(driver: Driver) -> None:
    assert driver.report("f" * 32, Result.DELIVERED) is ReceiptMatch.FOREIGN


def test_a_receipt_that_only_names_the_providers_id_waits_for_the_record(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    (claimed,) = driver.claim("email", providers=["ses"])
    receipt = Receipt(provider="ses", event_id="1", result=Result.PERMANENT_FAILURE, provider_ref="m-1", reason="no such mailbox")
    assert receive(driver.deps, receipt, raw="raw").only().value is ReceiptMatch.WAITING
    driver.record(claimed, replace(ACCEPTED, provider_ref="m-1"))
    email = driver.pages()["email"]
    assert (email.state, email.reason) == (NotificationState.FAILED, "no such mailbox")
    later = Receipt(provider="ses", event_id="2", result=None, provider_ref="m-1")
    assert receive(driver.deps, later, raw="raw").only().value is ReceiptMatch.MATCHED


def test_a_waiting_receipt_is_applied_as_soon_as_another_one_names_its_attempt(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    (claimed,) = driver.claim("email", providers=["ses"])
    bounce = Receipt(provider="ses", event_id="1", result=Result.PERMANENT_FAILURE, provider_ref="m-1", reason="no such mailbox")
    assert receive(driver.deps, bounce, raw="raw").only().value is ReceiptMatch.WAITING
    sent = replace(bounce, event_id="2", result=Result.ACCEPTED, attempt_id=claimed.message.attempt_id)
    assert receive(driver.deps, sent, raw="raw").only().value is ReceiptMatch.MATCHED
    (attempt,) = driver.pages()["email"].attempts
    assert (attempt.result, attempt.reason) == (Result.PERMANENT_FAILURE, "no such mailbox")


def test_a_receipt_that_was_written_at_once_with_the_record_is_applied_by_the_sweep(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    (claimed,) = driver.claim("email", providers=["ses"])
    driver.record(claimed, replace(ACCEPTED, provider_ref="m-1"))
    receipt = Receipt(provider="ses", event_id="1", result=Result.DELIVERED, provider_ref="m-1")
    driver.store.run(lambda ledger: ledger.inbox.add(receipt, raw="raw", at=driver.clock.now()))
    driver.sweep()
    assert driver.pages()["email"].state is NotificationState.DELIVERED
    before = driver.escalation()
    assert apply_missed(driver.deps, [receipt]).results == (None,)
    assert driver.escalation() == before


def test_what_nobody_claims_within_an_hour_ends_as_foreign(driver: Driver) -> None:
    receipt = Receipt(provider="ses", event_id="1", result=Result.DELIVERED, provider_ref="m-1")
    receive(driver.deps, receipt, raw="raw")
    driver.sweep()
    assert driver.store.run(lambda ledger: ledger.inbox.waiting(["ses"], ["m-1"])) == (receipt,)
    driver.clock.pass_time(timedelta(hours=1, seconds=1))
    driver.sweep()
    assert driver.store.run(lambda ledger: ledger.inbox.waiting(["ses"], ["m-1"])) == ()


def test_any_key_confirms_the_call_and_one_acknowledges_the_incident(driver: Driver) -> None:
    driver.respond("sms", REFUSED)
    _texted(driver)
    attempt_id = driver.sent("voice")[0].message.attempt_id
    driver.report(attempt_id, Result.DELIVERED, key="7")
    assert driver.pages()["voice"].state is NotificationState.DELIVERED
    assert driver.status().facts.state is IncidentState.OPEN
    driver.report(attempt_id, Result.DELIVERED, key="1")
    facts = driver.status().facts
    assert (facts.state, facts.acknowledged_by, facts.acknowledged_via) == (IncidentState.ACKNOWLEDGED, "ada", "key")
    assert driver.escalation().state is EscalationState.ACKNOWLEDGED


def test_an_overdue_receipt_is_suspected_when_critical_and_opens_the_next_tier(driver: Driver) -> None:
    _texted(driver)
    driver.pass_time(seconds=59)
    assert "voice" not in driver.pages()
    driver.pass_time(seconds=2)
    assert driver.pages()["voice"].state is NotificationState.SENT
    assert driver.pages()["sms"].state is NotificationState.SENT
    driver.pass_time(minutes=32)
    assert driver.escalation().state is EscalationState.EXHAUSTED


SES = "the email provider"
SOON = RetrySchedule(delays=(timedelta(seconds=2),) * 4, jitter=0)
QUICK = replace(DEFAULT, retries=Retries(normal=SOON, critical=SOON, by_channel={}))


def _doubted(driver: Driver, severity: Severity) -> str:
    """Let a mail be in doubt, whose provider tells within 15 s that it has it; give the attempt."""
    driver.deps = replace(driver.deps, doubt_resolution_times={SES: timedelta(seconds=15)})
    driver.respond("email", UNKNOWN, ACCEPTED)
    driver.notify(an_incident(severity=severity), a_recipient("ada", "email"), policy=QUICK)
    driver.deliver()
    return driver.sent("email")[0].message.attempt_id


def test_an_event_that_resolves_a_doubt_in_time_saves_the_second_mail(driver: Driver) -> None:
    attempt_id = _doubted(driver, Severity.ERROR)
    driver.pass_time(seconds=14)
    assert driver.report(attempt_id, Result.ACCEPTED) is ReceiptMatch.MATCHED
    driver.pass_time(minutes=1)
    assert len(driver.sent("email")) == 1
    assert driver.pages()["email"].state is NotificationState.SENT


def test_a_doubt_that_no_event_resolves_in_time_is_sent_again_and_marked(driver: Driver) -> None:
    attempt_id = _doubted(driver, Severity.ERROR)
    driver.pass_time(seconds=14)
    assert len(driver.sent("email")) == 1
    driver.pass_time(seconds=2)
    assert len(driver.sent("email")) == 2
    claims = [line.detail for line in driver.status().transitions if line.event == "claimed"]
    assert [detail.get("after_doubt") for detail in claims] == [None, attempt_id]


def test_what_is_critical_waits_for_no_event(driver: Driver) -> None:
    _doubted(driver, Severity.CRITICAL)
    driver.pass_time(seconds=3)
    assert len(driver.sent("email")) == 2


def test_an_event_has_its_time_also_after_a_short_lease(driver: Driver) -> None:
    driver.deps = replace(driver.deps, doubt_resolution_times={SES: timedelta(seconds=15)}, lease=timedelta(seconds=5))
    driver.notify(None, a_recipient("ada", "email"), policy=QUICK)
    driver.claim("email")
    driver.pass_time(seconds=14)
    assert driver.pages()["email"].state is NotificationState.QUEUED
    assert driver.sent("email") == []
    driver.pass_time(seconds=2)
    assert len(driver.sent("email")) == 1


def test_raw_bodies_are_overwritten_after_seven_days_and_what_was_read_from_them_stays(driver: Driver) -> None:
    attempt_id = _texted(driver)
    driver.report(attempt_id, Result.ACCEPTED, event_id="old")
    driver.clock.pass_time(timedelta(days=6, hours=23))
    driver.report(attempt_id, Result.DELIVERED, event_id="young")
    driver.sweep()
    assert _bodies(driver) == {"old": "raw", "young": "raw"}
    driver.clock.pass_time(timedelta(hours=1, seconds=6))
    driver.sweep()
    assert _bodies(driver) == {"old": "", "young": "raw"}
    assert driver.report(attempt_id, Result.ACCEPTED, event_id="old") is ReceiptMatch.REPEATED


def _bodies(driver: Driver) -> dict[str, str]:
    query = ReceiptRow.select(ReceiptRow.event_id, ReceiptRow.body)
    return {row["event_id"]: row["body"] for row in driver.store.run(lambda ledger: ledger._unit.rows(query))}
