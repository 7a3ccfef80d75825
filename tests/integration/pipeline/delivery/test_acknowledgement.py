"""Acknowledging, resolving, paging again, and the status updates about it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from peewee import Value

from notifyflow.core.delivery.model import EscalationState, IncidentState, Kind, NotificationState, Receipt, Result, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT, Acknowledgement, Tier, Unacknowledged
from notifyflow.core.references import ById
from notifyflow.errors import IncidentResolved, NotFound, RecipientNotFound
from notifyflow.pipeline.delivery.acknowledge import acknowledge, resolve
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.transaction.ports import ReceiptMatch
from notifyflow.storage.tables import ContactRow
from tests.builders import ACCEPTED, BUSY, KEY, REFUSED, UNKNOWN, a_recipient, an_incident
from tests.damage import release_all
from tests.driver import Driver

ADA = a_recipient("ada", "email")
BEN = a_recipient("ben", "email", "slack", "sms")
EACH = replace(DEFAULT, acknowledgement=Acknowledgement.EACH)


def test_an_acknowledgement_cancels_what_is_queued_for_everybody(driver: Driver) -> None:
    driver.notify(None, ADA, BEN)
    acknowledged = driver.acknowledge(by="ada")
    assert acknowledged
    facts = driver.status().facts
    assert (facts.state, facts.acknowledged_by, facts.acknowledged_via) == (IncidentState.ACKNOWLEDGED, "ada", "library")
    for who in ("ada", "ben"):
        assert driver.escalation(who).state is EscalationState.ACKNOWLEDGED
        assert {row.state for row in driver.pages(who).values()} == {NotificationState.CANCELLED}
    driver.deliver()
    assert driver.seen == []


def test_what_is_being_sent_is_recorded_and_tried_no_more(driver: Driver) -> None:
    driver.notify(None, ADA)
    (claimed,) = driver.claim("email")
    driver.acknowledge()
    driver.record(claimed, BUSY)
    assert driver.pages()["email"].state is NotificationState.CANCELLED


def test_acknowledging_twice_is_late(driver: Driver) -> None:
    driver.notify(None, ADA)
    driver.acknowledge(by="ada")
    assert not driver.acknowledge(by="ben")
    assert driver.status().facts.acknowledged_by == "ada"


def test_a_link_names_the_incident_itself(driver: Driver) -> None:
    incident_id = driver.notify(None, ADA).incident_id
    resolve(driver.deps, ById(incident_id), by="ada", via=Via.DASHBOARD)  # a person's, which ends the series
    newer = driver.notify(None, ADA).incident_id
    assert not acknowledge(driver.deps, ById(incident_id), by="ada", via=Via.LINK).value
    assert acknowledge(driver.deps, ById(newer), by="ada", via=Via.LINK).value


def test_with_each_an_acknowledgement_ends_ones_own_escalation_only(driver: Driver) -> None:
    driver.notify(None, ADA, BEN, policy=EACH)
    driver.acknowledge(by="ada")
    assert not driver.acknowledge(by="ada")
    assert driver.status().facts.state is IncidentState.OPEN
    assert driver.escalation("ben").state is EscalationState.ACTIVE
    driver.acknowledge(by="ben")
    status = driver.status()
    assert status.facts.state is IncidentState.ACKNOWLEDGED
    lines = {line.row_id: line.detail for line in status.transitions if line.machine == "escalation"}
    assert [lines[driver.escalation(who).id] for who in ("ada", "ben")] == [
        {"by": who, "via": "library"} for who in ("ada", "ben")
    ]


def test_with_each_somebody_who_is_no_recipient_acknowledges_it_for_all(driver: Driver) -> None:
    driver.notify(None, ADA, BEN, policy=EACH)
    driver.acknowledge(by="the duty officer")
    assert driver.status().facts.state is IncidentState.ACKNOWLEDGED
    assert driver.escalation("ben").state is EscalationState.ACKNOWLEDGED


def test_a_status_update_says_who_acknowledged_over_chat_and_mail_already_used(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.respond("slack", UNKNOWN)
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA, BEN, a_recipient("cy", "teams"))
    driver.deliver()
    driver.acknowledge(by="ada")
    assert [row.channel for row in driver.status_updates("ben")] == ["slack"]  # in doubt: it may have been read
    assert (driver.status_updates("ada"), [row.channel for row in driver.status_updates("cy")]) == ([], ["teams"])
    (update,) = driver.claim("teams")
    assert (update.message.content.kind, update.message.content.status_update, update.message.content.severity) == (
        Kind.STATUS_UPDATE,
        "Ada acknowledged it",
        Severity.CRITICAL,
    )


def test_recipients_of_an_earlier_round_get_the_status_update_too_and_their_message_is_edited(driver: Driver) -> None:
    driver.notify(None, ADA, BEN)
    for claimed in (*driver.claim("email"), *driver.claim("slack")):
        driver.record(claimed, replace(ACCEPTED, provider_ref=f"of {claimed.message.address}"))
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA, BEN)
    driver.acknowledge(by="ada")
    assert [row.channel for row in driver.status_updates("ben")] == ["email", "slack"]
    (update,) = driver.claim("slack")
    assert (update.message.content.status_update, update.message.replaces) == ("Ada acknowledged it", "of ben@slack")


def test_a_message_names_those_who_are_also_paged_but_nobody_without_an_address(driver: Driver) -> None:
    driver.notify(None, ADA, a_recipient("nobody"), BEN)
    others = {each.message.address: each.message.content.also_paged for each in driver.claim("email")}
    assert others == {"ada@email": "Ben", "ben@email": "Ada"}


def test_of_a_crowd_a_message_names_the_first_four_others(driver: Driver) -> None:
    driver.notify(None, *(a_recipient(f"r{number}", "email") for number in range(12)))
    others = {each.message.address: each.message.content.also_paged for each in driver.claim("email")}
    assert others["r0@email"] == "R1, R2, R3, R4 and others"
    assert others["r11@email"] == "R0, R1, R2, R3 and others"


def test_a_recipient_whose_row_is_damaged_is_not_named_and_delays_nobody_elses_page(driver: Driver) -> None:
    driver.notify(None, ADA, BEN)

    def set_addresses(addresses: object) -> None:
        update = ContactRow.update(addresses=addresses).where(ContactRow.recipient_id == "ben")
        driver.store.run(lambda ledger: update.execute(ledger._unit.db))

    set_addresses(Value("{", converter=False))
    (page,) = driver.claim("email")
    assert (page.message.address, page.message.content.also_paged) == ("ada@email", "")
    set_addresses(BEN.addresses)
    release_all(driver.deps)


def test_once_it_is_acknowledged_status_updates_say_who_has_it_and_since_when(driver: Driver) -> None:
    driver.notify(None, ADA, BEN)
    driver.deliver()
    driver.acknowledge(by="ada")
    driver.deliver()
    driver.resolve()
    driver.deliver()
    updates = [each.message.content for each in driver.sent("slack")[1:]]
    assert [(each.status_update, each.is_resolved) for each in updates] == [("Ada acknowledged it", False), ("resolved", True)]
    assert {each.acknowledged for each in updates} == {"Ada, Wed 25 Nov 03:00 UTC"}


@pytest.mark.parametrize(("by", "name"), [("ada", "Ada"), ("the duty officer", "the duty officer")])
def test_a_page_of_a_later_round_says_who_acknowledged_the_incident_before(driver: Driver, by: str, name: str) -> None:
    driver.notify(None, ADA, BEN)
    driver.deliver()
    driver.acknowledge(by=by)
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA)
    driver.deliver()
    pages = [each.message.content for each in driver.sent("slack") if each.message.content.kind is Kind.PAGE]
    assert [each.acknowledged for each in pages] == ["", f"{name}, Wed 25 Nov 03:00 UTC"]


def test_a_status_update_is_one_attempt_and_never_escalates(driver: Driver) -> None:
    driver.notify(None, ADA, BEN)
    driver.deliver()
    driver.respond("slack", BUSY)
    driver.acknowledge(by="ada")
    driver.deliver()
    driver.pass_time(hours=1)
    states = {row.channel: (row.state, len(row.attempts)) for row in driver.status_updates("ben")}
    assert states == {"email": (NotificationState.SENT, 1), "slack": (NotificationState.FAILED, 1)}
    assert "sms" not in driver.pages("ben")
    assert driver.escalation("ben").state is EscalationState.ACKNOWLEDGED


def test_a_resolve_cancels_queued_pages_and_updates_everybody_who_was_paged(driver: Driver) -> None:
    driver.notify(None, ADA, BEN)
    for claimed in driver.claim("slack"):
        driver.record(claimed)
    driver.resolve(by="ada")
    assert not driver.resolve(by="ada")
    facts = driver.status().facts
    assert (facts.state, facts.resolved_by) == (IncidentState.RESOLVED, "ada")
    assert driver.escalation("ben").state is EscalationState.CANCELLED
    assert {row.channel: row.state for row in driver.pages("ben").values()} == {
        "email": NotificationState.CANCELLED,
        "slack": NotificationState.SENT,
    }
    (update,) = driver.claim("slack")
    assert (update.message.content.status_update, driver.claim("email")) == ("resolved", ())


def test_a_status_update_that_is_no_longer_true_is_withdrawn(driver: Driver) -> None:
    driver.notify(None, ADA, BEN)
    driver.deliver()
    driver.acknowledge(by="ada")
    driver.resolve(by="ada")
    assert sorted(row.state for row in driver.status_updates("ben")) == ["CANCELLED", "CANCELLED", "QUEUED", "QUEUED"]


def test_paging_again_is_a_new_round_for_one_and_cancels_the_status_updates(driver: Driver) -> None:
    driver.notify(None, ADA, BEN)
    driver.deliver()
    driver.acknowledge(by="ada")
    due = driver.page_again("ada").due
    assert [each.channel for each in due] == ["email"]
    assert driver.status().facts.state is IncidentState.OPEN
    assert (driver.escalation("ada").round, driver.escalation("ada").state) == (2, EscalationState.ACTIVE)
    assert (driver.escalation("ben").round, driver.escalation("ben").state) == (1, EscalationState.ACKNOWLEDGED)
    assert {row.state for row in driver.status_updates("ben")} == {NotificationState.CANCELLED}


def test_an_unknown_key_or_recipient_raises(driver: Driver) -> None:
    for do in (driver.acknowledge, driver.resolve):
        with pytest.raises(NotFound):
            do(key="nothing")
    with pytest.raises(NotFound):
        driver.page_again("ada", key="nothing")
    driver.notify(None, ADA)
    with pytest.raises(RecipientNotFound):
        driver.page_again("ben")
    driver.resolve()
    with pytest.raises(IncidentResolved):
        driver.page_again("ada")
    assert not driver.acknowledge(key=KEY)


def test_late_events_of_a_round_that_was_replaced_change_nothing(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "sms"))
    (claimed,) = driver.claim("email")
    driver.page_again("ada")
    driver.record(claimed, REFUSED)
    before, _ = driver.escalations()
    assert before.facts.state is EscalationState.CANCELLED
    assert {row.channel for row in before.notifications} == {"email"}
    driver.clock.pass_time(timedelta(days=4))
    driver.sweep()
    assert driver.escalations()[0].facts == before.facts


TEXTS = Tier(name="texts", channels=("sms",), rules=(Unacknowledged(after=timedelta(minutes=5)),))
CALLS_THEN_TEXTS = replace(DEFAULT, tiers=(Tier(name="calls", channels=("voice",)), TEXTS))


def test_the_key_that_acknowledges_it_opens_no_tier_whose_time_has_come(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "voice", "sms"), policy=CALLS_THEN_TEXTS)
    driver.deliver()
    (call,) = driver.pages()["voice"].attempts
    driver.clock.pass_time(timedelta(minutes=5))
    driver.report(call.id, Result.DELIVERED, key="1")
    assert driver.status().facts.state is IncidentState.ACKNOWLEDGED
    assert set(driver.pages()) == {"voice"}


@pytest.mark.parametrize("key", ["1", "7"])
def test_nor_does_the_record_of_a_call_whose_key_press_came_before(driver: Driver, key: str) -> None:
    driver.notify(None, a_recipient("ada", "voice", "sms"), policy=CALLS_THEN_TEXTS)
    (claimed,) = driver.claim("voice", providers=["twilio"])
    for event_id, result, is_key in (("ringing", Result.ACCEPTED, False), ("pressed", Result.DELIVERED, True)):
        receipt = Receipt(
            provider="twilio",
            event_id=event_id,
            result=result,
            provider_ref="CA1",
            is_key_press=is_key,
            is_acknowledgement=is_key and key == "1",
        )
        assert receive(driver.deps, receipt, raw="raw").only().value is ReceiptMatch.WAITING
    driver.clock.pass_time(timedelta(minutes=5))
    driver.record(claimed, replace(ACCEPTED, provider_ref="CA1"))
    assert driver.pages()["voice"].state is NotificationState.DELIVERED
    is_acknowledged = driver.status().facts.state is IncidentState.ACKNOWLEDGED
    assert (is_acknowledged, "sms" in driver.pages()) == ((True, False) if key == "1" else (False, True))
