"""What a person does to an incident of which one row cannot be written: all others follow, and the row is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import CLOSED, LIVE, IncidentState, NotificationState, Severity, Step, StepState, Stopped, Via
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.core.messages.links import sign
from notifyflow.core.messages.replies import Effect, Intent, Reply
from notifyflow.errors import DamagedIncident
from notifyflow.pipeline.delivery.record import Recording, record
from notifyflow.pipeline.inbound import RoutedRequest, handle
from notifyflow.pipeline.replies import handle_reply
from notifyflow.storage.store import Store
from tests.builders import BUSY, KEY, a_contact, a_recipient, an_incident
from tests.damage import UNWRITABLE, Damage, damaged, release_all
from tests.driver import Driver

PEOPLE = 9
MACHINES = ("notification", "escalation", "step")
CULPRIT = "p7"
OPS = a_contact("ops", "email", "sms")


@pytest.fixture
def driver(store: Store) -> Driver:
    """An incident that pages many, with a chain; nothing of it has been sent."""
    driver = Driver(store, operations=[OPS])
    driver.notify(an_incident(key="old"), a_recipient("old", "teams"))
    driver.resolve(key="old")
    people = [a_recipient(f"p{number}", "email", "sms") for number in range(PEOPLE)]
    driver.notify(
        an_incident(severity=Severity.ERROR), *people, then=[Step(to=(a_recipient("ben", "email"),), after=timedelta(hours=9))]
    )
    return driver


@contextmanager
def hurt(driver: Driver, machine: str, damage: Damage) -> Iterator[str]:
    """Damage a row of the culprit, or the step, in the block; mend and release it then."""
    row_id = {
        "notification": driver.pages(CULPRIT)["email"].id,
        "escalation": driver.escalation(CULPRIT).id,
        "step": driver.status().steps[0].id,
        "incident": driver.status().facts.id,
    }[machine]
    with damaged(driver.deps, machine, row_id, damage):
        yield row_id
    release_all(driver.deps)


def others(driver: Driver) -> list[str]:
    return [f"p{number}" for number in range(PEOPLE) if f"p{number}" != CULPRIT]


def named(driver: Driver) -> tuple[SetAside, ...]:
    return driver.store.read(lambda reads: reads.set_aside.all())


def act(driver: Driver, name: str) -> Stopped:
    return driver.acknowledge(by="p3") if name == "acknowledge" else driver.resolve(by="p3")


ACTS = {"acknowledge": IncidentState.ACKNOWLEDGED, "resolve": IncidentState.RESOLVED}


@pytest.mark.parametrize("damage", UNWRITABLE)
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ACTS)
def test_what_ends_an_incident_stops_all_that_can_be_written(driver: Driver, name: str, machine: str, damage: Damage) -> None:
    with hurt(driver, machine, damage) as row_id:
        stopped = act(driver, name)
        assert stopped.has_changed
        assert stopped.left == (row_id,)
        is_page = machine == "notification"
        assert {each.recipient_id for each in stopped.cancelled} == {*others(driver), *(() if is_page else (CULPRIT,))}
        assert driver.status().facts.state is ACTS[name]
        assert {driver.escalation(each).state for each in others(driver)} <= CLOSED
        assert {driver.pages(each)["email"].state for each in others(driver)} == {NotificationState.CANCELLED}
        told = {row.row_id: row for row in named(driver)}
        assert set(told) == {driver.status().facts.id if machine == "step" else row_id}
        driver.deliver()
        assert not [each for each in driver.seen if each.message.incident_id == driver.status().facts.id]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ACTS)
def test_what_was_left_ends_once_it_is_mended(driver: Driver, name: str, machine: str) -> None:
    with hurt(driver, machine, Damage.REFUSED):
        act(driver, name)
    driver.pass_time(minutes=1)
    _all_is_over(driver)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ACTS)
def test_what_was_left_ends_when_it_is_tried_again(driver: Driver, name: str, machine: str) -> None:
    row_id = {"notification": driver.pages(CULPRIT)["email"].id, "escalation": driver.escalation(CULPRIT).id}.get(
        machine, driver.status().steps[0].id
    )
    with damaged(driver.deps, machine, row_id, Damage.REFUSED):
        act(driver, name)
        driver.pass_time(minutes=1)
    driver.pass_time(minutes=20)
    driver.sweep()
    _all_is_over(driver)


@pytest.mark.parametrize("name", ACTS)
def test_a_page_that_was_on_its_way_is_not_sent_again_when_it_is_mended(driver: Driver, name: str) -> None:
    claimed = [each for each in driver.claim("email") if each.message.notification_id == driver.pages(CULPRIT)["email"].id]
    with damaged(driver.deps, "notification", claimed[0].message.notification_id, Damage.REFUSED):
        assert [type(each) for each in record(driver.deps, [Recording(lease=claimed[0].lease, outcome=BUSY)]).results] != [None]
        act(driver, name)
    for _ in range(8):
        driver.pass_time(minutes=1)
        driver.sweep()
        assert claimed[0].message.notification_id not in [each.message.notification_id for each in driver.claim("email")]
    assert driver.pages(CULPRIT)["email"].state is NotificationState.CANCELLED


def _all_is_over(driver: Driver) -> None:
    status = driver.status()
    assert not [each for each in status.escalations if each.facts.state in LIVE and each.facts.is_current and each.facts.round]
    assert not [row for each in status.escalations for row in each.notifications if row.state is NotificationState.QUEUED]
    assert {step.state for step in status.steps} == {StepState.STOPPED}
    assert not [each for each in driver.seen if each.message.incident_id == status.facts.id]


def test_several_damaged_rows_of_one_incident_are_found(driver: Driver) -> None:
    rows = [("notification", driver.pages(CULPRIT)["email"].id), ("notification", driver.pages("p5")["email"].id)]
    rows += [("escalation", driver.escalation("p5").id)]
    first, second, third = (damaged(driver.deps, machine, row_id, Damage.REFUSED) for machine, row_id in rows)
    with first, second, third:
        assert act(driver, "acknowledge").left == tuple(sorted(row_id for _, row_id in rows))
        assert {each.row_id for each in named(driver)} == {row_id for _, row_id in rows}
    release_all(driver.deps)


@pytest.mark.parametrize("damage", UNWRITABLE)
@pytest.mark.parametrize("name", ["acknowledge", "resolve", "page again"])
def test_an_incident_that_cannot_be_written_is_named_with_what_to_do(driver: Driver, name: str, damage: Damage) -> None:
    with hurt(driver, "incident", damage) as incident_id:
        with pytest.raises(DamagedIncident, match=rf"{incident_id} is damaged: .*notifyflow status --release {incident_id}"):
            driver.page_again("p3") if name == "page again" else act(driver, name)
        assert driver.status().facts.state is IncidentState.OPEN
        assert [each.row_id for each in named(driver)] == [incident_id]
    assert act(driver, "acknowledge").has_changed


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("who", ["p3", CULPRIT])
def test_somebody_is_paged_again_beside_a_damaged_row(driver: Driver, machine: str, who: str) -> None:
    driver.deliver()
    with hurt(driver, machine, Damage.REFUSED):
        driver.page_again(who)
        assert driver.escalation(who).round == 2
        assert driver.pages(who)["email"].state is NotificationState.QUEUED
    driver.pass_time(minutes=1)
    assert [each.facts.round for each in driver.escalations(who) if each.facts.is_current] == [2]


@pytest.mark.parametrize("damage", UNWRITABLE)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_higher_severity_pages_all_again(driver: Driver, machine: str, damage: Damage) -> None:
    with hurt(driver, machine, damage):
        driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("p3", "email", "sms"))
        assert driver.status().facts.severity is Severity.CRITICAL
        assert {driver.escalation(each).round for each in others(driver)} == {2}


@pytest.mark.parametrize("damage", UNWRITABLE)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_pressed_key_stops_all_that_can_be_written(driver: Driver, machine: str, damage: Damage) -> None:
    (mine,) = [each for each in driver.claim("email") if each.message.address == "p3@email"]
    driver.record(mine)
    with hurt(driver, machine, damage):
        driver.report(mine.message.attempt_id, None, key="1")
        assert driver.status().facts.state is IncidentState.ACKNOWLEDGED
        assert {driver.escalation(each).state for each in others(driver)} <= CLOSED


def test_the_key_of_somebody_whose_own_page_is_damaged_counts(driver: Driver) -> None:
    mine = next(each for each in driver.claim("email") if each.message.address == f"{CULPRIT}@email")
    driver.record(mine)
    with hurt(driver, "notification", Damage.REFUSED):
        driver.report(mine.message.attempt_id, None, key="1")
        assert driver.status(KEY).facts.state is IncidentState.ACKNOWLEDGED


@pytest.mark.parametrize("machine", MACHINES)
def test_a_reply_stops_all_that_can_be_written(driver: Driver, machine: str) -> None:
    driver.deps = replace(driver.deps, secret_keys=("k" * 32,))
    token = sign(driver.deps.secret_keys, driver.status().facts.id, "p3", driver.clock.at + timedelta(days=1))
    reply = Reply(provider="slack", event_id="e1", intent=Intent.ACKNOWLEDGE, number="", our_number="", token=token)
    with hurt(driver, machine, Damage.REFUSED):
        assert handle_reply(driver.deps, reply, channel="slack", raw="").value.effect is Effect.ACKNOWLEDGED
        assert {driver.escalation(each).state for each in others(driver)} <= CLOSED


@pytest.mark.parametrize("machine", MACHINES)
def test_an_integration_resolves_beside_a_damaged_row(driver: Driver, machine: str) -> None:
    request = InboundRequest(action=Action.RESOLVE, incident=an_incident(), labels={})
    routed = RoutedRequest(request=request, contacts=(), policy=DEFAULT)
    with hurt(driver, machine, Damage.REFUSED):
        assert handle(driver.deps, [routed], by="sender", via=Via.API, namespace="").value == 1
        assert driver.status().facts.state is IncidentState.RESOLVED
        assert {driver.escalation(each).state for each in others(driver)} <= CLOSED
