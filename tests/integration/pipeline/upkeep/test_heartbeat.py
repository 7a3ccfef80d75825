"""The heartbeat: once an interval for all processes together, and never while something is wrong."""

from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import EscalationState, Result, Severity
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.operations import add_notice
from notifyflow.pipeline.upkeep.heartbeat import Pulse, beat
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, BUSY, REFUSED, UNKNOWN, a_contact, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver

MINUTE = timedelta(minutes=1)
OPS = operations.KEY


@pytest.fixture
def driver(store: Store) -> Driver:
    """Mail fails for everybody; operations is called, which reports back."""
    driver = Driver(store, operations=[a_contact("olga", "voice"), a_contact("otto", "email")])
    driver.respond("email", REFUSED)
    return driver


def pulse(driver: Driver) -> Pulse:
    """Ask for the heartbeat a minute later."""
    driver.clock.pass_time(MINUTE)
    return beat(driver.deps, every=MINUTE)


def test_only_the_first_process_sends_it(driver: Driver) -> None:
    pulses = [beat(driver.deps, every=MINUTE) for _ in range(3)]
    assert pulses == [Pulse.OURS, Pulse.EARLY, Pulse.EARLY]
    driver.clock.pass_time(MINUTE - timedelta(microseconds=1))
    assert beat(driver.deps, every=MINUTE) is Pulse.EARLY
    driver.clock.pass_time(timedelta(microseconds=1))
    assert beat(driver.deps, every=MINUTE) is Pulse.OURS


def test_what_waits_for_its_time_is_no_harm(driver: Driver) -> None:
    driver.respond("slack", BUSY)
    driver.notify(an_incident(), a_recipient("ada", "slack"))
    driver.deliver()
    assert pulse(driver) is Pulse.OURS


def test_it_stops_while_a_page_has_been_due_for_long(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "slack"))
    assert [pulse(driver) for _ in range(5)] == [Pulse.OURS] * 4 + [Pulse.LEFT_BEHIND]
    driver.deliver()
    assert pulse(driver) is Pulse.OURS


def test_a_damaged_row_that_is_set_aside_does_not_stop_it(driver: Driver) -> None:
    driver.respond("email", ACCEPTED)
    driver.notify(an_incident("old"), a_recipient("ada", "teams"))
    driver.resolve(key="old")
    driver.notify(an_incident(severity=Severity.INFO), a_recipient("ada", "slack"))
    with damaged(driver.deps, "notification", driver.pages()["slack"].id, Damage.LINE):
        for _ in range(8):
            driver.deliver()
            assert pulse(driver) is Pulse.OURS
    release_all(driver.deps)
    driver.deliver()
    assert pulse(driver) is Pulse.OURS


def test_it_stops_while_an_expired_lease_is_not_swept(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "slack"))
    driver.claim("slack")
    driver.clock.pass_time(timedelta(minutes=6))
    assert beat(driver.deps, every=MINUTE) is Pulse.LEFT_BEHIND
    driver.sweep()
    driver.deliver()
    assert beat(driver.deps, every=MINUTE) is Pulse.OURS


def _lose(driver: Driver) -> None:
    """Fail Ada by every way, and operations, too."""
    driver.respond("voice", REFUSED)
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"))
    driver.deliver()


def test_it_stops_when_all_of_operations_have_failed_until_somebody_acknowledges(driver: Driver) -> None:
    _lose(driver)
    assert pulse(driver) is Pulse.OPERATIONS_UNREACHED
    driver.acknowledge("olga", OPS)
    assert pulse(driver) is Pulse.OURS


def test_it_stops_when_all_of_operations_have_failed_until_that_is_resolved(driver: Driver) -> None:
    _lose(driver)
    assert pulse(driver) is Pulse.OPERATIONS_UNREACHED
    driver.resolve("olga", OPS)
    assert pulse(driver) is Pulse.OURS


def test_a_new_round_for_operations_ends_the_silence_only_when_it_arrives(driver: Driver) -> None:
    _lose(driver)
    driver.respond("email")
    driver.page_again("otto", OPS)
    assert pulse(driver) is Pulse.OPERATIONS_UNREACHED
    driver.deliver()
    assert pulse(driver) is Pulse.OURS


def test_a_late_delivery_to_operations_ends_the_silence(driver: Driver) -> None:
    driver.respond("voice", UNKNOWN)
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"))
    driver.deliver()
    driver.pass_time(minutes=30)
    assert pulse(driver) is Pulse.OPERATIONS_UNREACHED
    driver.report(driver.sent("voice")[-1].message.attempt_id, Result.DELIVERED)
    assert pulse(driver) is Pulse.OURS


def test_it_goes_on_when_one_of_operations_was_reached(driver: Driver) -> None:
    driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", "email"))
    driver.deliver()
    assert pulse(driver) is Pulse.OURS


def test_it_goes_on_while_nobody_is_configured_for_operations(store: Store) -> None:
    driver = Driver(store)
    driver.respond("email", REFUSED)
    _lose(driver)
    assert pulse(driver) is Pulse.OURS


@pytest.fixture
def phones(store: Store) -> Driver:
    """Nobody of operations has anything but a phone; what a notice tells comes by mail and chat only."""
    return Driver(store, operations=[a_contact("olga", "voice"), a_contact("otto", "sms")])


def test_a_round_of_notices_does_not_stop_it_where_operations_has_phones_only(phones: Driver) -> None:
    add_notice(phones.deps, "its callbacks are not signed", "twilio")
    phones.deliver()
    assert [each.facts.state for each in phones.status(OPS).escalations] == [EscalationState.EXHAUSTED] * 2
    assert pulse(phones) is Pulse.OURS


def test_a_round_of_notices_does_not_hide_that_nobody_was_reached_about_a_failure(phones: Driver) -> None:
    phones.respond("email", REFUSED)
    phones.respond("sms", REFUSED)
    _lose(phones)
    phones.pass_time(hours=1)
    assert pulse(phones) is Pulse.OPERATIONS_UNREACHED
    add_notice(phones.deps, "its callbacks are not signed", "twilio")
    phones.pass_time(minutes=1)
    assert phones.escalations("olga", OPS)[-1].facts.severity is Severity.CRITICAL, "it tells of the failure as well"
    assert pulse(phones) is Pulse.OPERATIONS_UNREACHED


def test_a_round_of_notices_that_fails_by_mail_stops_it_whoever_has_a_phone_only(driver: Driver) -> None:
    add_notice(driver.deps, "its callbacks are not signed", "twilio")
    driver.deliver()
    assert pulse(driver) is Pulse.OPERATIONS_UNREACHED
