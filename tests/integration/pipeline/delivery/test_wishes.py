"""What somebody wishes for is sent at the start of a CRITICAL round, and joins its tier when that opens; over both databases."""

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import EscalationState, NotificationState, Recipient, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT
from tests.builders import BUSY, an_incident
from tests.driver import Driver

ADDRESSES = {channel: f"ada@{channel}" for channel in ("email", "slack", "sms", "voice")}


def page_ada(driver: Driver, *wishes: str) -> None:
    ada = Recipient(id="ada", addresses=ADDRESSES, channels={Severity.CRITICAL: wishes})
    driver.notify(an_incident(severity=Severity.CRITICAL), ada)


def test_a_text_that_was_wished_for_becomes_the_text_of_its_tier_and_its_bounce_opens_the_call(driver: Driver) -> None:
    driver.respond("email", BUSY)
    driver.respond("slack", BUSY)
    page_ada(driver, "sms")
    driver.deliver()
    (text,) = driver.sent("sms")
    assert (driver.pages()["sms"].tier, driver.escalation().policy.name) == (0, "default")
    driver.report(text.message.attempt_id, Result.DELIVERED)
    driver.pass_time(seconds=4)
    assert (driver.escalation().tier, driver.pages()["sms"].tier, len(driver.sent("sms"))) == (2, 2, 1)
    assert "voice" not in driver.pages()
    driver.report(text.message.attempt_id, Result.PERMANENT_FAILURE)
    driver.deliver()
    assert (driver.pages()["sms"].state, driver.pages()["voice"].tier) == (NotificationState.FAILED, 3)


def test_a_call_that_was_wished_for_and_answered_reaches_whoever_counted_as_unreachable(driver: Driver) -> None:
    ada = Recipient(id="ada", addresses={"voice": "ada@voice"}, channels={Severity.CRITICAL: ("voice",)})
    driver.notify(an_incident(severity=Severity.CRITICAL), ada, policy=replace(DEFAULT, tiers=DEFAULT.tiers[:2]))
    driver.deliver()
    assert driver.escalation().state is EscalationState.EXHAUSTED
    driver.report(driver.sent("voice")[0].message.attempt_id, Result.DELIVERED, key="5")
    assert driver.escalation().state is EscalationState.REACHED
