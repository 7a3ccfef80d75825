"""A carrier's spam filter refuses a text about many for one of its titles, as Twilio's callbacks tell a real flow."""

from collections import Counter

from notifyflow.core.delivery.attempts import used_up
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Incident, NotificationState, Recipient, Severity
from notifyflow.core.delivery.policy import DEFAULT, Policy, Tier
from notifyflow.testing import Driver

TEXTS = Policy(name="texts", tiers=(Tier(name="texts", channels=("sms",)),), retries=DEFAULT.retries)
ADA = Recipient(id="ada", name="Ada", phone="+15005550011")
REFUSED_FIRST = "sms: 30007, " + ", ".join(["then 30007, then ok"] * 6) + ", then 30007"
"""Of 40, 20, 10, 5, 3 and 2 the first half has the title that the carrier refuses; the other half arrives."""


def notify(driver: Driver, *keys: str) -> None:
    for key in keys:
        driver.flow.notify(Incident(key=key, title=f"{key} is down", severity=Severity.ERROR), [ADA], policy=TEXTS)


def row(driver: Driver, key: str) -> NotificationFacts:
    return driver.flow.status(key).escalations[0].notifications[0]


def test_of_forty_all_but_the_one_that_is_filtered_arrive_and_have_used_up_one_attempt() -> None:
    keys = [f"db-{number:02}" for number in range(40)]
    with Driver() as driver:
        notify(driver, "before", "and-before")
        driver.advance(seconds=1)
        notify(driver, *keys)
        driver.sandbox.script(REFUSED_FIRST)
        driver.advance(minutes=2)
        rows = {key: row(driver, key) for key in keys}
        bad, others = rows.pop("db-00"), list(rows.values())
        assert {each.state for each in others} == {NotificationState.DELIVERED}
        assert {len(used_up(each)) for each in others} == {1}
        assert Counter(len(each.attempts) for each in others) == {2: 20, 3: 10, 4: 5, 5: 2, 6: 1, 7: 1}
        assert bad.state is NotificationState.QUEUED
        driver.advance(minutes=20)
        bad = row(driver, "db-00")
        assert (bad.state, bad.reason) == (NotificationState.FAILED, "the text was filtered as spam")
        assert (len(used_up(bad)), len(bad.attempts)) == (5, 11)
        texts = len(driver.inbox.messages(channel="sms"))
        assert texts == 2 + 13 + 4, "those before, one and two for each time that it was halved, and four retries"
