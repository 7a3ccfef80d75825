"""A CRITICAL round of which nothing arrived is told to operations, however many providers had accepted its pages."""

import pytest

from notifyflow.core.delivery.model import EscalationState, NotificationState, Result, Severity
from notifyflow.pipeline.transaction.ports import Claimed
from notifyflow.storage.store import Store
from tests.builders import BUSY, REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver

ADA = a_recipient("ada", "email", "slack", "sms", "voice")
WITHOUT_VOICE = a_recipient("ada", "email", "slack", "sms")


@pytest.fixture
def operated(store: Store) -> Driver:
    """A driver with somebody in operations."""
    driver = Driver(store, operations=[a_contact("ops", "teams")])
    driver.sweep()
    return driver


def _page(driver: Driver, severity: Severity = Severity.CRITICAL, *, has_voice: bool = True, key: str = "db-1") -> None:
    """Page Ada, whose mail server and whose Slack refuse; texts and calls are accepted."""
    driver.respond("email", REFUSED)
    driver.respond("slack", REFUSED)
    driver.notify(an_incident(key, severity=severity), ADA if has_voice else WITHOUT_VOICE)
    driver.deliver()


def _give(driver: Driver, **addresses: str) -> None:
    """Repeat the key with other addresses of Ada."""
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", **addresses))
    driver.deliver()


def _told(driver: Driver) -> list[Claimed]:
    return driver.sent("teams")


def _let_calls_fail(driver: Driver, *, minutes: int) -> None:
    """Let time pass in which the carrier reports each call as failed, ten seconds after it was accepted."""
    heard: set[str] = set()
    for _ in range(minutes * 6):
        driver.pass_time(seconds=10)
        for call in driver.sent("voice"):
            if (attempt_id := call.message.attempt_id) not in heard:
                heard.add(attempt_id)
                driver.report(attempt_id, Result.TEMPORARY_FAILURE, code="failed")
    driver.deliver()


def test_calls_that_the_carrier_reports_as_failed_have_not_reached_anybody(operated: Driver) -> None:
    _page(operated)
    _let_calls_fail(operated, minutes=10)
    assert len(operated.sent("voice")) == 3
    assert operated.pages()["sms"].state is NotificationState.SENT
    assert operated.escalation().critical_at is not None
    assert len(_told(operated)) == 1, "told while the text may still be reported on"
    alerted_at = operated.escalation().alerted_at
    operated.pass_time(minutes=30)
    assert operated.escalation().state is EscalationState.EXHAUSTED
    assert operated.escalation().alerted_at == alerted_at, "told once"


def test_operations_is_told_though_the_recipient_has_no_phone_to_ring(operated: Driver) -> None:
    _page(operated, has_voice=False)
    operated.pass_time(minutes=3)
    assert len(_told(operated)) == 1
    operated.pass_time(minutes=40)
    assert operated.escalation().state is EscalationState.EXHAUSTED


@pytest.mark.parametrize("has_voice", [True, False])
def test_what_arrives_later_makes_it_reached(operated: Driver, *, has_voice: bool) -> None:
    _page(operated, has_voice=has_voice)
    operated.pass_time(minutes=60)
    assert operated.escalation().state is EscalationState.EXHAUSTED
    operated.report(operated.sent("sms")[0].message.attempt_id, Result.DELIVERED)
    assert operated.escalation().state is EscalationState.REACHED


def test_a_new_number_is_called_although_the_old_one_only_stayed_silent(operated: Driver) -> None:
    _page(operated, has_voice=False)
    operated.pass_time(minutes=3)
    assert operated.escalation().state is EscalationState.ACTIVE
    _give(operated, sms="+999", voice="+999")
    operated.pass_time(minutes=3)
    assert [each.facts.round for each in operated.escalations()] == [1, 2]
    assert [each.message.address for each in operated.sent("sms")] == ["ada@sms", "+999"]
    assert [each.message.address for each in operated.sent("voice")][:1] == ["+999"]


def test_a_new_number_is_called_although_another_way_is_still_tried(operated: Driver) -> None:
    operated.respond("slack", BUSY)
    operated.respond("voice", REFUSED)
    operated.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "slack", "voice"))
    operated.deliver()
    operated.pass_time(minutes=3)
    assert operated.pages()["slack"].state is NotificationState.QUEUED
    _give(operated, voice="+999")
    operated.pass_time(seconds=30)
    assert [each.message.address for each in operated.sent("voice")] == ["ada@voice", "+999"]


def test_changed_addresses_start_one_round_in_a_quarter_of_an_hour_with_the_newest_of_them(operated: Driver) -> None:
    _page(operated, has_voice=False)
    operated.pass_time(minutes=3)
    for number in range(1, 6):
        _give(operated, sms=f"+{number}")
        operated.pass_time(minutes=2)
    assert [each.message.address for each in operated.sent("sms")] == ["ada@sms", "+1"]
    operated.pass_time(minutes=4)
    assert len(operated.escalations()) == 2
    operated.pass_time(minutes=2)
    assert [each.message.address for each in operated.sent("sms")] == ["ada@sms", "+1", "+5"]
    operated.pass_time(minutes=60)
    assert len(operated.escalations()) == 3


def test_no_round_follows_a_changed_address_once_a_page_has_arrived(operated: Driver) -> None:
    _page(operated, has_voice=False)
    operated.pass_time(minutes=3)
    for number in ("+1", "+2"):
        _give(operated, sms=number)
        operated.pass_time(minutes=2)
    operated.report(operated.sent("sms")[-1].message.attempt_id, Result.DELIVERED)
    operated.pass_time(minutes=60)
    assert len(operated.escalations()) == 2
    assert operated.escalation().state is EscalationState.REACHED


def test_an_error_of_which_nothing_arrived_stays_reached_and_is_linked_only(operated: Driver) -> None:
    _page(operated, Severity.ERROR, has_voice=False)
    operated.pass_time(minutes=29)
    assert operated.escalation().critical_at is None
    operated.pass_time(minutes=5)
    found = operated.escalation()
    assert (found.state, found.alerted_at, found.critical_at is None) == (EscalationState.REACHED, None, False)
    assert _told(operated) == []


def test_a_warning_of_which_nothing_arrived_is_not_even_linked(operated: Driver) -> None:
    _page(operated, Severity.WARNING, has_voice=False)
    operated.pass_time(minutes=60)
    found = operated.escalation()
    assert (found.state, found.critical_at) == (EscalationState.REACHED, None)


def test_a_push_opens_the_next_tier_since_nothing_shows_that_it_arrived(operated: Driver) -> None:
    operated.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "push", "sms"))
    operated.deliver()
    operated.pass_time(minutes=4)
    assert set(operated.pages()) == {"push"}
    operated.pass_time(minutes=2)
    assert set(operated.pages()) == {"push", "sms"}


def test_somebody_who_has_a_push_only_is_told_to_operations(operated: Driver) -> None:
    operated.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "push"))
    operated.deliver()
    operated.pass_time(minutes=6)
    assert operated.escalation().state is EscalationState.EXHAUSTED
    assert len(_told(operated)) == 1


@pytest.mark.parametrize("channel", ["email", "slack", "teams"])
def test_mail_and_chat_arrive_by_being_accepted(operated: Driver, channel: str) -> None:
    operated.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", channel))
    operated.deliver()
    assert operated.escalation().state is EscalationState.REACHED
    operated.pass_time(minutes=60)
    assert operated.escalation().critical_at is None


def test_a_bounce_that_is_too_old_to_open_a_tier_is_linked_only(operated: Driver) -> None:
    operated.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"))
    operated.deliver()
    operated.pass_time(hours=3)
    operated.report(operated.sent("email")[0].message.attempt_id, Result.PERMANENT_FAILURE)
    found = operated.escalation()
    assert (found.state, found.critical_at, found.alerted_at) == (EscalationState.EXHAUSTED, operated.clock.now(), None)
    assert _told(operated) == []
