"""Tests of the policies in policies.toml, on a clock that the tests move; nothing leaves the machine.

pytest examples/test_policies.py
"""

from pathlib import Path

import pytest

from notifyflow import Incident, Recipient, Severity
from notifyflow.testing import Driver

ADA = Recipient(id="ada", name="Ada", email="ada@example.com", phone="+4930901820")


@pytest.fixture
def notifyflow_settings() -> dict[str, str]:
    return {"NOTIFYFLOW_POLICIES": str(Path(__file__).with_name("policies.toml"))}


def page_ada(driver: Driver, policy: str, severity: Severity = Severity.ERROR) -> None:
    driver.flow.notify(Incident(key="db-1", title="orders db is down", severity=severity), [ADA], policy=policy)


def channels(driver: Driver) -> list[str]:
    return [message.channel for message in driver.inbox.messages()]


def test_the_phone_rings_after_ten_minutes_without_an_acknowledgement(notifyflow_driver: Driver) -> None:
    page_ada(notifyflow_driver, "working-hours")
    notifyflow_driver.advance(minutes=9, seconds=59)
    assert channels(notifyflow_driver) == ["email"]
    notifyflow_driver.advance(seconds=1)
    assert sorted(channels(notifyflow_driver)) == ["email", "sms", "voice"]


def test_the_phone_rings_at_once_when_the_mail_server_refuses(notifyflow_driver: Driver) -> None:
    notifyflow_driver.sandbox.script("email: 550")
    page_ada(notifyflow_driver, "working-hours")
    notifyflow_driver.run_until_settled()
    assert sorted(channels(notifyflow_driver)) == ["email", "sms", "voice"]


def test_no_phone_rings_once_the_link_in_the_mail_was_used(notifyflow_driver: Driver) -> None:
    page_ada(notifyflow_driver, "working-hours")
    notifyflow_driver.advance(minutes=5)
    (mail,) = notifyflow_driver.inbox.messages(channel="email")
    notifyflow_driver.acknowledge(mail)
    notifyflow_driver.advance(minutes=30)
    assert channels(notifyflow_driver) == ["email"]


def test_no_phone_rings_for_a_warning(notifyflow_driver: Driver) -> None:
    page_ada(notifyflow_driver, "working-hours", Severity.WARNING)
    notifyflow_driver.advance(minutes=30)
    assert channels(notifyflow_driver) == ["email"]


def test_all_hands_are_paged_every_ten_minutes_until_somebody_texts_back(notifyflow_driver: Driver) -> None:
    page_ada(notifyflow_driver, "all-hands", Severity.CRITICAL)
    notifyflow_driver.advance(minutes=25)
    assert notifyflow_driver.sandbox.reply("+4930901820", "ack")
    notifyflow_driver.advance(minutes=30)
    texts = notifyflow_driver.inbox.messages(channel="sms")
    assert [round(text.after_s / 60) for text in texts] == [0, 10, 20]
