"""Calls and texts have a cap an hour: what is over it fails, so that its tier moves on, and operations gets one notice."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from notifyflow.core.delivery.model import Ended, NotificationState, Severity
from notifyflow.core.delivery.policy import Policy, Tier
from notifyflow.core.limits.cap_counts import Caps
from notifyflow.pipeline.delivery.operations import KEY as OPERATIONS
from notifyflow.storage.store import Store
from tests.builders import REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store, operations=[a_contact("olga", "push")])


def page_by_text(
    driver: Driver,
    key: str,
    who: str = "ada",
    *,
    severity: Severity = Severity.ERROR,
    sms: str = "+15005550006",
    namespace: str = "",
) -> None:
    """Page somebody whose mail fails, so that a text follows, and after it a call."""
    driver.respond("email", REFUSED)
    driver.notify(an_incident(key, severity=severity), a_recipient(who, "email", sms=sms, voice=sms), namespace=namespace)
    driver.deliver()


def cap(driver: Driver, **caps: dict[str, int]) -> None:
    driver.deps = replace(driver.deps, caps=Caps(channels=frozenset({"sms", "voice"}), **caps))


def test_what_is_over_an_addresss_cap_fails_as_capped_and_the_next_tier_opens(driver: Driver) -> None:
    cap(driver, recipients={"sms": 2})
    for number in range(3):
        page_by_text(driver, f"db-{number}")
    assert [len(driver.sent("sms")), len(driver.sent("voice"))] == [2, 1]
    text = driver.pages(key="db-2")["sms"]
    assert (text.state, text.ended, text.attempts) == (NotificationState.FAILED, Ended.CAPPED, ())
    assert driver.pages(key="db-2")["voice"].state is NotificationState.SENT


def test_every_address_has_a_cap_of_its_own_and_every_hour_too(driver: Driver) -> None:
    cap(driver, recipients={"sms": 1})
    page_by_text(driver, "db-1")
    page_by_text(driver, "db-2", "bob", sms="+15005550007")
    assert len(driver.sent("sms")) == 2
    driver.be_away(hours=1)
    page_by_text(driver, "db-3")
    assert len(driver.sent("sms")) == 3


def test_what_is_critical_has_a_higher_cap(driver: Driver) -> None:
    cap(driver, recipients={"sms": 1})
    for number in range(4):
        page_by_text(driver, f"db-{number}", severity=Severity.CRITICAL)
    assert len(driver.sent("sms")) == 3


def test_an_address_has_one_cap_under_whatever_ids_it_is_given(driver: Driver) -> None:
    cap(driver, recipients={"sms": 2})
    for number in range(4):
        page_by_text(driver, f"db-{number}", f"made-up-{number}")
    assert len(driver.sent("sms")) == 2


def test_one_namespace_uses_up_no_cap_of_another_for_an_address(driver: Driver) -> None:
    cap(driver, recipients={"sms": 2})
    for number in range(4):
        page_by_text(driver, f"db-{number}", namespace="noisy")
    page_by_text(driver, "db-0", namespace="other")
    driver.pass_time(minutes=2)  # a number gets one call at a time
    assert [len(driver.sent("sms")), len(driver.sent("voice"))] == [3, 2]


def test_a_critical_page_is_capped_by_what_its_own_namespace_has_sent_alone(driver: Driver) -> None:
    cap(driver, prefixes={"+4470": 2})
    for number in range(8):
        sms = f"+44700000000{number}"
        page_by_text(driver, f"db-{number}", f"p{number}", severity=Severity.CRITICAL, sms=sms, namespace="noisy")
    assert len(driver.sent("sms")) == 6
    page_by_text(driver, "db-1", sms="+447000000009", namespace="other")
    assert len(driver.sent("sms")) == 6, "what is not CRITICAL shares the cap of a prefix"
    for number in range(8):
        sms = f"+44700000001{number}"
        page_by_text(driver, f"db-1{number}", f"q{number}", severity=Severity.CRITICAL, sms=sms, namespace="other")
    assert len(driver.sent("sms")) == 12


def test_numbers_that_begin_alike_share_a_cap_for_all_who_have_them(driver: Driver) -> None:
    cap(driver, prefixes={"+4470": 1, "+": 50})
    page_by_text(driver, "db-1", "ada", sms="+447000000001")
    page_by_text(driver, "db-2", "bob", sms="+447000000002")
    page_by_text(driver, "db-3", "cyd", sms="+15005550006")
    assert [each.message.address for each in driver.sent("sms")] == ["+447000000001", "+15005550006"]
    assert [each.message.address for each in driver.sent("voice")] == ["+447000000002"]


def test_operations_gets_one_notice_of_a_cap(driver: Driver) -> None:
    cap(driver, recipients={"sms": 1})
    for number in range(4):
        page_by_text(driver, f"db-{number}")
    body = driver.status(OPERATIONS).content.body
    assert body.count("sms: the cap of calls and texts an hour was reached") == 1


def test_what_was_capped_burns_no_attempt_and_no_slot_of_the_provider(driver: Driver, store: Store) -> None:
    cap(driver, recipients={"sms": 1})
    page_by_text(driver, "db-1")
    before = store.run(lambda ledger: ledger.providers.get("sms", "the sms provider"))
    page_by_text(driver, "db-2")
    assert store.run(lambda ledger: ledger.providers.get("sms", "the sms provider")) == before


def test_many_who_claim_at_once_keep_to_one_cap(driver: Driver) -> None:
    cap(driver, recipients={"sms": 3})
    policy = Policy(name="texts", tiers=(Tier(name="primary", channels=("sms",)),))
    for number in range(8):
        driver.notify(an_incident(f"db-{number}"), a_recipient("ada", sms="+15005550006"), policy=policy)
    with ThreadPoolExecutor(max_workers=4) as pool:
        claimed = [each for some in pool.map(lambda _: driver.claim("sms", limit=2), range(4)) for each in some]
    assert len(claimed) == 3
    for each in claimed:
        driver.record(each)
