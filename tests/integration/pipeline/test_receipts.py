"""What providers say later: once, in any order, and before the send is recorded too."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.model import DeferralReason, EscalationState, IncidentState, NotificationState, Receipt, Result, Severity
from notifyflow.core.policy import DEFAULT, Retries, Schedule
from notifyflow.pipeline.ports import Fate
from notifyflow.pipeline.receive import apply_missed, receive
from notifyflow.storage.models import ReceiptRow
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, REFUSED, UNKNOWN, Story, a_contact, a_recipient, an_incident


def _texted(story: Story, severity: Severity = Severity.CRITICAL) -> str:
    """Bring a text message to SENT; give its attempt."""
    story.respond("email", REFUSED)
    story.notify(an_incident(severity=severity), a_recipient("ada", "email", "sms", "voice"))
    story.deliver()
    return story.told("sms")[0].attempt_id


def test_a_receipt_counts_once(story: Story) -> None:
    attempt_id = _texted(story)
    assert story.report(attempt_id, Result.DELIVERED, event_id="1").fate is Fate.MATCHED
    version = story.pages()["sms"].version
    assert story.report(attempt_id, Result.DELIVERED, event_id="1").fate is Fate.REPEATED
    assert story.pages()["sms"].version == version
    assert story.pages()["sms"].state is NotificationState.DELIVERED
    assert story.escalation().state is EscalationState.REACHED


def test_the_strongest_result_counts_in_whatever_order_results_are_reported(story: Story) -> None:
    attempt_id = _texted(story)
    story.report(attempt_id, Result.DELIVERED)
    story.report(attempt_id, Result.ACCEPTED)
    story.report(attempt_id, Result.TEMPORARY_FAILURE)
    assert story.pages()["sms"].state is NotificationState.DELIVERED


def test_a_bounce_opens_the_next_tier(story: Story) -> None:
    attempt_id = _texted(story)
    story.report(attempt_id, Result.PERMANENT_FAILURE)
    assert story.pages()["sms"].state is NotificationState.FAILED
    assert story.pages()["voice"].state is NotificationState.QUEUED


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.ERROR])
def test_a_fault_of_ours_that_a_receipt_reports_opens_the_next_tier_at_once(story: Story, severity: Severity) -> None:
    attempt_id = _texted(story, severity)
    story.report(attempt_id, Result.TEMPORARY_FAILURE, is_our_fault=True)
    assert story.pages()["sms"].state is NotificationState.QUEUED, "its retries go on"
    assert story.pages()["sms"].attempts[0].is_our_fault
    assert story.pages()["voice"].state is NotificationState.QUEUED


def test_bad_luck_that_a_receipt_reports_is_tried_again_first(story: Story) -> None:
    attempt_id = _texted(story)
    story.report(attempt_id, Result.TEMPORARY_FAILURE)
    assert "voice" not in story.pages()


def test_operations_is_told_of_a_fault_of_ours_that_a_receipt_reports(store: Store) -> None:
    story = Story(store, operations=[a_contact("ops", "slack")])
    attempt_id = _texted(story)
    for _ in range(2):
        story.report(attempt_id, Result.TEMPORARY_FAILURE, is_our_fault=True, reason="our number is not registered")
    story.deliver()
    (told,) = story.told("slack")
    assert told.content.title == "the sms provider: our number is not registered"


def test_a_provider_whose_receipt_refuses_all_of_ours_rests(story: Story) -> None:
    attempt_id = _texted(story)
    story.report(attempt_id, Result.TEMPORARY_FAILURE, is_our_fault=True, is_general=True)
    (health,) = story.outcome.health_updates
    assert (health.channel, health.provider, health.circuit_opened_by) == ("sms", "the sms provider", DeferralReason.SUSPENSION)
    story.notify(an_incident("db-2", severity=Severity.CRITICAL), a_recipient("ben", "sms", "voice"))
    story.deliver()
    story.sweep()
    assert "voice" in story.pages("ben", "db-2"), "what waits for it is suspected at once"


def test_a_fault_of_ours_is_a_fault_of_ours_also_where_the_receipt_waits_for_the_record(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email", "sms"))
    (claimed,) = story.claim("email", providers=["ses"])
    blaming = Receipt(provider="ses", event_id="1", result=Result.TEMPORARY_FAILURE, provider_ref="m-1", is_our_fault=True)
    assert receive(story.deps, blaming, raw="raw").fate is Fate.WAITING
    story.record(claimed, replace(ACCEPTED, provider_ref="m-1"))
    assert story.pages()["email"].attempts[0].is_our_fault
    assert story.pages()["sms"].state is NotificationState.QUEUED


def test_a_fault_of_ours_that_came_before_the_record_is_not_forgotten_by_it(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email", "sms"))
    (claimed,) = story.claim("email", providers=["ses"])
    story.report(claimed.attempt_id, Result.TEMPORARY_FAILURE, is_our_fault=True)
    story.record(claimed, ACCEPTED)
    assert story.pages()["email"].attempts[0].is_our_fault
    assert story.pages()["sms"].state is NotificationState.QUEUED


def test_what_was_asked_for_and_then_comes_by_itself_has_come_by_itself(story: Story) -> None:
    attempt_id = _texted(story)
    asked = Receipt(provider="twilio", event_id="SM1:sent", result=Result.ACCEPTED, attempt_id=attempt_id, is_fetched=True)
    receive(story.deps, asked, raw="")
    receive(story.deps, asked, raw="")
    count = ReceiptRow.select().where(ReceiptRow.is_fetched).count
    assert story.store.run(lambda ledger: count(ledger._db)) == 1
    assert receive(story.deps, replace(asked, is_fetched=False), raw="raw").fate is Fate.REPEATED
    assert story.store.run(lambda ledger: count(ledger._db)) == 0


def test_a_bounce_that_comes_days_later_wakes_nobody(story: Story) -> None:
    attempt_id = _texted(story)
    story.report(attempt_id, Result.DELIVERED)
    story.clock.pass_time(timedelta(days=2))
    story.report(attempt_id, Result.PERMANENT_FAILURE)
    assert "voice" not in story.pages()
    assert story.escalation().state is EscalationState.EXHAUSTED
    assert story.escalation().critical_at is not None


def test_a_late_delivery_puts_a_failure_right(story: Story) -> None:
    for channel in ("email", "voice"):
        story.respond(channel, REFUSED)
    story.respond("sms", UNKNOWN)
    story.notify(None, a_recipient("ada", "email", "sms", "voice"))
    story.deliver()
    story.pass_time(hours=1)
    assert story.escalation().state is EscalationState.EXHAUSTED
    story.report(story.told("sms")[0].attempt_id, Result.DELIVERED)
    assert story.pages()["sms"].state is NotificationState.DELIVERED
    assert story.escalation().state is EscalationState.REACHED


def test_a_receipt_may_come_before_its_send_is_recorded(story: Story) -> None:
    story.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "sms"))
    (claimed,) = story.claim("sms")
    assert story.report(claimed.attempt_id, Result.PERMANENT_FAILURE).fate is Fate.MATCHED
    assert story.pages()["sms"].state is NotificationState.SENDING
    story.record(claimed, ACCEPTED)
    assert story.pages()["sms"].state is NotificationState.FAILED


def test_a_receipt_of_an_attempt_that_is_not_ours_is_foreign(story: Story) -> None:
    assert story.report("f" * 32, Result.DELIVERED).fate is Fate.FOREIGN


def test_a_receipt_that_only_names_the_providers_id_waits_for_the_record(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email"))
    (claimed,) = story.claim("email", providers=["ses"])
    receipt = Receipt(provider="ses", event_id="1", result=Result.PERMANENT_FAILURE, provider_ref="m-1", reason="no such mailbox")
    assert receive(story.deps, receipt, raw="raw").fate is Fate.WAITING
    story.record(claimed, replace(ACCEPTED, provider_ref="m-1"))
    email = story.pages()["email"]
    assert (email.state, email.reason) == (NotificationState.FAILED, "no such mailbox")
    later = Receipt(provider="ses", event_id="2", result=None, provider_ref="m-1")
    assert receive(story.deps, later, raw="raw").fate is Fate.MATCHED


def test_what_waits_is_applied_as_soon_as_another_receipt_tells_whose_it_is(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email"))
    (claimed,) = story.claim("email", providers=["ses"])
    bounce = Receipt(provider="ses", event_id="1", result=Result.PERMANENT_FAILURE, provider_ref="m-1", reason="no such mailbox")
    assert receive(story.deps, bounce, raw="raw").fate is Fate.WAITING
    sent = replace(bounce, event_id="2", result=Result.ACCEPTED, attempt_id=claimed.attempt_id)
    assert receive(story.deps, sent, raw="raw").fate is Fate.MATCHED
    (attempt,) = story.pages()["email"].attempts
    assert (attempt.result, attempt.reason) == (Result.PERMANENT_FAILURE, "no such mailbox")


def test_a_receipt_that_was_written_at_once_with_the_record_is_applied_by_the_sweep(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email"))
    (claimed,) = story.claim("email", providers=["ses"])
    story.record(claimed, replace(ACCEPTED, provider_ref="m-1"))
    receipt = Receipt(provider="ses", event_id="1", result=Result.DELIVERED, provider_ref="m-1")
    story.store.run(lambda ledger: ledger.add_receipt(receipt, raw="raw", at=story.clock.now()))
    story.sweep()
    assert story.pages()["email"].state is NotificationState.DELIVERED
    before = story.escalation()
    apply_missed(story.deps, receipt)
    assert story.escalation() == before


def test_what_nobody_claims_within_an_hour_ends_as_foreign(story: Story) -> None:
    receipt = Receipt(provider="ses", event_id="1", result=Result.DELIVERED, provider_ref="m-1")
    receive(story.deps, receipt, raw="raw")
    story.sweep()
    assert story.store.run(lambda ledger: ledger.waiting_receipts("ses", "m-1")) == (receipt,)
    story.clock.pass_time(timedelta(hours=1, seconds=1))
    story.sweep()
    assert story.store.run(lambda ledger: ledger.waiting_receipts("ses", "m-1")) == ()


def test_any_key_means_heard_and_one_takes_the_incident(story: Story) -> None:
    story.respond("sms", REFUSED)
    _texted(story)
    attempt_id = story.told("voice")[0].attempt_id
    story.report(attempt_id, Result.DELIVERED, key="7")
    assert story.pages()["voice"].state is NotificationState.DELIVERED
    assert story.status().facts.state is IncidentState.OPEN
    story.report(attempt_id, Result.DELIVERED, key="1")
    facts = story.status().facts
    assert (facts.state, facts.acknowledged_by, facts.acknowledged_via) == (IncidentState.ACKNOWLEDGED, "ada", "key")
    assert story.escalation().state is EscalationState.ACKNOWLEDGED


def test_an_overdue_receipt_is_suspected_when_critical_and_opens_the_next_tier(story: Story) -> None:
    _texted(story)
    story.pass_time(seconds=59)
    assert "voice" not in story.pages()
    story.pass_time(seconds=2)
    assert story.pages()["voice"].state is NotificationState.SENT
    assert story.pages()["sms"].state is NotificationState.SENT
    story.pass_time(minutes=32)
    assert story.escalation().state is EscalationState.REACHED


# -- providers whose own events answer a doubt

SES = "the email provider"
SOON = Schedule(delays=(timedelta(seconds=2),) * 4, jitter=0)
QUICK = replace(DEFAULT, retries=Retries(normal=SOON, critical=SOON, by_channel={}))


def _doubted(story: Story, severity: Severity) -> str:
    """Let a mail be in doubt, whose provider tells within 15 s that it has it; give the attempt."""
    story.deps = replace(story.deps, doubt_resolution_times={SES: timedelta(seconds=15)})
    story.respond("email", UNKNOWN, ACCEPTED)
    story.notify(an_incident(severity=severity), a_recipient("ada", "email"), policy=QUICK)
    story.deliver()
    return story.told("email")[0].attempt_id


def test_an_event_that_resolves_a_doubt_in_time_saves_the_second_mail(story: Story) -> None:
    attempt_id = _doubted(story, Severity.ERROR)
    story.pass_time(seconds=14)
    assert story.report(attempt_id, Result.ACCEPTED).fate is Fate.MATCHED
    story.pass_time(minutes=1)
    assert len(story.told("email")) == 1
    assert story.pages()["email"].state is NotificationState.SENT


def test_a_doubt_that_no_event_resolves_in_time_is_sent_again_and_marked(story: Story) -> None:
    attempt_id = _doubted(story, Severity.ERROR)
    story.pass_time(seconds=14)
    assert len(story.told("email")) == 1
    story.pass_time(seconds=2)
    assert len(story.told("email")) == 2
    claims = [line.detail for line in story.status().transitions if line.event == "claimed"]
    assert [detail.get("after_doubt") for detail in claims] == [None, attempt_id]


def test_what_is_critical_waits_for_no_event(story: Story) -> None:
    _doubted(story, Severity.CRITICAL)
    story.pass_time(seconds=3)
    assert len(story.told("email")) == 2


def test_an_event_has_its_time_also_after_a_short_lease(story: Story) -> None:
    story.deps = replace(story.deps, doubt_resolution_times={SES: timedelta(seconds=15)}, lease=timedelta(seconds=5))
    story.notify(None, a_recipient("ada", "email"), policy=QUICK)
    story.claim("email")
    story.pass_time(seconds=14)
    assert story.pages()["email"].state is NotificationState.QUEUED
    assert story.told("email") == []
    story.pass_time(seconds=2)
    assert len(story.told("email")) == 1


def test_raw_bodies_are_overwritten_after_seven_days_and_what_was_read_from_them_stays(story: Story) -> None:
    attempt_id = _texted(story)
    story.report(attempt_id, Result.ACCEPTED, event_id="old")
    story.clock.pass_time(timedelta(days=6, hours=23))
    story.report(attempt_id, Result.DELIVERED, event_id="young")
    story.sweep()
    assert _bodies(story) == {"old": "raw", "young": "raw"}
    story.clock.pass_time(timedelta(hours=1, seconds=6))
    story.sweep()
    assert _bodies(story) == {"old": "", "young": "raw"}
    assert story.report(attempt_id, Result.ACCEPTED, event_id="old").fate is Fate.REPEATED


def _bodies(story: Story) -> dict[str, str]:
    query = ReceiptRow.select(ReceiptRow.event_id, ReceiptRow.body)
    return {row["event_id"]: row["body"] for row in story.store.run(lambda ledger: ledger._rows(query))}
