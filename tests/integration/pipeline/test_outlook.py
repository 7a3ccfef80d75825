"""What `status` says comes next then happens, also where outages and pauses have moved the deadlines."""

from datetime import timedelta

from notifyflow.core.model import NotificationState, Severity
from notifyflow.core.outlook import Coming, Premise, What
from notifyflow.core.pauses import Pause, Scope
from notifyflow.core.policy import INSISTENT
from notifyflow.pipeline import outlook
from notifyflow.pipeline.pause import pause
from tests.builders import START, a_recipient, an_incident
from tests.driver import Driver

MINUTE = timedelta(minutes=1)
ADA = a_recipient("ada", "email", "sms", "voice")


def coming(driver: Driver, key: str = "db-1") -> list[Coming]:
    read = outlook.read(driver.deps, driver.status(key))
    assert read.now == driver.clock.now()
    return [each for events in read.escalations.values() for each in events]


def test_a_pause_of_everything_moves_what_comes_next(driver: Driver) -> None:
    driver.sweep()
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    assert [(each.what, each.at) for each in coming(driver)] == [
        (What.TIER, START + 5 * MINUTE),
        (What.TIER, START + 10 * MINUTE),
        (What.ROUND, START + 15 * MINUTE),
    ]
    now = driver.clock.now()
    pause(driver.deps, Pause(scope=Scope.ALL, name="", ends_at=now + 40 * MINUTE, paused_at=now, paused_by="eve"))
    driver.pass_time(minutes=6)
    first = coming(driver)[0]
    assert (first.what, first.at, first.premise) == (What.TIER, START + 45 * MINUTE, Premise.NOBODY_ACKNOWLEDGES)
    driver.pass_time(minutes=38)
    assert set(driver.pages()) == {"email"}
    driver.pass_time(minutes=1)
    assert set(driver.pages()) == {"email", "sms"}


def test_a_page_that_is_due_is_next_until_it_is_sent_and_then_nothing_is(driver: Driver) -> None:
    driver.notify(an_incident(severity=Severity.ERROR), a_recipient("ada", "email"))
    (first,) = (each for each in coming(driver) if each.what is What.ATTEMPT)
    assert (first.at, first.channels) == (START, ("email",))
    driver.deliver()
    assert driver.pages()["email"].state is NotificationState.SENT
    assert coming(driver) == []
