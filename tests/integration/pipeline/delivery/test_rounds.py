"""What time brings about: timers of tiers, rounds, lost rings."""

from dataclasses import replace
from datetime import timedelta

from peewee import SQL

from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState, Severity
from notifyflow.core.delivery.policy import INSISTENT, Acknowledgement, Policy
from notifyflow.pipeline.delivery.sweep import next_wake_at
from notifyflow.storage.tables import ContactRow, EscalationRow
from tests.builders import REFUSED_US, START, a_recipient, an_incident
from tests.damage import release_all
from tests.driver import Driver

MINUTE = timedelta(minutes=1)
ADA = a_recipient("ada", "email", "sms", "voice")


def test_insistence_opens_tier_after_tier_while_nobody_acknowledges(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    assert driver.escalation().state is EscalationState.ACTIVE
    driver.pass_time(minutes=5)
    assert set(driver.pages()) == {"email", "sms"}
    driver.pass_time(minutes=5)
    assert set(driver.pages()) == {"email", "sms", "voice"}


def test_what_leaves_as_planned_is_not_delayed(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=44)
    assert [each.message.content.delayed for channel in ("email", "sms", "voice") for each in driver.sent(channel)] == [""] * 9


def test_three_rounds_then_whoever_has_not_acknowledged_is_a_critical_failure(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=44)
    assert [each.facts.started_at - START for each in driver.escalations()] == [timedelta(minutes=15 * n) for n in range(3)]
    assert driver.outcome.critical == ()
    driver.pass_time(minutes=2)
    assert len(driver.escalations()) == 3
    (critical,) = driver.outcome.critical
    assert (critical.id, critical.critical_at) == (driver.escalation().id, START + timedelta(minutes=45))
    driver.pass_time(hours=2)
    assert len(driver.escalations()) == 3
    assert driver.status().facts.state is IncidentState.OPEN


def test_an_acknowledgement_ends_the_rounds(driver: Driver) -> None:
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=16)
    driver.acknowledge()
    driver.pass_time(hours=2)
    assert len(driver.escalations()) == 2
    assert driver.outcome.critical == ()


def test_with_each_rounds_page_only_those_who_have_not_acknowledged(driver: Driver) -> None:
    driver.notify(None, ADA, a_recipient("ben", "email"), policy=replace(INSISTENT, acknowledgement=Acknowledgement.EACH))
    driver.deliver()
    driver.acknowledge(by="ben")
    driver.pass_time(minutes=46)
    assert (len(driver.escalations("ada")), len(driver.escalations("ben"))) == (3, 1)
    assert [each.recipient_id for each in driver.outcome.critical] == ["ada"]


def test_rounds_are_each_recipients_own(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"), policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=14)
    driver.notify(None, a_recipient("ben", "email"), policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=90)
    rounds = {who: [each.facts.started_at - START for each in driver.escalations(who)] for who in ("ada", "ben")}
    assert rounds == {who: [MINUTE * (first + 15 * n) for n in range(3)] for who, first in (("ada", 0), ("ben", 14))}
    assert {each.recipient_id: each.critical_at for each in driver.outcome.critical} == {
        "ada": START + 45 * MINUTE,
        "ben": START + 59 * MINUTE,
    }


def test_whoever_is_paged_again_has_all_rounds_from_then_on_and_the_others_keep_theirs(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"), a_recipient("ben", "email"), policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=20)
    driver.page_again("ada")
    driver.pass_time(minutes=90)
    assert [each.facts.started_at - START for each in driver.escalations("ada")] == [MINUTE * n for n in (0, 15, 20, 35, 50)]
    assert [each.facts.started_at - START for each in driver.escalations("ben")] == [MINUTE * n for n in (0, 15, 30)]


def test_info_is_paged_once(driver: Driver) -> None:
    driver.notify(an_incident(severity=Severity.INFO), ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(hours=2)
    assert (len(driver.escalations()), driver.outcome.critical) == (1, ())


def test_a_lost_ring_is_repeated_after_half_a_minute(driver: Driver) -> None:
    driver.notify(None, ADA)
    assert driver.sweep().due == ()
    driver.clock.pass_time(timedelta(seconds=30))
    assert [due.channel for due in driver.sweep().due] == ["email"]
    assert driver.sweep().due == ()


def test_a_retry_is_rung_for_when_it_is_due(driver: Driver) -> None:
    driver.respond("email", REFUSED_US)
    driver.notify(None, ADA)
    driver.deliver()
    assert driver.sweep().due == ()
    retry_at = START + timedelta(seconds=30)
    wake_at = next_wake_at(driver.deps)
    assert wake_at is not None
    assert wake_at <= retry_at
    driver.clock.at = retry_at
    assert "email" in {due.channel for due in driver.sweep().due}


def test_what_is_deferred_by_its_provider_is_suspected_and_passed_over(driver: Driver) -> None:
    driver.respond("email", replace(REFUSED_US, is_our_fault=False, retry_after_s=300.0))
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA)
    driver.deliver()
    driver.pass_time(seconds=29)
    assert set(driver.pages()) == {"email"}
    driver.pass_time(seconds=2)
    assert set(driver.pages()) == {"email", "sms"}
    assert driver.pages()["email"].state is NotificationState.QUEUED


def test_nothing_waits_for_time_once_all_is_settled(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"))
    driver.deliver()
    assert next_wake_at(driver.deps) is None


def test_a_damaged_row_keeps_no_other_waiting(driver: Driver) -> None:
    for key in ("damaged", "sound"):
        driver.notify(an_incident(key), ADA, policy=INSISTENT)
    driver.deliver()
    damaged = driver.escalation(key="damaged").id
    _keep_policy(driver, damaged, SQL("'{}'"))
    driver.clock.pass_time(timedelta(minutes=5))
    assert [each.row_id for each in driver.sweep().set_aside] == [damaged]
    assert set(driver.pages(key="sound")) == {"email", "sms"}
    _keep_policy(driver, damaged, INSISTENT)
    release_all(driver.deps)
    assert driver.sweep().set_aside == ()
    assert set(driver.pages(key="damaged")) == {"email", "sms"}


def _keep_policy(driver: Driver, escalation_id: str, policy: Policy | SQL) -> None:
    update = EscalationRow.update(policy=policy).where(EscalationRow.id == escalation_id)
    driver.store.run(lambda ledger: update.execute(ledger._unit.db))


def test_a_damaged_row_is_set_aside_by_a_claim_and_lets_the_others_pass(driver: Driver) -> None:
    for key in ("damaged", "sound"):
        driver.notify(an_incident(key), ADA, policy=INSISTENT)
    damaged = driver.escalation(key="damaged").id
    _keep_policy(driver, damaged, SQL("'{}'"))
    (claimed,) = driver.claim("email", limit=1)
    assert claimed.message.incident_id == driver.status("sound").facts.id
    driver.record(claimed)
    assert [each.machine for each in driver.outcome.set_aside] == ["notification", "escalation"]
    assert driver.claim("email", providers=()) == ()  # also where nobody could carry it
    _keep_policy(driver, damaged, INSISTENT)
    assert driver.claim("email") == ()
    driver.note_sweep(driver.clock.at + timedelta(minutes=5))
    driver.sweep()
    (claimed,) = driver.claim("email")
    assert claimed.message.incident_id == driver.status("damaged").facts.id
    release_all(driver.deps)


def test_a_damaged_row_that_can_be_sent_no_more_is_set_aside_too(driver: Driver) -> None:
    for key in ("damaged", "sound"):
        driver.notify(an_incident(key), a_recipient("ada", "email"))
    incident_id = driver.status("damaged").facts.id
    contact = driver.status("damaged").escalations[0].contact
    lose = ContactRow.delete().where(ContactRow.incident_id == incident_id)
    driver.store.run(lambda ledger: lose.execute(ledger._unit.db))
    assert driver.claim("email", providers=()) == ()
    assert [each.code for each in driver.outcome.set_aside] == ["StorageError"]
    assert driver.pages(key="sound")["email"].state is NotificationState.FAILED
    driver.store.run(lambda ledger: ledger.contacts.put(incident_id, [contact]))
    assert driver.pages(key="damaged")["email"].state is NotificationState.QUEUED
    driver.note_sweep(driver.clock.at + timedelta(minutes=5))
    driver.sweep()
    driver.claim("email", providers=())
    assert driver.pages(key="damaged")["email"].state is NotificationState.FAILED
    release_all(driver.deps)
