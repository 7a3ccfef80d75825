"""NextEventKind `status` says comes next then happens, also where outages and pauses have moved the deadlines."""

from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import NotificationState, Result, Severity, Step, StepState
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.core.insight.chain_steps import NextStep
from notifyflow.core.insight.describer import Describer, NotificationView
from notifyflow.core.insight.next_events import NextEvent, NextEventKind, NextEventPremise
from notifyflow.core.insight.views import IncidentFilter
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.pipeline import next_events
from notifyflow.pipeline.delivery.outages import pause
from tests.builders import START, a_recipient, an_incident
from tests.driver import Driver

MINUTE = timedelta(minutes=1)
ADA = a_recipient("ada", "email", "sms", "voice")
BEN = a_recipient("ben", "email")


def coming(driver: Driver, key: str = "db-1") -> list[NextEvent]:
    read = next_events.read(driver.deps, driver.status(key))
    assert read.now == driver.clock.now()
    return [each for events in read.escalations.values() for each in events]


def test_a_pause_of_everything_moves_what_comes_next(driver: Driver) -> None:
    driver.sweep()
    driver.notify(None, ADA, policy=INSISTENT)
    driver.deliver()
    assert [(each.what, each.at) for each in coming(driver)] == [
        (NextEventKind.TIER, START + 5 * MINUTE),
        (NextEventKind.TIER, START + 10 * MINUTE),
        (NextEventKind.ROUND, START + 15 * MINUTE),
    ]
    now = driver.clock.now()
    pause(driver.deps, Pause(scope=PauseScope.ALL, name="", ends_at=now + 40 * MINUTE, paused_at=now, paused_by="eve"))
    driver.pass_time(minutes=6)
    first = coming(driver)[0]
    assert (first.what, first.at, first.premise) == (
        NextEventKind.TIER,
        START + 45 * MINUTE,
        NextEventPremise.NOBODY_ACKNOWLEDGES,
    )
    driver.pass_time(minutes=38)
    assert set(driver.pages()) == {"email"}
    driver.pass_time(minutes=1)
    assert set(driver.pages()) == {"email", "sms"}


def next_step(driver: Driver, key: str = "db-1") -> NextStep | None:
    return next_events.read(driver.deps, driver.status(key)).step


@pytest.mark.parametrize("number", [2, 20])
def test_the_chains_of_a_list_go_on_when_their_pages_say_and_need_as_many_statements_as_one(
    driver: Driver, number: int, counted: list[str]
) -> None:
    keys = [f"db-{each}" for each in range(number)]
    for each in keys:
        driver.notify(an_incident(each, severity=Severity.ERROR), ADA, then=(Step(to=(BEN,), after=10 * MINUTE),))
    driver.sweep()
    now = driver.clock.now()
    pause(driver.deps, Pause(scope=PauseScope.ALL, name="", ends_at=now + 3 * MINUTE, paused_at=now, paused_by="eve"))
    driver.pass_time(minutes=1)
    page = driver.store.read(lambda reads: reads.incident_list.page(IncidentFilter(), after=None, limit=50))
    places = {line.facts.id: (line.facts, line.chain) for line in page.lines if line.chain}
    before = len(counted)
    times = next_events.step_times(driver.deps, places)
    assert len(counted) - before <= 8
    steps = {each: next_step(driver, each) for each in keys}
    assert times == {driver.status(each).facts.id: step.at for each, step in steps.items() if step}
    assert set(times.values()) == {START + 13 * MINUTE}


def test_the_next_step_of_a_chain_is_foretold_with_its_people_and_comes_then(driver: Driver) -> None:
    then = (Step(to=(BEN,), after=10 * MINUTE), Step(to=(ADA, BEN), after=5 * MINUTE))
    driver.notify(None, ADA, then=then)
    driver.deliver()
    driver.pass_time(minutes=2)
    first = next_step(driver)
    assert first is not None
    assert (first.step.number, first.at, first.people, first.waits_for) == (2, START + 10 * MINUTE, {"ben": "Ben"}, ("ada",))
    driver.pass_time(minutes=8)
    assert [each.state for each in driver.status("db-1").steps][1] is StepState.STARTED
    second = next_step(driver)
    assert second is not None
    assert (second.at, second.people, second.is_paged_already) == (START + 15 * MINUTE, {}, True)
    driver.pass_time(minutes=5)
    assert [each.state for each in driver.status("db-1").steps][2:] == [StepState.SKIPPED] * 2, "the end follows at once"
    assert next_step(driver) is None


def test_a_page_that_is_due_is_next_until_it_is_sent_and_then_nothing_is(driver: Driver) -> None:
    driver.notify(an_incident(severity=Severity.ERROR), a_recipient("ada", "email"))
    (first,) = (each for each in coming(driver) if each.what is NextEventKind.ATTEMPT)
    assert (first.at, first.channels) == (START, ("email",))
    driver.deliver()
    assert driver.pages()["email"].state is NotificationState.SENT
    assert coming(driver) == []


def test_a_bounce_that_comes_too_late_wakes_nobody_and_says_what_to_do(driver: Driver) -> None:
    driver.notify(None, ADA)
    driver.deliver()
    (attempt,) = driver.sent("email")
    (ada,) = driver.escalations()
    assert next_events.read(driver.deps, driver.status()).too_late == frozenset()
    driver.pass_time(hours=2)
    driver.report(attempt.message.attempt_id, Result.PERMANENT_FAILURE)
    driver.pass_time(minutes=1)
    assert set(driver.pages()) == {"email"}
    status = driver.status()
    read = next_events.read(driver.deps, status)
    assert read.too_late == {ada.facts.id}
    (recipient,) = Describer(status, read, brief=str, explain=lambda channel, code: "").recipients(most=1)
    (shown,) = recipient.rounds
    assert shown.coming[0].startswith("nothing more: what was sent has failed too late to wake anybody by itself: page again")
    assert shown.tiers[1].status_text == "opens no more: the pages before it are too old"


def described(driver: Driver, key: str) -> NotificationView:
    """Describe the only page of an incident."""
    status = driver.status(key)
    describer = Describer(status, next_events.read(driver.deps, status), brief=lambda at: f"{at:%H:%M:%S}", explain=lambda *_: "")
    (recipient,) = describer.recipients(most=1)
    (page,) = recipient.rounds[0].notifications
    return page


def test_in_a_storm_a_page_says_that_it_waits_for_others_and_then_with_how_many_it_left(driver: Driver) -> None:
    for number in range(40):
        driver.notify(an_incident(f"db-{number}", severity=Severity.ERROR), a_recipient("ada", "sms"))
        driver.deliver()
    first, last = described(driver, "db-0"), described(driver, "db-39")
    assert "others" not in first.line
    until = driver.pages(key="db-39")["sms"].waits_until
    assert until is not None
    assert last.line == f"waits for others until {until:%H:%M:%S} at the latest"
    assert last.coming == ("text waits up to 1 m for others (attempt 1)",)
    driver.pass_time(seconds=20)
    assert described(driver, "db-39").coming == ("text waits up to 40 s for others (attempt 1)",)
    driver.pass_time(minutes=1)
    seen = {key: described(driver, key).line for key in ("db-1", "db-2", "db-39")}
    assert "others" not in seen["db-1"]
    assert "told in one text with 37 others" in seen["db-2"]
    assert "counted in one text with 37 others" in seen["db-39"]


def test_a_pause_of_everything_is_known(driver: Driver) -> None:
    driver.notify(an_incident(severity=Severity.ERROR), ADA)
    now = driver.clock.now()
    pause(driver.deps, Pause(scope=PauseScope.ALL, name="", ends_at=now + MINUTE, paused_at=now, paused_by="eve"))
    assert [each.paused_by for each in next_events.read(driver.deps, driver.status()).pauses] == ["eve"]


def test_a_pause_that_lets_critical_pass_is_none_for_a_critical_incident(driver: Driver) -> None:
    driver.notify(an_incident(severity=Severity.CRITICAL), ADA)
    now = driver.clock.now()
    pause(driver.deps, Pause(scope=PauseScope.ALL, name="", ends_at=now + MINUTE, paused_at=now, paused_by="eve"))
    assert next_events.read(driver.deps, driver.status()).pauses == ()
