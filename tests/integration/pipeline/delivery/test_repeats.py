"""The same key again, and bad recipients beside good ones."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import (
    Contact,
    Ended,
    EscalationState,
    Incident,
    IncidentState,
    NotificationState,
    Severity,
    Step,
    Via,
)
from notifyflow.core.delivery.policy import DEFAULT, Acknowledgement, Policy, Tier
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.errors import InvalidIncident
from notifyflow.pipeline import inbound
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.inbound import RoutedRequest
from tests.builders import BAD, BUSY, REFUSED, a_recipient, an_incident
from tests.driver import Driver

ADA = a_recipient("ada", "email")


def test_the_same_severity_is_counted_and_pages_nobody_again(driver: Driver) -> None:
    first = driver.notify(None, ADA)
    driver.deliver()
    driver.clock.pass_time(timedelta(minutes=1))
    again = driver.notify(an_incident(severity=Severity.INFO), ADA)
    assert (again.incident_id, again.is_new, again.added, again.repeated) == (first.incident_id, False, (), ("ada",))
    facts = driver.status().facts
    assert (facts.times_seen, facts.last_seen_at, facts.severity) == (2, driver.clock.at, Severity.ERROR)
    driver.deliver()
    assert len(driver.seen) == 1


def test_every_later_message_uses_the_new_texts(driver: Driver) -> None:
    driver.notify(None, ADA)
    driver.notify(an_incident(title="all dbs are down", body="All of them."), ADA)
    (claimed,) = driver.claim("email")
    assert (claimed.message.content.title, claimed.message.content.body) == ("all dbs are down", "All of them.")


def test_what_a_repetition_does_not_give_is_kept(driver: Driver) -> None:
    incident = replace(
        an_incident(body="Writes fail."), url="https://runbooks.example.com/db", labels={"team": "orders"}, source="probe"
    )
    driver.notify(incident, a_recipient("ada", "email", name="Ada"))
    driver.notify(Incident(key=incident.key, title="still down"), ADA)
    (claimed,) = driver.claim("email")
    content = claimed.message.content
    assert (content.title, content.body, content.url) == ("still down", "Writes fail.", "https://runbooks.example.com/db")
    assert (content.labels, content.source, content.recipient_name) == ({"team": "orders"}, "probe", "Ada")


def test_what_a_repetition_gives_empty_is_emptied(driver: Driver) -> None:
    driver.notify(
        replace(an_incident(body="Writes fail."), url="https://runbooks.example.com/db", labels={"team": "orders"}), ADA
    )
    driver.notify(replace(an_incident(body=""), url="", labels={}), ADA)
    (claimed,) = driver.claim("email")
    assert (claimed.message.content.body, claimed.message.content.url, claimed.message.content.labels) == ("", None, {})


@pytest.mark.parametrize("is_acknowledged", [False, True])
def test_a_higher_severity_is_a_new_round_for_everybody(driver: Driver, is_acknowledged: bool) -> None:
    driver.notify(None, ADA, a_recipient("ben", "slack"))
    driver.deliver()
    if is_acknowledged:
        driver.acknowledge()
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA)
    status = driver.status()
    assert (status.facts.state, status.facts.severity, status.facts.acknowledged_by) == (
        IncidentState.OPEN,
        Severity.CRITICAL,
        "",
    )
    for who in ("ada", "ben"):
        assert [each.facts.round for each in driver.escalations(who)] == [1, 2]
        assert [each.facts.is_current for each in driver.escalations(who)] == [False, True]
        assert driver.escalation(who).severity is Severity.CRITICAL


def test_a_new_round_cancels_what_was_queued_by_the_one_before(driver: Driver) -> None:
    driver.notify(None, ADA)
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA)
    before, after = driver.escalations()
    assert (before.facts.state, after.facts.state) == (EscalationState.CANCELLED, EscalationState.ACTIVE)
    assert [row.state for row in before.notifications] == [NotificationState.CANCELLED]
    assert len(driver.claim("email")) == 1


def test_another_recipient_is_paged_unless_the_incident_is_acknowledged(driver: Driver) -> None:
    driver.notify(None, ADA)
    assert driver.notify(None, ADA, a_recipient("ben", "email")).added == ("ben",)
    driver.acknowledge()
    notified = driver.notify(None, a_recipient("cy", "email"))
    assert (notified.added, notified.repeated, driver.escalations("cy")) == ((), (), [])
    driver.page_again("cy")
    assert driver.escalation("cy").state is EscalationState.ACTIVE


def test_another_address_is_used_by_what_is_not_sent_yet(driver: Driver) -> None:
    driver.notify(None, ADA)
    driver.notify(None, a_recipient("ada", email="ada@elsewhere"))
    (claimed,) = driver.claim("email")
    assert claimed.message.address == "ada@elsewhere"


def test_another_address_gets_the_page_that_its_open_tier_lacks(driver: Driver) -> None:
    driver.notify(None, ADA)
    driver.notify(None, a_recipient("ada", "slack", "sms"))
    assert set(driver.pages()) == {"email", "slack"}
    assert len(driver.escalations()) == 1


def _contact(driver: Driver, who: str = "ada") -> Contact:
    return next(each.contact for each in driver.status().escalations if each.facts.recipient_id == who)


FULL = replace(ADA, timezone="Asia/Tokyo", quiet="22:00-07:00", channels={"ERROR": ("email",)})


def test_a_repetition_keeps_of_a_recipient_what_it_does_not_give_and_removes_what_is_empty(driver: Driver) -> None:
    driver.notify(None, FULL)
    before = _contact(driver)
    assert (before.timezone, before.quiet, before.channels) == ("Asia/Tokyo", "22:00-07:00", {"ERROR": ("email",)})
    driver.notify(None, ADA)
    assert _contact(driver) == before
    driver.notify(None, replace(ADA, timezone="Europe/Berlin"))
    assert _contact(driver) == replace(before, timezone="Europe/Berlin")
    driver.notify(None, replace(ADA, timezone="", quiet="", channels={}))
    assert _contact(driver) == Contact(recipient_id="ada", name="Ada", addresses=before.addresses)


def test_an_address_that_is_emptied_is_not_used_any_more_and_its_tier_goes_on(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "slack", "sms"))
    driver.notify(None, a_recipient("ada", "sms", slack="", email=""))
    assert set(_contact(driver).addresses) == {"sms"}
    pages = driver.pages()
    assert (pages["slack"].state, pages["slack"].reason) == (
        NotificationState.FAILED,
        "the recipient has no address for slack any more",
    )
    assert pages["sms"].state is NotificationState.QUEUED
    driver.deliver()
    assert [each.message.address for each in driver.seen] == ["ada@sms"]


def test_what_comes_back_to_the_queue_after_its_address_was_emptied_fails(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email", "sms"))
    (claimed,) = driver.claim("email")
    driver.notify(None, a_recipient("ada", "sms", email=""))
    driver.record(claimed, BUSY)
    driver.pass_time(minutes=2)
    email = driver.pages()["email"]
    assert (email.state, email.ended) == (NotificationState.FAILED, Ended.NO_PROVIDER)
    assert "sms" in driver.pages()


def test_a_contact_from_a_route_is_the_whole_contact(driver: Driver) -> None:
    whole = Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@email", "sms": "ada@sms"}, quiet="22:00-07:00")
    for contact in (whole, replace(whole, addresses={"email": "ada@email"}, quiet=None)):
        request = InboundRequest(action=Action.NOTIFY, incident=an_incident(), labels={})
        routed = RoutedRequest(request=request, contacts=(contact,), policy=DEFAULT)
        inbound.handle(driver.deps, [routed], by="prometheus", via=Via.ALERTMANAGER, namespace="")
        assert _contact(driver) == contact
    routed = replace(routed, contacts=(replace(whole, addresses={}),))
    inbound.handle(driver.deps, [routed], by="prometheus", via=Via.ALERTMANAGER, namespace="")
    assert _contact(driver).addresses == {"email": "ada@email"}, "an address that cannot be used any more removes none"


def test_a_person_of_a_step_keeps_what_the_incident_knows_of_them(driver: Driver) -> None:
    step = Step(to=(a_recipient("ben", "sms"),), after=timedelta(minutes=10))
    driver.notify(None, ADA, then=[step])
    driver.notify(None, replace(a_recipient("ben", "email"), timezone="Asia/Tokyo"))
    driver.acknowledge("ada")
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA)
    driver.pass_time(minutes=10)
    assert _contact(driver, "ben") == Contact(
        recipient_id="ben", name="Ben", addresses={"email": "ben@email", "sms": "ben@sms"}, timezone="Asia/Tokyo"
    )


def test_another_address_is_a_new_round_where_every_way_had_failed(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.notify(None, ADA)
    driver.deliver()
    assert driver.escalation().state is EscalationState.EXHAUSTED
    assert driver.notify(None, a_recipient("ada", "slack")).repeated == ("ada",)
    assert (driver.escalation().round, set(driver.pages())) == (2, {"email", "slack"})


@pytest.mark.parametrize("acknowledgement", list(Acknowledgement))
def test_another_address_is_no_new_round_once_somebody_has_acknowledged(driver: Driver, acknowledgement: Acknowledgement) -> None:
    driver.respond("email", REFUSED)
    driver.notify(None, a_recipient("ada", "email"), policy=replace(DEFAULT, acknowledgement=acknowledgement))
    driver.deliver()
    assert driver.escalation().state is EscalationState.EXHAUSTED
    driver.acknowledge("ada")
    driver.notify(None, a_recipient("ada", email="ada@elsewhere", sms="ada@sms"))
    driver.deliver()
    (only,) = driver.escalations()
    assert (only.facts.state, set(driver.pages())) == (EscalationState.ACKNOWLEDGED, {"email"})


def test_the_same_addresses_are_no_reason_for_a_new_round(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.notify(None, ADA)
    driver.deliver()
    driver.notify(None, ADA)
    assert driver.escalation().round == 1


def test_after_a_resolve_the_same_key_is_a_new_incident(driver: Driver) -> None:
    first = driver.notify(None, ADA)
    driver.resolve()
    second = driver.notify(None, ADA)
    assert second.is_new
    assert second.incident_id != first.incident_id
    assert driver.status().facts.id == second.incident_id


def test_an_incident_keeps_the_policy_it_was_opened_with(driver: Driver) -> None:
    by_sms = Policy(name="sms first", tiers=(Tier(name="primary", channels=("sms",)),), acknowledgement=Acknowledgement.ANY)
    driver.notify(None, a_recipient("ada", "email", "sms"), policy=by_sms)
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email", "sms"))
    assert set(driver.pages()) == {"sms"}


def test_bad_recipients_do_not_silence_good_ones(driver: Driver) -> None:
    unreachable = a_recipient("ben", email=BAD)
    notified = driver.notify(None, a_recipient("ada", "slack", email=BAD), unreachable, a_recipient("ada", "teams"))
    assert notified.added == ("ada", "ben")
    wrong = ["recipients[0].addresses.email", "recipients[1].addresses.email", "recipients[2].id"]
    assert sorted(fault.where for fault in notified.faults) == wrong
    assert set(driver.pages()) == {"slack"}
    ben = driver.escalation("ben")
    assert (ben.state, ben.critical_at) == (EscalationState.EXHAUSTED, driver.clock.at)
    assert "no address" in ben.reason
    assert [each.id for each in driver.outcome.critical] == [ben.id]


def test_nothing_is_stored_if_nobody_can_be_reached_or_strict_is_set(driver: Driver) -> None:
    with pytest.raises(InvalidIncident):
        driver.notify(None, a_recipient("ada", email=BAD))
    with pytest.raises(InvalidIncident):
        driver.notify(None, ADA, a_recipient("ben", email=BAD), strict=True)
    assert driver.store.read(lambda reads: reads.incidents(10)) == ()


def test_the_operations_incidents_key_is_reserved(driver: Driver) -> None:
    with pytest.raises(InvalidIncident, match=r"^key: "):
        driver.notify(an_incident(operations.KEY), ADA)
