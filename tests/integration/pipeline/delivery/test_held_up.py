"""A CRITICAL page of which every way that is left is held up is told to operations, once, and uses up no other alert."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import Condition, EscalationState, NotificationState, Recipient, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.outages import pause
from notifyflow.storage.store import Store
from tests.builders import BUSY, REFUSED, START, a_contact, a_recipient, an_incident
from tests.driver import Driver

OPS = operations.KEY
CRITICAL = Severity.CRITICAL
DAY = timedelta(days=1)
ADA = a_recipient("ada", "email", "sms", "voice")


@pytest.fixture
def driver(store: Store) -> Driver:
    """Ada's mail is refused; operations sits in Slack."""
    driver = Driver(store, operations=[a_contact("ops", "slack")])
    driver.respond("email", REFUSED)
    driver.sweep()
    return driver


def hold(driver: Driver, scope: PauseScope, name: str = "", *, span: timedelta = DAY) -> None:
    now = driver.clock.now()
    wanted = Pause(scope=scope, name=name, ends_at=now + span, paused_at=now, paused_by="eve", is_for_critical=True)
    pause(driver.deps, wanted)


def notify(driver: Driver, who: Recipient = ADA, severity: Severity = CRITICAL) -> None:
    driver.notify(an_incident(severity=severity), who)
    driver.deliver()


def told(driver: Driver) -> list[str]:
    return [each.message.content.title for each in driver.sent("slack")]


def test_operations_is_told_where_voice_is_paused_and_the_text_stays_silent(driver: Driver) -> None:
    hold(driver, PauseScope.CHANNEL, "voice")
    notify(driver)
    driver.pass_time(minutes=1)
    assert told(driver) == []
    driver.pass_time(seconds=31)
    assert told(driver) == ['Ada was not reached about "orders db is down" (CRITICAL)']
    escalation = driver.escalation()
    assert (escalation.held_up_at, escalation.critical_at, escalation.alerted_at) == (START + timedelta(seconds=90), None, None)
    assert escalation.state is EscalationState.ACTIVE
    body = driver.sent("slack")[0].message.content.body
    assert "Every way that is left is held up:" in body
    assert "- call: waits: paused" in body


def test_it_is_told_once_a_round(driver: Driver) -> None:
    hold(driver, PauseScope.PROVIDER, "the voice provider")
    notify(driver)
    driver.pass_time(minutes=10)
    assert len(told(driver)) == 1


def test_a_critical_failure_after_it_alerts_all_the_same(driver: Driver) -> None:
    hold(driver, PauseScope.CHANNEL, "voice", span=timedelta(minutes=20))
    driver.respond("voice", REFUSED)
    notify(driver)
    driver.pass_time(minutes=2)
    driver.acknowledge(by="ops", key=OPS)
    driver.pass_time(minutes=60)
    escalation = driver.escalation()
    assert escalation.held_up_at is not None
    assert escalation.alerted_at is not None
    assert escalation.alerted_at > escalation.held_up_at
    assert len(driver.escalations("ops", OPS)) >= 2


def test_a_pause_of_everything_holds_up_nothing(driver: Driver) -> None:
    notify(driver)
    hold(driver, PauseScope.ALL)
    driver.pass_time(minutes=30)
    assert told(driver) == []


def test_a_way_behind_an_open_circuit_is_held_up_after_half_a_minute(driver: Driver) -> None:
    driver.respond("sms", replace(BUSY, condition=Condition.UNHEALTHY))
    for number in range(5):
        driver.notify(an_incident(f"web-{number}", severity=Severity.ERROR), a_recipient(f"p{number}", "sms"))
    driver.deliver()
    notify(driver, a_recipient("ada", "sms"))
    driver.pass_time(seconds=29)
    assert told(driver) == []
    driver.pass_time(seconds=1)
    assert driver.escalation().held_up_at == START + timedelta(seconds=30)


def test_a_way_behind_a_limit_is_held_up_after_two_minutes(driver: Driver) -> None:
    driver.deps = replace(driver.deps, limits={"the sms provider": 1})
    for number in range(6):
        driver.notify(an_incident(f"web-{number}", severity=CRITICAL), a_recipient(f"p{number}", "sms"))
    driver.deliver()
    driver.report(driver.sent("sms")[0].message.attempt_id, Result.DELIVERED)
    driver.pass_time(seconds=119)
    assert told(driver) == []
    driver.pass_time(seconds=2)
    assert len(told(driver)) == 1
    assert [driver.escalation(f"p{number}", f"web-{number}").held_up_at is None for number in (0, 5)] == [True, False]


def test_a_mail_that_was_sent_holds_up_nothing_under_default(driver: Driver) -> None:
    hold(driver, PauseScope.CHANNEL, "slack")
    driver.respond("email")
    notify(driver, a_recipient("ada", "email", "slack"))
    driver.pass_time(minutes=10)
    assert driver.escalation().held_up_at is None


def test_a_way_that_a_timer_opened_is_missed_though_a_mail_was_sent(driver: Driver) -> None:
    hold(driver, PauseScope.CHANNEL, "voice")
    driver.respond("email")
    driver.notify(an_incident(severity=CRITICAL), ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=5)
    driver.report(driver.pages()["sms"].attempts[-1].id, Result.DELIVERED)
    driver.pass_time(minutes=5)
    assert told(driver) == []
    driver.pass_time(seconds=31)
    assert len(told(driver)) == 1


@pytest.mark.parametrize("severity", [Severity.ERROR, Severity.WARNING])
def test_only_critical_pages_are_held_up(driver: Driver, severity: Severity) -> None:
    hold(driver, PauseScope.CHANNEL, "email")
    notify(driver, a_recipient("ada", "email"), severity)
    driver.pass_time(minutes=10)
    assert told(driver) == []


def test_without_suspicion_a_closed_tier_is_no_way_that_is_left(driver: Driver) -> None:
    hold(driver, PauseScope.CHANNEL, "email")
    driver.notify(an_incident(severity=CRITICAL), ADA, policy=replace(DEFAULT, is_suspicion_on=False))
    driver.deliver()
    driver.pass_time(seconds=31)
    assert len(told(driver)) == 1


def test_nobody_is_told_of_it_after_an_acknowledgement(driver: Driver) -> None:
    hold(driver, PauseScope.CHANNEL, "voice")
    notify(driver)
    driver.pass_time(minutes=1)
    driver.acknowledge()
    driver.pass_time(minutes=5)
    assert told(driver) == []
    assert driver.pages()["voice"].state is NotificationState.CANCELLED
