"""From notify to the last tier: who is paged when, over both databases."""

from notifyflow.core.delivery.model import EscalationState, NotificationState, Result, Severity
from tests.builders import BUSY, REFUSED, a_recipient, an_incident
from tests.driver import Driver


def test_primary_channels_are_paged_in_parallel_at_once(driver: Driver) -> None:
    notified = driver.notify(None, a_recipient("ada", "email", "slack", "sms", "voice"))
    assert (notified.is_new, notified.added) == (True, ("ada",))
    assert {due.channel for due in driver.outcome.due} == {"email", "slack"}
    driver.deliver()
    assert {channel: row.state for channel, row in driver.pages().items()} == {
        "email": NotificationState.SENT,
        "slack": NotificationState.SENT,
    }
    assert driver.escalation().state is EscalationState.REACHED


def test_two_failed_primaries_open_sms_and_a_failed_sms_opens_voice(driver: Driver) -> None:
    for channel in ("email", "slack", "sms"):
        driver.respond(channel, REFUSED)
    driver.notify(None, a_recipient("ada", "email", "slack", "sms", "voice"))
    driver.deliver()
    assert [each.channel for each in driver.seen] == ["email", "slack", "sms", "voice"]
    assert driver.escalation().state is EscalationState.ACTIVE
    assert driver.escalation().tier == 3
    driver.report(driver.seen[-1].message.attempt_id, Result.DELIVERED, key="5")
    assert driver.escalation().state is EscalationState.REACHED


def test_one_failed_primary_of_two_opens_nothing(driver: Driver) -> None:
    driver.respond("slack", REFUSED)
    driver.notify(None, a_recipient("ada", "email", "slack", "sms"))
    driver.deliver()
    assert "sms" not in driver.pages()


def test_temporary_failures_are_tried_again_by_the_schedule_until_they_are_used_up(driver: Driver) -> None:
    driver.respond("email", BUSY)
    driver.notify(None, a_recipient("ada", "email"))
    driver.deliver()
    began_at = driver.clock.at
    assert driver.pages()["email"].state is NotificationState.QUEUED
    driver.pass_time(minutes=20)
    email = driver.pages()["email"]
    assert [(attempt.started_at - began_at).total_seconds() for attempt in email.attempts] == [0, 30, 90, 210, 450]
    assert email.state is NotificationState.FAILED
    assert driver.escalation().state is EscalationState.EXHAUSTED


def test_info_never_leaves_the_primary_tier(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.notify(an_incident(severity=Severity.INFO), a_recipient("ada", "email", "sms"))
    driver.deliver()
    assert set(driver.pages()) == {"email"}
    assert driver.escalation().state is EscalationState.EXHAUSTED
    assert driver.escalation().critical_at is None
