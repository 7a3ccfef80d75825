"""What a silence releases leaves in one message, whatever else keeps it then, and a damaged row keeps no other."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.accounts.users import Role, User
from notifyflow.core.delivery.model import NotificationState
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.limits.silences import AuthorKind
from notifyflow.pipeline.delivery.outages import pause
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.users import add, change
from tests.builders import BUSY, START, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver
from tests.silencing import end, orders, silence

MINUTE = timedelta(minutes=1)
MAIL = a_recipient("ada", "email")


def pause_mail(driver: Driver) -> None:
    now = driver.clock.now()
    ends_at = now + 20 * MINUTE
    wanted = Pause(scope=PauseScope.CHANNEL, name="email", ends_at=ends_at, paused_at=now, paused_by="eve", is_for_critical=True)
    pause(driver.deps, wanted)


@pytest.mark.parametrize("is_bundling", [True, False])
@pytest.mark.parametrize("is_tried_again", [True, False])
def test_what_is_paused_at_its_end_leaves_as_one_message_after_the_pause(
    driver: Driver, is_bundling: bool, is_tried_again: bool
) -> None:
    driver.deps = replace(driver.deps, is_bundling=is_bundling)
    if is_tried_again:
        driver.respond("email", BUSY)
    else:
        started = silence(driver)
    for number in range(3):
        driver.notify(orders(f"db-{number}"), MAIL)
        driver.deliver()
    if is_tried_again:
        driver.respond("email")
        started = silence(driver)
    before = len(driver.seen)
    driver.pass_time(minutes=10)
    pause_mail(driver)
    end(driver, started)
    driver.sweep()
    driver.deliver()
    assert len(driver.seen) == before
    driver.pass_time(hours=1)
    assert [len(each.attempts) for each in driver.seen[before:]] == [3]


def test_quiet_hours_at_its_end_are_waited_for_and_all_leaves_as_one_message(driver: Driver) -> None:
    driver.deps = replace(driver.deps, is_bundling=False)
    started = silence(driver)
    for number in range(3):
        driver.notify(orders(f"db-{number}"), replace(MAIL, quiet="03:00-05:00"))
    driver.deliver()
    end(driver, started)
    driver.pass_time(minutes=119)
    assert driver.seen == []
    driver.pass_time(minutes=1)
    assert [len(each.attempts) for each in driver.seen] == [3]


def test_the_message_at_its_end_that_fails_is_tried_again_as_one(driver: Driver) -> None:
    driver.deps = replace(driver.deps, is_bundling=False)
    started = silence(driver)
    for number in range(3):
        driver.notify(orders(f"db-{number}"), MAIL)
    driver.deliver()
    driver.respond("email", BUSY, *driver.outcomes["email"])
    end(driver, started)
    driver.sweep()
    driver.deliver()
    driver.respond("email")
    driver.pass_time(minutes=5)
    assert [len(each.attempts) for each in driver.seen] == [3, 3]


@pytest.mark.parametrize("damage", [Damage.REFUSED, Damage.WORD, Damage.VERSION])
@pytest.mark.parametrize("machine", ["notification", "escalation"])
def test_a_damaged_row_keeps_no_other_at_an_early_end(driver: Driver, machine: str, damage: Damage) -> None:
    started = silence(driver)
    driver.notify(orders("db-1"), MAIL)
    driver.notify(orders("db-2"), a_recipient("ben", "email"))
    driver.deliver()
    (escalation,) = driver.status("db-1").escalations
    row = escalation.facts.id if machine == "escalation" else escalation.notifications[0].id
    with damaged(driver.deps, machine, row, damage):
        end(driver, started)
        assert driver.pages("ben", key="db-2")["email"].due_at == START
    release_all(driver.deps)
    driver.pass_time(minutes=5)
    assert driver.pages("ben", key="db-2")["email"].state is NotificationState.SENT


def test_who_holds_an_incident_late_by_a_slow_clock_holds_it_until_the_early_end(driver: Driver) -> None:
    started = silence(driver)
    driver.notify(orders(), MAIL)
    driver.notify(an_incident("db-2"), MAIL)
    driver.pass_time(minutes=1)
    seen = use_case.run(driver.deps, lambda tx: tx.ledger.silences.in_force(now=tx.now)).value
    end(driver, started)
    driver.clock.at -= MINUTE / 2
    use_case.run(driver.deps, lambda tx: holds.hold_all(tx, [tx.ledger.incidents.lock(driver.status().facts.id)], seen))
    driver.clock.at += MINUTE / 2
    assert [each.ended_at for each in driver.status().silences] == [START + MINUTE]


def test_the_end_is_carried_out_of_a_silence_whose_author_left_just_before_it(driver: Driver) -> None:
    add(driver.store, User(id="u-1", name="grace", role=Role.RESPONDER, created_at=START))
    started = silence(driver, span=10 * MINUTE, author=(AuthorKind.USER, "u-1"))
    change(driver.store, "grace", lambda grace: replace(grace, disabled_at=START))
    driver.be_away(minutes=10)
    found = driver.store.read(lambda reads: reads.silences.find(started.id))
    assert found is not None
    assert (found.due_at, found.ended_at) == (None, None)
