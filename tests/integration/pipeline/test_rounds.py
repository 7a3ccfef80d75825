"""What time brings about: timers of tiers, rounds, bells nobody heard."""

from dataclasses import replace
from datetime import timedelta

from peewee import SQL

from notifyflow.core.model import EscalationState, IncidentState, NotificationState, Severity
from notifyflow.core.policy import INSISTENT, Acknowledgement, Policy
from notifyflow.errors import StorageError
from notifyflow.pipeline.sweep import next_wake_at
from notifyflow.storage.models import ContactRow, EscalationRow, IncidentRow
from tests.builders import REFUSED_US, START, Story, a_recipient, an_incident

MINUTE = timedelta(minutes=1)
ADA = a_recipient("ada", "email", "sms", "voice")


def test_insistence_opens_tier_after_tier_while_nobody_acknowledges(story: Story) -> None:
    story.notify(None, ADA, policy=INSISTENT)
    story.deliver()
    assert story.escalation().state is EscalationState.ACTIVE
    story.pass_time(minutes=5)
    assert set(story.pages()) == {"email", "sms"}
    story.pass_time(minutes=5)
    assert set(story.pages()) == {"email", "sms", "voice"}


def test_what_leaves_as_planned_is_not_delayed(story: Story) -> None:
    story.notify(None, ADA, policy=INSISTENT)
    story.deliver()
    story.pass_time(minutes=44)
    assert [each.content.delayed for channel in ("email", "sms", "voice") for each in story.told(channel)] == [""] * 9


def test_three_rounds_then_whoever_has_not_acknowledged_is_a_critical_failure(story: Story) -> None:
    story.notify(None, ADA, policy=INSISTENT)
    story.deliver()
    story.pass_time(minutes=44)
    assert [each.facts.started_at - START for each in story.escalations()] == [timedelta(minutes=15 * n) for n in range(3)]
    assert story.outcome.critical == ()
    story.pass_time(minutes=2)
    assert len(story.escalations()) == 3
    (critical,) = story.outcome.critical
    assert (critical.id, critical.critical_at) == (story.escalation().id, START + timedelta(minutes=45))
    story.pass_time(hours=2)
    assert len(story.escalations()) == 3
    assert story.status().facts.state is IncidentState.OPEN


def test_an_acknowledgement_ends_the_rounds(story: Story) -> None:
    story.notify(None, ADA, policy=INSISTENT)
    story.deliver()
    story.pass_time(minutes=16)
    story.acknowledge()
    story.pass_time(hours=2)
    assert len(story.escalations()) == 2
    assert story.outcome.critical == ()


def test_with_each_rounds_page_only_those_who_have_not_acknowledged(story: Story) -> None:
    story.notify(None, ADA, a_recipient("ben", "email"), policy=replace(INSISTENT, acknowledgement=Acknowledgement.EACH))
    story.deliver()
    story.acknowledge(by="ben")
    story.pass_time(minutes=46)
    assert (len(story.escalations("ada")), len(story.escalations("ben"))) == (3, 1)
    assert [each.recipient_id for each in story.outcome.critical] == ["ada"]


def test_rounds_are_each_recipients_own(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email"), policy=INSISTENT)
    story.deliver()
    story.pass_time(minutes=14)
    story.notify(None, a_recipient("ben", "email"), policy=INSISTENT)
    story.deliver()
    story.pass_time(minutes=90)
    rounds = {who: [each.facts.started_at - START for each in story.escalations(who)] for who in ("ada", "ben")}
    assert rounds == {who: [MINUTE * (first + 15 * n) for n in range(3)] for who, first in (("ada", 0), ("ben", 14))}
    assert {each.recipient_id: each.critical_at for each in story.outcome.critical} == {
        "ada": START + 45 * MINUTE,
        "ben": START + 59 * MINUTE,
    }


def test_whoever_is_paged_again_has_all_rounds_from_then_on_and_the_others_keep_theirs(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email"), a_recipient("ben", "email"), policy=INSISTENT)
    story.deliver()
    story.pass_time(minutes=20)
    story.page_again("ada")
    story.pass_time(minutes=90)
    assert [each.facts.started_at - START for each in story.escalations("ada")] == [MINUTE * n for n in (0, 15, 20, 35, 50)]
    assert [each.facts.started_at - START for each in story.escalations("ben")] == [MINUTE * n for n in (0, 15, 30)]


def test_the_timer_that_older_code_left_on_an_incident_becomes_each_recipients_own(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email"), a_recipient("ben", "email"), policy=INSISTENT)
    story.deliver()
    incident_id = story.status().facts.id
    timer = IncidentRow.update(round_at=START + 15 * MINUTE, rounds=2).where(IncidentRow.id == incident_id)
    none = EscalationRow.update(next_round_at=None)
    story.store.run(lambda ledger: (timer.execute(ledger._db), none.execute(ledger._db)))
    story.pass_time(minutes=80)
    for who in ("ada", "ben"):
        assert [(each.facts.started_at - START, each.facts.repetition) for each in story.escalations(who)] == [
            (0 * MINUTE, 2),
            (15 * MINUTE, 3),
        ]
    assert {each.critical_at for each in story.outcome.critical} == {START + 30 * MINUTE}
    assert story.status().facts.round_at is None


def test_info_is_paged_once(story: Story) -> None:
    story.notify(an_incident(severity=Severity.INFO), ADA, policy=INSISTENT)
    story.deliver()
    story.pass_time(hours=2)
    assert (len(story.escalations()), story.outcome.critical) == (1, ())


def test_a_bell_that_nobody_heard_is_rung_again_after_half_a_minute(story: Story) -> None:
    story.notify(None, ADA)
    assert story.sweep().due == ()
    story.clock.pass_time(timedelta(seconds=30))
    assert [due.channel for due in story.sweep().due] == ["email"]
    assert story.sweep().due == ()


def test_a_retry_is_rung_for_when_it_is_due(story: Story) -> None:
    story.respond("email", REFUSED_US)
    story.notify(None, ADA)
    story.deliver()
    assert story.sweep().due == ()
    retry_at = START + timedelta(seconds=30)
    wake_at = next_wake_at(story.deps)
    assert wake_at is not None
    assert wake_at <= retry_at
    story.clock.at = retry_at
    assert "email" in {due.channel for due in story.sweep().due}


def test_what_is_deferred_by_its_provider_is_suspected_and_passed_over(story: Story) -> None:
    story.respond("email", replace(REFUSED_US, is_our_fault=False, retry_after_s=300.0))
    story.notify(an_incident(severity=Severity.CRITICAL), ADA)
    story.deliver()
    story.pass_time(seconds=29)
    assert set(story.pages()) == {"email"}
    story.pass_time(seconds=2)
    assert set(story.pages()) == {"email", "sms"}
    assert story.pages()["email"].state is NotificationState.QUEUED


def test_nothing_waits_for_time_once_all_is_settled(story: Story) -> None:
    story.notify(None, a_recipient("ada", "email"))
    story.deliver()
    assert next_wake_at(story.deps) is None


def test_a_damaged_row_keeps_no_other_waiting(story: Story) -> None:
    for key in ("damaged", "sound"):
        story.notify(an_incident(key), ADA, policy=INSISTENT)
    story.deliver()
    damaged = story.escalation(key="damaged").id
    _keep_policy(story, damaged, SQL("'{}'"))
    story.clock.pass_time(timedelta(minutes=5))
    assert len(story.sweep().broken) == 1
    assert set(story.pages(key="sound")) == {"email", "sms"}
    _keep_policy(story, damaged, INSISTENT)
    assert story.sweep().broken == ()
    assert set(story.pages(key="damaged")) == {"email", "sms"}


def _keep_policy(story: Story, escalation_id: str, policy: Policy | SQL) -> None:
    update = EscalationRow.update(policy=policy).where(EscalationRow.id == escalation_id)
    story.store.run(lambda ledger: update.execute(ledger._db))


def test_a_damaged_row_is_set_aside_by_a_claim_and_lets_the_others_pass(story: Story) -> None:
    for key in ("damaged", "sound"):
        story.notify(an_incident(key), ADA, policy=INSISTENT)
    damaged = story.escalation(key="damaged").id
    _keep_policy(story, damaged, SQL("'{}'"))
    (claimed,) = story.claim("email", limit=1)
    assert claimed.incident_id == story.status("sound").facts.id
    assert len(story.outcome.broken) == 1
    assert story.claim("email", providers=()) == ()  # also where nobody could carry it
    _keep_policy(story, damaged, INSISTENT)
    assert story.claim("email") == ()
    story.clock.pass_time(timedelta(minutes=5))
    (claimed,) = story.claim("email")
    assert claimed.incident_id == story.status("damaged").facts.id


def test_a_damaged_row_that_can_be_sent_no_more_is_set_aside_too(story: Story) -> None:
    for key in ("damaged", "sound"):
        story.notify(an_incident(key), a_recipient("ada", "email"))
    incident_id = story.status("damaged").facts.id
    contact = story.status("damaged").escalations[0].contact
    lose = ContactRow.delete().where(ContactRow.incident_id == incident_id)
    story.store.run(lambda ledger: lose.execute(ledger._db))
    assert story.claim("email", providers=()) == ()
    assert [type(error) for error in story.outcome.broken] == [StorageError]
    assert story.pages(key="sound")["email"].state is NotificationState.FAILED
    story.store.run(lambda ledger: ledger.put_contact(incident_id, contact))
    assert story.pages(key="damaged")["email"].state is NotificationState.QUEUED
    story.clock.pass_time(timedelta(minutes=5))
    story.claim("email", providers=())
    assert story.pages(key="damaged")["email"].state is NotificationState.FAILED
