"""From notify to the last tier: who is paged when, over both databases."""

from notifyflow.core.model import EscalationState, NotificationState, Result, Severity
from tests.builders import BUSY, REFUSED, Story, a_recipient, an_incident


def test_primary_channels_are_paged_in_parallel_at_once(story: Story) -> None:
    notified = story.notify(None, a_recipient("ada", "email", "slack", "sms", "voice"))
    assert (notified.is_new, notified.added) == (True, ("ada",))
    assert {due.channel for due in story.outcome.due} == {"email", "slack"}
    story.deliver()
    assert {channel: row.state for channel, row in story.pages().items()} == {
        "email": NotificationState.SENT,
        "slack": NotificationState.SENT,
    }
    assert story.escalation().state is EscalationState.REACHED


def test_two_failed_primaries_open_sms_and_a_failed_sms_opens_voice(story: Story) -> None:
    for channel in ("email", "slack", "sms"):
        story.respond(channel, REFUSED)
    story.notify(None, a_recipient("ada", "email", "slack", "sms", "voice"))
    story.deliver()
    assert [each.channel for each in story.seen] == ["email", "slack", "sms", "voice"]
    assert story.escalation().state is EscalationState.ACTIVE
    assert story.escalation().tier == 3
    story.report(story.seen[-1].attempt_id, Result.DELIVERED, key="5")
    assert story.escalation().state is EscalationState.REACHED


def test_one_failed_primary_of_two_opens_nothing(story: Story) -> None:
    story.respond("slack", REFUSED)
    story.notify(None, a_recipient("ada", "email", "slack", "sms"))
    story.deliver()
    assert "sms" not in story.pages()


def test_temporary_failures_are_tried_again_by_the_schedule_until_they_are_used_up(story: Story) -> None:
    story.respond("email", BUSY)
    story.notify(None, a_recipient("ada", "email"))
    story.deliver()
    began_at = story.clock.at
    assert story.pages()["email"].state is NotificationState.QUEUED
    story.pass_time(minutes=20)
    email = story.pages()["email"]
    assert [(attempt.started_at - began_at).total_seconds() for attempt in email.attempts] == [0, 30, 90, 210, 450]
    assert email.state is NotificationState.FAILED
    assert story.escalation().state is EscalationState.EXHAUSTED


def test_info_never_leaves_the_primary_tier(story: Story) -> None:
    story.respond("email", REFUSED)
    story.notify(an_incident(severity=Severity.INFO), a_recipient("ada", "email", "sms"))
    story.deliver()
    assert set(story.pages()) == {"email"}
    assert story.escalation().state is EscalationState.EXHAUSTED
    assert story.escalation().critical_at is None
