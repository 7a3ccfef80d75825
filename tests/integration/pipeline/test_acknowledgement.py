"""Acknowledging, resolving, paging again, and the status updates about it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.model import EscalationState, IncidentState, Kind, NotificationState, Receipt, Result, Severity
from notifyflow.core.policy import DEFAULT, Acknowledgement, Tier, Unacknowledged
from notifyflow.errors import IncidentResolved, NotFound, RecipientNotFound
from notifyflow.pipeline.acknowledge import acknowledge_incident
from notifyflow.pipeline.ports import Fate
from notifyflow.pipeline.receive import receive
from tests.builders import ACCEPTED, BUSY, KEY, REFUSED, UNKNOWN, Story, a_recipient, an_incident

ADA = a_recipient("ada", "email")
BEN = a_recipient("ben", "email", "slack", "sms")
EACH = replace(DEFAULT, acknowledgement=Acknowledgement.EACH)


def test_an_acknowledgement_cancels_what_is_queued_for_everybody(story: Story) -> None:
    story.notify(None, ADA, BEN)
    taken = story.acknowledge(by="ada")
    assert not taken.is_late
    facts = story.status().facts
    assert (facts.state, facts.acknowledged_by, facts.acknowledged_via) == (IncidentState.ACKNOWLEDGED, "ada", "library")
    for who in ("ada", "ben"):
        assert story.escalation(who).state is EscalationState.ACKNOWLEDGED
        assert {row.state for row in story.pages(who).values()} == {NotificationState.CANCELLED}
    story.deliver()
    assert story.seen == []


def test_what_is_being_sent_is_recorded_and_tried_no_more(story: Story) -> None:
    story.notify(None, ADA)
    (claimed,) = story.claim("email")
    story.acknowledge()
    story.record(claimed, BUSY)
    assert story.pages()["email"].state is NotificationState.CANCELLED


def test_acknowledging_twice_is_late(story: Story) -> None:
    story.notify(None, ADA)
    story.acknowledge(by="ada")
    assert story.acknowledge(by="ben").is_late
    assert story.status().facts.acknowledged_by == "ada"


def test_a_link_names_the_incident_itself(story: Story) -> None:
    incident_id = story.notify(None, ADA).incident_id
    story.resolve()
    newer = story.notify(None, ADA).incident_id
    assert acknowledge_incident(story.deps, incident_id, by="ada", via="link").is_late
    assert not acknowledge_incident(story.deps, newer, by="ada", via="link").is_late


def test_with_each_an_acknowledgement_ends_ones_own_escalation_only(story: Story) -> None:
    story.notify(None, ADA, BEN, policy=EACH)
    story.acknowledge(by="ada")
    assert story.acknowledge(by="ada").is_late
    assert story.status().facts.state is IncidentState.OPEN
    assert story.escalation("ben").state is EscalationState.ACTIVE
    story.acknowledge(by="ben")
    status = story.status()
    assert status.facts.state is IncidentState.ACKNOWLEDGED
    lines = {line.row_id: line.detail for line in status.transitions if line.machine == "escalation"}
    assert [lines[story.escalation(who).id] for who in ("ada", "ben")] == [
        {"by": who, "via": "library"} for who in ("ada", "ben")
    ]


def test_with_each_somebody_who_is_no_recipient_acknowledges_it_for_all(story: Story) -> None:
    story.notify(None, ADA, BEN, policy=EACH)
    story.acknowledge(by="the duty officer")
    assert story.status().facts.state is IncidentState.ACKNOWLEDGED
    assert story.escalation("ben").state is EscalationState.ACKNOWLEDGED


def test_the_others_are_told_who_acknowledged_it_over_chat_and_mail_already_used(story: Story) -> None:
    story.respond("email", REFUSED)
    story.respond("slack", UNKNOWN)
    story.notify(an_incident(severity=Severity.CRITICAL), ADA, BEN, a_recipient("cy", "teams"))
    story.deliver()
    story.acknowledge(by="ada")
    assert [row.channel for row in story.status_updates("ben")] == ["slack"]  # in doubt: it may have been read
    assert (story.status_updates("ada"), [row.channel for row in story.status_updates("cy")]) == ([], ["teams"])
    (update,) = story.claim("teams")
    assert (update.content.kind, update.content.status_update, update.content.severity) == (
        Kind.STATUS_UPDATE,
        "Ada acknowledged it",
        Severity.CRITICAL,
    )


def test_who_was_reached_in_an_earlier_round_only_is_told_too_and_its_message_edited(story: Story) -> None:
    story.notify(None, ADA, BEN)
    for claimed in (*story.claim("email"), *story.claim("slack")):
        story.record(claimed, replace(ACCEPTED, provider_ref=f"of {claimed.address}"))
    story.notify(an_incident(severity=Severity.CRITICAL), ADA, BEN)
    story.acknowledge(by="ada")
    assert [row.channel for row in story.status_updates("ben")] == ["email", "slack"]
    (update,) = story.claim("slack")
    assert (update.content.status_update, update.replaces) == ("Ada acknowledged it", "of ben@slack")


def test_news_is_one_attempt_and_never_escalates(story: Story) -> None:
    story.notify(None, ADA, BEN)
    story.deliver()
    story.respond("slack", BUSY)
    story.acknowledge(by="ada")
    story.deliver()
    story.pass_time(hours=1)
    states = {row.channel: (row.state, len(row.attempts)) for row in story.status_updates("ben")}
    assert states == {"email": (NotificationState.SENT, 1), "slack": (NotificationState.FAILED, 1)}
    assert "sms" not in story.pages("ben")
    assert story.escalation("ben").state is EscalationState.ACKNOWLEDGED


def test_a_resolve_cancels_what_is_queued_and_tells_whoever_was_paged(story: Story) -> None:
    story.notify(None, ADA, BEN)
    for claimed in story.claim("slack"):
        story.record(claimed)
    story.resolve(by="ada")
    assert story.resolve(by="ada").is_late
    facts = story.status().facts
    assert (facts.state, facts.resolved_by) == (IncidentState.RESOLVED, "ada")
    assert story.escalation("ben").state is EscalationState.CANCELLED
    assert {row.channel: row.state for row in story.pages("ben").values()} == {
        "email": NotificationState.CANCELLED,
        "slack": NotificationState.SENT,
    }
    (update,) = story.claim("slack")
    assert (update.content.status_update, story.claim("email")) == ("resolved", ())


def test_news_that_is_no_longer_true_is_withdrawn(story: Story) -> None:
    story.notify(None, ADA, BEN)
    story.deliver()
    story.acknowledge(by="ada")
    story.resolve(by="ada")
    assert sorted(row.state for row in story.status_updates("ben")) == ["CANCELLED", "CANCELLED", "QUEUED", "QUEUED"]


def test_paging_again_is_a_new_round_for_one_and_cancels_the_status_updates(story: Story) -> None:
    story.notify(None, ADA, BEN)
    story.deliver()
    story.acknowledge(by="ada")
    due = story.page_again("ada").due
    assert [each.channel for each in due] == ["email"]
    assert story.status().facts.state is IncidentState.OPEN
    assert (story.escalation("ada").round, story.escalation("ada").state) == (2, EscalationState.ACTIVE)
    assert (story.escalation("ben").round, story.escalation("ben").state) == (1, EscalationState.ACKNOWLEDGED)
    assert {row.state for row in story.status_updates("ben")} == {NotificationState.CANCELLED}


def test_what_cannot_be_found_or_done_is_said(story: Story) -> None:
    for do in (story.acknowledge, story.resolve):
        with pytest.raises(NotFound):
            do(key="nothing")
    with pytest.raises(NotFound):
        story.page_again("ada", key="nothing")
    story.notify(None, ADA)
    with pytest.raises(RecipientNotFound):
        story.page_again("ben")
    story.resolve()
    with pytest.raises(IncidentResolved):
        story.page_again("ada")
    assert story.acknowledge(key=KEY).is_late


def test_late_events_of_a_round_that_was_replaced_change_nothing(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email", "sms"))
    (claimed,) = story.claim("email")
    story.page_again("ada")
    story.record(claimed, REFUSED)
    before, _ = story.escalations()
    assert before.facts.state is EscalationState.CANCELLED
    assert {row.channel for row in before.notifications} == {"email"}
    story.clock.pass_time(timedelta(days=4))
    story.sweep()
    assert story.escalations()[0].facts == before.facts


TEXTS = Tier(name="texts", channels=("sms",), rules=(Unacknowledged(after=timedelta(minutes=5)),))
CALLS_THEN_TEXTS = replace(DEFAULT, tiers=(Tier(name="calls", channels=("voice",)), TEXTS))


def test_the_key_that_acknowledges_it_opens_no_tier_whose_time_has_come(story: Story) -> None:
    story.notify(None, a_recipient("ada", "voice", "sms"), policy=CALLS_THEN_TEXTS)
    story.deliver()
    (call,) = story.pages()["voice"].attempts
    story.clock.pass_time(timedelta(minutes=5))
    story.report(call.id, Result.DELIVERED, key="1")
    assert story.status().facts.state is IncidentState.ACKNOWLEDGED
    assert set(story.pages()) == {"voice"}


@pytest.mark.parametrize("key", ["1", "7"])
def test_nor_does_the_record_of_a_call_whose_key_was_heard_before(story: Story, key: str) -> None:
    story.notify(None, a_recipient("ada", "voice", "sms"), policy=CALLS_THEN_TEXTS)
    (claimed,) = story.claim("voice", providers=["twilio"])
    for event_id, result, is_key in (("ringing", Result.ACCEPTED, False), ("pressed", Result.DELIVERED, True)):
        receipt = Receipt(
            provider="twilio",
            event_id=event_id,
            result=result,
            provider_ref="CA1",
            is_key_press=is_key,
            is_acknowledgement=is_key and key == "1",
        )
        assert receive(story.deps, receipt, raw="raw").fate is Fate.WAITING
    story.clock.pass_time(timedelta(minutes=5))
    story.record(claimed, replace(ACCEPTED, provider_ref="CA1"))
    assert story.pages()["voice"].state is NotificationState.DELIVERED
    is_acknowledged = story.status().facts.state is IncidentState.ACKNOWLEDGED
    assert (is_acknowledged, "sms" in story.pages()) == ((True, False) if key == "1" else (False, True))
