"""A page that one person sleeps through reaches the next: when a step starts, what stops it, and how a run ends."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.model import (
    Contact,
    EscalationState,
    Incident,
    IncidentState,
    Recipient,
    Severity,
    Step,
    StepState,
    Via,
)
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.oncall.overrides import Wish
from notifyflow.core.references import ByKey
from notifyflow.errors import InvalidIncident
from notifyflow.pipeline import inbound
from notifyflow.pipeline.delivery import outages as pauses
from notifyflow.pipeline.delivery.acknowledge import acknowledge
from notifyflow.pipeline.delivery.sweep import next_wake_at, sweep
from notifyflow.pipeline.inbound import RoutedRequest
from notifyflow.pipeline.oncall import overrides
from notifyflow.pipeline.oncall.roster import store_directory
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.pipeline.upkeep import adopt
from notifyflow.pipeline.upkeep.prune import prune_incidents
from notifyflow.storage.store import Store
from tests.builders import KEY, REFUSED, START, a_contact, a_recipient, an_incident
from tests.driver import Driver

ADA, BEN, CY = (a_recipient(who, "email") for who in ("ada", "ben", "cy"))
OPS = a_contact("ops", "email")
MINUTE = timedelta(minutes=1)
THEN = (Step(to=(BEN,), after=10 * MINUTE), Step(to=(CY,), after=20 * MINUTE))
WAITING, STARTED, SKIPPED, STOPPED = StepState
CRITICAL = an_incident(severity=Severity.CRITICAL)


DIRECTORY = """
[recipients.ada]
email = "ada@example.com"

[recipients.ben]
email = "ben@example.com"

[schedules.primary]
timezone = "UTC"

[[schedules.primary.layers]]
who = ["ben", "ada"]
from = 2026-11-25T03:05:00
every = "1d"

[default]
to = ["ada"]
"""


@pytest.fixture
def watched(store: Store) -> Driver:
    """As ``driver``, with somebody in operations."""
    return Driver(store, operations=(OPS,))


def paged(driver: Driver) -> list[tuple[str, timedelta]]:
    """Return who is paged, and when each of their rounds started."""
    rounds = sorted(driver.status().escalations, key=lambda each: (each.facts.started_at, each.facts.recipient_id))
    return [(each.facts.recipient_id, each.facts.started_at - START) for each in rounds]


def states(status: IncidentStatus) -> list[StepState]:
    return [step.state for step in status.steps if step.run_number == status.facts.run_number]


def told(driver: Driver) -> int:
    """Return how often operations was paged."""
    return sum(each.alerted_at is not None for each in driver.outcome.critical)


def test_the_next_person_is_paged_when_nobody_acknowledges(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=9)
    assert paged(driver) == [("ada", 0 * MINUTE)]
    assert states(driver.status()) == [STARTED, WAITING, WAITING, WAITING]
    driver.pass_time(minutes=1)
    assert paged(driver) == [("ada", 0 * MINUTE), ("ben", 10 * MINUTE)]
    driver.pass_time(minutes=20)
    assert paged(driver)[2:] == [("cy", 30 * MINUTE)]
    assert states(driver.status()) == [STARTED, STARTED, STARTED, WAITING]
    assert [step.paged for step in driver.status().steps] == [("ada",), ("ben",), ("cy",), ()]


def test_operations_is_told_when_the_time_of_the_last_step_is_over(watched: Driver) -> None:
    watched.notify(None, ADA, then=THEN[:1], over_after=30 * MINUTE)
    watched.deliver()
    watched.pass_time(minutes=39)
    assert told(watched) == 0
    watched.pass_time(minutes=1)
    assert told(watched) == 1


def test_the_next_person_is_paged_at_once_when_every_way_to_the_last_has_failed(driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(seconds=0)
    assert paged(driver) == [("ada", 0 * MINUTE), ("ben", 0 * MINUTE), ("cy", 0 * MINUTE)]


def test_the_next_step_waits_until_everybody_in_the_one_before_is_spent(driver: Driver) -> None:
    driver.respond("sms", REFUSED)
    driver.notify(None, ADA, a_recipient("zoe", "sms"), then=THEN)
    driver.deliver()
    driver.pass_time(minutes=9)
    assert states(driver.status()) == [STARTED, WAITING, WAITING, WAITING]
    driver.pass_time(minutes=1)
    assert paged(driver)[2:] == [("ben", 10 * MINUTE)]


def test_somebody_without_an_address_is_spent_from_the_start(driver: Driver) -> None:
    driver.notify(None, a_recipient("nobody", "fax"), BEN, then=(Step(to=(Recipient(id="eve"),), after=MINUTE), *THEN[1:]))
    driver.deliver()
    driver.pass_time(minutes=1)
    driver.pass_time(seconds=0)
    assert [who for who, _ in paged(driver)] == ["ben", "nobody", "cy", "eve"]


def test_an_incident_is_settled_when_its_chain_is_over(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=40)
    assert (driver.status().is_settled, driver.store.read(lambda reads: reads.is_settled(KEY))) == (False, False)
    driver.pass_time(minutes=5)
    assert (driver.status().is_settled, driver.store.read(lambda reads: reads.is_settled(KEY))) == (True, True)


def test_an_acknowledgement_stops_the_chain(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=10)
    driver.acknowledge("ben")
    assert states(driver.status()) == [STOPPED] * 4
    driver.pass_time(hours=2)
    assert [who for who, _ in paged(driver)] == ["ada", "ben"]


def test_a_resolve_stops_the_chain(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.resolve()
    assert states(driver.status()) == [STOPPED] * 4
    driver.pass_time(hours=2)
    assert [who for who, _ in paged(driver)] == ["ada"]


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.ERROR])
@pytest.mark.parametrize("policy", [DEFAULT, INSISTENT], ids=lambda policy: policy.name)
def test_a_pass_that_nobody_acknowledges_ends_in_one_alert(watched: Driver, severity: Severity, policy: object) -> None:
    watched.notify(an_incident(severity=severity), ADA, then=THEN, policy=policy)  # type: ignore[arg-type]
    watched.deliver()
    watched.pass_time(minutes=44)
    assert told(watched) == 0
    watched.pass_time(minutes=1)
    assert told(watched) == 1
    assert states(watched.status()) == [STARTED, STARTED, STARTED, SKIPPED]
    assert watched.status().operations_key is not None
    watched.pass_time(hours=5)
    assert told(watched) == 1


def test_when_everybody_is_spent_operations_is_alerted_once_and_at_once(watched: Driver) -> None:
    watched.respond("email", REFUSED)
    watched.notify(None, ADA, then=THEN)
    watched.deliver()
    watched.pass_time(seconds=0)
    assert told(watched) == 1
    linked = {each.recipient_id for each in watched.outcome.critical if each.alerted_at is None}
    assert linked - {OPS.recipient_id} == {"ada", "ben", "cy"}


def test_a_warning_that_was_read_by_nobody_is_linked_and_pages_no_operations(watched: Driver) -> None:
    watched.notify(an_incident(severity=Severity.WARNING), ADA, then=THEN)
    watched.deliver()
    watched.pass_time(hours=2)
    assert (told(watched), len(watched.outcome.critical)) == (0, 1)


def test_info_starts_no_later_step_until_its_severity_is_raised(watched: Driver) -> None:
    watched.notify(an_incident(severity=Severity.INFO), ADA, then=THEN)
    watched.deliver()
    watched.pass_time(hours=2)
    assert states(watched.status()) == [STARTED, WAITING, WAITING, WAITING]
    watched.notify(an_incident(), ADA)
    watched.deliver()
    watched.pass_time(minutes=10)
    assert paged(watched)[1:] == [("ada", 120 * MINUTE), ("ben", 130 * MINUTE)]


def test_whom_the_pass_pages_already_is_not_paged_again(driver: Driver) -> None:
    driver.notify(None, ADA, then=(Step(to=(ADA, BEN), after=MINUTE), Step(to=("ben",), after=MINUTE), Step(to=(CY,))))
    driver.deliver()
    driver.pass_time(minutes=1)
    assert paged(driver) == [("ada", 0 * MINUTE), ("ben", MINUTE)]
    driver.pass_time(minutes=1)
    assert [(step.state, step.reason) for step in driver.status().steps][2] == (SKIPPED, "paged_already")
    assert paged(driver)[2:] == [("cy", 2 * MINUTE)]


def test_operations_may_be_the_last_step(watched: Driver) -> None:
    watched.notify(None, ADA, then=(Step(to=("operations",), after=MINUTE),))
    watched.deliver()
    watched.pass_time(minutes=1)
    assert paged(watched) == [("ada", 0 * MINUTE), ("ops", MINUTE)]
    assert told(watched) == 0


def test_a_chain_without_anybody_alerts_at_once(watched: Driver, driver: Driver) -> None:
    driver.respond("email", REFUSED)
    driver.notify(None, ADA, then=(Step(to=("operations",), after=MINUTE),))
    driver.deliver()
    driver.pass_time(seconds=0)
    assert [(step.state, step.reason) for step in driver.status().steps][1:] == [
        (SKIPPED, "nobody_on_duty"),
        (SKIPPED, "chain_over"),
    ]
    assert told(driver) == 1


def test_a_higher_severity_pages_those_paged_so_far_and_the_steps_go_on(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=12)
    driver.notify(CRITICAL, ADA)
    driver.deliver()
    assert paged(driver)[2:] == [("ada", 12 * MINUTE), ("ben", 12 * MINUTE)]
    driver.pass_time(minutes=18)
    assert paged(driver)[4:] == [("cy", 30 * MINUTE)]
    assert {step.run_number for step in driver.status().steps} == {1}


def test_a_higher_severity_after_an_acknowledgement_begins_a_new_pass(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=12)
    driver.acknowledge("ben")
    driver.notify(CRITICAL, ADA)
    driver.deliver()
    status = driver.status()
    assert (status.facts.run_number, status.facts.state) == (2, IncidentState.OPEN)
    assert states(status) == [STARTED, WAITING, WAITING, WAITING]
    assert paged(driver)[2:] == [("ada", 12 * MINUTE)]
    driver.pass_time(minutes=10)
    assert paged(driver)[3:] == [("ben", 22 * MINUTE)]


def test_a_higher_severity_after_the_end_of_a_chain_pages_everybody_again(watched: Driver) -> None:
    watched.notify(None, ADA, then=THEN)
    watched.pass_time(minutes=46)
    assert (told(watched), states(watched.status())) == (1, [STARTED, STARTED, STARTED, SKIPPED])
    watched.notify(CRITICAL, ADA)
    assert {who for who, at in paged(watched) if at == 46 * MINUTE} == {"ada", "ben", "cy"}
    watched.pass_time(minutes=11)
    assert (told(watched), states(watched.status())) == (2, [STARTED, SKIPPED, SKIPPED, SKIPPED])


def test_a_higher_severity_brings_its_own_chain(driver: Driver) -> None:
    driver.notify(None, ADA)
    driver.deliver()
    driver.notify(CRITICAL, ADA, then=(Step(to=(CY,), after=MINUTE),))
    driver.deliver()
    assert states(driver.status()) == [STARTED, WAITING, WAITING]
    driver.pass_time(minutes=1)
    assert [who for who, _ in paged(driver)] == ["ada", "ada", "cy"]
    driver.acknowledge("ada")
    assert states(driver.status()) == [STOPPED] * 3


def test_the_same_key_pages_nobody_and_changes_no_chain(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.notify(None, ADA, then=(Step(to=("operations",)),))
    assert len(driver.status().steps) == 4


def test_paging_again_lets_the_time_of_the_next_step_begin_anew(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=8)
    driver.page_again("ada")
    driver.deliver()
    driver.pass_time(minutes=9)
    assert paged(driver)[1:] == [("ada", 8 * MINUTE)]
    driver.pass_time(minutes=1)
    assert paged(driver)[2:] == [("ben", 18 * MINUTE)]


def test_paging_again_after_an_acknowledgement_goes_on_with_the_first_step_that_had_not_started(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=12)
    driver.acknowledge("ben")
    driver.page_again("ada")
    driver.deliver()
    assert [step.to for step in driver.status().steps if step.run_number == 2] == [("ada",), ("cy",), ()]
    driver.pass_time(minutes=20)
    assert paged(driver)[2:] == [("ada", 12 * MINUTE), ("cy", 32 * MINUTE)]


def test_paging_again_after_the_end_ends_in_an_alert_again(watched: Driver) -> None:
    watched.notify(None, ADA, then=THEN[:1])
    watched.deliver()
    watched.pass_time(minutes=30)
    assert told(watched) == 1
    watched.page_again("ada")
    watched.deliver()
    watched.pass_time(minutes=30)
    assert told(watched) == 2


@pytest.mark.parametrize(("minutes", "whom"), [(5, ["ada", "ben"]), (31, ["ada"])])
def test_a_key_that_comes_and_goes_reaches_the_second_person(driver: Driver, minutes: int, whom: list[str]) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=10)
    driver.resolve("alertmanager")
    driver.pass_time(minutes=minutes)
    driver.notify(None, ADA, then=THEN)
    assert sorted(who for who, _ in paged(driver)) == whom


def test_a_key_that_comes_and_goes_after_somebody_was_paged_again_reaches_the_second_person(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=10)
    driver.acknowledge("ben")
    driver.page_again("ada")
    driver.resolve("alertmanager")
    driver.notify(None, ADA, then=THEN)
    assert sorted(who for who, _ in paged(driver)) == ["ada", "ben"]


def test_a_key_that_opens_again_after_an_acknowledgement_begins_from_the_start(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=10)
    driver.acknowledge("ben")
    driver.resolve("ben")
    driver.notify(None, ADA, then=THEN)
    assert [who for who, _ in paged(driver)] == ["ada"]


def test_a_pause_puts_a_step_off_and_its_end_goes_on(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=5)
    pause = Pause(
        scope=PauseScope.ALL, name="", paused_by="eve", paused_at=driver.clock.at, ends_at=driver.clock.at + 60 * MINUTE
    )
    pauses.pause(driver.deps, pause)
    driver.pass_time(minutes=20)
    assert [who for who, _ in paged(driver)] == ["ada"]
    pauses.resume(driver.deps, PauseScope.ALL, "")
    driver.pass_time(minutes=4)
    assert [who for who, _ in paged(driver)] == ["ada"]
    driver.pass_time(minutes=1)
    assert paged(driver)[1:] == [("ben", 30 * MINUTE)]


def test_an_outage_puts_a_step_off(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.sweep()
    driver.be_away(hours=1)
    driver.sweep()
    assert [who for who, _ in paged(driver)] == ["ada"]
    driver.pass_time(minutes=10)
    assert paged(driver)[1:] == [("ben", 70 * MINUTE)]


def test_two_last_failures_at_the_same_instant_start_the_next_step_once(driver: Driver) -> None:
    driver.notify(None, a_recipient("ada", "email"), a_recipient("zoe", "sms"), then=THEN)
    claimed = [*driver.claim("email"), *driver.claim("sms")]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(partial(driver.record, outcome=REFUSED), claimed))
    driver.sweep()
    assert [who for who, _ in paged(driver)] == ["ada", "ben", "zoe"]


def test_two_sweepers_start_a_step_once(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.note_sweep(START + 10 * MINUTE)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: sweep(driver.deps), range(2)))
    assert [who for who, _ in paged(driver)] == ["ada", "ben"]


def test_an_acknowledgement_at_the_instant_of_a_step_leaves_nobody_paged(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.note_sweep(START + 10 * MINUTE)
    with ThreadPoolExecutor(2) as threads:
        acknowledged = threads.submit(acknowledge, driver.deps, ByKey(KEY), by="ada", via=Via.LIBRARY)
        threads.submit(sweep, driver.deps).result()
        acknowledged.result()
    status = driver.status()
    assert set(states(status)) == {STOPPED}
    assert {each.facts.state for each in status.escalations} == {EscalationState.ACKNOWLEDGED}
    driver.pass_time(hours=2)
    assert len(driver.status().escalations) == len(status.escalations)


def test_a_chain_of_bad_form_refuses_the_whole(driver: Driver) -> None:
    with pytest.raises(InvalidIncident) as raised:
        driver.notify(None, ADA, then=(Step(to=(), after=0 * MINUTE), Step(to=("@nobody",))))
    assert [fault.where for fault in raised.value.faults] == ["then[0].after", "then[0].to", "then[1].to[0]"]


def test_an_incident_without_a_chain_costs_no_statement_of_one(driver: Driver, counted: list[str]) -> None:
    driver.notify(None, ADA)
    driver.deliver()
    driver.pass_time(minutes=20)
    driver.acknowledge()
    driver.resolve()
    of_steps = [statement for statement in counted if "notifyflow_step" in statement]
    assert all("notifyflow_incident" in statement or "waits_since" in statement for statement in of_steps)


def route(driver: Driver, *whom: Contact, to: str, then: str, incident: Incident | None = None) -> None:
    """Open or repeat an incident by a route with a chain; the schedule ``@primary`` begins after five minutes."""
    store_directory(driver.deps, DIRECTORY, changed_at=START)
    chain = Chain(to=(to,), then=(Planned(to=(then,), after=10 * MINUTE),), over_after=5 * MINUTE)
    request = InboundRequest(action=Action.NOTIFY, incident=incident or an_incident(), labels={})
    routed = RoutedRequest(request=request, contacts=whom, policy=DEFAULT, chain=chain)
    inbound.handle(driver.deps, [routed], by="prometheus", via=Via.ALERTMANAGER, namespace="")


def test_who_is_on_duty_is_read_when_the_step_starts(driver: Driver) -> None:
    route(driver, a_contact("ada", "email"), to="ada", then="@primary")
    driver.pass_time(minutes=10)
    assert paged(driver)[1:] == [("ben", 10 * MINUTE)]
    (contact,) = (each.contact for each in driver.status().escalations if each.facts.recipient_id == "ben")
    assert contact.addresses == {"email": "ben@example.com"}


def test_a_route_on_which_nobody_is_on_duty_goes_on_with_the_next_step(driver: Driver) -> None:
    route(driver, to="@primary", then="ada")
    assert [(step.state, step.reason) for step in driver.status().steps] == [
        (SKIPPED, "nobody_on_duty"),
        (STARTED, ""),
        (WAITING, ""),
    ]
    assert paged(driver) == [("ada", 0 * MINUTE)]


def test_a_chain_in_which_nobody_is_on_duty_alerts_operations_at_once(watched: Driver) -> None:
    route(watched, to="@primary", then="@primary")
    assert [step.state for step in watched.status().steps] == [SKIPPED] * 3
    (alerted,) = [each for each in watched.status().escalations if each.facts.alerted_at is not None]
    assert (alerted.facts.recipient_id, alerted.facts.state) == ("@primary", EscalationState.EXHAUSTED)


def test_an_alert_that_comes_again_reads_the_duty_only_if_its_severity_is_raised(driver: Driver) -> None:
    route(driver, a_contact("ada", "email"), to="ada", then="@primary")
    route(driver, a_contact("cy", "email"), to="ada", then="@primary")
    assert [who for who, _ in paged(driver)] == ["ada"]
    driver.acknowledge("ada")
    route(driver, a_contact("cy", "email"), to="ada", then="@primary", incident=CRITICAL)
    status = driver.status()
    assert [(step.run_number, step.state, step.paged) for step in status.steps if step.number == 1] == [
        (1, STOPPED, ("ada",)),
        (2, STARTED, ("cy",)),
    ]


def test_nobody_of_a_chain_is_forgotten_while_it_may_page_them(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    unresolved = driver.store.run(lambda ledger: ledger.recipients.unresolved_of("cy"))
    assert unresolved == [("", KEY)]
    driver.resolve()
    assert driver.store.run(lambda ledger: ledger.recipients.forget("cy")).is_known
    (kept,) = driver.store.run(lambda ledger: [ledger.steps.people(driver.status().facts.id)["cy"]])
    assert (kept.name, kept.addresses) == ("forgotten", {})


def test_who_takes_a_duty_before_the_step_starts_is_paged_and_who_takes_it_later_is_not(driver: Driver) -> None:
    def take(who: str) -> None:
        ends_at = driver.clock.at + 60 * MINUTE
        overrides.make(driver.deps, Wish(schedules=("primary",), people=(who,), ends_at=ends_at, by="eve"))

    route(driver, a_contact("cy", "email"), to="cy", then="@primary")
    driver.pass_time(minutes=9)
    take("ada")
    driver.pass_time(minutes=1)
    take("ben")
    driver.pass_time(minutes=3)
    assert paged(driver)[1:] == [("ada", 10 * MINUTE)]
    assert driver.status().steps[1].paged == ("ada",)


def test_an_override_while_a_step_starts_leaves_one_person_on_duty(driver: Driver) -> None:
    route(driver, a_contact("cy", "email"), to="cy", then="@primary")
    driver.note_sweep(START + 10 * MINUTE)
    wish = Wish(schedules=("primary",), people=("ada",), ends_at=driver.clock.at + 60 * MINUTE, by="eve")
    with ThreadPoolExecutor(2) as threads:
        taken = threads.submit(overrides.make, driver.deps, wish)
        threads.submit(sweep, driver.deps).result()
        taken.result()
    (duty,) = driver.status().steps[1].paged
    assert duty in ("ada", "ben")
    assert [who for who, _ in paged(driver)][1:] == [duty]


def test_a_chain_stands_still_in_quarantine_and_its_time_does_not_count(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.deliver()
    driver.pass_time(minutes=5)
    adopt.adopt(driver.deps, None, is_forced=True)
    assert next_wake_at(driver.deps) is None
    driver.pass_time(minutes=60)
    driver.sweep()
    assert [who for who, _ in paged(driver)] == ["ada"]
    adopt.release_from_quarantine(driver.deps)
    driver.pass_time(minutes=4)
    assert [who for who, _ in paged(driver)] == ["ada"]
    driver.pass_time(minutes=1)
    assert paged(driver)[1:] == [("ben", 70 * MINUTE)]


def test_resolving_the_quarantined_stops_their_chains(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    adopt.adopt(driver.deps, None, is_forced=True)
    adopt.resolve_quarantined(driver.deps)
    assert set(states(driver.status())) == {STOPPED}


def test_the_chain_is_deleted_with_its_incident(driver: Driver) -> None:
    driver.notify(None, ADA, then=THEN)
    driver.resolve()
    driver.deliver()
    roll_up_all(driver.deps)
    incident_id = driver.status().facts.id
    prune_incidents(driver.deps, (START - timedelta(days=1), ""), before=START + timedelta(days=1))
    assert driver.store.read(lambda reads: reads.status_by_id(incident_id)) is None
    assert driver.store.read(lambda reads: reads.steps.of([incident_id])) == {incident_id: ()}
    assert driver.store.run(lambda ledger: ledger.steps.people(incident_id)) == {}
